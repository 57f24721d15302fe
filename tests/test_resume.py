"""A fit that is killed and resumed ends as if nothing had happened, to the bit."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

import recollect as rc
from recollect.data.sources.planted import planted
from recollect.errors import TrainingError
from recollect.registry import make
from recollect.run import Run
from recollect.system.locks import Lock
from recollect.training import snapshot

pytestmark = pytest.mark.xdist_group("resume")  # its fixture is made once

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
    """A watcher that kills its process, without warning, in the n-th epoch, before that is written
    down."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, figures: dict[str, float]) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def be_killed(folder: Path) -> None:
    """Run every fit in a child process of its own, until it kills itself; each leaves what it
    leaves in its folder."""
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
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture
def folder(killed, tmp_path) -> Path:
    """A copy of what the L-BFGS fit left, which a test may spoil."""
    return Path(shutil.copytree(killed / "lbfgs", tmp_path / "run"))


class Epochs:
    """A watcher that notes the number of each epoch."""

    def __init__(self) -> None:
        self.numbers: list[float] = []

    def __call__(self, figures: dict[str, float]) -> None:
        self.numbers.append(figures["epoch"])


def assert_same_weights(actual, expected) -> None:
    weights = actual.net_.state_dict()
    expected_weights = expected.net_.state_dict()
    assert list(weights) == list(expected_weights)
    for name, weight in weights.items():
        assert torch.equal(weight, expected_weights[name]), name


@pytest.mark.parametrize("name", FITS)
def test_a_killed_fit_resumes_and_ends_with_the_same_weights(name, killed, tmp_path):
    uninterrupted = fit(name, Run())
    folder = Path(shutil.copytree(killed / name, tmp_path / "run"))
    epochs = Epochs()
    resumed = fit(name, Run(folder=folder, resume=True, watchers=(epochs,)))
    assert_same_weights(resumed, uninterrupted)
    history, expected = resumed.history_, uninterrupted.history_
    assert history.best_epoch == expected.best_epoch
    assert history.best_valid_rmse == expected.best_valid_rmse
    assert history.column("train_rmse") == expected.column("train_rmse")
    assert len(resumed.given_) == len(uninterrupted.given_)
    # The epoch in which it was killed was not written.
    first = KILLED_IN[name] - (12 if name == "refit" else 0)
    assert epochs.numbers == list(range(first, first + len(epochs.numbers)))
    assert epochs.numbers


def test_a_finished_fit_that_is_resumed_has_nothing_left_to_do(tmp_path):
    run = Run(folder=tmp_path)
    finished = fit("lbfgs", run)
    epochs = Epochs()
    resumed = fit("lbfgs", replace(run, resume=True, watchers=(epochs,)))
    assert_same_weights(resumed, finished)
    assert epochs.numbers == []


@pytest.mark.parametrize("name", ["lbfgs", "refit"])
def test_two_fits_do_not_keep_snapshots_in_one_folder(name, tmp_path):
    run = Run(folder=tmp_path / "run", snapshot_seconds=0.0)
    problems = []

    def fit_beside(figures):
        with ThreadPoolExecutor(1) as pool:
            problems.append(pool.submit(fit, "lbfgs", run).exception(timeout=60))

    held = fit(name, replace(run, watchers=(fit_beside,)))
    assert_same_weights(held, fit(name, Run()))
    assert {type(problem) for problem in problems} == {TrainingError}
    assert "Another fit keeps its snapshots in" in str(problems[0])
    assert os.listdir(tmp_path) == ["run"]
    assert_same_weights(fit(name, replace(run, resume=True)), held)


def test_a_fit_within_a_fit_may_have_its_folder(tmp_path):
    run = Run(folder=tmp_path / "run")
    inner = []

    def fit_within(figures):
        inner.append(fit("lbfgs", run, epochs=1))

    held = fit("lbfgs", replace(run, watchers=(fit_within,)))
    assert_same_weights(held, fit("lbfgs", Run()))
    assert len(inner) == len(held.history_)
    assert os.listdir(tmp_path) == ["run"]


