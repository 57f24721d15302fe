"""recollect compare, with the fits in this process."""

import json
from pathlib import Path

import pytest
from tests.cli.support import DIVERGING, answer, call, settings

import recollect as rc
from recollect.system import processes


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    run_each = processes.run_each
    monkeypatch.setattr(
        processes, "run_each", lambda function, inputs, processes: run_each(function, inputs)
    )


def test_models_are_scored_on_the_same_splits(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "compared.json"
    models = ["--model", "bias", "--model", "shy=bias", *settings("shy.reg_user=50")]
    options = ["--repeat", 1, "--valid", 0, "--ranking", "--threads", 1]
    result = answer("compare", work / "ratings.csv", *models, *options, "--out", out)
    assert json.loads(out.read_text()) == result
    split = rc.random_split(rc.read(work / "ratings.csv"), test=0.1, seed=0)
    shy = rc.make("bias", reg_user=50.0).fit(split.train)
    expected = rc.held_out(shy, split.test)["rmse"]
    assert result["models"]["shy"]["runs"][0]["rmse"] == pytest.approx(expected, rel=1e-6)
    assert result["models"]["shy"]["settings"]["reg_user"] == 50
    assert [(row["model"], row["other"]) for row in result["differences"]] == [("bias", "shy")]


def test_fits_that_broke_down_are_named(work: Path) -> None:
    diverging = settings(*(f"deeprec.{pair}" for pair in DIVERGING))
    options = ["--model", "deeprec", "--repeat", 1, "--threads", 1, *diverging]
    result = call("compare", work / "ratings.csv", *options)
    assert "deeprec: training broke down in 1 of 1. The loss became " in result.stdout


def test_a_model_that_fails_is_named_beside_the_finished_ones(work: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    rc.read(work / "ratings.csv").frame().drop("timestamp").write_csv(plain)
    models = ["--model", "bias", "--model", "rrn", "--model", "popularity"]
    result = call("compare", plain, *models, "--repeat", 1, "--threads", 1, "--json")
    assert result.exit_code == 1
    compared = json.loads(result.stdout)
    assert list(compared["models"]) == ["bias", "popularity"]
    assert "needs the time" in compared["failed"]["rrn"]
    shown = call("compare", plain, *models, "--repeat", 1, "--threads", 1)
    assert "rrn failed and is left out: rrn, seed 0: RRN needs the time" in shown.stdout
    assert "popularity" in shown.stdout


def test_models_of_events_are_compared_by_lists(work: Path, tmp_path: Path) -> None:
    source = [work / "ratings.csv", "--events-from", 4]
    options = ["--model", "ease", "--repeat", 1, "--valid", 0, "--test", 0.2, "--threads", 1]
    lists = ["--metric", "recall", "-n", 5]
    result = answer("compare", *source, *options, *lists)
    assert (result["metric"], result["better"], result["over"]) == ("recall@5", "higher", "users")
    assert list(result["models"]) == ["ease", "popularity"]
    events = rc.read(work / "ratings.csv").events(from_=4)
    split = rc.random_split(events, test=0.2, seed=0)
    expected = rc.full_ranking(rc.make("ease").fit(split.train), split.test, n=5)["recall@5"]
    assert result["models"]["ease"]["figure"]["value"] == pytest.approx(expected)
    [row] = result["differences"]
    assert {"p_holm", "p_wilcoxon_holm"} <= set(row)

    shown = " ".join(call("compare", *source, *options, *lists).stdout.split())
    assert "in recall@5" in shown
    assert "Wilcoxon's" in shown
    assert "miscalibration" not in shown
    assert "Intervals are over users (bootstrap)" in shown
    first, second = ("ease", "popularity") if row["difference"] > 0 else ("popularity", "ease")
    assert f"{first} is {abs(row['difference']):.4f} above {second}" in shown


def test_ratings_are_compared_as_lists_on_request(work: Path) -> None:
    options = ["--model", "bias", "--repeat", 2, "--valid", 0, "--threads", 1]
    lists = ["--metric", "ndcg", "--relevant", 5, "--over", "users"]
    result = answer("compare", work / "ratings.csv", *options, *lists)
    assert (result["relevant_from"], result["over"]) == (5, "users")
    assert result["models"]["popularity"]["rmse"] is None
    shown = call("compare", work / "ratings.csv", *options, *lists).stdout
    [head] = [line.split() for line in shown.splitlines() if line.split()[:1] == ["model"]]
    # Where the table is narrow, "95%" stands above "interval".
    assert [word for word in head[1:5] if word != "95%"][:3] == ["ndcg@10", "interval", "RMSE"]


def test_a_comparison_by_a_sample_is_refused(work: Path) -> None:
    options = ["--model", "bias", "--repeat", 1, "--negatives", 99]
    shown = call("compare", work / "ratings.csv", *options)
    assert shown.exit_code == 1
    assert "--negatives 99 asks for a sample" in " ".join(shown.output.split())
