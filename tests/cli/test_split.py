"""recollect split."""

import json
from pathlib import Path

import polars as pl
import pytest
from tests.cli.support import answer, call, settings

TRAIN_DAYS = "train=2000-01-01,2001-06-30"
TEST_DAYS = "test=2001-07-01,2003-12-31"
KEEP_UNSEEN = "drop_unseen=false"


def pairs_by_part(folder: Path) -> list[set[tuple[str, str]]]:
    return [
        set(pl.read_parquet(path).select("user_id", "item_id").rows())
        for name in ("train", "valid", "test")
        if (path := folder / f"{name}.parquet").exists()
    ]


def test_the_parts_hold_every_rating_once(work: Path) -> None:
    names = ("train", "valid", "test")
    whole = pl.concat([pl.read_parquet(work / "split" / f"{name}.parquet") for name in names])
    assert len(whole) == 800
    assert whole.select("user_id", "item_id").is_unique().all()
    assert json.loads((work / "split" / "split.json").read_text())["seed"] == 0


@pytest.mark.parametrize(
    ("how", "options", "folders"),
    [
        ("covering", ["--test", "0.1"], [""]),
        ("time", ["--test", "0.2"], [""]),
        ("leave-last", settings("n=2"), [""]),
        ("per-user", ["--test", "0.3", "--valid", "0.1"], [""]),
        ("per-user", ["--test", "1", *settings("by=time")], [""]),
        ("new-users", settings("users=0.2"), [""]),
        ("new-items", settings("items=0.2"), [""]),
        ("folds", settings("k=2"), ["fold-1", "fold-2"]),
        ("density", settings("shares=0.5,0.6"), ["train-0.5", "train-0.6"]),
        ("windows", settings(TRAIN_DAYS, TEST_DAYS, KEEP_UNSEEN), [""]),
    ],
)
def test_every_split_writes_its_parts(
    work: Path, tmp_path: Path, how: str, options: list[str], folders: list[str]
) -> None:
    out = tmp_path / "out"
    answer("split", work / "ratings.csv", "--how", how, *options, "--out", out)
    assert all((out / folder / "test.parquet").is_file() for folder in folders)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (
            ["--time", "0.2", "--valid", "0.1"],
            ["--how", "time", "--test", "0.2", "--valid", "0.1"],
        ),
        (
            ["--time", "2001-07-01"],
            ["--how", "time", *settings("test_from=2001-07-01")],
        ),
        (
            ["--windows", "2000-01-01:2001-06-30,2001-07-01:2003-12-31", *settings(KEEP_UNSEEN)],
            ["--how", "windows", *settings(TRAIN_DAYS, TEST_DAYS, KEEP_UNSEEN)],
        ),
        (
            ["--windows", "20", *settings(KEEP_UNSEEN, "valid_share=0")],
            [
                *("--how", "windows"),
                *settings("train=2001-07-01,2003-02-28", "test=2003-03-01,2003-03-31"),
                *settings(KEEP_UNSEEN, "valid_share=0"),
            ],
        ),
    ],
)
def test_a_short_option_splits_like_the_long_ones(
    work: Path, tmp_path: Path, short: list[str], long: list[str]
) -> None:
    answer("split", work / "ratings.csv", *short, "--out", tmp_path / "short")
    answer("split", work / "ratings.csv", *long, "--out", tmp_path / "long")
    assert pairs_by_part(tmp_path / "short") == pairs_by_part(tmp_path / "long")


def test_a_number_of_each_users_ratings_is_test(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "parts"
    record = answer("split", work / "ratings.csv", "--how", "per-user", "--test", 2, "--out", out)
    per_user = pl.read_parquet(out / "test.parquet").group_by("user_id").len()["len"]
    assert set(per_user) == {2}
    assert record["seed"] == 0
    random = call("split", work / "ratings.csv", "--test", 2, "--out", tmp_path / "no")
    assert "test=2 is not a share" in random.output


def test_a_named_window_is_that_of_the_library(
    netflix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recollect.data.sources import netflix as source

    monkeypatch.setenv("RECOLLECT_DATA", str(netflix.parent))
    out = tmp_path / "parts"
    record = answer("split", "netflix/full", "--windows", "6m", "--seed", 4, "--out", out)
    expected = source.window("6m", folder=netflix, seed=4)
    assert pairs_by_part(out) == [
        set(part.frame().select("user_id", "item_id").rows()) for part in expected
    ]
    assert (record["seed"], record["data"]) == (4, "netflix/full")


def test_the_days_of_windows_are_shown(work: Path, tmp_path: Path) -> None:
    options = ["--windows", "20", *settings(KEEP_UNSEEN, "valid_share=0")]
    shown = call("split", work / "ratings.csv", *options, "--out", tmp_path / "parts").stdout
    assert "2001-07-01 to 2003-02-28" in shown
