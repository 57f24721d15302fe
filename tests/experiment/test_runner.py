"""What is run, what its record holds, and what happens when something goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tests.experiment.experiment_files import CHECK, TINY, plan_all, write_file

import recollect as rc
from recollect.errors import SettingError, TrainingError
from recollect.experiment import results as results_module
from recollect.experiment import runner

pytestmark = pytest.mark.xdist_group("runner")  # its fixture is made once

# Two splits: too few for a t-test, so that the check needs errors by user.
WITH_CHECK = TINY + CHECK


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The tiny experiment, run as the command does, in processes of their own."""
    folder = tmp_path_factory.mktemp("done")
    planned, todo, results = plan_all(write_file(folder, WITH_CHECK), folder / "results")
    records = [record for _, record in runner.run_tasks(todo, processes=2)]
    return folder, planned, records, results


def test_each_job_has_a_record_of_what_it_was_and_its_figures(done):
    _, planned, records, results = done
    assert len(records) == 4
    record = results.read(planned[1].jobs[1])
    fingerprint = rc.load("planted/tiny").fingerprint
    assert (record["fingerprint"], record["seed"]) == (fingerprint, 1)
    assert (record["n_train"], record["n_valid"], record["n_test"]) == (576, 64, 160)
    assert (record["model"], record["settings"]["hidden"]) == ("autorec", 3)
    measured = ("fit_seconds", "seconds", "peak_memory_mb", "epochs")
    assert min(record[key] for key in measured) > 0
    errors = [error for _, error in record["curve"]["valid_rmse"]]
    # The curve begins after the first epoch; the best may be the start, the offsets alone.
    assert errors
    assert record["valid_rmse"] <= min(errors) * (1 + 1e-5)
    assert all(error == float(f"{error:.6g}") for error in errors)


def test_a_record_is_small_enough_for_a_repository(done):
    *_, results = done
    files = list(results.folder.iterdir())
    assert len(files) == 4 + 4 + 1  # records, errors by user, data.json
    assert max(file.stat().st_size for file in files) < 4096


def test_a_device_that_is_not_there_is_refused_and_no_record_written(tmp_path):
    _, todo, results = plan_all(write_file(tmp_path), tmp_path / "results")
    written = list(results.folder.glob("*.json"))

    with pytest.raises(SettingError, match='"cpu" or "cuda"'):
        list(runner.run_tasks(todo, processes=0, device="gpu"))

    assert list(results.folder.glob("*.json")) == written


def test_a_record_names_the_release_and_in_a_checkout_the_commit(done):
    made = done[2][0]["made"]
    assert made["release"] == results_module.version("recollect")
    if results_module._commit() is not None:
        assert made["commit"] == results_module._commit()
    assert set(made["versions"]) == {"torch", "numpy", "python"}


def test_a_record_holds_the_figures_of_the_same_fit_by_hand(done):
    _, planned, _, results = done
    split = rc.random_split(rc.load("planted/tiny"), test=0.2, valid=0.1, seed=1)
    model = rc.make("autorec", hidden=3, epochs=5, reg=2)
    model = model.fit(split.train, split.valid, rc.Run(seed=1, threads=1))
    scores = rc.held_out(model, split.test)
    record = results.read(planned[1].jobs[1])
    assert record["test"]["rmse"] == pytest.approx(scores["rmse"], rel=1e-5)
    sums = results.user_sums(planned[1].jobs[1])
    np.testing.assert_array_equal(sums.user, np.unique(split.test.user))
    n_ratings = sums.count.sum()
    assert n_ratings == 160
    assert np.sqrt(sums.sums["rmse"].sum() / n_ratings) == pytest.approx(scores["rmse"], rel=1e-5)
    assert sums.sums["mae"].sum() / n_ratings == pytest.approx(scores["mae"], rel=1e-5)


