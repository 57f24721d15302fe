"""Experiments whose items have texts."""

import pytest
from tests.experiment.experiment_files import TINY, WITH_TEXT, plan_all, write_file

import recollect as rc
from recollect.errors import SettingError
from recollect.experiment.parse import read
from recollect.experiment.part_data import split_part
from recollect.experiment.runner import run_tasks
from recollect.experiment.spec import Part, SplitSpec
from recollect.experiment.texts import Texts, find_file


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of data with documents of the items of planted/tiny, and word vectors."""
    home = tmp_path / "data"
    (home / "glove").mkdir(parents=True)
    (home / "plot.item").write_text("".join(f"{j}::toy word{j}\n" for j in range(1, 41)))
    (home / "glove" / "small.txt").write_text("toy 1 0\nword1 0 1\n")
    monkeypatch.setenv("RECOLLECT_DATA", str(home))
    return home


def test_a_part_may_have_texts(home, tmp_path):
    part = read(write_file(tmp_path, WITH_TEXT)).parts["tiny"]
    split = split_part(part, part.splits[0])
    assert split.train.text is split.test.text
    assert (split.train.text.n_words, split.train.text.vectors.d) == (30, 2)
    plain = split_part(read(write_file(tmp_path)).parts["tiny"], part.splits[0])
    assert split.test.frame().equals(plain.test.frame())


def test_documents_vectors_and_reading_are_part_of_a_job(home, tmp_path):
    def keys(text: str) -> frozenset[str]:
        planned, _, _ = plan_all(write_file(tmp_path, text), tmp_path / "results")
        return frozenset(job.key for plan in planned for job in plan.jobs)

    different = [
        keys(TINY),
        keys(WITH_TEXT),
        keys(WITH_TEXT.replace("n_words = 30", "n_words = 20")),
        keys(WITH_TEXT.replace('vectors = "glove/small.txt"\n', "")),
    ]
    (home / "glove" / "small.txt").write_text("toy 1 0\nword1 0 2\n")
    different.append(keys(WITH_TEXT))
    (home / "plot.item").write_text("".join(f"{j}::boy word{j}\n" for j in range(1, 41)))
    different.append(keys(WITH_TEXT))
    assert len(set(different)) == len(different)


def test_without_texts_the_fingerprint_is_that_of_the_ratings(home, tmp_path):
    planned, _, _ = plan_all(write_file(tmp_path), tmp_path / "results")
    assert planned[0].jobs[0].fingerprint == rc.load("planted/tiny").fingerprint


def test_a_run_with_texts_has_its_figures(home, tmp_path):
    _, todo, _ = plan_all(write_file(tmp_path, WITH_TEXT), tmp_path / "results")
    records = [record for _, record in run_tasks(todo, processes=0)]
    assert len(records) == 4
    assert not [record for record in records if "failed" in record]
    assert records[0]["data"].startswith(
        "planted/tiny with plot.item, vectors = glove/small.txt, n_words = 30"
    )


@pytest.mark.parametrize("lost", ["plot.item", "glove/small.txt"])
def test_a_missing_text_is_reported_with_its_place(lost, home, tmp_path):
    (home / lost).unlink()
    _, todo, results = plan_all(write_file(tmp_path, WITH_TEXT), tmp_path / "results")
    assert not todo
    (facts,) = results.data().values()
    place = f"$RECOLLECT_DATA/{lost}"
    assert facts["missing"] == f"{lost}, a text of planted/tiny, is not here; put it at {place}"


def test_texts_lie_in_the_folder_of_their_data_set(tmp_path, monkeypatch):
    monkeypatch.setenv("RECOLLECT_DATA", str(tmp_path))
    (tmp_path / "ml-1m").mkdir()
    (tmp_path / "ml-1m" / "plot.item").write_text("1::toy\n")
    assert find_file("plot.item", "movielens/1m") == tmp_path / "ml-1m" / "plot.item"
    assert find_file("ml-1m/plot.item", "planted/tiny") == tmp_path / "ml-1m" / "plot.item"
    assert find_file(str(tmp_path / "ml-1m" / "plot.item"), "movielens/1m") is not None
    assert find_file("plot.item", "movielens/100k") is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('text = "plot.item"\n', "", "part tiny: reading, vectors without text"),
        (
            "n_words = 30",
            "nwords = 30",
            r"part tiny: There is no field of a tokenizer 'nwords'. Did you mean 'n_words'",
        ),
        ("n_words = 30", 'n_words = "all"', "part tiny: n_words takes int"),
    ],
)
def test_impossible_texts_are_refused_before_any_work(old, new, message, tmp_path):
    with pytest.raises(SettingError, match=message):
        read(write_file(tmp_path, WITH_TEXT.replace(old, new)))


def test_the_shortest_file_may_have_texts(home, tmp_path):
    text = 'paper = "A paper."\ndata = "planted/tiny"\ntext = "plot.item"\n'
    text += 'split = { how = "random", test = 0.1 }\n[[run]]\nmodel = "bias"\n'
    assert read(write_file(tmp_path, text)).parts["tiny"].texts.text == "plot.item"


def test_both_parts_of_a_published_fold_have_the_same_texts(monkeypatch, tmp_path, planted_small):
    """Here of made-up ratings: a document of an unrated item belongs to both."""
    split = rc.random_split(planted_small.ratings, test=0.2, seed=0)
    fold = "recollect.data.sources.movielens.fold"
    monkeypatch.setattr(fold, lambda which: (split.train, split.test))
    (tmp_path / "plots").write_text("1::toy\nnew::boy\n")
    part = Part("100k", "movielens/100k", {}, texts=Texts(str(tmp_path / "plots")))
    spec = SplitSpec({"how": "published", "fold": 1, "valid": 0.1}, 1)
    with_texts = split_part(part, spec)
    assert with_texts.train.items == with_texts.test.items
    assert with_texts.test.text is with_texts.train.text
    assert "new" in with_texts.test.items
