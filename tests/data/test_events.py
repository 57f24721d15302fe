"""Events: read from files and tables, added up, made from ratings; what is ambiguous is refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

import recollect as rc
from recollect.errors import DataError, SettingError


def rows(events: rc.Ratings) -> dict[tuple[str, str], float]:
    return {(user, item): value for user, item, value, *_ in events.frame().rows()}


@pytest.fixture
def file(tmp_path):
    def write(text: str):
        (tmp_path / "events.csv").write_text(text)
        return tmp_path / "events.csv"

    return write


TWICE = {("a", "x"): 2.0, ("a", "y"): 1.0, ("b", "x"): 1.0}


@pytest.mark.parametrize(
    "text",
    [
        "user,item\na,x\na,y\nb,x\na,x\n",
        "user_id,item_id,timestamp\na,x,50\na,y,10\nb,x,10\na,x,20\n",
        "a,x,50\na,y,10\nb,x,10\na,x,20\n",
        "user,item,plays\na,x,2\na,y,1\nb,x,1\n",
        "user,item,time,count\na,x,9,1.5\na,y,9,1\nb,x,9,1\na,x,9,.5\n",
        '{"user": "a", "item": "x"}\n{"user": "a", "item": "y"}\n'
        '{"user": "b", "item": "x"}\n{"user": "a", "item": "x"}\n',
    ],
    ids=["pairs", "times", "no header", "plays", "counts", "json"],
)
def test_events_of_a_pair_are_added_up(file, text):
    events = rc.read(file(text), implicit=True)
    assert rows(events) == TWICE
    assert events.implicit
    assert events.scale == (0.0, 2.0)
    assert "3 pairs" in repr(events)


def test_the_newest_time_is_kept(file):
    events = rc.read(file("user,item,time\na,x,50\nb,x,10\na,x,20\n"), implicit=True)
    assert events.frame()["timestamp"].to_list() == [50, 10]
    assert any("3 events are of 2 pairs" in note for note in events.notes)


def test_tables_lists_and_matrices_of_events():
    pairs = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x")]
    frame = pd.DataFrame(pairs, columns=["reader", "book"])
    matrix = sparse.coo_array((np.array([2.0, 1.0, 1.0]), ([0, 0, 1], [0, 1, 0])))
    for events in (
        rc.from_tuples(pairs, implicit=True),
        rc.from_tuples([(*pair, 3) for pair in pairs], implicit=True),
        rc.from_frame(frame, user="reader", item="book", implicit=True),
        rc.from_frame(pl.DataFrame(frame), user="reader", item="book", implicit=True),
        rc.from_scipy(matrix, user_ids=["a", "b"], item_ids=["x", "y"], implicit=True),
    ):
        assert rows(events) == TWICE
        assert events.implicit


def test_a_pandas_column_is_named_and_its_time_may_be_unreadable():
    frame = pd.DataFrame(
        {"reader": ["a", "b"], "book": ["x", "y"], "grade": [1, 5], "date": ["once", "never"]}
    )
    ratings = rc.from_frame(frame, user="reader", item="book", rating="grade")
    assert rows(ratings) == {("a", "x"): 1.0, ("b", "y"): 5.0}
    assert ratings.time is None
    with pytest.raises(DataError, match="the time is 'once'"):
        rc.from_frame(frame, user="reader", item="book", rating="grade", time="date")


def test_events_come_back_from_their_table(few, tmp_path):
    events = replace(few.where(few.value > 0), implicit=True)
    events.frame().write_csv(tmp_path / "again.csv")
    assert "count" in events.frame().columns
    again = rc.read(tmp_path / "again.csv", implicit=True)
    assert rows(again) == rows(events)
    assert again.time.tolist() == events.time.tolist()


def test_ratings_from_a_threshold_on_become_events(few):
    events = few.events(from_=3)
    assert rows(events) == {("a", "w"): 1.0, ("b", "w"): 1.0, ("b", "y"): 1.0}
    assert (events.implicit, events.scale, events.users, events.items) == (
        True,
        (0.0, 1.0),
        few.users,
        few.items,
    )
    assert len(few.events()) == 7
    assert "3 of 7 ratings, those from 3 on, are events." in events.notes
    with pytest.raises(DataError, match="no rating from 6 on"):
        few.events(from_=6)


def test_a_union_has_the_higher_count():
    table = pl.DataFrame({"user": ["a", "a", "b"], "item": ["x", "y", "x"], "count": [1, 7, 2]})
    events = rc.from_frame(table, implicit=True)
    low, high = (
        replace(events.where(events.value < 3), scale=(0.0, 2.0)),
        events.where(events.value > 3),
    )
    assert low.union(high).scale == (0.0, 7.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,item,rating\na,x,1\n", r"no ratings.*column 'rating'.*ratings.events\(from_=4\)"),
        ("a,x,5,100\nb,y,4,200\n", "has 4 columns.*time=3"),
        ("user,item,count\na,x,0\n", "Line 2.*the count is 0"),
        ("user,item,count\na,x,many\n", "Line 2.*'many'"),
        ("user,item\n", "no events"),
        ("user,plays\na,2\n", "No column for item"),
    ],
)
def test_what_is_no_event_is_refused(file, text, message):
    with pytest.raises(DataError, match=message):
        rc.read(file(text), implicit=True)


def test_counts_and_times_may_be_stated(file):
    path = file("a,x,5,100\nb,y,4,200\n")
    assert rows(rc.read(path, implicit=True, rating=2, time=3)) == {
        ("a", "x"): 5.0,
        ("b", "y"): 4.0,
    }
    assert rows(rc.read(path, implicit=True, time=3)) == {("a", "x"): 1.0, ("b", "y"): 1.0}
    assert rc.read(path, implicit=True, rating=2).time is None


def test_a_scale_and_a_count_of_zero_are_refused(few, file, tmp_path):
    with pytest.raises(SettingError, match="events have none"):
        rc.read(file("user,item\na,x\n"), implicit=True, scale=(1, 5))
    with pytest.raises(
        DataError, match="1 counts of events are not above 0, the first by user 'a' of item 'x'"
    ):
        replace(few, implicit=True)
    with pytest.raises(DataError, match="ratings and events"):
        few.union(few.events())
    with pytest.raises(SettingError, match="cannot be stored"):
        rc.store(few.events(), tmp_path / "stored")
    with pytest.raises(SettingError, match="cannot be stored"):
        rc.store(file("user,item\na,x\n"), tmp_path / "stored", implicit=True)
