"""A fit that is killed and taken up again ends as if nothing had happened, to the bit."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.sources.planted import planted
from recollect.errors import TrainingError
from recollect.registry import make
from recollect.run import Run

FITS = {
    "lbfgs": {"epochs": 20},
    "rprop": {"epochs": 20, "optimizer": "rprop", "patience": None},
    "adam": {
        "epochs": 12,
        "optimizer": "adam",
        "batch_size": 7,
        "learning_rate": 0.01,
        "dropout": 0.2,
        "input_dropout": 0.1,
        "hidden": (8, 4),
        "patience": None,
    },
    "refit": {"epochs": 12, "refit": True, "patience": None},
}
KILLED_IN = {"lbfgs": 8, "rprop": 8, "adam": 5, "refit": 12 + 4}  # the refit is in its second stage


def fit(name: str, run: Run, **other):
    """The same fit wherever it runs; `other` changes its settings."""
    parts = rc.random_split(planted(60, 40, 900, seed=3).ratings, test=0.1, valid=0.1, seed=0)
    model = make("autorec", **{"hidden": 8, "reg": 1.0, "validate_every": 3, **FITS[name], **other})
    return model.fit(parts.train, parts.valid, replace(run, seed=7, threads=1))


class Killer:
    """A watcher that kills its process, without warning, in the n-th epoch, before that is written down."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, figures: dict[str, float]) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def be_killed(folder: Path) -> None:
    """Run every fit in a child process of its own, until it kills itself; each leaves what it leaves in its folder."""
    for name, n in KILLED_IN.items():
        child = os.fork()
        if not child:
            fit(name, Run(folder=folder / name, snapshot_seconds=0.0, watchers=(Killer(n),)))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, (
            f"{name} ended before it was killed"
        )


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """A folder per fit, with what it left when it was killed."""
    folder = tmp_path_factory.mktemp("killed")
    code = f"import pathlib, test_resume; test_resume.be_killed(pathlib.Path({str(folder)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(killed, tmp_path) -> Path:
    """A copy of what the L-BFGS fit left, to be spoilt."""
    return Path(shutil.copytree(killed / "lbfgs", tmp_path / "run"))


def assert_same(a, b) -> None:
    for (name, x), (other, y) in zip(
        a.net_.state_dict().items(), b.net_.state_dict().items(), strict=True
    ):
        assert name == other
        assert torch.equal(x, y), name


@pytest.mark.parametrize("name", FITS)
def test_a_killed_fit_taken_up_ends_with_the_same_weights(name, killed, tmp_path):
    whole, seen = fit(name, Run()), []
    folder = Path(shutil.copytree(killed / name, tmp_path / "run"))
    resumed = fit(
        name,
        Run(folder=folder, resume=True, watchers=(lambda figures: seen.append(figures["epoch"]),)),
    )
    assert_same(whole, resumed)
    assert (resumed.history_.best_epoch, resumed.history_.best_valid_rmse) == (
        whole.history_.best_epoch,
        whole.history_.best_valid_rmse,
    )
    assert resumed.history_.column("train_rmse") == whole.history_.column("train_rmse")
    assert len(resumed.given_) == len(whole.given_)
    lost = KILLED_IN[name] - (
        12 if name == "refit" else 0
    )  # the epoch in which it was killed was not written
    assert seen[0] == lost
    assert seen == list(range(lost, lost + len(seen)))


def test_a_finished_fit_taken_up_has_nothing_left_to_do(tmp_path):
    run, seen = Run(folder=tmp_path), []
    whole = fit("lbfgs", run)
    again = fit("lbfgs", replace(run, resume=True, watchers=(seen.append,)))
    assert_same(whole, again)
    assert seen == []


def test_without_resume_a_fit_starts_from_the_beginning(folder):
    seen = []
    fit("lbfgs", Run(folder=folder, watchers=(seen.append,)))
    assert seen[0]["epoch"] == 1


def test_with_nothing_to_take_up_it_starts_from_the_beginning(tmp_path):
    assert_same(fit("adam", Run(folder=tmp_path, resume=True)), fit("adam", Run()))


def test_a_snapshot_changes_nothing(tmp_path):
    assert_same(fit("adam", Run(folder=tmp_path, snapshot_seconds=0.0)), fit("adam", Run()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_ends_the_epoch_and_writes_a_snapshot(number, tmp_path):
    def ask(figures):
        if figures["epoch"] == 5:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match="stopped after epoch 5; the snapshot is in"):
        fit("adam", Run(folder=tmp_path, watchers=(ask,)))
    assert signal.getsignal(number) is before
    seen = []
    resumed = fit(
        "adam",
        Run(
            folder=tmp_path, resume=True, watchers=(lambda figures: seen.append(figures["epoch"]),)
        ),
    )
    assert seen[0] == 6
    assert_same(resumed, fit("adam", Run()))


def test_stopped_without_a_folder_it_says_no_more_than_that():
    def ask(figures):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"^stopped after epoch 1$"):
        fit("adam", Run(watchers=(ask,)))


def test_other_settings_are_refused_and_named(folder):
    with pytest.raises(
        TrainingError, match=r"another fit: hidden was 8 and is 9, reg was 1\.0 and is 2\.0\. Use"
    ):
        fit("lbfgs", Run(folder=folder, resume=True), hidden=9, reg=2.0)


def test_another_seed_is_refused_and_named(folder):
    parts = rc.random_split(planted(60, 40, 900, seed=3).ratings, test=0.1, valid=0.1, seed=0)
    model = make("autorec", hidden=8, reg=1.0, validate_every=3, epochs=20)
    with pytest.raises(TrainingError, match=r"another fit: seed was 7 and is 8"):
        model.fit(parts.train, parts.valid, Run(folder=folder, resume=True, seed=8, threads=1))


def test_other_data_are_refused_and_named(folder):
    parts = rc.random_split(planted(60, 40, 900, seed=3).ratings, test=0.1, valid=0.1, seed=0)
    model, run = (
        make("autorec", hidden=8, reg=1.0, validate_every=3, epochs=20),
        Run(folder=folder, resume=True, seed=7, threads=1),
    )
    one = replace(
        parts.train,
        value=np.where(np.arange(len(parts.train)) == 0, 6 - parts.train.value, parts.train.value),
    )
    with pytest.raises(
        TrainingError,
        match=f"another fit: train was {parts.train.fingerprint!r} and is {one.fingerprint!r}",
    ):
        model.fit(one, parts.valid, run)
    with pytest.raises(
        TrainingError, match=f"another fit: valid was {parts.valid.fingerprint!r} and is None"
    ):
        model.fit(parts.train, None, run)


def test_a_refused_snapshot_is_still_there(folder):
    with pytest.raises(TrainingError):
        fit("lbfgs", Run(folder=folder, resume=True), hidden=9)
    seen = []
    fit("lbfgs", Run(folder=folder, resume=True, watchers=(seen.append,)))
    assert seen[0]["epoch"] == 8


def test_a_torn_snapshot_is_refused(folder):
    state = folder / "snapshot" / "state.json"
    state.write_bytes(state.read_bytes()[:-20])
    with pytest.raises(TrainingError, match=r"cannot be read.*; remove the folder and fit anew"):
        fit("lbfgs", Run(folder=folder, resume=True))
