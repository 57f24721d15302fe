"""Nothing is lost in silence: what an answer leaves out is said, each time."""

import warnings

import numpy as np
import pandas as pd
import pytest

import recollect as rc
from recollect.errors import DataError, SettingError
from recollect.run import Run


@pytest.fixture(scope="module")
def ratings():
    """User a has rated every item, b all but one, c three of four."""
    rows = [("a", "w", 5), ("a", "x", 5), ("a", "y", 4), ("a", "z", 3)]
    rows += [("b", "w", 2), ("b", "x", 2), ("b", "y", 5), ("c", "z", 1)]
    return rc.from_tuples(rows, scale=(1, 5))


@pytest.fixture(scope="module")
def model(ratings):
    return rc.make("bias").fit(ratings)


@pytest.fixture(scope="module")
def of_events(ratings):
    return rc.make("popularity").fit(ratings.events(), run=Run(threads=1))


def said(ask) -> list[str]:
    """The texts of the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ask()
    assert {warning.category for warning in caught} <= {rc.RecollectWarning}
    return [str(warning.message) for warning in caught]


def test_unknown_users_are_named(model):
    [text] = said(lambda: rc.top_n(model, user_ids=["c", "nobody"], n=1))
    assert text.startswith("Nothing is known of 1 of 2 users ('nobody')")


def test_unknown_items_of_someone_new_are_named(model):
    for ask in (rc.fold_in, lambda m, r: rc.top_n(m, ratings=r, n=1)):
        [text] = said(lambda ask=ask: ask(model, {"w": 5, "no": 1, "nope": 2}))
        assert text.startswith("2 of 3 rated items are unknown to this model and left out: 'no'")


def test_someone_new_of_whom_no_item_is_known_is_told_what_follows(model, of_events):
    [text] = said(lambda: rc.top_n(model, ratings={"nope": 5}, n=1))
    assert text.startswith("None of the rated items is known to this model ('nope'); what is best")
    [text] = said(lambda: rc.top_n(of_events, events=["nope"], n=1))
    assert text.startswith("None of the chosen items is known")


def test_who_has_rated_everything_is_told_alone_or_among_many(model, tmp_path):
    alone = said(lambda: rc.top_n(model, user_ids=["a"], n=2))
    assert alone == [
        "Nothing is left to recommend to 1 of 1 users ('a'): they have rated every item."
    ]
    among = said(lambda: rc.top_n(model, user_ids=["a", "b", "c"], n=3))
    assert among[0].startswith("Nothing is left to recommend to 1 of 3 users ('a')")
    assert among[1].startswith("1 of 3 users ('b') get fewer than 3 items")
    assert said(lambda: rc.top_n_to_parquet(model, tmp_path / "all.parquet", n=3)) == among
    everything = {"w": 1, "x": 2, "y": 3, "z": 4}
    [text] = said(lambda: rc.top_n(model, ratings=everything, n=3))
    assert text.startswith("Nothing is left to recommend to 1 of 1 users ('new')")


def test_nothing_is_said_where_nothing_is_left_out(model):
    assert said(lambda: rc.top_n(model, user_ids=["c"], n=3)) == []
    assert said(lambda: rc.top_n(model, user_ids=["b", "c", "c"], n=100)) == []
    assert said(lambda: rc.top_n(model, ratings={"w": 5}, n=2)) == []


def test_unknown_candidates_are_named(model):
    [text] = said(lambda: rc.top_n(model, user_ids=["c"], items=["w", "nope"], n=1))
    assert text.startswith("1 of 2 candidate items have no ratings in this model")


def test_it_is_said_each_time_it_is_asked_elsewhere(model):
    texts = said(lambda: [rc.fold_in(model, {"nope": 5}) for _ in range(3)])
    assert len(texts) == 3


def test_a_rating_is_no_event(of_events):
    for ask in (rc.fold_in, lambda m, r: rc.top_n(m, ratings=r)):
        with pytest.raises(SettingError, match=r"learned from events.* a low rating would count"):
            ask(of_events, {"w": 1})


@pytest.mark.parametrize(
    "given",
    [
        {"w": "5", "x": "1.0"},
        {"w": np.float32(5), "x": np.int64(1)},
        dict(pd.Series([5, 1], ["w", "x"], dtype="Int64")),
        pd.Series([5, 1], ["w", "x"]).to_dict(),
        dict(zip(pd.Categorical(["w", "x"]), pd.array([5, 1], dtype="Float64"), strict=True)),
    ],
)
def test_numbers_of_any_kind_are_ratings(model, given):
    assert rc.fold_in(model, given).equals(rc.fold_in(model, {"w": 5, "x": 1}))


def test_a_rating_of_no_item_is_refused(model):
    with pytest.raises(DataError, match="An item id is missing"):
        rc.fold_in(model, {float("nan"): 5})
