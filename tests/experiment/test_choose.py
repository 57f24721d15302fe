"""Candidates of a run: each split's validation ratings choose one."""

import pytest
from tests.experiment.experiment_files import TINY, plan_all, write_file

from recollect.errors import SettingError
from recollect.experiment.parse import read
from recollect.experiment.results import Results, job_of
from recollect.experiment.runner import run_tasks
from recollect.report.measured import measure
from recollect.report.render import markdown
from recollect.report.tables import make_report

CHOOSE = TINY.replace('like = "small"', 'like = "small"\nchoose = { reg = [1, 5] }')
MADE = {"release": "0.1", "versions": {}, "threads": 1, "date": "2026-01-02T03:04:05+00:00"}


def run_of(experiment, number=1):
    return experiment.tables["t"].runs["tiny"][number]


def test_a_candidate_for_each_combination_is_planned(tmp_path):
    text = CHOOSE.replace("reg = [1, 5]", "reg = [1, 5], hidden = [2, 3]")
    planned, todo, _ = plan_all(write_file(tmp_path, text), tmp_path / "results")
    assert [plan.run.name for plan in planned] == [
        "bias",
        "auto, reg = 1, hidden = 2",
        "auto, reg = 1, hidden = 3",
        "auto, reg = 5, hidden = 2",
        "auto, reg = 5, hidden = 3",
    ]
    assert len(todo) == 2 * 5


def test_or_the_candidates_are_listed(tmp_path):
    listed = "choose = [{ reg = 1, hidden = 2 }, { reg = 5, hidden = 3 }]"
    text = CHOOSE.replace("choose = { reg = [1, 5] }", listed)
    candidates = run_of(read(write_file(tmp_path, text))).candidates
    stated = [(each.settings["reg"], each.settings["hidden"]) for each in candidates]
    assert stated == [(1.0, 2), (5.0, 3)]


@pytest.mark.parametrize("choose", ["3", "[1, 2]", '"reg"'])
def test_other_kinds_of_choose_are_refused(choose, tmp_path):
    text = CHOOSE.replace("{ reg = [1, 5] }", choose)
    with pytest.raises(SettingError, match="choose has the values among which validation"):
        read(write_file(tmp_path, text))


def test_each_value_of_a_sweep_chooses_for_itself(tmp_path):
    text = CHOOSE.replace("choose =", "sweep = { hidden = [2, 3] }\nchoose =")
    experiment = read(write_file(tmp_path, text))
    swept = experiment.tables["t"].runs["tiny"][1:]
    assert [run.name for run in swept] == ["auto, hidden = 2", "auto, hidden = 3"]
    assert [[fit.settings["hidden"] for fit in run.fits] for run in swept] == [[2, 2], [3, 3]]


def write_record(results, job, *, valid, test):
    figures = {
        "test": {"rmse": test},
        "valid_rmse": valid,
        "n_train": 576,
        "n_valid": 64,
        "n_test": 160,
        "n_cold": 0,
        "fit_seconds": 1.0,
        "peak_memory_mb": 100.0,
        "curve": {"valid_rmse": []},
        "made": MADE,
    }
    results.write(job, figures)


@pytest.fixture
def measured(tmp_path):
    """Two splits with two candidates: validation chooses reg = 5, then reg = 1.

    On both splits test ratings would have chosen the other.
    """
    experiment = read(write_file(tmp_path, CHOOSE))
    results = Results(tmp_path / "results")
    results.note_data("planted/tiny", {"fingerprint": "f00", "users": 60, "items": 40})
    first, second = experiment.parts["tiny"].splits
    one, five = run_of(experiment).fits
    write_record(results, job_of(one, first, "f00"), valid=0.95, test=0.80)
    write_record(results, job_of(five, first, "f00"), valid=0.94, test=0.90)
    write_record(results, job_of(one, second, "f00"), valid=0.93, test=0.92)
    write_record(results, job_of(five, second, "f00"), valid=0.96, test=0.81)
    return experiment, results


def test_validation_chooses_on_each_split_and_test_has_no_part_in_it(measured):
    experiment, results = measured
    text = markdown(make_report(experiment, results), {})
    assert "| auto (reg = 5, 1 by validation) | 0.9100 | – | 2 |" in text


def test_nothing_is_chosen_before_all_candidates_have_figures(measured):
    experiment, results = measured
    first, _ = experiment.parts["tiny"].splits
    _, five = run_of(experiment).fits
    job = job_of(five, first, "f00")
    (results.folder / f"{job.key}.json").unlink()
    text = markdown(make_report(experiment, results), {})
    assert "| auto (reg = 1 by validation) | 0.9200 | – | 1 of 2 |" in text


def test_a_candidate_that_failed_is_named(measured):
    experiment, results = measured
    first, _ = experiment.parts["tiny"].splits
    _, five = run_of(experiment).fits
    results.write(job_of(five, first, "f00"), {"failed": "It became nan", "made": MADE})
    run = run_of(experiment)
    table = experiment.tables["t"]
    facts = {"fingerprint": "f00"}
    found = measure(run, table, experiment.parts["tiny"], results, facts)
    assert found.failures == ["It became nan"]


def test_a_run_with_candidates_is_run(tmp_path):
    path = write_file(tmp_path, CHOOSE)
    _, todo, results = plan_all(path, tmp_path / "results")
    records = [record for _, record in run_tasks(todo, processes=0)]
    experiment = read(path)
    table = experiment.tables["t"]
    facts = results.data()["planted/tiny"]
    chosen = measure(run_of(experiment), table, experiment.parts["tiny"], results, facts)
    assert chosen.chosen.startswith("reg = ")
    of_auto = [record for record in records if record["model"] == "autorec"]
    lowest = {
        seed: min(each["valid_rmse"] for each in of_auto if each["seed"] == seed) for seed in (0, 1)
    }
    assert [record["valid_rmse"] for record in chosen.records] == [lowest[0], lowest[1]]
