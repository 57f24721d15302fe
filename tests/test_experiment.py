"""Experiments: what a file may say, what is run and what is not run again, what happens when something goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import recollect as rc
from recollect.errors import DataError, SettingError, TrainingError
from recollect.experiment import file, results, work
from recollect.experiment.results import Results
from recollect.system.available_memory import MemoryLimit

ROOT = Path(__file__).parents[1]
TINY = """
paper = "A paper."
[part.tiny]
data = "planted/tiny"
split = { how = "random", test = 0.2, valid = 0.1, repeat = 2 }
[like.small]
model = "autorec"
hidden = 3
epochs = 5
reg = 2
[[table]]
name = "t"
[[table.run]]
name = "bias"
model = "bias"
claim.tiny = { value = 0.9, where = "Table 1", within = 0.01 }
[[table.run]]
name = "auto"
like = "small"
"""


def written(folder: Path, text: str = TINY) -> Path:
    path = folder / "paper.toml"
    path.write_text(text)
    return path


def all_of(path: Path, folder: Path, **how) -> tuple[list[work.Planned], list[work.Task], Results]:
    """What a file plans and what is left to do, with its data looked for."""
    experiment, kept = file.read(path), Results(folder)
    chosen = file.chosen(experiment, ())
    data = work.look_for_data([part for _, part in chosen], kept)
    planned = work.plan(chosen, data)
    return planned, work.tasks(planned, kept, data, **how), kept


# --- what a file says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", sorted((ROOT / "experiments").glob("*.toml")), ids=lambda p: p.stem
)
def test_the_files_of_the_house_are_right(path):
    """Every model, setting, data set, split and name in them exists."""
    experiment = file.read(path)
    for table in experiment.tables.values():
        for part, entries in table.entries.items():
            assert entries
            assert table.cuts(experiment.parts[part])


def test_one_table_on_one_data_set_needs_neither_part_nor_table(tmp_path):
    """The shortest file, as in docs/experiments.md."""
    found = file.read(
        written(
            tmp_path,
            """
