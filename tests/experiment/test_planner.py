"""Which jobs a file asks for, which are left to do, and how many run at a time."""

import pytest
from tests.experiment.experiment_files import CHECK, TINY, plan_all, write_file

import recollect as rc
from recollect.data import download
from recollect.experiment import part_data, planner, runner
from recollect.experiment.results import Results
from recollect.experiment.spec import Part, SplitSpec
from recollect.memory_estimate import Shape
from recollect.system.available_memory import MemoryLimit


def test_a_run_in_two_tables_is_one_job(tmp_path):
    text = TINY + '\n[[table]]\nname = "u"\n[[table.run]]\nname = "other name"\nmodel = "bias"\n'
    planned, todo, _ = plan_all(write_file(tmp_path, text), tmp_path / "results")
    assert sum(len(plan.jobs) for plan in planned) == 6
    assert len(todo) == 4


def test_errors_by_user_are_kept_if_another_table_of_the_file_compares_them(tmp_path):
    other = '\n[[table]]\nname = "u"\nsplits = 1\n[[table.run]]\nname = "bias"\nmodel = "bias"\n'
    other += '[[table.run]]\nname = "auto"\nlike = "small"\n' + CHECK
    text = TINY.replace("repeat = 2", "repeat = 3") + other
    _, todo, _ = plan_all(write_file(tmp_path, text), tmp_path / "results")
    kept = {task.label for task in todo if task.keeps_user_sums}
    assert kept == {"tiny, t, bias, seed 0", "tiny, t, auto, seed 0"}


def test_missing_data_are_reported_and_nothing_is_downloaded(tmp_path, monkeypatch):
    def no_network(*args, **more):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(download.pooch, "os_cache", lambda name: tmp_path / "cache")
    monkeypatch.setattr(download, "download", no_network)
    path = write_file(tmp_path, TINY.replace("planted/tiny", "movielens/10m"))
    planned, todo, results = plan_all(path, tmp_path / "results")
    assert todo == []
    assert [plan.jobs for plan in planned] == [(), ()]
    assert results.data()["movielens/10m"]["missing"] == (
        "movielens/10m is not here; `recollect data fetch movielens/10m` gets it, "
        "or put it at $RECOLLECT_DATA/ml-10m"
    )


def test_of_other_parts_it_is_noted_whether_their_data_are_missing(tmp_path, monkeypatch):
    def only_planted(name: str) -> str | None:
        return None if name.startswith("planted") else "not here"

    monkeypatch.setattr(part_data.open_data, "missing", only_planted)
    results = Results(tmp_path)
    names = ("planted/tiny", "planted/big", "far/x")
    parts = [Part(name, name, {"how": "random"}) for name in names]
    data = planner.look_for_data(parts[:1], results, other_parts=parts)
    assert "fingerprint" in data["planted/tiny"]
    assert (data["planted/big"], data["far/x"]) == ({}, {"missing": "not here"})
    monkeypatch.setattr(part_data.open_data, "missing", lambda name: None)
    planner.look_for_data(parts[:1], results, other_parts=parts)
    assert results.data()["far/x"] == {}


def test_data_that_go_missing_keep_what_was_measured_of_them(tmp_path, monkeypatch):
    """Another machine, without these data, must still draw the rows that were made from them."""
    results = Results(tmp_path)
    part = Part("tiny", "planted/tiny", {"how": "random"})
    measured = planner.look_for_data([part], results)["planted/tiny"]
    monkeypatch.setattr(part_data.open_data, "missing", lambda name: "not here")
    assert planner.look_for_data([part], results) == {"planted/tiny": {"missing": "not here"}}
    assert results.data() == {"planted/tiny": measured}


@pytest.mark.parametrize(
    ("needs", "cores", "available", "n"),
    [
        ([1, 1, 1, 1], 2, 100, 2),  # no more than cores
        ([1, 1], 8, 100, 2),  # no more than jobs
        ([5, 1, 4, 1], 4, 9, 2),  # the largest together: 5 + 4 fit, 5 + 4 + 1 do not
        ([50], 4, 10, 1),  # one is always tried; the fit itself refuses if it is too large
        ([5, 5], 4, None, 2),
    ],
)
def test_as_many_run_at_a_time_as_cores_and_memory_allow(needs, cores, available, n):
    assert planner.processes_that_fit(needs, cores=cores, available=available) == n


def test_the_memory_of_a_job_is_that_which_the_model_predicts(tmp_path, monkeypatch):
    _, todo, _ = plan_all(write_file(tmp_path), tmp_path / "results")
    task = todo[0]
    shape = Shape(n_users=60, n_items=40, n_train=800)
    assert task.memory > rc.make("bias").memory(shape).peak
    monkeypatch.setattr(
        runner, "available_memory", lambda: MemoryLimit(task.memory, "this machine")
    )
    monkeypatch.setattr(runner, "available_cores", lambda: 4)
    assert runner._default_processes([task] * 4) == 1


def test_published_folds_have_their_own_validation_part(monkeypatch):
    split = rc.random_split(rc.load("planted/tiny"), test=0.2, seed=0)
    monkeypatch.setattr(part_data.movielens, "fold", lambda k: (split.train, split.test))
    part = Part("100k", "movielens/100k", {})
    spec = SplitSpec({"how": "published", "fold": 2, "valid": 0.1}, 2)
    fold = part_data.split_part(part, spec)
    assert (len(fold.train), len(fold.valid), len(fold.test)) == (576, 64, 160)
    assert fold.settings == {"fold": 2, "valid": 0.1}