def test_a_folder_that_cannot_be_locked_does_not_end_the_fit(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError

    monkeypatch.setattr(Lock, "take", refuse)
    run = Run(folder=tmp_path / "run")
    held = fit("lbfgs", run)
    monkeypatch.undo()
    epochs = Epochs()
    assert_same_weights(fit("lbfgs", replace(run, resume=True, watchers=(epochs,))), held)
    assert epochs.numbers == []


def test_without_resume_a_fit_starts_from_the_beginning(folder):
    epochs = Epochs()
    fit("lbfgs", Run(folder=folder, watchers=(epochs,)))
    assert epochs.numbers[0] == 1


@pytest.mark.slow
def test_without_a_snapshot_a_fit_starts_from_the_beginning(tmp_path):
    assert_same_weights(fit("adam", Run(folder=tmp_path, resume=True)), fit("adam", Run()))


def test_a_snapshot_changes_nothing(tmp_path):
    assert_same_weights(fit("adam", Run(folder=tmp_path, snapshot_seconds=0.0)), fit("adam", Run()))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_ends_the_epoch_and_writes_a_snapshot(number, tmp_path):
    def ask(figures):
        if figures["epoch"] == 5:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt, match="stopped after epoch 5; the snapshot is in"):
        fit("adam", Run(folder=tmp_path, watchers=(ask,)))
    assert signal.getsignal(number) is before
    epochs = Epochs()
    resumed = fit("adam", Run(folder=tmp_path, resume=True, watchers=(epochs,)))
    assert epochs.numbers[0] == 6
    assert_same_weights(resumed, fit("adam", Run()))


def test_a_fit_stopped_without_a_folder_names_no_snapshot():
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
    train, valid = parts.train, parts.valid
    model = make("autorec", hidden=8, reg=1.0, validate_every=3, epochs=20)
    run = Run(folder=folder, resume=True, seed=7, threads=1)
    is_first = np.arange(len(train)) == 0
    changed = replace(train, value=np.where(is_first, 6 - train.value, train.value))
    message = f"another fit: train was {train.fingerprint!r} and is {changed.fingerprint!r}"
    with pytest.raises(TrainingError, match=message):
        model.fit(changed, valid, run)
    message = f"another fit: valid was {valid.fingerprint!r} and is None"
    with pytest.raises(TrainingError, match=message):
        model.fit(train, None, run)


def test_a_refused_snapshot_is_still_there(folder):
    with pytest.raises(TrainingError):
        fit("lbfgs", Run(folder=folder, resume=True), hidden=9)
    epochs = Epochs()
    fit("lbfgs", Run(folder=folder, resume=True, watchers=(epochs,)))
    assert epochs.numbers[0] == 8


def test_a_torn_snapshot_is_refused(folder):
    state = folder / "snapshot" / "state.json"
    state.write_bytes(state.read_bytes()[:-20])
    with pytest.raises(TrainingError, match=r"cannot be read.*; remove the folder and fit anew"):
        fit("lbfgs", Run(folder=folder, resume=True))


class Disk:
    """A disk that fills up in one epoch and has space again in a later one."""

    def __init__(self, monkeypatch, *, full_from: int, full_to: int) -> None:
        self.epoch = 0
        write = snapshot.save_file

        def may_fail(tensors, path):
            if full_from <= self.epoch < full_to:
                raise SafetensorError("I/O error: No space left on device (os error 28)")
            write(tensors, path)

        monkeypatch.setattr(snapshot, "save_file", may_fail)

    def __call__(self, figures) -> None:
        self.epoch = int(figures["epoch"])


@pytest.mark.slow
def test_a_snapshot_that_cannot_be_written_is_a_warning_and_the_fit_goes_on(
    tmp_path, monkeypatch, caplog
):
    disk = Disk(monkeypatch, full_from=3, full_to=99)
    run = Run(folder=tmp_path, snapshot_seconds=0.0, watchers=(disk,))
    assert_same_weights(fit("adam", run), fit("adam", Run()))
    assert "The snapshot of epoch 3 could not be written" in caplog.text
    assert "can be resumed from the snapshot of epoch 2 only" in caplog.text
    monkeypatch.undo()
    epochs = Epochs()
    resumed = fit("adam", Run(folder=tmp_path, resume=True, watchers=(epochs,)))
    assert epochs.numbers[0] == 3
    assert_same_weights(resumed, fit("adam", Run()))


@pytest.mark.parametrize(
    ("full_from", "said"),
    [(4, "the snapshot in .* is of epoch 3"), (1, "no snapshot could be written")],
)
def test_stopped_while_the_disk_is_full_it_says_what_is_kept(
    full_from, said, tmp_path, monkeypatch
):
    disk = Disk(monkeypatch, full_from=full_from, full_to=99)

    def ask(figures):
        if figures["epoch"] == 5:
            os.kill(os.getpid(), signal.SIGINT)

    run = Run(folder=tmp_path, snapshot_seconds=0.0, watchers=(disk, ask))
    with pytest.raises(KeyboardInterrupt, match=f"stopped after epoch 5; {said}"):
        fit("adam", run)
