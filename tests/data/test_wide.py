"""Tables of users × items, by request, from every kind of source."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from recollect.data.from_objects import from_frame
from recollect.data.on_disk.store import store
from recollect.data.read import read
from recollect.errors import DataError, SettingError

ROWS = {("ann", "x", 5.0), ("ann", "z", 1.0), ("bob", "y", 3.0)}
FRAME = pl.DataFrame({"user": ["ann", "bob"], "x": [5, 99], "y": [None, 3], "z": [1, None]})
WIDE = {"wide": True, "not_rated": 99}


@pytest.mark.parametrize("kind", ["csv", "parquet", "polars", "lazy", "pandas", "arrow"])
def test_a_wide_table_reads_the_same_from_everywhere(kind, tmp_path):
    FRAME.write_csv(tmp_path / "csv")
    FRAME.write_parquet(tmp_path / "parquet")
    sources = {
        "csv": lambda: read(tmp_path / "csv", **WIDE),
        "parquet": lambda: read(tmp_path / "parquet", **WIDE),
        "polars": lambda: from_frame(FRAME, **WIDE),
        "lazy": lambda: from_frame(FRAME.lazy(), **WIDE),
        "pandas": lambda: from_frame(FRAME.to_pandas(), **WIDE),
        "arrow": lambda: from_frame(FRAME.to_arrow(), **WIDE),
    }
    assert set(sources[kind]().frame().rows()) == ROWS


def test_a_pivot_table_of_pandas_comes_back(tmp_path):
    long = pd.DataFrame({"user": [1, 1, 2], "item": [10, 20, 10], "rating": [5.0, 2.0, 3.0]})
    long.pivot(index="user", columns="item", values="rating").to_csv(tmp_path / "r.csv")
    found = read(tmp_path / "r.csv", wide=True)
    assert set(found.frame().rows()) == {("1", "10", 5.0), ("1", "20", 2.0), ("2", "10", 3.0)}


def test_zero_is_a_rating_unless_it_is_said_to_be_none(tmp_path):
    (tmp_path / "r.csv").write_text("user,x,y\na,0,3\nb,1,0\n")
    assert len(read(tmp_path / "r.csv", wide=True)) == 4
    assert len(read(tmp_path / "r.csv", wide=True, not_rated=0)) == 2


def test_a_table_larger_than_a_block_is_melted_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", 64)
    values = np.random.default_rng(0).integers(1, 6, (50, 8))
    lines = [",".join([f"u{j}", *map(str, row)]) for j, row in enumerate(values)]
    (tmp_path / "r.csv").write_text("user,1,2,3,4,5,6,7,8\n" + "\n".join(lines))
    found = read(tmp_path / "r.csv", wide=True)
    assert len(found) == values.size
    assert found.value.sum() == values.sum()
    assert len(store(tmp_path / "r.csv", tmp_path / "stored", wide=True)) == values.size


@pytest.mark.parametrize(
    ("text", "arguments", "error", "message"),
    [
        ("user,x,y\na,1,2\nb,3\n", {}, DataError, "Line 3 of .* has 2 fields, expected 3"),
        ("user,x,y\na,1,2\nb,3,good\n", {}, DataError, "Line 3 of .*'good'"),
        ("user,x,y\na,1,2\na,3,4\n", {}, DataError, "Line 3 of .*'a' has an earlier line"),
        ("user,x,y\na,,\n", {}, DataError, "no ratings"),
        ("user,x,y\na,1,2\n", {"item": "x"}, SettingError, "a column for each item"),
        ("user,x,y\na,1,2\n", {"implicit": True}, SettingError, "holds ratings"),
    ],
)
def test_what_is_no_wide_table_is_refused(text, arguments, error, message, tmp_path):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(error, match=message):
        read(tmp_path / "r.csv", wide=True, **arguments)
