"""Ratings with further ones, and without some, beside reading everything anew."""

import dataclasses

import numpy as np
import polars as pl
import pytest

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.errors import DataError
from recollect.online import merged_rows
from recollect.online.merge import NOT_THERE, OLDER, merge, take_back


def made(rows, *, implicit=False, **more) -> Ratings:
    """Ratings of rows (user, item, value, time)."""
    frame = pl.DataFrame(
        rows,
        schema=["user_id", "item_id", "count" if implicit else "rating", "timestamp"],
        orient="row",
    )
    return rc.from_frame(frame, implicit=implicit, **more)


BEFORE = [("a", "x", 4, 10), ("b", "y", 2, 20), ("a", "y", 3, 30)]


def pairs(ratings: Ratings) -> dict:
    """Value and time by user and item."""
    frame = ratings.frame()
    return {(row[0], row[1]): row[2:] for row in frame.rows()}


def assert_rows_are_those_of_the_columns(ratings: Ratings) -> None:
    """The rows that a change kept are those that the columns give."""
    anew = dataclasses.replace(ratings)
    for side in ("user", "item"):
        for name in ("start", "column", "value"):
            np.testing.assert_array_equal(
                getattr(ratings.rows(side), name), getattr(anew.rows(side), name)
            )
        np.testing.assert_array_equal(ratings.entry(side), anew.entry(side))
        np.testing.assert_array_equal(ratings.count(side), anew.count(side))


def test_new_pairs_users_and_items_come_behind_the_known_ones():
    given = made(BEFORE, scale=(1, 5))
    change = merge(given, made([("c", "x", 5, 40), ("a", "w", 1, 50)], scale=(1, 5)))
    after = change.after
    assert after.users.ids.to_list() == ["a", "b", "c"]
    assert after.items.ids.to_list() == ["x", "y", "w"]
    assert pairs(after)["c", "x"] == (5, 40)
    assert len(after) == 5
    assert change.new("user").tolist() == [2]
    assert change.known("user").tolist() == [0]
    assert change.new("item").tolist() == [2]
    assert_rows_are_those_of_the_columns(after)


def test_a_rating_of_a_known_pair_takes_its_place_unless_it_is_older():
    given = made(BEFORE, scale=(1, 5))
    change = merge(given, made([("a", "x", 1, 40), ("b", "y", 5, 5)], scale=(1, 5)))
    assert pairs(change.after)["a", "x"] == (1, 40)
    assert pairs(change.after)["b", "y"] == (2, 20)
    assert change.dropped == {OLDER: 1}
    assert len(change) == 1
    assert pairs(given)["a", "x"] == (4, 10)
    assert_rows_are_those_of_the_columns(change.after)


def test_counts_of_events_add_up_and_are_taken_off():
    given = made(BEFORE, implicit=True)
    new = made([("a", "x", 2, 40), ("c", "y", 3, 50)], implicit=True)
    after = merge(given, new).after
    assert pairs(after)["a", "x"] == (6, 40)
    assert after.scale == (0, 6)
    assert_rows_are_those_of_the_columns(after)
    back = take_back(after, new)
    assert pairs(back.after)["a", "x"][0] == 4
    assert ("c", "y") not in pairs(back.after)
    assert back.after.users.ids.to_list() == ["a", "b", "c"]
    assert_rows_are_those_of_the_columns(back.after)


def test_taking_back_what_is_not_there_is_counted():
    given = made(BEFORE, scale=(1, 5))
    gone = made(
        [("a", "x", 1, 1), ("a", "w", 1, 1), ("z", "x", 1, 1), ("b", "x", 1, 1)], scale=(1, 5)
    )
    change = take_back(given, gone)
    assert change.dropped == {NOT_THERE: 3}
    assert ("a", "x") not in pairs(change.after)
    assert len(change.after) == 2
    assert_rows_are_those_of_the_columns(change.after)


def test_ids_are_the_same_however_they_are_written():
    given = rc.from_tuples([(1, 7, 4.0), (2, 8, 3.0)], scale=(1, 5))
    after = merge(given, rc.from_tuples([("1.0", "7", 2.0), (3.0, 8, 1.0)], scale=(1, 5))).after
    assert after.users.ids.to_list() == ["1", "2", "3"]
    assert len(after) == 3


