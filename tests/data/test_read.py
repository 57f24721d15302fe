"""Every kind of table gives the ratings that were written; every error names its place."""

import gzip
import json
import logging

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from recollect.data.from_objects import from_frame, from_scipy, from_tuples
from recollect.data.read import read
from recollect.errors import DataError, SettingError

ROWS = [("a", "x", 5.0, 100), ("a", "y", 3.0, 200), ("b", "x", 1.0, 300)]
FRAME = pl.DataFrame(ROWS, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")


def rows(ratings):
    """What the ratings say, as a set of (user_id, item_id, rating[, timestamp])."""
    return set(ratings.frame().rows())


@pytest.fixture
def file(tmp_path):
    """Write a text (or bytes) to a file of this name and give its path."""

    def write(content, name="ratings.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


TEXTS = {
    "ratings.csv": "userId,movieId,rating,timestamp\na,x,5,100\na,y,3,200\nb,x,1,300\n",
    "no_header.csv": "a,x,5,100\na,y,3,200\nb,x,1,300\n",
    "other_order.csv": "rating,when,asin,timestamp,reviewerID\n"
    "5,1,x,100,a\n3,1,y,200,a\n1,1,x,300,b\n",
    "no_last_line_end.csv": "user,item,rating,time\na,x,5,100\na,y,3,200\nb,x,1,300",
    "windows.csv": "user,item,rating,time\r\na,x,5,100\r\na,y,3,200\r\nb,x,1,300\r\n",
    "byte_order_mark.csv": "\ufeffuser,item,rating,time\na,x,5,100\na,y,3,200\nb,x,1,300\n",
    "blank_lines.csv": "user,item,rating,time\n\na,x,5,100\n\na,y,3,200\nb,x,1,300\n\n",
    "spaces.csv": "user, item, rating, time\na, x, 5, 100\na, y, 3, 200\nb, x, 1, 300\n",
    "quoted.csv": '"user","item","text","rating","time"\n"a","x","so, so\nlong",5,100\n'
    '"a","y","",3,200\n"b","x","",1,300\n',
    "semicolons.csv": "user;item;rating;time\na;x;5;100\na;y;3;200\nb;x;1;300\n",
    "u.data": "a\tx\t5\t100\na\ty\t3\t200\nb\tx\t1\t300\n",
    "ratings.dat": "a::x::5::100\na::y::3::200\nb::x::1::300\n",
    "misnamed.csv": "a::x::5::100\na::y::3::200\nb::x::1::300\n",
    "blanks.txt": " a  x 5 100\na y   3 200 \nb x 1 300\n",
    "ml.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "a\tx\t5\t100.0\na\ty\t3\t200.0\nb\tx\t1\t300.0\n",
    "r.jsonl": "\n".join(
        json.dumps(
            {"helpful": [0, 1], "reviewerID": u, "asin": i, "overall": r, "unixReviewTime": t}
        )
        for u, i, r, t in ROWS
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_every_form_of_text_reads_the_same(file, name):
    assert rows(read(file(TEXTS[name], name))) == set(ROWS)


@pytest.mark.parametrize("name", ["ratings.csv", "ratings.dat", "r.jsonl"])
@pytest.mark.parametrize(("pack", "end"), [(gzip.compress, ".gz"), (zstandard.compress, ".zst")])
def test_packed_text_reads_the_same(file, name, pack, end):
    assert rows(read(file(pack(TEXTS[name].encode()), name + end))) == set(ROWS)


def test_packing_is_seen_in_the_bytes_not_the_name(file):
    assert rows(read(file(gzip.compress(TEXTS["ratings.csv"].encode()), "ratings.csv"))) == set(
        ROWS
    )


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_parquet_reads_the_same(file, tmp_path, pack):
    FRAME.write_parquet(tmp_path / "plain")
    assert rows(read(file(pack((tmp_path / "plain").read_bytes()), "r.parquet"))) == set(ROWS)


def test_text_in_many_blocks_reads_as_one(file, monkeypatch):
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", 64)
    text = "user,item,rating,time\n" + "".join(
        f'u{j % 7},"i,{j}",{1 + j % 5},{j}\n' for j in range(200)
    )
    ratings = read(file(text))
    assert rows(ratings) == {(f"u{j % 7}", f"i,{j}", 1 + j % 5, j) for j in range(200)}


def test_quote_inside_an_id_does_not_join_lines(file, monkeypatch):
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", 64)
    text = "".join(
        "u{}\t{}\t{}\n".format(j, '5"' if j == 10 else "5in", 1 + j % 5) for j in range(200)
    )
    assert len(read(file(text))) == 200


def test_line_numbers_count_over_blocks(file, monkeypatch):
    monkeypatch.setattr("recollect.data.parsing.lines.BLOCK", 64)
    with pytest.raises(DataError, match=r"Line 151 of .*'five'"):
        read(file("".join(f"u{j},i,{5 if j != 150 else 'five'},{j}\n" for j in range(200))))


def test_latin_1_ids_are_read(file, caplog):
    caplog.set_level(logging.INFO, "recollect")
    assert rows(read(file("user,item,rating\nJosé,Amélie,5\nJosé,b,1\n".encode("latin-1")))) == {
        ("José", "Amélie", 5),
        ("José", "b", 1),
    }
    assert "Latin-1" in caplog.text


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=6
).filter(lambda text: not text.endswith(".0"))
tables = st.lists(
    st.tuples(
        texts,
        texts,
        st.sampled_from([0.5, 1.0, 2.5, 4.0, 5.0]),
        st.integers(100_000_000, 2_000_000_000),  # smaller numbers may be years or days
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row[:2],
)
WRITERS = {
    "r.csv": lambda frame, path: frame.write_csv(path),
    "r.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "r.jsonl": lambda frame, path: frame.write_ndjson(path),
    "r.parquet": lambda frame, path: frame.write_parquet(path),
    "pandas.csv": lambda frame, path: frame.to_pandas().to_csv(path, index=False),
}


@pytest.mark.parametrize("name", WRITERS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=tables)
def test_what_is_written_is_read_back(tmp_path, name, table):
    frame = pl.DataFrame(table, schema=FRAME.columns, orient="row")
    WRITERS[name](frame, tmp_path / name)
    assert rows(read(tmp_path / name)) == set(table)


@settings(max_examples=40, deadline=None)
@given(table=tables, shuffle=st.randoms(use_true_random=False))
def test_order_of_the_table_does_not_change_the_ratings(table, shuffle):
    mixed = list(table)
    shuffle.shuffle(mixed)
    assert from_tuples(mixed).fingerprint == from_tuples(table).fingerprint


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: FRAME, id="polars"),
        pytest.param(lambda: FRAME.lazy(), id="lazy"),
        pytest.param(lambda: FRAME.to_arrow(), id="pyarrow"),
        pytest.param(
            lambda: pa.RecordBatchReader.from_batches(
                FRAME.to_arrow().schema, FRAME.to_arrow().to_batches()
            ),
            id="reader",
        ),
        pytest.param(lambda: pd.DataFrame(ROWS, columns=FRAME.columns), id="pandas"),
        pytest.param(
            lambda: pd.DataFrame(ROWS, columns=FRAME.columns).astype({"user_id": "category"}),
            id="categories",
        ),
        pytest.param(
            lambda: duckdb.sql(
                "select * from (values ('a','x',5.0,100), ('a','y',3.0,200), ('b','x',1.0,300)) "
                "t(user_id, item_id, rating, timestamp)"
            ),
            id="duckdb",
        ),
    ],
)
def test_every_kind_of_frame_reads_the_same(make):
    assert rows(from_frame(make())) == set(ROWS)


def test_pandas_columns_of_mixed_ids_are_read():
    frame = pd.DataFrame({"user": ["a", 1, 2.0], "item": [1, "x", 3], "rating": [5, 3, 1]})
    assert rows(from_frame(frame)) == {("a", "1", 5.0), ("1", "x", 3.0), ("2", "3", 1.0)}


def test_number_and_text_ids_give_the_same_ratings():
    number = from_tuples([(10, 2, 5.0), (9, 1, 4.0)])
    assert number.users.ids.to_list() == ["9", "10"]
    assert from_tuples([("10", "2", 5.0), ("9", "1", 4.0)]).fingerprint == number.fingerprint
    floats = pd.DataFrame({"user": [10.0, 9.0], "item": [2, 1], "rating": [5, 4]})
    assert from_frame(floats).fingerprint == number.fingerprint


def test_leading_zeros_make_another_id(file):
    assert rows(read(file("user,item,rating\n007,1,5\n7,1,3\n"))) == {
        ("007", "1", 5.0),
        ("7", "1", 3.0),
    }


def test_whole_numbers_written_with_a_point_are_the_same_ids(file):
    assert rows(read(file("user,item,rating\n7.0,1,5\n8.0,1,3\n"))) == {
        ("7", "1", 5.0),
        ("8", "1", 3.0),
    }


def test_from_tuples_takes_times():
    assert rows(from_tuples(ROWS)) == set(ROWS)


def test_from_tuples_refuses_other_lengths():
    with pytest.raises(DataError, match=r"Tuple 1 is \('b', 'y'\)"):
        from_tuples([("a", "x", 5), ("b", "y")])


def test_stored_zero_of_a_matrix_is_a_rating_and_an_absent_cell_is_not():
    matrix = sparse.csr_array((np.array([0.0, 4.0]), ([0, 1], [1, 2])), shape=(3, 4))
    ratings = from_scipy(matrix, scale=(0, 5))
    assert rows(ratings) == {("0", "1", 0.0), ("1", "2", 4.0)}
    assert (ratings.n_users, ratings.n_items) == (3, 4)


def test_matrix_with_ids_of_the_wrong_side_is_refused():
    with pytest.raises(DataError, match="3 rows and 4 columns, but there are 4 user ids"):
        from_scipy(sparse.eye_array(3, 4), user_ids=list("abcd"))


def test_dense_array_is_refused():
    with pytest.raises(DataError, match="cannot tell a rating of 0"):
        from_scipy(np.eye(3))


def test_object_that_is_no_table_is_refused():
    with pytest.raises(DataError, match="A list is no table"):
        from_frame([1, 2, 3])


def test_named_columns_win_over_usual_names():
    frame = pl.DataFrame(
        {"user": ["a"], "who": ["b"], "item": ["x"], "rating": [2.0], "again": [4.0]}
    )
    assert rows(from_frame(frame, user="who", rating="again")) == {("b", "x", 4.0)}


def test_name_for_a_table_without_a_header_is_answered_with_places(file):
    with pytest.raises(DataError, match=r"no column 'userId' for user.*columns are named by place"):
        read(file("1,2,5\n1,3,4\n"), user="userId")


def test_separator_that_gives_enough_fields_wins(file):
    assert rows(read(file("1;2;3,5\n1;3;4,5\n"))) == {("1", "2", 3.5), ("1", "3", 4.5)}


def test_lists_in_a_column_are_refused():
    with pytest.raises(DataError, match=r"several values in one field"):
        from_frame(pl.DataFrame({"user": ["a"], "item": ["x"], "rating": [[1]]}))


def test_columns_without_a_header_are_named_by_place(file):
    assert rows(read(file("5,x,a\n1,y,a\n"), user=2, item=1, rating=0)) == {
        ("a", "x", 5.0),
        ("a", "y", 1.0),
    }


def test_unknown_column_is_answered_with_those_that_exist(file):
    with pytest.raises(
        DataError, match=r"no column 'ratings_' .* Did you mean 'rating'\? Columns: 'userId', 'm"
    ):
        read(file(TEXTS["ratings.csv"]), rating="ratings_")


def test_table_without_ratings_is_refused(file):
    with pytest.raises(
        DataError, match=r"no rating column among 'user', 'item', 'timestamp'.*implicit=True"
    ):
        read(file("user,item,timestamp\na,x,100\n"))


def test_table_without_users_is_refused(file):
    with pytest.raises(DataError, match=r'No column for user was found among .*Name it: user="…"'):
        read(file("buyer,item,rating\na,x,4\n"))


@pytest.mark.parametrize(
    "written",
    [
        "2020-01-02",
        "2020-01-02T00:00:00Z",
        "2020-01-02 00:00:00",
        "2020-01-02T02:00:00+02:00",
        "2020-01-02T00:00:00.25",
        "1577923200",
        "1577923200.0",
        "1577923200000",
        "1577923200000000",
    ],
)
def test_times_become_seconds(file, written):
    ratings = read(file(f"user,item,rating,time\na,x,4,{written}\n"))
    assert ratings.time.tolist() == [1_577_923_200]
    assert ratings.time.dtype == np.int64


@pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime("ms"), pl.Datetime("ns", "Europe/Berlin")])
def test_columns_of_dates_become_seconds(dtype):
    time = pl.Series(["2020-01-02"]).str.to_date().cast(dtype)
    expected = 1_577_923_200 if dtype == pl.Date else int(time.dt.epoch("s")[0])
    ratings = from_frame(
        pl.DataFrame({"user": ["a"], "item": ["x"], "rating": [4.0], "time": time})
    )
    assert ratings.time.tolist() == [expected]


