"""Files of pairs, items and new users' ratings are read as files of ratings are."""

import gzip

import pytest

from recollect.data.from_objects import from_tuples
from recollect.data.parsing.files import Format
from recollect.data.tables import read_ids, read_item_ratings
from recollect.errors import DataError

TRAIN = from_tuples([(1, 2, 5), (3, 5, 4)])
PAIRS = [("1", "2"), ("3", "5")]


@pytest.mark.parametrize(
    "content",
    [
        "user_id,item_id\n1,2\n3,5\n",
        "user_id,item_id\n1,2\n\n3,5\n \n",
        "user_id;item_id\n1.0; 2.0\n3.0;5.0\n",
        "1\t2\n3\t5\n",
        "user_id:token\titem_id:token\n1\t2\n3\t5\n",
        '{"user": 1, "item": 2}\n{"user": 3, "item": 5}\n',
        "item,x,user\n2,?,1\n5,?,3\n",
        gzip.compress(b'"user_id","item_id"\r\n"1","2"\r\n"3","5"\r\n'),
        "user_id,item_id\n1,2\n3,5\n".encode("utf-16"),
    ],
    ids=[
        "csv",
        "blank lines",
        "semicolons",
        "tabs",
        "inter",
        "json lines",
        "order",
        "gzip",
        "utf-16",
    ],
)
def test_pairs_are_read_from_every_kind_of_file(content, tmp_path):
    path = tmp_path / "pairs"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert read_ids(path, "user", "item", like=TRAIN).rows() == PAIRS


def test_columns_and_separator_may_be_stated(tmp_path):
    (tmp_path / "pairs").write_text("x~1~2\ny~3~5\n")
    columns = {"user": 1, "item": "2"}
    form = Format(separator="~", header=False)
    assert read_ids(tmp_path / "pairs", "user", "item", columns=columns, form=form).rows() == PAIRS


@pytest.mark.parametrize(
    "content", ["item_id\n2.0\n5\n", "2\n5\n", '"item"\n"2"\n"5"\n', "item,title\n2,A\n5,B\n"]
)
def test_a_list_of_items_may_have_one_column(content, tmp_path):
    (tmp_path / "items").write_text(content)
    assert read_ids(tmp_path / "items", "item", like=TRAIN)["item_id"].to_list() == ["2", "5"]


def test_times_of_pairs_are_read_where_there_are_any(tmp_path):
    (tmp_path / "pairs").write_text("user,item,date\n1,2,2015-01-01\n")
    frame = read_ids(tmp_path / "pairs", "user", "item", optional=("time",))
    assert frame.columns == ["user_id", "item_id", "timestamp"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item,rating\n1,5\n2,good\n", "Line 3 of .*'good'"),
        ("item,rating\n1,5\n,4\n", "Line 3 of .*the item id is missing"),
        ("item,rating\n1,5\n1.0,4\n", "rates item '1' more than once"),
        ("user,item,rating\n1,1,5\n2,2,1\n", "ratings of 2 users"),
        ("item,stars\n1\n2,3\n", "Line 2 of .*1 of 2 fields"),
        ("title,rating\n1,5\n", "No column for item"),
        ("item,rating\n", "no rows"),
    ],
)
def test_what_is_no_list_of_ratings_is_refused(content, message, tmp_path):
    (tmp_path / "mine").write_text(content)
    with pytest.raises(DataError, match=message):
        read_item_ratings(tmp_path / "mine", like=from_tuples([(1, 1, 5), (1, 2, 4)]))


def test_ratings_keep_their_decimals(tmp_path):
    (tmp_path / "mine").write_text("item;rating\n2.0;4,1\n5;0.7\n")
    assert read_item_ratings(tmp_path / "mine", like=TRAIN) == {"2": 4.1, "5": 0.7}
