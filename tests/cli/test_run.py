"""The verb run: what it fits, what it leaves, and what it says about both."""

import json
from pathlib import Path

import pytest
from tests.cli.support import EXPERIMENT, answer, call

from recollect.experiment import runner
from recollect.experiment.carried import FILE
from recollect.experiment.results import read_json, write_json


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


def test_missing_leaves_out_what_an_earlier_release_has_printed(paper: Path) -> None:
    call("run", paper, "--quiet")
    folder = Path("runs/results")
    paths = [path for path in folder.glob("*.json") if path.name != "data.json"]
    records = sorted((read_json(path) for path in paths), key=lambda record: record["seed"])
    printed = {
        "fingerprint": records[0]["fingerprint"],
        "splits": [[record["split"], record["seed"]] for record in records],
        "model": records[0]["model"],
        "settings": records[0]["settings"],
        "metric": "rmse",
        "interval": [0.9444, 0.94, 0.9488],
        "fit_seconds": 75.0,
        "peak_memory_mb": 512,
    }
    content = {"release": "0.0.9", "made": {}, "rows": [printed], "tables": {}}
    write_json(folder / FILE, content)

    for path in paths:
        path.unlink()

    result = call("run", paper, "--missing", "--json")
    assert "2 runs, 0 cached, 2 of an earlier release, 0 to do" in result.stderr
    rows = json.loads(result.stdout)["runs"]
    row = next(row for row in rows if (row["part"], row["run"]) == ("tiny", "bias"))
    assert (row["state"], row["value"], row["done"]) == ("of an earlier release", 0.9444, 0)
    assert "2 to do" in call("run", paper, "--list").stderr


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
