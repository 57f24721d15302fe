"""Texts of items at the command line."""

import json
from pathlib import Path

import pytest
from tests.cli.support import QUICK, answer, call

import recollect as rc


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, plots: dict[str, str]) -> Path:
    """Ratings of eight items by twenty users, plots of the items, and vectors of two words."""
    folder = tmp_path_factory.mktemp("texts")
    pairs = [(user, item) for user in range(20) for item in range(8) if user % 8 != item]
    rows = [(f"u{user}", f"i{item}", 5 if (user + item) % 2 else 1) for user, item in pairs]
    rc.from_tuples(rows).frame().write_csv(folder / "ratings.csv")
    lines = [f"{item}::{plot}\n" for item, plot in plots.items()]
    (folder / "plot.item").write_text("".join(lines) + "new::A robot bride.\n")
    (folder / "glove.txt").write_text("robots 1 0\nwedding 0 1\nthe 0 0\n")
    return folder


def test_describe_shows_the_texts(folder):
    """Of eight items and of one without ratings; "wedding" and "robots" are two of the words."""
    texts = ("--text", folder / "plot.item")
    options = ("--vectors", folder / "glove.txt", "--words", 12)
    data = answer("data", "describe", folder / "ratings.csv", *texts, *options)["texts"]
    assert (data["items"], data["documents"], data["words"]) == (9, 9, 12)
    assert (data["vectors"]["d"], data["reading"]["n_words"]) == (2, 12)
    shown = call("data", "describe", folder / "ratings.csv", *texts).stdout
    assert "documents with words  9 of 9 items" in shown
    assert "out of vocabulary" in shown


def test_train_learns_with_texts_and_keeps_them(folder, tmp_path):
    texts = ("--text", folder / "plot.item")
    fields = ("--reading", "stop_words=None", "--reading", "first=3")
    out = tmp_path / "run"
    result = call("train", folder / "ratings.csv", *texts, *fields, "--model", "bias", "--out", out)
    assert result.exit_code == 0, result.stderr
    text = rc.load_model(out).given_.text
    assert (text.tokenizer.stop_words, text.tokenizer.first) == (None, 3)
    # "the" is in most of the documents.
    assert text.words.at(text.word[:2]).to_list() == ["crew", "of"]
    assert "1 items have a document and no rating" in result.stderr


def test_all_parts_of_a_split_have_the_texts(folder, tmp_path):
    parts = tmp_path / "parts"
    shares = ("--test", 0.2, "--valid", 0.1)
    assert call("split", folder / "ratings.csv", *shares, "--out", parts).exit_code == 0
    texts = ("--text", folder / "plot.item")
    result = call("train", parts, *texts, "--out", tmp_path / "run", *QUICK)
    assert result.exit_code == 0, result.stderr
    given = rc.load_model(tmp_path / "run").given_
    assert len(given.text) == given.n_items == 9
    assert given.text.has.all()


@pytest.mark.slow
def test_compare_fits_models_on_the_same_texts(folder):
    ratings = folder / "ratings.csv"
    texts = folder / "plot.item"
    data = answer("compare", ratings, "--text", texts, "--model", "bias", "--repeat", 1)
    assert data["fingerprint"] == rc.with_texts(rc.read(ratings), texts).fingerprint


def test_reviews_are_joined_if_asked(folder, tmp_path):
    reviews = tmp_path / "reviews.json"
    lines = [json.dumps({"asin": "i1", "reviewText": text}) for text in ("toy", "boy")]
    reviews.write_text("\n".join(lines))
    options = ("--text", reviews, "--join", "--reading", "most=1")
    data = answer("data", "describe", folder / "ratings.csv", *options)["texts"]
    assert (data["documents"], data["words"]) == (1, 2)


@pytest.mark.parametrize("verb", ["train", "data describe", "compare"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--words 5", "name their file with --text"),
        ("--text FILE --reading nwords=5", "Did you mean 'n_words'?"),
        ("--text FILE --reading first", "--reading takes KEY=VALUE"),
        ("--text FILE --reading split=word", "Did you mean 'words'?"),
        ("--text FILE --words 5 --reading n_words=6", "leave one out"),
        ("--text nowhere.item", "There is no file nowhere.item"),
        ("--text FILE --vectors nowhere.txt", "no file of vectors nowhere.txt"),
    ],
)
def test_texts_that_cannot_be_read_are_errors(verb, options, message, folder, tmp_path):
    stated = [folder / "plot.item" if word == "FILE" else word for word in options.split()]
    needed = {"train": ("--out", tmp_path / "run"), "compare": ("--model", "bias")}
    result = call(*verb.split(), folder / "ratings.csv", *needed.get(verb, ()), *stated)
    assert result.exit_code == 1
    assert message in result.stderr


def test_stored_ratings_take_no_texts(folder, tmp_path):
    rc.store(folder / "ratings.csv", tmp_path / "stored")
    result = call("data", "describe", tmp_path / "stored", "--text", folder / "plot.item")
    assert result.exit_code == 1
    assert "on disk" in result.stderr
