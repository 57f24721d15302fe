"""recollect data: list, fetch, describe, convert, store, plant."""

from pathlib import Path

import pytest
from tests.cli.support import answer, call

import recollect as rc


def test_list_names_what_load_knows() -> None:
    assert "planted/tiny" in answer("data", "list")["data"]


def test_fetching_a_synthetic_data_set_needs_no_network() -> None:
    assert answer("data", "fetch", "planted/tiny")["ratings"] == 800


def test_describe_counts_ratings_and_values(work: Path) -> None:
    described = answer("data", "describe", work / "ratings.csv")
    ratings = rc.load("planted/tiny")
    assert (described["ratings"], described["users"]) == (800, 60)
    assert described["scale"] == [1.0, 5.0]
    assert described["values"]["3"] == int((ratings.value == 3).sum())
    assert described["counts"]["per user"][-1] == ratings.count("user").max()
    assert described["scale_from"] == "the ratings"


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_convert_keeps_the_ratings(work: Path, tmp_path: Path, name: str) -> None:
    answer("data", "convert", work / "ratings.csv", tmp_path / name)
    assert rc.read(tmp_path / name).fingerprint == rc.read(work / "ratings.csv").fingerprint


@pytest.mark.parametrize("name", ["out.parquet", "out.csv"])
def test_a_large_table_is_written_in_blocks(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("recollect.data.tables.BLOCK", 300)
    answer("data", "convert", work / "ratings.csv", tmp_path / name)
    assert rc.read(tmp_path / name).frame().equals(rc.read(work / "ratings.csv").frame())


def test_a_file_is_stored_with_its_parts(work: Path, tmp_path: Path) -> None:
    shares = ["--test", 0.1, "--valid", 0.1]
    stored = answer("data", "store", work / "ratings.csv", tmp_path / "stored", *shares)
    assert stored["ratings"] + stored["test"] + stored["valid"] == 800
    assert answer("data", "describe", tmp_path / "stored")["ratings"] == stored["ratings"]


def test_notes_of_the_library_go_to_standard_error(work: Path) -> None:
    loud = call("data", "describe", work / "ratings.csv")
    assert "inferred from the ratings" in loud.stderr
    assert call("data", "describe", work / "ratings.csv", "--quiet").stderr == ""


# Netflix' files


def test_planted_files_are_described_beside_the_published_counts(netflix: Path) -> None:
    described = answer("data", "describe", netflix)
    assert (described["ratings"], described["titles"]) == (50_240, True)
    assert described["scale_from"] == "the data set"
    whole, train, *_ = described["published"]
    assert whole["part"] == "whole"
    assert (whole["published_ratings"], whole["ratings"]) == (100_480_507, 50_240)
    assert (train["part"], train["published_users"]) == ("3 months, train", 311_315)
    assert call("data", "describe", netflix).stdout.count("-") > 9


def test_other_data_are_described_without_published_counts(work: Path) -> None:
    assert "published" not in answer("data", "describe", work / "ratings.csv")


def test_both_forms_of_files_hold_the_same_ratings(netflix: Path, tmp_path: Path) -> None:
    other_form = ["--form", "combined_data", "--share", 0.0005]
    answer("data", "plant", tmp_path / "nf", *other_form)
    planted = answer("data", "describe", tmp_path / "nf")
    assert planted["fingerprint"] == answer("data", "describe", netflix)["fingerprint"]


def test_netflix_files_are_stored_without_being_read_as_a_whole(
    netflix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recollect.data.sources.netflix.prize_files.read", None)
    stored = answer("data", "store", netflix, tmp_path / "stored", "--test", 0.1)
    assert stored["ratings"] + stored["test"] == 50_240