def test_dates_of_pandas_become_seconds():
    frame = pd.DataFrame(
        {"user": ["a"], "item": ["x"], "rating": [4.0], "date": pd.to_datetime(["2020-01-02"])}
    )
    assert from_frame(frame).time.tolist() == [1_577_923_200]


def test_neighboring_seconds_stay_apart(file):
    """32-bit floats cannot tell these times apart."""
    assert read(file("a,x,4,1577923200\na,y,4,1577923201\n")).time.tolist() == [
        1_577_923_200,
        1_577_923_201,
    ]


def test_conversion_of_times_is_noted(file):
    assert (
        "Times were in milliseconds and are now in seconds."
        in read(file("a,x,4,1577923200000\n")).notes
    )


def test_unreadable_times_are_left_out_with_a_note(file):
    ratings = read(file("user,item,rating,time\na,x,4,100\na,y,4,soon\n"))
    assert ratings.time is None
    assert any("Line 3" in note and "'soon'" in note for note in ratings.notes)


def test_unreadable_times_that_were_asked_for_are_an_error(file):
    with pytest.raises(DataError, match=r"Line 3 of .*the time is 'soon'"):
        read(file("user,item,rating,when\na,x,4,100\na,y,4,soon\n"), time="when")


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 5], (1, 5)),
        ([2, 3], (1, 5)),
        ([1.0], (1, 5)),
        ([0.5, 5], (0.5, 5)),
        ([1.5, 4], (0.5, 5)),
        ([1, 10], (1, 10)),
        ([6, 7], (1, 10)),
        ([0, 100], (0, 100)),
        ([20, 51], (0, 100)),
        ([0, 5], (0, 5)),
        ([-10, 10], (-10, 10)),
        ([0.1, 4.7], (0.1, 4.7)),
        ([0, 1], (0, 1)),
        ([11, 20], (11, 20)),
    ],
)
def test_scale_is_inferred(values, scale):
    ratings = from_tuples([("a", j, value) for j, value in enumerate(values)])
    assert ratings.scale == pytest.approx(scale)
    assert any("inferred" in note for note in ratings.notes)


