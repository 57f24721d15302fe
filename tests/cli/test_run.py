"""The verb run: what it fits, what it leaves, and what it says about both."""

import json
from pathlib import Path

import pytest
from tests.cli.support import EXPERIMENT, answer, call

from recollect.experiment import runner


def test_runs_without_a_result_are_fitted_and_those_without_data_skipped(paper: Path) -> None:
    first = call("run", paper)
    assert first.exit_code == 0
    assert "skipped: netflix/full is not here; put your copy of the Netflix Prize" in first.stderr
    assert "at $RECOLLECT_DATA/netflix" in first.stderr
    assert "2 runs, 0 cached, 2 to do" in first.stderr
    assert "tiny, one, bias, seed 1: RMSE" in first.stderr
    assert "not built yet" in first.stdout

    second = call("run", paper, "--json")
    assert "2 runs, 2 cached, 0 to do" in second.stderr
    rows = {(row["part"], row["run"]): row for row in json.loads(second.stdout)["runs"]}
    fitted = rows["tiny", "bias"]
    assert (fitted["state"], fitted["done"], fitted["cached"]) == ("cached", 2, 2)
    assert rows["far", "bias"]["state"] == "skipped: no data"

    assert "2 to do" in call("run", paper, "--fresh", "--only", "tiny").stderr


def test_records_are_kept_in_the_folder_that_the_file_names(paper: Path) -> None:
    paper.write_text('records = "../docs/records"\n' + EXPERIMENT)
    call("run", paper, "--quiet")
    assert len(list(Path("docs/records").glob("*.json"))) == 3  # two records, data.json
    assert not Path("runs/results").exists()


def test_list_fits_nothing(paper: Path) -> None:
    rows = answer("run", paper, "--list")["runs"]
    states = {row["state"] for row in rows if row["run"] == "bias"}
    assert states == {"to do", "skipped: no data"}
    assert [path.name for path in Path("runs/results").iterdir()] == ["data.json"]


def test_ctrl_c_says_that_the_same_command_goes_on(
    paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt("stopped after epoch 3")

    monkeypatch.setattr(runner, "run_each", stop)
    result = call("run", paper)
    assert result.exit_code == 130
    message = "Stopped. What is finished is kept in runs/results; the same command goes on."
    assert message in result.stderr


def test_a_run_that_fails_is_shown_and_makes_the_exit_code_1(paper: Path) -> None:
    diverging = """model = "autorec"
optimizer = "sgd"
learning_rate = 1e30
batch_size = 4
refit = false
offsets = false"""
    paper.write_text(EXPERIMENT.replace('model = "bias"', diverging))
    result = call("run", paper, "--only", "tiny")
    assert result.exit_code == 1
    assert "failed" in result.stdout
    assert "lower learning_rate" in result.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["none.toml"], "There is no file none.toml"),
        (
            ["experiments/paper.toml", "--only", "tinny"],
            "There is no part or table of paper 'tinny'. Did you mean 'tiny'?",
        ),
    ],
)
def test_bad_input_is_answered_with_one_line(paper: Path, args: list[str], message: str) -> None:
    result = call("run", *args, "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