paper = "A paper."
data = "planted/tiny"
split = { how = "random", test = 0.1, repeat = 5 }
[[run]]
model = "autorec"
hidden = 7
claim = { value = 0.831, where = "Table 1a", within = 0.003 }
""",
        )
    )
    (table,) = found.tables.values()
    (entry,) = table.entries["tiny"]
    assert (entry.name, entry.settings["hidden"], entry.claim) == (
        "autorec",
        7,
        file.Claim(0.831, "Table 1a", 0.003),
    )
    assert [cut.seed for cut in found.parts["tiny"].cuts] == [0, 1, 2, 3, 4]


def test_a_run_is_what_it_is_like_then_what_is_its_own_each_first_in_general_then_on_the_part(
    tmp_path,
):
    text = TINY.replace("reg = 2", "reg = 2\non.tiny = { reg = 3, init = 0.5 }").replace(
        'like = "small"', 'like = "small"\nreg = 4\non.tiny = { epochs = 6 }'
    )
    (_, entry) = file.read(written(tmp_path, text)).tables["t"].entries["tiny"]
    assert {key: entry.settings[key] for key in ("hidden", "reg", "init", "epochs")} == {
        "hidden": 3,
        "reg": 4.0,
        "init": 0.5,
        "epochs": 6,
    }


def test_a_sweep_is_a_run_for_each_value_or_pair_of_values(tmp_path):
    text = TINY.replace(
        'like = "small"', 'like = "small"\nsweep = { hidden = [2, [4, 2]], reg = [1, 5] }'
    )
    (_, *entries) = file.read(written(tmp_path, text)).tables["t"].entries["tiny"]
    assert [(entry.name, entry.settings["hidden"], entry.settings["reg"]) for entry in entries] == [
        ("auto, hidden = 2, reg = 1", 2, 1.0),
        ("auto, hidden = 2, reg = 5", 2, 5.0),
        ("auto, hidden = 4, 2, reg = 1", (4, 2), 1.0),
        ("auto, hidden = 4, 2, reg = 5", (4, 2), 5.0),
    ]
    assert {entry.line for entry in entries} == {"auto"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "reg = 2",
            "rge = 2",
            "table t: run auto: There is no setting of autorec 'rge'. Did you mean 'reg'? Known: batch_size, ",
        ),
        ("reg = 2", 'reg = "much"', "setting reg takes float, found 'much'"),
        ('model = "bias"', 'model = "bais"', "There is no model 'bais'. Did you mean 'bias'?"),
        (
            '"planted/tiny"',
            '"planted/tinny"',
            "part tiny: There is no data set or file 'planted/tinny'. Did you mean",
        ),
        ('"random"', '"rndom"', "There is no split 'rndom'. Did you mean 'random'?"),
        (
            "test = 0.2",
            "tset = 0.2",
            "There is no setting of the random split 'tset'. Did you mean 'test'?",
        ),
        ('"random", test = 0.2', '"published"', "setting of the published split 'repeat'"),
        ("repeat = 2", "repeat = 0", "repeat is how many splits, 1 or more; found 0"),
        ('like = "small"', 'like = "large"', "There is no like 'large'. Known: small."),
        ("claim.tiny", "claim.huge", "There is no part with a claim 'huge'. Known: tiny."),
        ('where = "Table 1"', 'whence = "Table 1"', "There is no key of a claim 'whence'"),
        ('name = "t"', 'name = "t"\nparts = ["huge"]', "There is no part 'huge'"),
        (
            'name = "t"',
            'name = "t"\nfigure = "hidden"',
            "There is no figure 'hidden'. Known: counts, epochs, runs.",
        ),
        ('name = "t"', 'naem = "t"', "There is no key of a table 'naem'. Did you mean 'name'?"),
        ('name = "auto"', 'name = "bias"', "The run 'bias' stands twice"),
        ('model = "bias"', "", "table t: run bias: "),
        (
            'paper = "A paper."',
            'papre = "A paper."',
            "There is no key 'papre'. Did you mean 'paper'?",
        ),
        ('paper = "A paper."', "", "paper is missing"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_is_known(tmp_path, old, new, said):
    text = TINY.replace(old, new, 1)
    if said == "table t: run bias: ":
        text = text.replace('claim.tiny = { value = 0.9, where = "Table 1", within = 0.01 }', "")
        said = "It has no model: then it has a name and a claim"
    with pytest.raises(SettingError) as told:
        file.read(written(tmp_path, text))
    assert said in str(told.value)
    assert str(told.value).startswith(str(tmp_path / "paper.toml"))


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ('below = ["auto", "nobody"]', "There is no run of this table 'nobody'"),
        ('falls = "auto"', "There is no swept run of this table 'auto'"),
        ('below = ["auto"]', "below takes two runs, or two lists of runs"),
        ("", "It has 0 of below, near, lowest, falls, overfits; give it one"),
    ],
)
def test_a_check_names_what_is_there(tmp_path, check, said):
    text = f'{TINY}\n[[table.check]]\nsays = "so"\nwhere = "there"\n{check}\n'
    with pytest.raises(SettingError, match=said):
        file.read(written(tmp_path, text))


def test_what_is_no_toml_is_told(tmp_path):
    with pytest.raises(DataError, match="is not TOML"):
        file.read(written(tmp_path, "paper = "))


def test_parts_and_tables_are_chosen_by_name(tmp_path):
    experiment = file.read(
        written(tmp_path, TINY + '\n[[table]]\nname = "u"\n[[table.run]]\nmodel = "bias"\n')
    )
    assert [(t.name, p.name) for t, p in file.chosen(experiment, ["u"])] == [("u", "tiny")]
    assert [(t.name, p.name) for t, p in file.chosen(experiment, ["tiny"])] == [
        ("t", "tiny"),
        ("u", "tiny"),
    ]
    with pytest.raises(SettingError, match="part or table of paper 'v'"):
        file.chosen(experiment, ["v"])


# --- what is run ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The tiny experiment, run as the command does, in processes of their own."""
    folder = tmp_path_factory.mktemp("done")
    planned, todo, kept = all_of(written(folder), folder / "results")
    records = [record for _, record in work.each(todo, processes=2)]
    return folder, planned, records, kept