def test_stated_scale_is_kept():
    ratings = from_tuples(ROWS, scale=(0, 10))
    assert ratings.scale == (0.0, 10.0)
    assert not any("inferred" in note for note in ratings.notes)


def test_rating_outside_the_stated_scale_is_named(file):
    with pytest.raises(
        DataError, match=r"Line 3 of .*: user 'a' rates item 'y' with 6, outside the .* 1 to 5"
    ):
        read(file("user,item,rating\na,x,5\na,y,6\n"), scale=(1, 5))


def test_scale_that_32_bits_cannot_hold_exactly_is_kept():
    assert from_tuples([("a", "x", 0.7), ("a", "y", 0.1)], scale=(0.1, 0.7)).scale == (0.1, 0.7)


@pytest.mark.parametrize("scale", [(5, 1), (1,), (1, float("nan"))])
def test_scale_that_is_none_is_refused(scale):
    with pytest.raises(SettingError, match="the lowest and the highest"):
        from_tuples(ROWS, scale=scale)


def test_scale_of_equal_ratings_must_be_stated():
    with pytest.raises(DataError, match="All 2 ratings are 0"):
        from_tuples([("a", "x", 0), ("a", "y", 0)])


def test_last_rating_of_a_pair_by_time_is_kept():
    ratings = from_tuples(
        [("a", "x", 1, 300), ("a", "x", 2, 100), ("b", "x", 5, 50), ("a", "x", 3, 200)]
    )
    assert rows(ratings) == {("a", "x", 1.0, 300), ("b", "x", 5.0, 50)}
    assert (
        "Duplicate pairs: 2 of 4 ratings dropped, the last of each pair by time kept."
        in ratings.notes
    )


