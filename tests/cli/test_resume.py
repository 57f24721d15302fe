"""A fit that is stopped, and resumed."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.support import QUICK, answer, call, settings

from recollect.cli.options.folder_in_use import in_use

# The command line, stopped by Ctrl-C after the fourth epoch.
STOPPED = """
import os, signal
from contextlib import contextmanager
from recollect.cli import main
from recollect.cli.output.screen import Screen

epochs_of_screen = Screen.epochs

@contextmanager
def epochs(screen, most, **options):
    with epochs_of_screen(screen, most, **options) as watcher:
        def stop(figures):
            watcher(figures)
            if figures["epoch"] == 4:
                os.kill(os.getpid(), signal.SIGINT)
        yield stop

Screen.epochs = epochs
main()
"""
FIT = ["--model", "autorec", *settings("hidden=6", "epochs=9", "reg=2"), "--threads", "1"]


@pytest.fixture
def stopped(work: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """A fit into the folder `run` that was stopped after its fourth epoch."""
    return subprocess.run(
        [sys.executable, "-c", STOPPED, "train", work / "split", *FIT, "--out", tmp_path / "run"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def test_ctrl_c_keeps_a_snapshot_and_resume_ends_the_same_to_the_bit(
    work: Path, tmp_path: Path, stopped: subprocess.CompletedProcess[str]
) -> None:
    assert (stopped.returncode, stopped.stdout) == (130, "")
    assert "Stopped after epoch 4" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    train = ["train", work / "split", *FIT, "--out"]
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert "add --resume" in call(*train, run).stderr
    assert call(*train, whole).exit_code == 0
    assert call(*train, run, "--resume").exit_code == 0
    assert not (run / "snapshot").exists()
    assert (run / "net.safetensors").read_bytes() == (whole / "net.safetensors").read_bytes()
    again = call(*train, run, "--resume")
    assert again.exit_code == 0
    assert "finished already" in again.stdout


def test_remains_of_a_killed_fit_do_not_matter(work: Path, tmp_path: Path) -> None:
    remains = tmp_path / "run" / ".snapshot.x.tmp"
    remains.mkdir(parents=True)
    answer("train", work / "split", "--out", tmp_path / "run", *QUICK)
    assert not remains.exists()


def test_a_finished_model_of_another_fit_is_not_taken_for_this_one(
    work: Path, tmp_path: Path
) -> None:
    train = ["train", work / "split", "--out", tmp_path / "run"]
    assert call(*train, *FIT).exit_code == 0
    others = {
        "hidden was 6 and is 7": [
            *train,
            "--model",
            "autorec",
            *settings("hidden=7", "epochs=9", "reg=2"),
            "--threads",
            1,
        ],
        "seed was 0 and is 9": [*train, *FIT, "--seed", 9],
        "model was 'autorec' and is 'bias'": [*train, "--model", "bias"],
        "data was": ["train", work / "ratings.csv", "--out", tmp_path / "run", *FIT],
        "There is no": ["train", work / "none.csv", "--out", tmp_path / "run", *FIT],
    }
    for said, command in others.items():
        result = call(*command, "--resume")
        assert result.exit_code == 1
        assert said in result.stderr
    assert "finished already" in call(*train, *FIT, "--resume").stdout


@pytest.mark.slow
def test_two_commands_do_not_fit_into_one_folder(work: Path, tmp_path: Path) -> None:
    with in_use(tmp_path / "run"):
        script = "from recollect.cli import main; main()"
        command = [sys.executable, "-c", script, "train", work / "split", "--out", tmp_path / "run"]
        other = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert other.returncode == 1
    assert "Another command is fitting into" in other.stderr
    assert call("train", work / "split", *QUICK, "--out", tmp_path / "run").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
