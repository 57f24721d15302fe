"""The verbs run, report and tune, as they are called."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recollect.cli import app
from recollect.experiment import runner, tune
from recollect.system import processes as process_pool

FILE = """
paper = "A paper."
[part.tiny]
data = "planted/tiny"
split = { how = "random", test = 0.2, valid = 0.1, repeat = 2 }
[part.far]
data = "netflix/full"
split = { how = "window", train = ["2005-09-01", "2005-11-30"], test = ["2005-12-01", "2005-12-31"] }
[[table]]
name = "one"
[[table.run]]
name = "nobody"
claim.tiny = { value = 0.9, where = "Table 1" }
[[table.run]]
model = "bias"
claim.tiny = { value = 5.0, where = "Table 1" }
"""


def call(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of experiments in an empty folder without data, whose runs are done in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path))
    here = process_pool.run_each
    monkeypatch.setattr(
        runner, "run_each", lambda function, inputs, *, processes: here(function, inputs)
    )
    (tmp_path / "experiments").mkdir()
    path = tmp_path / "experiments" / "paper.toml"
    path.write_text(FILE)
    return path


def test_run_does_what_has_no_result_and_says_what_it_skips(paper: Path) -> None:
    first = call("run", paper)
    assert first.exit_code == 0
    assert (
        "skipped: netflix/full is not here; put your copy of the Netflix Prize at $RECOLLECT_DATA/netflix"
        in first.stderr
    )
    assert "2 runs, 0 cached, 2 to do" in first.stderr
    assert "tiny, one, bias, seed 1: RMSE" in first.stderr
    assert "not built yet" in first.stdout
    second = call("run", paper, "--json")
    assert "2 runs, 2 cached, 0 to do" in second.stderr
    rows = {(row["part"], row["run"]): row for row in json.loads(second.stdout)["runs"]}
    assert (
        rows["tiny", "bias"]["state"],
        rows["tiny", "bias"]["done"],
        rows["tiny", "bias"]["cached"],
    ) == ("cached", 2, 2)
    assert rows["far", "bias"]["state"] == "skipped: no data"
    assert "2 to do" in call("run", paper, "--fresh", "--only", "tiny").stderr


def test_records_are_kept_where_the_file_says_and_the_report_reads_them_there(paper: Path) -> None:
    paper.write_text('records = "../docs/records"\n' + FILE)
    call("run", paper, "--quiet")
    assert len(list(Path("docs/records").glob("*.json"))) == 3  # two records, data.json
    assert "better by" in page_of_report()
    assert "not run" in page_of_report("--results", "elsewhere")
    assert not Path("runs/results").exists()


def page_of_report(*options: str) -> str:
    assert call("report", "--out", "pages", *options).exit_code == 0
    return Path("pages/paper.md").read_text()


def test_list_runs_nothing(paper: Path) -> None:
    found = json.loads(call("run", paper, "--list", "--json").stdout)
    assert {row["state"] for row in found["runs"] if row["run"] == "bias"} == {
        "to do",
        "skipped: no data",
    }
    assert [path.name for path in Path("runs/results").iterdir()] == ["data.json"]


def test_ctrl_c_says_that_the_same_command_goes_on(
    paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: object, **more: object) -> None:
        raise KeyboardInterrupt("stopped after epoch 3")

    monkeypatch.setattr(runner, "run_each", stopped)
    result = call("run", paper)
    assert result.exit_code == 130
    assert (
        "Stopped. What is finished is kept in runs/results; the same command goes on."
        in result.stderr
    )


def test_a_run_that_fails_is_told_and_makes_the_exit_code_1(paper: Path) -> None:
    paper.write_text(
        FILE.replace(
            'model = "bias"',
            'model = "autorec"\noptimizer = "sgd"\nlearning_rate = 1e30\nbatch_size = 4',
        )
    )
    result = call("run", paper, "--only", "tiny")
    assert result.exit_code == 1
    assert "failed" in result.stdout
    assert "lower learning_rate" in result.stdout


def test_report_writes_pages_for_all_experiments_in_the_folder(paper: Path) -> None:
    call("run", paper, "--quiet")
    result = call("report", "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["verdicts"]["paper"]["better"] == 1  # a claim of 5.0
    assert sorted(Path(path).name for path in found["written"]) == ["paper.md", "report.html"]
    assert "skipped: netflix/full is not here" in Path("runs/report/paper.md").read_text()
    assert "better by" in Path("runs/report/report.html").read_text()


def test_tune_prints_the_best_settings_ready_for_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("space.toml").write_text("""
data = "planted/tiny"
split = { how = "random", test = 0.2, valid = 0.2 }
model = "bias"
epochs = 9
trials = 3
[search]
reg_user = { choices = [1.0, 5.0] }
""")
    monkeypatch.setattr(
        tune,
        "_judge",
        lambda optuna, trial, *args, **more: {"1.0": 0.8, "5.0": 0.7}[trial.params["reg_user"]],
    )
    result = call("tune", "space.toml", "--trials", 6)
    assert result.exit_code == 0
    assert "--set epochs=9 --set reg_user=5.0" in result.stdout
    assert "reg_user = 5.0" in result.stdout
    again = json.loads(call("tune", "space.toml", "--trials", 6, "--json").stdout)
    assert (len(again["trials"]), again["best"]["rmse"]) == (6, 0.7)
    assert Path("runs/tune/space.journal").is_file()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "none.toml"], "There is no file none.toml"),
        (
            ["run", "experiments/paper.toml", "--only", "tinny"],
            "There is no part or table of paper 'tinny'. Did you mean 'tiny'?",
        ),
        (["report", "none.toml"], "There is no file none.toml"),
        (["tune", "experiments/paper.toml"], "data is missing"),
    ],
)
def test_bad_input_is_told_in_one_line(paper: Path, args: list[str], said: str) -> None:
    result = call(*args, "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
