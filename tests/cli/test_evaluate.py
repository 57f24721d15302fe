"""recollect evaluate."""

from pathlib import Path

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
    """The default of autorec is 3, the middle of the scale."""
    rows = "user_id,item_id,rating\nstranger,1,4\n1,strange item,1\n"
    (tmp_path / "test.csv").write_text(rows)
    scores = answer("evaluate", work / "run", tmp_path / "test.csv")
    assert (scores["n_test"], scores["n_cold"]) == (2, 2)
    assert (scores["unknown_users"], scores["unknown_items"]) == (1, 1)
    assert scores["metrics"]["mae"]["value"] == pytest.approx((abs(3 - 4) + abs(3 - 1)) / 2)


def test_new_users_are_predicted_from_their_given_ratings(work: Path, tmp_path: Path) -> None:
    parts, run = tmp_path / "new", tmp_path / "run"
    new_users = ["--how", "new-users", *settings("users=0.2")]
    call("split", work / "ratings.csv", *new_users, "--out", parts)
    call("train", parts, "--out", run, *QUICK)
    evaluate = ["evaluate", run, parts / "test.parquet"]
    assert answer(*evaluate)["n_cold"] > 0
    assert answer(*evaluate, "--given", parts / "given.parquet")["n_cold"] == 0
