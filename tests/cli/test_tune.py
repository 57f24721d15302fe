"""The verb tune: the best settings, ready for use, and a study that is resumed."""

from pathlib import Path

import pytest
from tests.cli.support import answer, call

from recollect.experiment import tune

SPACE = """
data = "planted/tiny"
split = { how = "random", test = 0.2, valid = 0.2 }
model = "bias"
epochs = 9
trials = 3
[search]
reg_user = { choices = [1.0, 5.0] }
"""


def test_the_best_settings_are_printed_ready_for_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rmse_of = {"1.0": 0.8, "5.0": 0.7}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        tune, "_judge", lambda optuna, trial, *args, **options: rmse_of[trial.params["reg_user"]]
    )
    Path("space.toml").write_text(SPACE)

    result = call("tune", "space.toml", "--trials", 6)
    assert result.exit_code == 0
    assert "--set epochs=9 --set reg_user=5.0" in result.stdout
    assert "reg_user = 5.0" in result.stdout

    resumed = answer("tune", "space.toml", "--trials", 6)
    assert (len(resumed["trials"]), resumed["best"]["figure"]) == (6, 0.7)
    assert Path("runs/tune/space.journal").is_file()


def test_a_file_that_is_no_search_space_is_answered_with_one_line(paper: Path) -> None:
    result = call("tune", paper, "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "data is missing" in result.stderr
    assert result.stderr.count("\n") == 1