def test_each_run_on_each_split_has_a_record_of_what_it_was_and_what_came_out(done):
    _, planned, records, kept = done
    assert len(records) == 4
    record = kept.read(planned[1].jobs[1])
    ratings = rc.load("planted/tiny")
    assert (record["fingerprint"], record["seed"], record["model"]) == (
        ratings.fingerprint,
        1,
        "autorec",
    )
    assert (record["n_train"], record["n_valid"], record["n_test"]) == (576, 64, 160)
    assert record["settings"]["hidden"] == 3
    assert record["made"]["source"] == results.source_digest("autorec")
    assert (
        min(
            record["fit_seconds"], record["seconds"], record["peak_memory_mb"], record["best_epoch"]
        )
        > 0
    )
    assert min(error for _, error in record["curve"]["valid_rmse"]) == pytest.approx(
        record["valid_rmse"]
    )


def test_a_record_holds_what_a_fit_by_hand_gives(done):
    _, planned, _, kept = done
    split = rc.random_split(rc.load("planted/tiny"), test=0.2, valid=0.1, seed=1)
    model = rc.make("autorec", hidden=3, epochs=5, reg=2).fit(
        split.train, split.valid, rc.Run(seed=1, threads=1)
    )
    scores = rc.held_out(model, split.test)
    record, errors = kept.read(planned[1].jobs[1]), kept.errors(planned[1].jobs[1])
    assert record["test"]["rmse"] == pytest.approx(scores["rmse"], rel=1e-5)
    assert np.sqrt(errors["squared_error"].mean()) == pytest.approx(
        record["test"]["rmse"], rel=1e-5
    )
    np.testing.assert_array_equal(errors["user"], split.test.user)


def test_what_has_a_result_is_not_run_again_and_what_changes_is(done):
    folder, *_, kept = done
    assert all_of(folder / "paper.toml", kept.folder)[1] == []
    assert len(all_of(folder / "paper.toml", kept.folder, fresh=True)[1]) == 4
    changed = folder / "changed.toml"
    changed.write_text(TINY.replace("hidden = 3", "hidden = 4"))
    assert [task.job.settings["hidden"] for task in all_of(changed, kept.folder)[1]] == [4, 4]
    changed.write_text(TINY.replace("repeat = 2", "repeat = 3"))
    assert [task.job.seed for task in all_of(changed, kept.folder)[1]] == [2, 2]
    changed.write_text(TINY.replace("valid = 0.1", "valid = 0.2"))
    assert len(all_of(changed, kept.folder)[1]) == 4


def test_a_run_that_stands_in_two_tables_is_run_once(tmp_path):
    text = TINY + '\n[[table]]\nname = "u"\n[[table.run]]\nname = "other name"\nmodel = "bias"\n'
    planned, todo, _ = all_of(written(tmp_path, text), tmp_path / "results")
    assert (sum(len(each.jobs) for each in planned), len(todo)) == (6, 4)


def test_a_result_of_other_source_code_is_known_as_such(done, monkeypatch):
    record = done[2][0]
    assert not results.is_old(record)
    monkeypatch.setattr(results, "source_digest", lambda model: "other")
    assert results.is_old(record)


def test_the_source_of_one_model_does_not_date_the_results_of_another():
    assert results.source_digest("bias") != results.source_digest("autorec")


def test_what_source_code_only_says_does_not_date_results(tmp_path):
    path = tmp_path / "some.py"

    def code(said, error, number):
        path.write_text(
            f'def f(x):\n    """{said}"""\n    if x:\n        raise ValueError("{error}")  # {said}\n'
            f"    return {number}\n"
        )
        return results._code(path)

    assert code("one", "bad", 1) == code("two", "worse", 1) != code("one", "bad", 2)