def test_last_rating_of_a_pair_by_order_is_kept_without_times():
    assert rows(from_tuples([("a", "x", 1), ("b", "x", 5), ("a", "x", 3)])) == {
        ("a", "x", 3.0),
        ("b", "x", 5.0),
    }


def test_later_line_wins_at_equal_times():
    assert rows(from_tuples([("a", "x", 1, 9), ("a", "x", 3, 9), ("a", "x", 2, 9)])) == {
        ("a", "x", 2.0, 9)
    }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5), st.integers(0, 9)),
        min_size=1,
    )
)
def test_duplicates_agree_with_a_dictionary(table):
    last = {}
    for user, item, value, time in sorted(table, key=lambda row: row[3]):
        last[str(user), str(item)] = (value, time)
    assert rows(from_tuples(table, scale=(1, 5))) == {(*pair, *fact) for pair, fact in last.items()}


FAULTS = {
    "text as a rating": (
        "user,item,rating\na,x,5\na,y,good\n",
        r"Line 3 of .*: the rating is 'good'",
    ),
    "no rating": ("user,item,rating\na,x,5\na,y,\n", r"Line 3 of .*: the rating is missing"),
    "NaN": ("user,item,rating\na,x,NaN\na,y,5\n", r"Line 2 of .*: the rating is 'NaN'"),
    "infinite": ("user,item,rating\na,x,5\na,y,inf\n", r"Line 3 of .*: the rating is 'inf'"),
    "no user": ("user,item,rating\na,x,5\n,y,5\n", r"Line 3 of .*: the user id is missing"),
    "blank item": ("user,item,rating\na,x,5\na,  ,5\n", r"Line 3 of .*: the item id is missing"),
    "few fields": ("user,item,rating\na,x,5\na,y\n", r"Line 3 of .*2 of 3 fields"),
    "few fields at once": (
        "user,item,rating\na,x\na,y,5\n",
        r"Line 2 of .*2 of 3 fields",
    ),
    "many fields": ("user,item,rating\na,x,5\na,y,4,5\n", r"Line 3 of .* has 4 fields, expected 3"),
    "after blank lines": (
        "user,item,rating\n\na,x,5\n\na,y,good\n",
        r"Line 5 of .*: the rating is 'good'",
    ),
    "after quoted lines": (
        'user,item,text,rating\na,x,"1\n2\n3",5\na,y,,good\n',
        r"Line 5 of .*'good'",
    ),
    "empty": ("", r"is empty; expected a rating a line"),
    "blank": ("\n \n", r"is empty; expected a rating a line"),
    "header only": ("user,item,rating\n", r"There are no ratings in"),
    "one column": ("hello\nworld\n", r"No separator was found in .*'hello'"),
    "zero bytes": (b"a\x00,\x00b\x00", r"not a text file"),
    "JSON array": ('[{"user": 1}]', r"one JSON array"),
    "JSON broken": (
        '{"user":"a","item":"x","rating":5}\n{"user":"b",\n',
        r"Line 2 of .* is not a JSON object",
    ),
    "JSON text": (
        '{"user":"a","item":"x","rating":5}\n{"user":"b","item":"x","rating":"good"}\n',
        r"Line 2 of .*'good'",
    ),
    "JSON null": (
        '{"user":"a","item":"x","rating":5}\n{"user":null,"item":"x","rating":4}\n',
        r"Line 2 of .*user id is missing",
    ),
    "cut gzip": (gzip.compress(b"a,x,5\n" * 9)[:-9], r"is cut short or damaged"),
    "cut zstd": (
        zstandard.compress(np.random.default_rng(0).bytes(999))[:-9],
        r"is cut short or damaged",
    ),
    "cut Parquet": (b"PAR1abc", r"is not a readable Parquet file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_named_with_its_place(file, fault):
    content, message = FAULTS[fault]
    with pytest.raises(DataError, match=message):
        read(file(content))


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"There is no file .*nothing\.csv"):
        read(tmp_path / "nothing.csv")


def test_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "good"])
def test_bad_rating_of_a_frame_is_named_with_its_row(value):
    frame = pl.DataFrame(
        {"user": ["a", "b"], "item": ["x", "x"], "rating": pl.Series([5, value], strict=False)}
    )
    with pytest.raises(DataError, match=r"Row 1 of the table"):
        from_frame(frame)


def test_missing_id_of_a_frame_is_named_with_its_row():
    with pytest.raises(DataError, match=r"Row 1 of the table: the user id is missing"):
        from_frame(pd.DataFrame({"user": [1, np.nan], "item": [1, 2], "rating": [5, 4]}))


def test_empty_frame_is_refused():
    with pytest.raises(DataError, match="no ratings in the table"):
        from_frame(FRAME.clear())
