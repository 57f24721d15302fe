import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError


@given(st.lists(st.text(max_size=5), unique=True))
def test_rows_and_ids_are_inverse(ids):
    vocab = Vocab(ids)
    assert vocab.rows(ids).tolist() == list(range(len(ids)))
    assert vocab.at(np.arange(len(ids), dtype=np.int32)).to_list() == ids


def test_number_float_and_text_are_one_id():
    assert Vocab([42, 7]).rows(["42", 42, 42.0, "7"]).tolist() == [0, 0, 0, 1]


def test_id_that_is_not_there_is_unknown():
    assert Vocab(["a"]).rows(["b", None, "a"]).tolist() == [UNKNOWN, UNKNOWN, 0]
    assert "b" not in Vocab(["a"])


def test_unknown_row_has_no_id():
    assert Vocab(["a"]).at([0, UNKNOWN]).to_list() == ["a", None]
    assert Vocab().at([UNKNOWN]).to_list() == [None]


def test_missing_id_is_refused():
    with pytest.raises(DataError, match="1 of 2 ids are missing"):
        Vocab(["a", None])


def test_id_that_stands_twice_is_refused():
    with pytest.raises(DataError, match=r"more than once: \['1'\]"):
        Vocab([1, "1", 2])


@given(st.lists(st.one_of(st.none(), st.integers(-99, 99)), max_size=20))
def test_encoding_numbers_as_text_gives_the_same_rows(ids):
    vocab, row = Vocab.encode(pl.Series(ids, dtype=pl.Int64))
    as_text, row_of_text = Vocab.encode(
        pl.Series([None if x is None else str(x) for x in ids], dtype=pl.String)
    )
    assert vocab == as_text
    assert row.tolist() == row_of_text.tolist()
    assert vocab.at(row).to_list() == [None if x is None else str(x) for x in ids]


def test_whole_numbers_are_ordered_by_size_and_other_text_by_code_point():
    assert Vocab.encode(pl.Series(["10", "9", "-1"]))[0].ids.to_list() == ["-1", "9", "10"]
    assert Vocab.encode(pl.Series(["10", "9", "b"]))[0].ids.to_list() == ["10", "9", "b"]
    assert Vocab.encode(pl.Series(["10", "9", "09"]))[0].ids.to_list() == ["09", "10", "9"]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([2.0, 1.0, None]),
        pl.Series([2.0, 1.0, float("nan")]),
        pl.Series(["2", "1", None], dtype=pl.Categorical),
    ],
)
def test_encode_takes_floats_and_categories(column):
    vocab, row = Vocab.encode(column)
    assert vocab.ids.to_list() == ["1", "2"]
    assert row.tolist() == [1, 0, UNKNOWN]


def test_order_is_part_of_a_vocabulary():
    assert Vocab(["a", "b"]) == Vocab(["a", "b"])
    assert Vocab(["a", "b"]) != Vocab(["b", "a"])
    assert hash(Vocab(["a", "b"])) == hash(Vocab(["a", "b"]))
