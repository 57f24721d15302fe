"""recollect evaluate."""

import math
from pathlib import Path

import polars as pl
import pytest
from tests.cli.support import QUICK, answer, call, settings

import recollect as rc


def test_errors_are_those_of_the_predictions(work: Path) -> None:
    test = work / "split" / "test.parquet"
    metrics = answer("evaluate", work / "run", test, "--ranking", "-n", 5)["metrics"]
    rated = rc.read(test).frame()
    error = rc.predict(rc.load_model(work / "run"), rated)["prediction"] - rated["rating"]
    # Predictions are 32-bit numbers inside.
    assert metrics["rmse"]["value"] == pytest.approx((error**2).mean() ** 0.5, rel=1e-5)
    assert 0 <= metrics["ndcg@5"]["value"] <= 1


def test_unknown_users_and_items_are_scored_at_the_default_prediction(
    work: Path, tmp_path: Path
) -> None:
    rows = "user_id,item_id,rating\nstranger,1,4\n1,strange item,1\n"
    (tmp_path / "test.csv").write_text(rows)
    scores = answer("evaluate", work / "run", tmp_path / "test.csv")
    assert (scores["n_test"], scores["n_cold"]) == (2, 2)
    assert (scores["unknown_users"], scores["unknown_items"]) == (1, 1)
    pairs = [("stranger", "1"), ("1", "strange item")]
    first, second = rc.predict(rc.load_model(work / "run"), pairs)["prediction"]
    expected = (abs(first - 4) + abs(second - 1)) / 2
    assert scores["metrics"]["mae"]["value"] == pytest.approx(expected)


def test_new_users_are_predicted_from_their_given_ratings(work: Path, tmp_path: Path) -> None:
    parts, run = tmp_path / "new", tmp_path / "run"
    new_users = ["--how", "new-users", *settings("users=0.2")]
    call("split", work / "ratings.csv", *new_users, "--out", parts)
    call("train", parts, "--out", run, *QUICK)
    evaluate = ["evaluate", run, parts / "test.parquet"]
    assert answer(*evaluate)["n_cold"] > 0
    assert answer(*evaluate, "--given", parts / "given.parquet")["n_cold"] == 0


def test_the_figures_are_the_same_whichever_road_leads_to_them(tmp_path: Path) -> None:
    """By a split's folder, by two files, and in Python with one vocabulary; every metric."""
    rows = rc.load("planted/tiny").frame().with_columns(pl.lit("u").alias("u") + pl.col("user_id"))
    rows.drop("user_id").rename({"u": "user_id"}).write_csv(tmp_path / "ratings.csv")
    scale = ["--scale", "1,5"]
    parts = tmp_path / "parts"
    call("split", tmp_path / "ratings.csv", "--time", 0.3, *scale, "--out", parts)
    bias = ["--model", "bias", "--valid", 0]
    test = parts / "test.parquet"
    scored = [test, "--ranking", "-n", 5]

    call("train", parts, "--model", "bias", "--out", tmp_path / "folder")
    by_folder = answer("evaluate", tmp_path / "folder", *scored)
    call("train", parts / "train.parquet", *bias, *scale, "--out", tmp_path / "file")
    by_files = answer("evaluate", tmp_path / "file", *scored, *scale)

    split = rc.time_split(rc.read(tmp_path / "ratings.csv", scale=(1, 5)), test=0.3)
    model = rc.make("bias").fit(split.train)
    in_python = rc.held_out(model, split.test), rc.full_ranking(model, split.test, n=5)
    figures = {row["metric"]: row["value"] for s in in_python for row in s.table().to_dicts()}

    assert by_files["unknown_users"] > 0
    for found in (by_folder, by_files):
        assert found["n_cold"] == in_python[0].about["n_cold"] > 0
        assert found["n_users"] == in_python[1].about["n_users"]
        assert set(found["metrics"]) == set(figures)
        for name, value in figures.items():
            # Nobody in the test has a row, of which the popularity lift is a ratio: null in JSON.
            expected = None if math.isnan(value) else pytest.approx(value)
            assert found["metrics"][name]["value"] == expected, name


def test_people_of_another_file_are_predicted_from_what_they_give(
    work: Path, tmp_path: Path
) -> None:
    (tmp_path / "given.csv").write_text("user_id,item_id,rating\np,1,5\np,2,5\np,3,4\n")
    (tmp_path / "test.csv").write_text("user_id,item_id,rating\np,4,5\np,5,5\n")
    evaluate = ["evaluate", work / "run", tmp_path / "test.csv"]
    assert answer(*evaluate)["n_cold"] == 2
    scores = answer(*evaluate, "--given", tmp_path / "given.csv")
    assert (scores["n_cold"], scores["unknown_users"]) == (0, 1)
    model = rc.load_model(work / "run")
    folded = rc.fold_in(model, {"1": 5, "2": 5, "3": 4})
    predicted = folded.filter(pl.col("item_id").is_in(["4", "5"]))["prediction"]
    assert scores["metrics"]["mae"]["value"] == pytest.approx((5 - predicted).mean(), rel=1e-5)


def test_what_the_lists_are_like_is_shown_with_where_it_comes_from(
    work: Path, tmp_path: Path
) -> None:
    items = rc.read(work / "ratings.csv").items.ids
    table = pl.DataFrame({"item_id": items, "kind": [f"k{j % 4}" for j in range(len(items))]})
    table.write_csv(tmp_path / "items.csv")
    ratings = rc.with_items(rc.read(work / "split" / "train.parquet"), tmp_path / "items.csv")
    rc.save(rc.make("popularity").fit(ratings.events()), tmp_path / "run")
    test = work / "split" / "test.parquet"
    evaluate = ["evaluate", tmp_path / "run", test, "--events-from", 1]
    plain = answer(*evaluate)
    assert (plain["item_field"], plain["diversity_from"]) == (None, "the users whom items share")
    assert plain["metrics"]["novelty@10"]["low"] < plain["metrics"]["novelty@10"]["high"]
    assert "miscalibration@10" not in plain["metrics"]
    with_kind = answer(*evaluate, "--field", "kind")
    assert with_kind["diversity_from"] == "kind"
    assert with_kind["metrics"]["miscalibration@10"]["value"] > 0
    assert "computed from kind" in " ".join(call(*evaluate, "--field", "kind").stdout.split())


def test_sampled_rankings_are_refused_with_the_reason(work: Path) -> None:
    test = work / "split" / "test.parquet"
    shown = call("evaluate", work / "run", test, "--ranking", "--negatives", 100)
    assert shown.exit_code == 1
    text = " ".join(shown.output.split())
    assert "--negatives 100 asks for a sample" in text
    assert "Krichene and Rendle, KDD 2020" in text