def test_a_damaged_result_is_told(done, tmp_path):
    kept = Results(tmp_path)
    (tmp_path / f"{done[1][0].jobs[0].key}.json").write_text("{")
    with pytest.raises(rc.RecollectError, match="is damaged"):
        kept.read(done[1][0].jobs[0])


# --- what goes wrong ------------------------------------------------------------------------------------------------


def test_a_run_that_fails_is_recorded_with_the_reason_and_the_others_go_on(tmp_path):
    text = TINY.replace(
        "reg = 2", 'reg = 2\noptimizer = "sgd"\nlearning_rate = 1e30\nbatch_size = 4'
    )
    _, todo, kept = all_of(written(tmp_path, text), tmp_path / "results")
    records = {task.label: record for task, record in work.each(todo, processes=0)}
    failed = {label: record["failed"] for label, record in records.items() if "failed" in record}
    assert set(failed) == {"tiny, t, auto, seed 0", "tiny, t, auto, seed 1"}
    assert all("lower learning_rate" in why for why in failed.values())
    again = all_of(tmp_path / "paper.toml", kept.folder)[1]
    assert {task.label for task in again} == set(
        failed
    )  # a failed one is tried again, the others are there


def test_a_process_that_dies_fails_alone(tmp_path, monkeypatch):
    _, todo, kept = all_of(written(tmp_path), tmp_path / "results")

    def dies_at_the_second(function, inputs, *, processes):
        for number, task in enumerate(inputs):
            if task.label.endswith("bias, seed 1"):
                raise TrainingError("A process ended without a word")
            yield {"test": {"rmse": number}}

    monkeypatch.setattr(work.jobs, "each", dies_at_the_second)
    found = [(task.label, record.get("failed")) for task, record in work.each(todo, processes=1)]
    assert [label for label, why in found if why] == ["tiny, t, bias, seed 1"]
    assert len(found) == 4
    assert "without a word" in kept.read(todo[1].job)["failed"]


KILLED = """
import sys
from recollect.cli import main
if __name__ == "__main__":
    main()
"""