def test_finished_jobs_are_not_run_again_and_changed_ones_are(done):
    folder, *_, results = done
    path = folder / "paper.toml"
    assert plan_all(path, results.folder)[1] == []
    assert len(plan_all(path, results.folder, fresh=True)[1]) == 4
    changed = folder / "changed.toml"
    changed.write_text(TINY.replace("hidden = 3", "hidden = 4"))
    todo = plan_all(changed, results.folder)[1]
    assert [task.job.settings["hidden"] for task in todo] == [4, 4]
    changed.write_text(TINY.replace("repeat = 2", "repeat = 3"))
    assert [task.job.seed for task in plan_all(changed, results.folder)[1]] == [2, 2]
    changed.write_text(TINY.replace("valid = 0.1", "valid = 0.2"))
    assert len(plan_all(changed, results.folder)[1]) == 4


def test_errors_by_user_are_kept_only_where_a_check_needs_them(tmp_path):
    _, todo, results = plan_all(write_file(tmp_path), tmp_path / "results")
    list(runner.run_tasks(todo, processes=0))
    assert list(results.folder.glob("*.npz")) == []


def test_a_failed_run_is_recorded_with_the_reason_and_the_others_go_on(tmp_path):
    breaks = 'reg = 2\noptimizer = "sgd"\nlearning_rate = 1e30\nbatch_size = 4'
    path = write_file(tmp_path, TINY.replace("reg = 2", breaks))
    _, todo, results = plan_all(path, tmp_path / "results")
    records = {task.label: record for task, record in runner.run_tasks(todo, processes=0)}
    failed = {label: record["failed"] for label, record in records.items() if "failed" in record}
    assert set(failed) == {"tiny, t, auto, seed 0", "tiny, t, auto, seed 1"}
    assert all("lower learning_rate" in reason for reason in failed.values())
    again = plan_all(path, results.folder)[1]
    assert {task.label for task in again} == set(failed)


def test_a_process_that_dies_fails_alone(tmp_path, monkeypatch):
    _, todo, results = plan_all(write_file(tmp_path), tmp_path / "results")

    def dies_at_the_second(function, tasks, *, processes):
        for number, task in enumerate(tasks):
            if task.label.endswith("bias, seed 1"):
                raise TrainingError("A process ended without a word")
            yield {"test": {"rmse": number}}

    monkeypatch.setattr(runner, "run_each", dies_at_the_second)
    outcomes = list(runner.run_tasks(todo, processes=1))
    failed = [task.label for task, record in outcomes if "failed" in record]
    assert failed == ["tiny, t, bias, seed 1"]
    assert len(outcomes) == 4
    assert "without a word" in results.read(todo[1].job)["failed"]


KILLED = """
import sys
from recollect.cli import main
if __name__ == "__main__":
    main()
"""


@pytest.mark.slow
def test_after_a_kill_finished_jobs_stay_and_the_others_are_run(tmp_path):
    """Killed without warning when the first record exists; the same command does the others."""
    folder = tmp_path / "results"
    slow = TINY.replace("epochs = 5", "epochs = 2000\npatience = 2000\nvalidate_every = 1")
    path = write_file(tmp_path, slow)
    (tmp_path / "main.py").write_text(KILLED)
    command = [sys.executable, tmp_path / "main.py", "run", path, "--results", folder]
    command += ["--processes", "1"]

    def finished() -> set[str]:
        return {file.stem for file in folder.glob("*.json")} - {"data"}

    nothing = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **nothing) as child:
        until = time.monotonic() + 60
        while not finished() and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
    assert finished()
    left = {task.job.key for task in plan_all(path, folder)[1]}
    assert 0 < len(left) < 4
    assert not finished() & left


def test_a_record_is_plain_json_with_a_line_for_each_key(done):
    _, planned, _, results = done
    text = (results.folder / f"{planned[1].jobs[1].key}.json").read_text()
    assert len(text.splitlines()) == len(json.loads(text)) + 2