def test_times_are_those_of_the_model():
    """Without times the newest known one is taken, and said; times that it lacks are left out."""
    given = made(BEFORE, scale=(1, 5))
    without = rc.from_tuples([("a", "w", 1)], scale=(1, 5))
    change = merge(given, without)
    assert pairs(change.after)["a", "w"] == (1, 30)
    assert "newest time known" in change.notes[0]
    change = merge(without, given)
    assert change.after.time is None
    assert "left out" in change.notes[0]


def test_ids_of_a_split_without_a_rating_do_not_join():
    whole = made([*BEFORE, ("c", "w", 5, 40), ("d", "v", 5, 50)], scale=(1, 5))
    given = made(BEFORE, scale=(1, 5))
    after = merge(given, whole.where(np.array([3]))).after
    assert after.users.ids.to_list() == ["a", "b", "c"]


def test_facts_texts_and_disliked_items_keep_their_rows():
    given = made(BEFORE, scale=(1, 5))
    texts = {"x": "good old film", "y": "bad new film"}
    told = rc.with_items(rc.with_texts(given, texts), {"x": "The X", "y": "The Y"})
    new = rc.with_items(made([("a", "w", 5, 40)], scale=(1, 5)), {"w": "The W"})
    after = merge(told, new).after
    assert after.titles(["x", "w"]) == ["The X", "The W"]
    assert after.text.has.tolist() == [True, True, False]


def test_what_users_disliked_stays_out_of_lists_until_they_choose_it():
    """b disliked y, and a dislikes w later; then b chooses y."""
    given = made([*BEFORE, ("c", "w", 5, 40)], scale=(1, 5)).events(from_=3)
    later = made([("a", "w", 1, 50), ("b", "x", 4, 60)], scale=(1, 5)).events(from_=3)
    after = merge(given, later).after
    rows = after.disliked
    names = {
        (after.users.at([u])[0], after.items.at([i])[0])
        for u, i in zip(rows.row, rows.column, strict=True)
    }
    assert names == {("b", "y"), ("a", "w")}
    chosen = merge(after, made([("b", "y", 1, 70)], implicit=True)).after
    assert chosen.disliked.n_cells == 1


def test_ratings_and_events_are_not_mixed():
    ratings, events = made(BEFORE, scale=(1, 5)), made(BEFORE, implicit=True)
    with pytest.raises(DataError, match=r"take the high ones as events: ratings.events"):
        merge(events, ratings)
    with pytest.raises(DataError, match="give it ratings"):
        take_back(ratings, events)


def test_a_rating_outside_the_scale_is_named():
    given = made(BEFORE, scale=(1, 5))
    with pytest.raises(DataError, match=r"1 ratings lie outside.*7 by user 'a' of item 'w'"):
        merge(given, made([("a", "w", 7, 40)], scale=(1, 10)))


@pytest.mark.parametrize(("seed", "few"), [(0, 1000), (1, 1000), (2, 1000), (3, 0), (4, 0)])
def test_random_changes_keep_rows_right(seed, few, monkeypatch):
    monkeypatch.setattr(merged_rows, "FEW", few)
    random = np.random.default_rng(seed)
    rows = {(int(u), int(i)): float(v) for u, i, v in random.integers(1, 6, (60, 3)) * [1, 3, 1]}
    given = rc.from_tuples([(u, i, v) for (u, i), v in rows.items()], scale=(1, 5))
    for _ in range(4):
        drawn = {
            (int(u), int(i)): float(v) for u, i, v in random.integers(1, 6, (9, 3)) * [2, 2, 1]
        }
        new = rc.from_tuples([(u, i, v) for (u, i), v in drawn.items()], scale=(1, 5))
        given = merge(given, new).after
        rows |= drawn
        assert_rows_are_those_of_the_columns(given)
        gone = list(rows)[:3]
        part = rc.from_tuples([(*pair, 1) for pair in gone], scale=(1, 5))
        given = take_back(given, part).after
        for pair in gone:
            del rows[pair]
        assert_rows_are_those_of_the_columns(given)
    found = {(int(u), int(i)): v[0] for (u, i), v in pairs(given).items()}
    assert found == rows