def test_after_a_kill_what_is_finished_stays_and_the_rest_is_run(tmp_path):
    """Killed without warning when the first result is there; the same command does the others only."""
    path, kept = written(tmp_path), tmp_path / "results"
    text = TINY.replace("epochs = 5", "epochs = 2000\npatience = 2000\nlook_every = 1")
    path.write_text(text)
    (tmp_path / "main.py").write_text(KILLED)
    command = [
        sys.executable,
        str(tmp_path / "main.py"),
        "run",
        str(path),
        "--results",
        str(kept),
        "--processes",
        "1",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as child:
        until = time.monotonic() + 60
        while len(list(kept.glob("*.safetensors"))) < 1 and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
    there = {p.stem for p in kept.glob("*.safetensors")}
    left = [task.job.key for task in all_of(path, kept)[1]]
    assert there
    assert 0 < len(left) < 4
    assert not there & set(left)


# --- data that are not here, memory ----------------------------------------------------------------------------------


def test_data_that_are_not_here_are_told_and_nothing_is_downloaded(tmp_path, monkeypatch):
    def no_network(*args, **more):
        raise AssertionError("nothing may be downloaded")

    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(work.fetch.pooch, "os_cache", lambda name: tmp_path / "cache")
    monkeypatch.setattr(work.fetch, "download", no_network)
    path = written(tmp_path, TINY.replace("planted/tiny", "movielens/10m"))
    planned, todo, kept = all_of(path, tmp_path / "results")
    assert todo == []
    assert [each.jobs for each in planned] == [(), ()]
    assert kept.data()["movielens/10m"]["missing"] == (
        "movielens/10m is not here; `recollect data fetch movielens/10m` gets it, or put it at $RECOLLECT_DATA/ml-10m"
    )


def test_of_parts_that_are_not_asked_for_it_is_only_known_whether_their_data_are_here(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(
        work, "missing", lambda name: None if name.startswith("planted") else "not here"
    )
    kept = Results(tmp_path)
    parts = [
        file.Part(name, name, {"how": "random"})
        for name in ("planted/tiny", "planted/big", "far/x")
    ]
    data = work.look_for_data(parts[:1], kept, others=parts)
    assert set(data) == {"planted/tiny", "far/x"}
    assert data["far/x"] == {"missing": "not here"}
    monkeypatch.setattr(work, "missing", lambda name: None)
    assert work.look_for_data(parts[:1], kept, others=parts)["far/x"] == {}


@pytest.mark.parametrize(
    ("needs", "cores", "available", "n"),
    [
        ([1, 1, 1, 1], 2, 100, 2),  # no more than cores
        ([1, 1], 8, 100, 2),  # no more than jobs
        ([5, 1, 4, 1], 4, 9, 2),  # the largest together: 5 + 4 fit, 5 + 4 + 1 do not
        ([50], 4, 10, 1),  # one is always tried: it says itself if it is too large
        ([5, 5], 4, None, 2),
    ],
)
def test_as_many_run_at_once_as_cores_and_memory_allow(needs, cores, available, n):
    assert work.at_once(needs, cores=cores, available=available) == n


def test_the_memory_of_a_job_is_that_which_the_model_predicts(done, monkeypatch):
    folder, *_, kept = done
    task = all_of(folder / "paper.toml", kept.folder, fresh=True)[1][-1]
    assert (
        task.memory > rc.make("bias").memory(work.Shape(n_users=60, n_items=40, n_train=800)).peak
    )
    monkeypatch.setattr(work, "available", lambda: MemoryLimit(task.memory, "this machine"))
    assert work.at_once([task.memory] * 4, cores=4, available=work.available().bytes) == 1


def test_published_folds_have_their_own_validation_part(monkeypatch):
    split = rc.random_split(rc.load("planted/tiny"), test=0.2, seed=0)
    monkeypatch.setattr(work.movielens, "fold", lambda k: (split.train, split.test))
    found = work.cut(
        file.Part("100k", "movielens/100k", {}),
        file.Cut({"how": "published", "fold": 2, "valid": 0.1}, 2),
    )
    assert (len(found.train), len(found.valid), len(found.test)) == (576, 64, 160)
    assert json.loads(json.dumps(found.settings)) == {"fold": 2, "valid": 0.1}


# --- texts of items -------------------------------------------------------------------------------------------------


WITH_TEXT = TINY.replace(
    "[like.small]",
    """text = "plot.item"
vectors = "glove/small.txt"
reading = { n_words = 30, most = 1 }
[like.small]""",
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of data with the documents of the items of planted/tiny, which has no folder of its own, and word vectors."""
    home = tmp_path / "data"
    (home / "glove").mkdir(parents=True)
    (home / "plot.item").write_text("".join(f"{j}::toy word{j}\n" for j in range(1, 41)))
    (home / "glove" / "small.txt").write_text("toy 1 0\nword1 0 1\n")
    monkeypatch.setenv("RECOLLECT_DATA", str(home))
    return home


def test_a_part_may_have_texts(home, tmp_path):
    part = file.read(written(tmp_path, WITH_TEXT)).parts["tiny"]
    split = work.cut(part, part.cuts[0])
    assert split.train.text is split.test.text
    assert (split.train.text.n_words, split.train.text.vectors.d) == (30, 2)
    plain = work.cut(file.read(written(tmp_path)).parts["tiny"], part.cuts[0])
    assert split.test.frame().equals(plain.test.frame())


def test_texts_are_part_of_what_a_result_is_of(home, tmp_path):
    """Each change makes other jobs: of the documents, the vectors, the reading; without texts they are as ever."""

    def keys(text: str) -> frozenset[str]:
        planned, _, _ = all_of(written(tmp_path, text), tmp_path / "results")
        return frozenset(job.key for each in planned for job in each.jobs)

    found = [
        keys(TINY),
        keys(WITH_TEXT),
        keys(WITH_TEXT.replace("n_words = 30", "n_words = 20")),
        keys(WITH_TEXT.replace('vectors = "glove/small.txt"\n', "")),
    ]
    (home / "glove" / "small.txt").write_text("toy 1 0\nword1 0 2\n")
    found.append(keys(WITH_TEXT))
    (home / "plot.item").write_text("".join(f"{j}::boy word{j}\n" for j in range(1, 41)))
    found.append(keys(WITH_TEXT))
    assert len(set(found)) == len(found)
    planned, _, _ = all_of(written(tmp_path), tmp_path / "results")
    assert planned[0].jobs[0].fingerprint == rc.load("planted/tiny").fingerprint


def test_a_run_with_texts_has_its_figures(home, tmp_path):
    _, todo, _ = all_of(written(tmp_path, WITH_TEXT), tmp_path / "results")
    records = [record for _, record in work.each(todo, processes=0)]
    assert len(records) == 4
    assert not [record for record in records if "failed" in record]
    assert records[0]["data"].startswith(
        "planted/tiny with plot.item, vectors = glove/small.txt, n_words = 30"
    )


@pytest.mark.parametrize("lost", ["plot.item", "glove/small.txt"])
def test_a_text_that_is_not_here_is_skipped_and_said(lost, home, tmp_path):
    (home / lost).unlink()
    _, todo, kept = all_of(written(tmp_path, WITH_TEXT), tmp_path / "results")
    assert not todo
    (about,) = kept.data().values()
    assert (
        about["missing"]
        == f"{lost}, a text of planted/tiny, is not here; put it at $RECOLLECT_DATA/{lost}"
    )


def test_texts_lie_in_the_folder_of_their_data_set(tmp_path, monkeypatch):
    from recollect.experiment.texts import located

    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path))
    (tmp_path / "ml-1m").mkdir()
    (tmp_path / "ml-1m" / "plot.item").write_text("1::toy\n")
    assert located("plot.item", "movielens/1m") == tmp_path / "ml-1m" / "plot.item"
    assert located("ml-1m/plot.item", "planted/tiny") == tmp_path / "ml-1m" / "plot.item"
    assert located(str(tmp_path / "ml-1m" / "plot.item"), "movielens/1m") is not None
    assert located("plot.item", "movielens/100k") is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('text = "plot.item"\n', ""), "part tiny: reading, vectors without text"),
        (
            ("n_words = 30", "nwords = 30"),
            r"part tiny: There is no field of a tokenizer 'nwords'. Did you mean 'n_words'",
        ),
        (("n_words = 30", 'n_words = "all"'), "part tiny: n_words takes int"),
    ],
)
def test_texts_that_cannot_be_are_refused_before_any_work(change, said, tmp_path):
    with pytest.raises(SettingError, match=said):
        file.read(written(tmp_path, WITH_TEXT.replace(*change)))


def test_the_shortest_file_may_have_texts(home, tmp_path):
    found = file.read(
        written(
            tmp_path,
            """
paper = "A paper."
data = "planted/tiny"
text = "plot.item"
split = { how = "random", test = 0.1 }
[[run]]
model = "bias"
""",
        )
    )
    assert found.parts["tiny"].texts.text == "plot.item"


def test_the_folds_of_movielens_have_the_same_texts_in_both_parts(
    monkeypatch, tmp_path, planted_small
):
    """Here of made-up ratings: a document of an item that nobody rated is one of both."""
    split = rc.random_split(planted_small.ratings, test=0.2, seed=0)
    monkeypatch.setattr(
        "recollect.data.sources.movielens.fold", lambda which: (split.train, split.test)
    )
    (tmp_path / "plots").write_text("1::toy\nnew::boy\n")
    part = file.Part("100k", "movielens/100k", {}, texts=file.Texts(str(tmp_path / "plots")))
    found = work.cut(part, file.Cut({"how": "published", "fold": 1, "valid": 0.1}, 1))
    assert found.train.items == found.test.items
    assert found.test.text is found.train.text
    assert "new" in found.test.items
