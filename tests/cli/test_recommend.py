"""recollect recommend and similar."""

from pathlib import Path

import polars as pl
import pytest
from tests.cli.support import answer, call


def test_a_list_for_all_users_holds_the_list_of_one(work: Path, tmp_path: Path) -> None:
    for name in ("all.parquet", "all.csv"):
        answer("recommend", work / "run", "--all-users", "--out", tmp_path / name, "-n", 3)
    one = answer("recommend", work / "run", "--user", 5, "-n", 3)["recommendations"]
    item_ids = [row["item_id"] for row in one]
    from_parquet = pl.read_parquet(tmp_path / "all.parquet")
    from_csv = pl.read_csv(tmp_path / "all.csv", infer_schema=False)
    for frame in (from_parquet, from_csv):
        assert frame.filter(pl.col("user_id") == "5")["item_id"].to_list() == item_ids


def test_an_unknown_user_gets_recommendations(work: Path) -> None:
    result = answer("recommend", work / "run", "--user", "nobody", "-n", 4)
    assert result["unknown_users"] == ["nobody"]
    assert len(result["recommendations"]) == 4


def test_a_new_user_gets_recommendations_without_the_rated_items(work: Path) -> None:
    result = answer("recommend", work / "run", "--ratings", work / "mine.csv", "-n", 40)
    item_ids = {row["item_id"] for row in result["recommendations"]}
    assert item_ids
    assert not item_ids & {"1", "4", "nothing"}


def test_a_file_of_items_restricts_the_choice(work: Path, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id\n1\n2\n")
    options = ["--items", tmp_path / "items.csv", "--seen"]
    result = answer("recommend", work / "run", "--user", 5, *options)
    assert {row["item_id"] for row in result["recommendations"]} == {"1", "2"}


@pytest.mark.parametrize("side", ["item", "user"])
def test_nothing_is_similar_to_itself(work: Path, side: str) -> None:
    rows = answer("similar", work / "run", f"--{side}", 5, "-n", 3)["similar"]
    assert len(rows) == 3
    assert "5" not in [row["neighbor_id"] for row in rows]


def test_what_is_left_out_is_noted_each_time(work: Path, tmp_path: Path) -> None:
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("item_id,rating\nnope,5\n")
    for _ in range(2):
        result = call("recommend", work / "run", "--ratings", unknown, "-n", 2)
        assert "None of the rated items is known to this model ('nope')" in result.stderr
        assert "nope" not in result.stdout
    notes = answer("recommend", work / "run", "--user", "nobody", "--user", 5, "-n", 2)["notes"]
    assert notes[0].startswith("Nothing is known of 1 of 2 users ('nobody')")


def test_ratings_are_no_events(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user,item\na,x\na,y\nb,x\nb,z\nc,x\nc,y\n")
    (tmp_path / "hated.csv").write_text("item_id,rating\nx,1\n")
    options = ["--implicit", "--model", "popularity", "--valid", 0]
    call("train", tmp_path / "events.csv", *options, "--out", tmp_path / "run")
    result = call("recommend", tmp_path / "run", "--ratings", tmp_path / "hated.csv")
    assert result.exit_code == 1
    assert "learned from events" in result.stderr
    assert "--event" in result.stderr
