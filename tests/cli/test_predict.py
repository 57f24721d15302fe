"""recollect predict."""

from pathlib import Path

import polars as pl
from tests.cli.support import answer, call, settings


def test_predictions_keep_the_order_and_mark_the_cold(work: Path, tmp_path: Path) -> None:
    predict = ["predict", work / "run", "--pairs", work / "pairs.csv"]
    answer(*predict, "--out", tmp_path / "out.csv")
    frame = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    assert frame.columns == ["user_id", "item_id", "prediction", "cold"]
    assert frame["item_id"].to_list() == ["7", "nothing", "3"]
    assert frame["cold"].to_list() == ["false", "true", "false"]
    assert call(*predict).stdout == (tmp_path / "out.csv").read_text()


def test_a_prediction_lies_within_its_interval(work: Path, tmp_path: Path) -> None:
    fit = ["--model", "bayes_mf", *settings("factors=2", "epochs=12", "burn_in=2")]
    answer("train", work / "ratings.csv", *fit, "--out", tmp_path / "run")
    interval = ["--pairs", work / "pairs.csv", "--interval", 0.9]
    rows = answer("predict", tmp_path / "run", *interval)["predictions"]
    assert len(rows) == 3
    assert all(row["low"] <= row["prediction"] <= row["high"] for row in rows)


def test_a_model_that_does_not_estimate_intervals_says_so(work: Path) -> None:
    interval = ["--pairs", work / "pairs.csv", "--interval", 0.9]
    refused = call("predict", work / "run", *interval)
    assert refused.exit_code == 1
    assert "bayes_mf does" in refused.stderr
