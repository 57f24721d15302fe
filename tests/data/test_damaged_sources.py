"""Files of public data sets that are damaged, or not what they are said to be."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from recollect.data import download
from recollect.data.description import first_and_last_day
from recollect.data.from_objects import from_tuples
from recollect.data.sources import amazon, citeulike, movielens
from recollect.data.text.word_vectors import read_vectors
from recollect.data.vocab import Vocab
from recollect.errors import DataError, FetchError

WORDS = Vocab(["toy", "boy"])
REVIEW = {"reviewerID": "a", "asin": "b", "overall": 5.0, "unixReviewTime": 1}


def written(folder, content, name="file"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("u.item", "1|Toy (1995)\n", "Line 1 of .* has 2 fields, expected 24"),
        ("movies.dat", "1::Toy::Comedy\n2::Boy\n", "Line 2 of .* has 2 fields, expected 3"),
        ("movies.csv", "movieId,title\n1,Toy\n", "has no films in the columns"),
        ("movies.csv", "movieId,title,genres\n1,Toy\n", "less than three fields"),
    ],
)
def test_a_short_line_of_films_is_named(name, content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        movielens.films(written(tmp_path, content, name))


@pytest.mark.parametrize(
    "content", ["2 3\xff 4\n".encode("latin-1"), b"1 " + b"9" * 5000, b"1 99999999999999999999\n"]
)
def test_numbers_of_citeulike_that_are_none_are_refused(content, tmp_path):
    path = written(tmp_path, content)
    with pytest.raises(DataError, match="is damaged"):
        [citeulike._numbers(line, path, 1) for line in citeulike._lines(path)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (json.dumps(REVIEW).replace(": 1}", ": 1e999}"), "Line 1 of .* the time 'inf'"),
        (json.dumps(REVIEW).replace(": 1}", ": " + "9" * 400 + "}"), "Line 1 of .* the time '999"),
        ('{"reviewerID": ' + "[" * 100_000, "Line 1 of .*nested too deeply"),
        ('{"reviewerID": "\\ud800", "asin": "b"}', "Line 1 of .*half of a letter"),
    ],
)
def test_reviews_that_are_none_are_named(line, message, tmp_path):
    with pytest.raises(DataError, match=message):
        amazon.read(written(tmp_path, line, "reviews.json"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 99999999\ntoy 1\n", "99,999,999 numbers each"),
        ("toy 1e39\nboy 1\n", "Line 1 of .*'1e39'"),
        ("toy nan\nboy 1\n", "Line 1 of .*'nan'"),
        (b"1 2\ntoy " + np.array([np.nan, 1], "<f4").tobytes(), "'toy' .* not finite"),
    ],
)
def test_vectors_that_are_none_are_refused(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_vectors(written(tmp_path, content), WORDS)


def archive(folder, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as content:
        content.writestr("ml-1m/ratings.dat", "1::1::5::100\n" * 50)
    return written(folder, out.getvalue(), "ml-1m.zip")


def test_an_archive_that_is_not_the_published_one_is_refused(tmp_path):
    archive(tmp_path)
    with pytest.raises(FetchError, match=r"ml-1m\.zip is not the published archive"):
        movielens.load("1m", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ml-1m.zip"]


def test_an_archive_that_is_damaged_inside_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(
        movielens.VARIANTS, "1m", replace(movielens.VARIANTS["1m"], md5=None, counts=None)
    )
    path = archive(tmp_path, compression=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    content[55:60] = b"\xff" * 5
    path.write_bytes(content)
    with pytest.raises(FetchError, match="damaged"):
        movielens.load("1m", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ml-1m.zip"]


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression=zipfile.ZIP_DEFLATED) as content:
        content.writestr("ratings.dat", b"\0" * (20 << 20))
    path = written(tmp_path, out.getvalue(), "a.zip")
    with pytest.raises(FetchError, match="would unpack to"):
        download._unpack(path, tmp_path / "a", "ratings.dat")


def test_a_home_may_begin_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RECOLLECT_DATA", "~/data")
    assert download.homes()[0] == tmp_path / "data"


def test_a_failed_download_leaves_no_folder(tmp_path):
    with pytest.raises(FetchError):
        download.download("http://127.0.0.1:1/a.zip", tmp_path / "new" / "a.zip", None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("time", [1e30, -1e30, 1e300, 2**64 - 1, float("inf"), -1])
def test_a_time_out_of_range_is_refused_in_memory_too(time):
    with pytest.raises(DataError, match="Tuple 0: the time is"):
        from_tuples([("a", "x", 5, time), ("b", "y", 3, 100)])


def test_ratings_with_impossible_times_are_described_all_the_same():
    ratings = replace(from_tuples([("a", "x", 5, 1), ("b", "y", 3, 2)]), time=np.array([1, 10**17]))
    assert first_and_last_day(ratings) == ["1970-01-01", "100,000,000,000,000,000 s after 1970"]
