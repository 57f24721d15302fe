import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.data.catalogue import titles
from recollect.data.ratings import Ratings, Rows
from recollect.data.vocab import Vocab
from recollect.errors import DataError

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), unique=True)


def ratings_of(pairs, value=None, *, time=None, scale=(0.0, 5.0), n_users=5, n_items=7, **settings):
    """Ratings of these pairs; each 1.0 if not stated."""
    user, item = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    value = np.ones(len(pairs)) if value is None else value
    return Ratings(
        user,
        item,
        np.asarray(value, dtype=np.float32),
        Vocab(range(n_users)),
        Vocab(range(n_items)),
        scale=scale,
        time=None if time is None else np.asarray(time, dtype=np.int64),
        **settings,
    )


def dense(rows):
    """A small dense copy; NaN where nothing is listed."""
    table = np.full((len(rows), rows.n_columns), np.nan, np.float32)
    table[rows.row, rows.column] = rows.value
    return table


@given(PAIRS)
def test_rows_of_users_are_the_columns_of_items(pairs):
    ratings = ratings_of(pairs, np.arange(len(pairs)) % 6)
    np.testing.assert_array_equal(dense(ratings.by_user), dense(ratings.by_item).T)
    np.testing.assert_array_equal(dense(ratings.by_user)[ratings.user, ratings.item], ratings.value)


@given(PAIRS)
def test_columns_of_a_row_ascend_and_entries_lead_back(pairs):
    ratings = ratings_of(pairs, np.arange(len(pairs)) % 6)
    for side, column in (("user", ratings.item), ("item", ratings.user)):
        rows, entry = ratings.rows(side), ratings.entry(side)
        np.testing.assert_array_equal(column[entry], rows.column)
        np.testing.assert_array_equal(ratings.value[entry], rows.value)
        is_same_row = np.diff(rows.row) == 0
        assert (np.diff(rows.column)[is_same_row] > 0).all()


def test_rating_of_zero_is_not_absent():
    ratings = ratings_of([(0, 1), (1, 0)], [0.0, 3.0], n_users=2, n_items=2)
    assert ratings.by_user.counts.tolist() == [1, 1]
    assert ratings.by_user.value.tolist() == [0.0, 3.0]


@given(PAIRS, st.lists(st.integers(-1, 4)))
def test_taken_rows_are_those_of_the_dense_table(pairs, wanted):
    rows = ratings_of(pairs, np.arange(len(pairs)) % 6).by_user
    table = np.vstack([dense(rows), np.full((1, 7), np.nan)])  # row -1 is empty
    np.testing.assert_array_equal(
        dense(rows.take(np.array(wanted, dtype=np.int64))), table[wanted].reshape(-1, 7)
    )


@given(PAIRS, st.lists(st.booleans(), min_size=7, max_size=7))
def test_only_columns_drops_the_cells_of_the_others(pairs, keep):
    rows = ratings_of(pairs).by_user
    kept = dense(rows)
    kept[:, ~np.array(keep)] = np.nan
    np.testing.assert_array_equal(dense(rows.only_columns(np.array(keep))), kept)


def test_cells_of_one_pair_keep_their_order_when_grouped():
    row, column, value = np.array([1, 0, 1]), np.array([0, 0, 0]), np.array([1, 2, 3], np.float32)
    rows, order = Rows.group(row, column, value, n_rows=2, n_columns=1)
    assert rows.value.tolist() == [2, 1, 3]
    assert order.tolist() == [1, 0, 2]


def test_part_has_the_shape_of_the_whole():
    part = ratings_of([(0, 0), (4, 6)], time=[5, 6]).where(np.array([False, True]))
    assert (part.n_users, part.n_items, len(part)) == (5, 7, 1)
    assert part.time.tolist() == [6]


@given(PAIRS, st.randoms(use_true_random=False))
def test_fingerprint_does_not_depend_on_order(pairs, shuffle):
    mixed = shuffle.sample(pairs, len(pairs))
    assert ratings_of(mixed).fingerprint == ratings_of(pairs).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        ratings_of([(0, 0), (1, 2)]),
        ratings_of([(0, 0), (1, 1)], [1, 2]),
        ratings_of([(0, 0), (1, 1)], scale=(0.0, 6.0)),
        ratings_of([(0, 0), (1, 1)], time=[0, 0]),
        ratings_of([(0, 0), (1, 1)], n_items=8),
    ],
)
def test_fingerprint_tells_other_ratings_apart(other):
    assert other.fingerprint != ratings_of([(0, 0), (1, 1)]).fingerprint


def test_union_joins_two_parts():
    whole = ratings_of([(0, 0), (1, 1), (2, 2)], time=[1, 2, 3])
    mask = np.array([True, False, True])
    assert whole.where(mask).union(whole.where(~mask)).fingerprint == whole.fingerprint


def test_union_refuses_a_shared_pair():
    with pytest.raises(DataError, match="1 pairs stand more than once"):
        ratings_of([(0, 0)]).union(ratings_of([(0, 0), (1, 1)]))


def test_union_refuses_other_vocabularies():
    with pytest.raises(DataError, match="different vocabularies"):
        ratings_of([(0, 0)]).union(ratings_of([(1, 1)], n_items=9))


@pytest.mark.parametrize(
    ("pairs", "value", "settings", "message"),
    [
        ([(0, 0), (0, 0)], None, {}, "1 pairs stand more than once"),
        ([(0, 7)], None, {}, "item row numbers run from 7 to 7, but there are 7"),
        ([(-1, 0)], None, {}, "user row numbers run from -1"),
        ([(0, 0)], [6.0], {}, "from 6 to 6, outside the stated scale 0 to 5"),
        (
            [(0, 0)],
            [np.nan],
            {},
            "1 ratings are NaN or infinite, the first by user '0' of item '0'",
        ),
    ],
)
def test_ratings_that_cannot_be_are_refused(pairs, value, settings, message):
    with pytest.raises(DataError, match=message):
        ratings_of(pairs, value, **settings)


def test_mean_and_density():
    ratings = ratings_of([(0, 0), (1, 1)], [1.0, 4.0])
    assert ratings.mean == 2.5
    assert ratings.density == 2 / 35
    assert ratings_of([], scale=(1.0, 5.0)).mean == 3.0


def test_frame_holds_ids():
    frame = ratings_of([(4, 6)], [2.0], time=[9]).frame()
    assert frame.columns == ["user_id", "item_id", "rating", "timestamp"]
    assert frame.rows() == [("4", "6", 2.0, 9)]


def test_titles_are_in_the_order_asked_and_none_where_unknown():
    catalogue = pl.DataFrame({"item_id": ["1", "2"], "title": ["One", "Two"]})
    assert titles(catalogue, ["2", 1, "9"]) == ["Two", "One", None]
    assert titles(None, ["2"]) == [None]


def test_part_keeps_the_notes():
    assert ratings_of([(0, 0)], notes=("Read with care.",)).where(np.array([True])).notes == (
        "Read with care.",
    )
