"""Columns as people have them: categories, nullable numbers, numbers as text, periods."""

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import recollect as rc
from recollect.errors import DataError, SettingError

PLAIN = {"user": [1, 1, 2], "item": [7, 8, 8], "rating": [1, 5, 3]}
EXPECTED = [("1", "7", 1.0), ("1", "8", 5.0), ("2", "8", 3.0)]


def rows(table, **more):
    ratings = rc.from_frame(table, scale=(1, 5), **more)
    return ratings.frame().select("user_id", "item_id", "rating").rows()


@pytest.mark.parametrize(
    "kind",
    ["category", "Int64", "Float64", "string", "object", "float32", "int8", "string[pyarrow]"],
)
def test_columns_of_pandas_of_any_kind(kind):
    if kind == "string[pyarrow]":
        table = pd.DataFrame(PLAIN).astype("string").astype(kind)
    else:
        table = pd.DataFrame(PLAIN).astype(kind)
    assert rows(table) == EXPECTED
    model = rc.make("bias").fit(rc.from_frame(table, scale=(1, 5)))
    pairs = table.rename(columns={"user": "user_id", "item": "item_id"})
    assert not rc.predict(model, pairs)["cold"].any()
    assert len(rc.top_n(model, user_ids=table["user"].unique(), n=1, seen=True)) == 2


def test_categories_of_text():
    table = pd.DataFrame({"user": ["a", "b", "a"], "item": ["x", "y", "y"], "rating": [1, 2, 3]})
    table = table.astype({"user": "category", "item": "category"})
    assert rows(table) == [("a", "x", 1.0), ("b", "y", 2.0), ("a", "y", 3.0)]
    polars = pl.from_pandas(table.astype(object)).cast({"user": pl.Categorical})
    assert rows(polars) == rows(table)


@pytest.mark.parametrize(
    "ratings",
    [["1", "5", "3"], [Decimal(1), Decimal(5), Decimal(3)], ["1", 5, 3.0], np.float16([1, 5, 3])],
)
def test_ratings_as_text_and_other_numbers(ratings):
    table = pd.DataFrame({**PLAIN, "rating": ratings})
    assert rows(table) == EXPECTED
    tuples = list(zip(PLAIN["user"], PLAIN["item"], ratings, strict=True))
    assert rc.from_tuples(tuples, scale=(1, 5)).frame().rows() == EXPECTED


def test_periods_are_the_times_of_their_beginnings():
    dates = pd.period_range("2001-01", periods=3, freq="M")
    ratings = rc.from_frame(pd.DataFrame({**PLAIN, "date": dates}), scale=(1, 5))
    assert ratings.time.tolist() == [978307200, 980985600, 983404800]


def test_an_index_of_two_levels_names_no_user():
    index = pd.MultiIndex.from_tuples([("1", "7"), ("1", "8")])
    model = rc.make("bias").fit(rc.from_frame(PLAIN_FRAME, scale=(1, 5)))
    with pytest.raises(DataError, match="found a MultiIndex; pass one of its levels"):
        rc.top_n(model, user_ids=index)


PLAIN_FRAME = pd.DataFrame(PLAIN)


@pytest.mark.parametrize(
    "column", [[[1], [2], [3]], [{"a": 1}, {"a": 2}, {"a": 3}], [(1,), (2,), (3,)]]
)
def test_nested_values_are_refused(column):
    for table in (
        pd.DataFrame({**PLAIN, "user": column}),
        pd.DataFrame({**PLAIN, "rating": column}),
    ):
        with pytest.raises(DataError):
            rows(table)


def test_nested_columns_of_arrow_are_refused():
    table = pa.table({**PLAIN, "item": [[1], [2], [3]]})
    with pytest.raises(DataError, match="several values in one field"):
        rows(table)


@pytest.mark.parametrize("scale", [(1,), (1, 2, 3), (1, float("nan"))])
def test_an_impossible_scale_is_refused(scale):
    with pytest.raises(SettingError, match="scale"):
        rc.from_frame(PLAIN_FRAME, scale=scale)
