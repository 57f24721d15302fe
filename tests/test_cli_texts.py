"""Texts of items at the command line."""

import json
from pathlib import Path

import pytest

import recollect as rc
from test_cli import SMALL, answer, call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, plots: dict[str, str]) -> Path:
    """Ratings of twenty users of eight items, the plots of these, the vectors of two words."""
    folder = tmp_path_factory.mktemp("texts")
    pairs = [(user, item) for user in range(20) for item in range(8) if user % 8 != item]
    rows = [(f"u{user}", f"i{item}", 5 if (user + item) % 2 else 1) for user, item in pairs]
    rc.from_tuples(rows).frame().write_csv(folder / "ratings.csv")
    (folder / "plot.item").write_text(
        "".join(f"{item}::{plot}\n" for item, plot in plots.items()) + "new::A robot bride.\n"
    )
    (folder / "glove.txt").write_text("robots 1 0\nwedding 0 1\nthe 0 0\n")
    return folder


def test_describe_shows_the_texts(folder):
    """Eight plots and one of an item without ratings; "wedding" and "robots" are two of the words."""
    found = answer(
        "data",
        "describe",
        folder / "ratings.csv",
        "--text",
        folder / "plot.item",
        "--vectors",
        folder / "glove.txt",
        "--words",
        12,
    )["texts"]
    assert (found["items"], found["documents"], found["words"]) == (9, 9, 12)
    assert (found["vectors"]["d"], found["reading"]["n_words"]) == (2, 12)
    shown = call("data", "describe", folder / "ratings.csv", "--text", folder / "plot.item").stdout
    assert "documents with words  9 of 9 items" in shown
    assert "out of vocabulary" in shown


def test_train_learns_with_texts_and_keeps_them(folder, tmp_path):
    done = call(
        "train",
        folder / "ratings.csv",
        "--text",
        folder / "plot.item",
        "--reading",
        "stop_words=None",
        "--reading",
        "first=3",
        "--model",
        "bias",
        "--out",
        tmp_path / "run",
    )
    assert done.exit_code == 0, done.stderr
    text = rc.load_model(tmp_path / "run").given_.text
    assert (text.tokenizer.stop_words, text.tokenizer.first) == (None, 3)
    assert text.words.at(text.word[:2]).to_list() == ["crew", "of"]  # "the" is in most of them
    assert "1 items have a document and no rating" in done.stderr


def test_a_split_gets_its_texts_as_a_whole(folder, tmp_path):
    assert (
        call(
            "split",
            folder / "ratings.csv",
            "--test",
            0.2,
            "--valid",
            0.1,
            "--out",
            tmp_path / "parts",
        ).exit_code
        == 0
    )
    done = call(
        "train",
        tmp_path / "parts",
        "--text",
        folder / "plot.item",
        "--out",
        tmp_path / "run",
        *SMALL,
    )
    assert done.exit_code == 0, done.stderr
    given = rc.load_model(tmp_path / "run").given_
    assert len(given.text) == given.n_items == 9
    assert given.text.has.all()


def test_compare_fits_every_model_on_the_same_texts(folder):
    found = answer(
        "compare",
        folder / "ratings.csv",
        "--text",
        folder / "plot.item",
        "--model",
        "bias",
        "--repeat",
        1,
    )
    assert (
        found["fingerprint"]
        == rc.with_texts(rc.read(folder / "ratings.csv"), folder / "plot.item").fingerprint
    )


def test_reviews_are_joined_if_asked(folder, tmp_path):
    (tmp_path / "reviews.json").write_text(
        "\n".join(json.dumps({"asin": "i1", "reviewText": text}) for text in ("toy", "boy"))
    )
    texts = answer(
        "data",
        "describe",
        folder / "ratings.csv",
        "--text",
        tmp_path / "reviews.json",
        "--join",
        "--reading",
        "most=1",
    )["texts"]
    assert (texts["documents"], texts["words"]) == (1, 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--words", 5], "name their file with --text"),
        (["--text", "FILE", "--reading", "nwords=5"], "Did you mean 'n_words'?"),
        (["--text", "FILE", "--reading", "first"], "--reading takes KEY=VALUE"),
        (["--text", "FILE", "--reading", "split=word"], "Did you mean 'words'?"),
        (["--text", "FILE", "--words", 5, "--reading", "n_words=6"], "leave one out"),
        (["--text", "nowhere.item"], "There is no file nowhere.item"),
        (["--text", "FILE", "--vectors", "nowhere.txt"], "no file of vectors nowhere.txt"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(options, said, folder, tmp_path):
    given = [folder / "plot.item" if option == "FILE" else option for option in options]
    for verb in (
        ["train", folder / "ratings.csv", "--out", tmp_path / "run"],
        ["data", "describe", folder / "ratings.csv"],
        ["compare", folder / "ratings.csv", "--model", "bias"],
    ):
        done = call(*verb, *given)
        assert done.exit_code == 1
        assert said in done.stderr


def test_stored_ratings_take_no_texts(folder, tmp_path):
    rc.store(folder / "ratings.csv", tmp_path / "stored")
    done = call("data", "describe", tmp_path / "stored", "--text", folder / "plot.item")
    assert done.exit_code == 1
    assert "on disk" in done.stderr
