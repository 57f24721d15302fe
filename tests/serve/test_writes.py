"""Ratings, events, items and users: what is written, once, and what is refused."""

import uuid


def event(**fields):
    return {"id": str(uuid.uuid4()), "user": "ann", "item": "new item", "value": 4} | fields


def outcomes(answer):
    assert answer.status_code == 200, answer.text
    return [one["outcome"] for one in answer.json()["events"]]


def ratings_of(client, user):
    answer = client.get(f"/v1/users/{user}")
    return {one["item"]: one["value"] for one in answer.json()["ratings"]}


def test_an_event_that_is_sent_again_changes_nothing(client):
    one = event()
    assert outcomes(client.post("/v1/events", json=[one])) == ["accepted"]
    assert outcomes(client.post("/v1/events", json=[one])) == ["duplicate"]
    assert outcomes(client.post("/v1/events", json=[one, one])) == ["duplicate"] * 2
    assert ratings_of(client, "ann") == {"new item": 4}


def test_an_id_that_has_other_content_is_refused(client):
    one = event()
    client.post("/v1/events", json=[one])
    answer = client.post("/v1/events", json=[one | {"value": 2}])
    assert outcomes(answer) == ["refused"]
    assert "other content" in answer.json()["events"][0]["reason"]
    assert ratings_of(client, "ann") == {"new item": 4}


def test_each_event_is_answered_and_a_bad_one_stops_no_other(client):
    events = [event(), event(value=9), event(id=None), event(kind="import"), event(item="b")]
    answer = client.post("/v1/events", json=events)
    assert outcomes(answer) == ["accepted", "refused", "refused", "refused", "accepted"]
    assert "scale is 1 to 5" in answer.json()["events"][1]["reason"]


def test_without_ids_the_key_of_the_request_makes_it_safe_to_send_again(client):
    body = [event(id=None), event(id=None, item="b")]
    headers = {"Idempotency-Key": "abc"}
    assert outcomes(client.post("/v1/events", json=body, headers=headers)) == ["accepted"] * 2
    assert outcomes(client.post("/v1/events", json=body, headers=headers)) == ["duplicate"] * 2


def test_the_last_rating_by_time_counts_whatever_the_order(client):
    later, earlier = event(time=2000, value=5), event(time=1000, value=1)
    client.post("/v1/events", json=[later])
    client.post("/v1/events", json=[earlier])
    assert ratings_of(client, "ann") == {"new item": 5}


def test_an_event_without_a_value_is_logged_and_rates_nothing(client):
    assert outcomes(client.post("/v1/events", json=[event(value=None, kind="click")])) == [
        "accepted"
    ]
    assert ratings_of(client, "ann") == {}


def test_a_rating_that_is_set_again_is_unchanged(client):
    url = "/v1/users/ann/ratings/x"
    assert client.put(url, json={"value": 3}).json()["outcome"] == "accepted"
    assert client.put(url, json={"value": 3}).json()["outcome"] == "unchanged"
    assert client.delete(url).json()["outcome"] == "accepted"
    assert client.delete(url).json()["outcome"] == "unchanged"
    assert ratings_of(client, "ann") == {}


def test_a_rating_outside_the_scale_is_refused_in_words(client):
    answer = client.put("/v1/users/ann/ratings/x", json={"value": 7})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "The rating of item 'x' is 7; the scale is 1 to 5."


def test_an_id_with_a_slash_or_a_blank_is_one_id(client):
    client.put("/v1/users/ann%2Fbob/ratings/a%20b%2Fc", json={"value": 3})
    assert ratings_of(client, "ann%2Fbob") == {"a b/c": 3}


def test_items_are_written_found_and_read(client):
    body = {"title": "The Sting", "fields": {"year": 1973, "genre": ["Comedy", "Crime"]}}
    assert client.put("/v1/items/sting", json=body).json() == {"written": 1, "new": 1}
    assert client.put("/v1/items/sting", json=body).json() == {"written": 1, "new": 0}
    found = client.get("/v1/items/sting").json()
    assert (found["title"], found["fields"]) == (body["title"], body["fields"])
    assert client.get("/v1/items", params={"search": "sting"}).json()[0]["id"] == "sting"
    assert client.get("/v1/items/none").status_code == 404


def test_a_field_with_a_name_of_ours_is_refused(client):
    answer = client.put("/v1/items/x", json={"fields": {"item_id": 1}})
    assert answer.status_code == 422
    assert "cannot be called 'item_id'" in answer.json()["detail"]


def test_a_forgotten_user_is_gone_and_old_events_do_not_bring_them_back(client, films):
    user = films.users.ids[5]
    one = event(user=user)
    client.post("/v1/events", json=[one])
    n_before = client.get(f"/v1/users/{user}").json()["n_ratings"]
    assert client.delete(f"/v1/users/{user}").json()["ratings"] == n_before
    assert client.get(f"/v1/users/{user}").status_code == 404
    answer = client.get(f"/v1/users/{user}/recommendations").json()
    assert answer["basis"] == "popular"
    assert outcomes(client.post("/v1/events", json=[one])) == ["duplicate"]
    assert client.get(f"/v1/users/{user}").status_code == 404


def test_a_forgotten_user_is_nobody_s_neighbor(client, films):
    first = films.users.ids[0]
    neighbors = client.get(f"/v1/users/{first}/similar").json()
    client.delete(f"/v1/users/{neighbors[0]['user']}")
    after = client.get(f"/v1/users/{first}/similar").json()
    assert [one["user"] for one in after][:9] == [one["user"] for one in neighbors][1:]


def test_the_pages_of_a_user_s_ratings_are_all_of_them(client, films):
    user = films.users.ids[0]
    whole = client.get(f"/v1/users/{user}", params={"n": 1000}).json()["ratings"]
    pages, cursor = [], 0
    while cursor is not None:
        answer = client.get(f"/v1/users/{user}", params={"n": 7, "cursor": cursor}).json()
        pages += answer["ratings"]
        cursor = answer["cursor"]
    assert pages == whole
    assert len(whole) == films.count("user")[0]
