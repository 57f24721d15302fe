"""The Taste Profile of the Million Song Dataset, on a small file in its format."""

import pytest

from recollect.data.open_data import load, missing
from recollect.errors import DataError, FetchError

LINES = "b80344d063b5ccb3\tSOAKIMP12A8C130995\t1\nb80344d063b5ccb3\tSOBBMDR12A8C13253B\t12\n"
LINES += "85c1f87fea955d09\tSOBBMDR12A8C13253B\t2\n"


def write(folder, text):
    home = folder / "msd"
    home.mkdir()
    (home / "train_triplets.txt").write_text(text)


def test_plays_are_events_with_their_counts(tmp_path):
    write(tmp_path, LINES)
    plays = load("msd/taste-profile", tmp_path)
    assert plays.implicit
    assert sorted(plays.frame().iter_rows()) == [
        ("85c1f87fea955d09", "SOBBMDR12A8C13253B", 2.0),
        ("b80344d063b5ccb3", "SOAKIMP12A8C130995", 1.0),
        ("b80344d063b5ccb3", "SOBBMDR12A8C13253B", 12.0),
    ]
    assert plays.time is None


def test_without_the_file_it_is_said_where_it_belongs(tmp_path, monkeypatch):
    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    said = "put your copy of train_triplets.txt at .RECOLLECT_DATA/msd"
    with pytest.raises(FetchError, match=said):
        load("msd/taste-profile", tmp_path)
    assert "train_triplets.txt" in missing("msd/taste-profile")


def test_a_count_that_is_none_is_an_error(tmp_path):
    write(tmp_path, LINES + "a\tb\tmany\n")
    with pytest.raises(DataError, match="many"):
        load("msd/taste-profile", tmp_path)
