"""Ratings too low to be an event: nothing is learned from them, and no list has them."""

import numpy as np
import pytest

import recollect as rc


@pytest.fixture(scope="module")
def ratings():
    return rc.load("planted/small")


@pytest.fixture(scope="module")
def events(ratings):
    return ratings.events(from_=4)


def pairs(user, item):
    return set(zip(user.tolist(), item.tolist(), strict=True))


def test_ratings_below_the_threshold_are_kept_beside_the_events(ratings, events):
    low = ratings.value < 4
    expected = pairs(ratings.user[low], ratings.item[low])
    assert pairs(events.disliked.row, events.disliked.column) == expected
    assert len(events) + events.disliked.n_cells == len(ratings)
    assert ratings.events().disliked is None
    assert ratings.disliked is None


def test_parts_of_events_keep_them(events):
    split = rc.random_split(events, test=0.2, valid=0.1, seed=1)
    for part in (split.train, split.valid, split.train.union(split.valid)):
        assert part.disliked is events.disliked


@pytest.mark.parametrize("name", ["ease", "popularity"])
def test_no_list_has_what_someone_disliked(ratings, events, name, tmp_path):
    model = rc.make(name).fit(events)
    users = events.users.ids
    frame = rc.top_n(model, user_ids=users, n=100)
    shown = pairs(events.users.rows(frame["user_id"]), events.items.rows(frame["item_id"]))
    disliked = pairs(events.disliked.row, events.disliked.column)
    assert not shown & disliked

    # Without remembering, there are such lists: the test can fail.
    forgetful = rc.make(name).fit(ratings.events(from_=4, remember=False))
    other = rc.top_n(forgetful, user_ids=users, n=100)
    shown = pairs(events.users.rows(other["user_id"]), events.items.rows(other["item_id"]))
    assert shown & disliked

    # With seen=True everything is listed; a saved model remembers.
    everything = rc.top_n(model, user_ids=users[:3], n=events.n_items, seen=True)
    assert everything.group_by("user_id").len()["len"].min() > 1000
    rc.save(model, tmp_path / "run")
    assert rc.top_n(rc.load_model(tmp_path / "run"), user_ids=users, n=100).equals(frame)


def test_someone_known_with_newer_events_is_shown_nothing_disliked(events):
    model = rc.make("ease").fit(events)
    user = int(np.argmax(events.disliked.counts))
    user_id = events.users.ids[user]
    disliked = events.items.at(events.disliked.take(np.array([user])).column).to_list()
    chosen = events.items.at(events.by_user.take(np.array([user])).column).to_list()
    frame = rc.top_n(model, user_ids=[user_id], events=chosen[:1], n=200)
    assert not set(disliked) & set(frame["item_id"])
    # As someone new, of whom only the events are known, they may be shown them.
    frame = rc.top_n(model, events=chosen, n=200)
    assert set(disliked) & set(frame["item_id"])
