"""Lists: what they are made from, filters, pages, reasons; each answer knows every rating."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.serve.databases import postgres_server

import recollect as rc
from recollect.serve.api.app import make_app
from recollect.serve.service import Service
from recollect.serve.settings import RefitPolicy, ServeSettings
from recollect.serve.starting import prepare
from recollect.serve.store.store import open_store


def listed(answer):
    assert answer.status_code == 200, answer.text
    return [entry["item"] for entry in answer.json()["items"]]


def some_user(films, model):
    return films.users.ids[0]


def test_the_list_of_a_user_who_has_not_changed_is_the_library_s(client, films, model):
    user = some_user(films, model)
    answer = client.get(f"/v1/users/{user}/recommendations", params={"n": 10})
    expected = rc.top_n(model, user_ids=[user], n=10)
    assert answer.json()["basis"] == "model"
    assert listed(answer) == expected["item_id"].to_list()
    shown = [entry["prediction"] for entry in answer.json()["items"]]
    np.testing.assert_allclose(shown, expected["prediction"].to_numpy(), rtol=1e-6)


def test_a_rating_counts_for_the_very_next_list(client, films, model):
    user = some_user(films, model)
    url = f"/v1/users/{user}/recommendations"
    for _ in range(5):
        best = listed(client.get(url))[0]
        answer = client.put(f"/v1/users/{user}/ratings/{best}", json={"value": 1})
        assert answer.json()["outcome"] == "accepted"
        after = client.get(url)
        assert after.json()["basis"] == "fold_in"
        assert best not in listed(after)


def test_a_folded_in_list_is_the_library_s_for_the_same_ratings(client, films, model):
    user = some_user(films, model)
    row = films.by_user.take(np.array([0]))
    ratings = dict(zip(films.items.at(row.column).to_list(), row.value.tolist(), strict=True))
    changed = films.items.ids[int(row.column[0])]
    ratings[changed] = 1.0 if ratings[changed] > 3 else 5.0
    client.put(f"/v1/users/{user}/ratings/{changed}", json={"value": ratings[changed]})
    expected = rc.top_n(model, ratings=ratings, n=10)
    answer = client.get(f"/v1/users/{user}/recommendations")
    assert listed(answer) == expected["item_id"].to_list()


def test_an_unknown_user_gets_the_best_for_everyone_and_is_told(client, model):
    answer = client.get("/v1/users/nobody-knows-me/recommendations")
    with pytest.warns(rc.RecollectWarning):
        expected = rc.top_n(model, user_ids=["nobody-knows-me"], n=10)
    assert answer.json()["basis"] == "popular"
    assert "best for everyone" in answer.json()["notes"][0]
    assert listed(answer) == expected["item_id"].to_list()


def test_someone_without_an_id_gets_a_list_and_nothing_is_stored(client, films, model):
    ids = films.items.ids.to_list()
    ratings = {ids[0]: 5, ids[1]: 1, ids[2]: 4}
    answer = client.post("/v1/recommendations", json={"ratings": ratings, "n": 7})
    assert answer.json()["user"] is None
    assert listed(answer) == rc.top_n(model, ratings=ratings, n=7)["item_id"].to_list()
    assert client.get("/v1/users").json() == client.get("/v1/users").json()
    assert client.get("/v1/models").json()["versions"][0]["upto_seq"] == 1


def test_pages_never_repeat_and_together_are_the_long_list(client, films, model):
    url = f"/v1/users/{some_user(films, model)}/recommendations"
    whole = listed(client.get(url, params={"n": 30}))
    pages, cursor = [], None
    for _ in range(3):
        answer = client.get(url, params={"n": 10} | ({"cursor": cursor} if cursor else {}))
        pages += listed(answer)
        cursor = answer.json()["cursor"]
    assert pages == whole


def test_pages_go_on_without_repeats_after_a_rating(client, films, model):
    user = some_user(films, model)
    url = f"/v1/users/{user}/recommendations"
    first = client.get(url)
    rated = listed(first)[3]
    client.put(f"/v1/users/{user}/ratings/{rated}", json={"value": 5})
    second = client.get(url, params={"cursor": first.json()["cursor"]})
    assert not set(listed(first)) & set(listed(second))


def test_a_cursor_is_of_its_user_alone(client, films):
    first, second = films.users.ids[:2]
    cursor = client.get(f"/v1/users/{first}/recommendations").json()["cursor"]
    answer = client.get(f"/v1/users/{second}/recommendations", params={"cursor": cursor})
    assert answer.status_code == 422
    assert "of no list of this user" in answer.json()["detail"]


def test_where_allow_deny_and_limits_choose_as_in_the_library(client, films, model):
    user = some_user(films, model)
    url = f"/v1/users/{user}/recommendations"
    query = "genre:Drama year>=1960"
    expected = rc.top_n(model, user_ids=[user], n=5, where=query)["item_id"].to_list()
    assert listed(client.get(url, params={"n": 5, "where": query})) == expected

    best = listed(client.get(url, params={"n": 6}))
    assert listed(client.get(url, params={"n": 3, "deny": best[:3]})) == best[3:]
    assert listed(client.get(url, params={"n": 3, "allow": best[3:]})) == best[3:]

    few = client.get(url, params={"n": 6, "at_most": "genre=2"})
    expected = rc.top_n(model, user_ids=[user], n=6, at_most={"genre": 2})
    assert listed(few) == expected["item_id"].to_list()

    diverse = client.get(url, params={"n": 6, "diversity": 0.5})
    expected = rc.top_n(model, user_ids=[user], n=6, diversity=0.5)
    assert listed(diverse) == expected["item_id"].to_list()


def test_a_filter_that_cannot_be_read_is_told_in_the_library_s_words(client, films, model):
    url = f"/v1/users/{some_user(films, model)}/recommendations"
    answer = client.get(url, params={"where": "genr:Drama"})
    assert answer.status_code == 422
    assert "Did you mean 'genre'?" in answer.json()["detail"]


def test_hidden_and_expired_items_leave_lists_at_once(client, films, model):
    url = f"/v1/users/{some_user(films, model)}/recommendations"
    first, second, third = listed(client.get(url, params={"n": 3}))
    assert client.delete(f"/v1/items/{first}").status_code == 200
    client.put(f"/v1/items/{second}", json={"title": "Gone", "ends": 1})
    assert listed(client.get(url, params={"n": 3}))[0] == third


def test_a_changed_field_counts_for_the_next_filter(client, films, model):
    url = f"/v1/users/{some_user(films, model)}/recommendations"
    best = listed(client.get(url, params={"n": 1}))[0]
    client.put(f"/v1/items/{best}", json={"title": "New", "fields": {"genre": ["Western"]}})
    answer = client.get(url, params={"where": "genre:Western"})
    assert listed(answer) == [best]
    assert answer.json()["items"][0]["title"] == "New"


def test_reasons_are_those_of_explain_list(client, films, model):
    user = some_user(films, model)
    answer = client.get(f"/v1/users/{user}/recommendations", params={"n": 3, "explain": 2}).json()
    frame = rc.explain_list(model, rc.top_n(model, user_ids=[user], n=3), n=2)
    shown = [
        (entry["item"], reason["item"])
        for entry in answer["items"]
        for reason in entry["reasons"] or ()
    ]
    assert shown == list(frame.select("item_id", "because_id").iter_rows())


def test_new_items_get_the_share_of_fresh_places(client, films, model):
    items = [{"id": f"new-{j}", "title": f"New {j}"} for j in range(5)]
    client.post("/v1/items", json=items)
    url = f"/v1/users/{some_user(films, model)}/recommendations"
    assert not any(item.startswith("new-") for item in listed(client.get(url)))
    entries = client.get(url, params={"n": 10, "fresh": 0.2}).json()["items"]
    new = [entry for entry in entries if entry["item"].startswith("new-")]
    assert len(entries) == 10
    assert len(new) >= 2
    assert {entry["basis"] for entry in new} == {"fresh"}


def test_similar_items_are_the_library_s(client, films, model):
    item = films.items.ids[4]
    answer = client.get(f"/v1/items/{item}/similar", params={"n": 5}).json()
    expected = rc.similar(model, item_ids=[item], n=5)
    assert [one["item"] for one in answer["items"]] == expected["neighbor_id"].to_list()


def test_predictions_are_the_library_s_and_unknown_pairs_are_cold(client, films, model):
    user, item = films.users.ids[3], films.items.ids[7]
    pairs = [
        {"user": user, "item": item},
        {"user": user, "item": "no such item"},
        {"user": "nobody", "item": item},
        {"user": "nobody", "item": "no such item"},
    ]
    answer = client.post("/v1/predictions", json=pairs).json()
    expected = rc.predict(model, [(pair["user"], pair["item"]) for pair in pairs])
    shown = [one["prediction"] for one in answer]
    np.testing.assert_allclose(shown, expected["prediction"].to_numpy(), rtol=1e-6)
    assert [one["cold"] for one in answer] == expected["cold"].to_list()


def test_intervals_of_a_model_that_has_none_are_refused(client, films):
    pairs = [{"user": films.users.ids[0], "item": films.items.ids[0]}]
    answer = client.post("/v1/predictions", params={"interval": 0.9}, json=pairs)
    assert answer.status_code == 422
    assert "does not estimate how sure" in answer.json()["detail"]


def test_a_service_on_postgresql_answers_alike(client, films, run_folder, tmp_path):
    user = films.users.ids[0]
    url = f"/v1/users/{user}/recommendations"
    with postgres_server() as (address, _):
        with open_store(address) as store:
            prepare(store, run_folder)
        settings = ServeSettings(
            db=address, versions=tmp_path, rate=0, refit=RefitPolicy(enabled=False)
        )
        with TestClient(make_app(Service(settings))) as other:
            for one in (client, other):
                best = listed(one.get(url))[0]
                one.put(f"/v1/users/{user}/ratings/{best}", json={"value": 2})
            first, second = client.get(url), other.get(url)
            assert first.json()["basis"] == second.json()["basis"] == "fold_in"
            assert listed(first) == listed(second)
            cursor = second.json()["cursor"]
            page = listed(other.get(url, params={"cursor": cursor}))
            assert not set(page) & set(listed(second))
            assert other.get("/readyz").json()["status"] == "ready"


def test_sixteen_threads_get_what_one_gets(client, films, model):
    users = films.users.ids.to_list()[:32]
    expected = {user: rc.top_n(model, user_ids=[user], n=10)["item_id"].to_list() for user in users}

    def ask(user):
        return user, listed(client.get(f"/v1/users/{user}/recommendations"))

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, users * 3))

    assert all(items == expected[user] for user, items in answers)
