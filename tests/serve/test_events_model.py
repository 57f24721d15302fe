"""A service of events: counts instead of ratings, scores instead of predictions."""

import uuid

import pytest

import recollect as rc
from recollect.serve.starting import prepare
from recollect.serve.store.store import open_store


@pytest.fixture
def chosen(films):
    return films.events(from_=4)


@pytest.fixture
def events_client(start, chosen, tmp_path):
    model = rc.make("ease").fit(chosen)
    folder = rc.save(model, tmp_path / "events")
    path = tmp_path / "events.db"
    with open_store(path) as store:
        prepare(store, folder)

    return start(path), model


def test_events_add_up_and_count_for_the_next_list(events_client, chosen):
    client, model = events_client
    url = "/v1/users/new/recommendations"
    items = chosen.items.ids.to_list()[:4]
    assert client.get(url).json()["basis"] == "popular"
    for item in [*items, items[0]]:
        event = {"id": str(uuid.uuid4()), "user": "new", "item": item, "kind": "view"}
        assert client.post("/v1/events", json=[event]).json()["accepted"] == 1

    answer = client.get(url).json()
    expected = rc.top_n(model, events={item: 1 + (item == items[0]) for item in items}, n=10)
    assert [entry["item"] for entry in answer["items"]] == expected["item_id"].to_list()
    assert answer["items"][0]["prediction"] is None
    ratings = {one["item"]: one["value"] for one in client.get("/v1/users/new").json()["ratings"]}
    assert ratings[items[0]] == 2


def test_someone_without_an_id_is_given_by_events_and_ratings_are_refused(events_client, chosen):
    client, model = events_client
    items = chosen.items.ids.to_list()[:3]
    answer = client.post("/v1/recommendations", json={"events": items, "n": 5}).json()
    expected = rc.top_n(model, events=items, n=5)
    assert [entry["item"] for entry in answer["items"]] == expected["item_id"].to_list()
    refused = client.post("/v1/recommendations", json={"ratings": {items[0]: 1}})
    assert refused.status_code == 422
    assert "learned from events" in refused.json()["detail"]


def test_what_someone_disliked_is_in_no_list(events_client, chosen, films):
    client, _ = events_client
    user = next(row for row in range(films.n_users) if chosen.disliked.counts[row])
    disliked = set(films.items.at(chosen.disliked.take([user]).column).to_list())
    url = f"/v1/users/{films.users.ids[user]}/recommendations"
    listed = {entry["item"] for entry in client.get(url, params={"n": 80}).json()["items"]}
    assert disliked
    assert not listed & disliked


def test_the_page_offers_to_choose(events_client, films):
    client, _ = events_client
    text = client.get(f"/people/{films.users.ids[0]}").text
    assert 'data-value="1"' in text
    assert "predicted rating" not in text
