"""recollect explain, on a model of planted texts."""

from pathlib import Path

import pytest
from tests.cli.support import answer, call

import recollect as rc
from recollect.data.sources.planted import planted, planted_texts

SETTINGS = {
    "factors": 2,
    "epochs": 2,
    "embedding": 4,
    "filters": 3,
    "hidden": 4,
    "windows": (1, 2),
    "clip": False,
}
PHRASE = ("--phrase", "muchaa littlebb")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved ConvMF that has learned from 40 texts."""
    made = planted(60, 40, 1200, noise=0.2, seed=1)
    ratings = rc.with_texts(made.ratings, planted_texts(made.truth, made.ratings.items))
    model = rc.make("convmf", **SETTINGS).fit(ratings)
    return rc.save(model, tmp_path_factory.mktemp("explain") / "run")


def test_the_filters_that_respond_most_are_shown(run):
    rows = answer("explain", run, "--filters", 2, "-n", 3)["filters"]
    assert rows == rc.explain.filters(rc.load_model(run), n=2, phrases=3).to_dicts()
    assert len(rows) == 6
    shown = call("explain", run, "--filters", 2, "-n", 3).stdout
    assert f"Filter {rows[0]['filter']}, over" in shown
    assert rows[0]["phrase"] in shown


def test_named_filters_are_shown(run):
    rows = answer("explain", run, "--filter", 5, "--filter", 0)["filters"]
    assert {row["filter"] for row in rows} == {0, 5}


def test_activations_for_a_phrase_are_shown(run):
    rows = answer("explain", run, *PHRASE, "--filters", 4)["answers"]
    assert [row["phrase"] for row in rows] == ["muchaa littlebb"] * 4
    rows = answer("explain", run, *PHRASE, "--filter", 3)["answers"]
    assert [row["filter"] for row in rows] == [3]


def test_a_word_is_replaced(run):
    swap = ("--word", "muchaa", "--others", "muchab,sob", "--filter", 4)
    rows = answer("explain", run, *PHRASE, *swap)["answers"]
    words = [(row["filter"], row["word"]) for row in rows]
    assert words == [(4, "muchaa"), (4, "muchab"), (4, "sob")]


def test_a_prediction_is_shown_as_the_sum_of_its_parts(run):
    parts = answer("explain", run, "--user", 3, "--item", 5, "--width", 1, "-n", 4)
    predicted = rc.predict(rc.load_model(run), [(3, 5)])["prediction"][0]
    assert parts["prediction"] == pytest.approx(predicted, abs=1e-5)
    assert parts["prediction"] == pytest.approx(parts["base"] + parts["text"] + parts["ratings"])
    assert len(parts["phrases"]) == 4
    assert "Item 5 (5), for user 3" in call("explain", run, "--user", 3, "--item", 5).stdout


def test_a_new_text_is_read_from_a_file(run, tmp_path):
    new = tmp_path / "new.txt"
    new.write_text("Muchaa, littlebb and muchab.")
    parts = answer("explain", run, "--user", 3, "--new-text", new)
    assert [row["word"] for row in parts["words"]] == ["muchaa", "littlebb", "muchab"]
    assert (parts["item_id"], parts["ratings"]) == (None, 0)
    new.write_bytes(b"\xff\xfe\x00")
    assert "no text in UTF-8" in call("explain", run, "--user", 3, "--new-text", new).stderr


@pytest.mark.parametrize(
    "options", [("--filters", 2), PHRASE, ("--user", 3, "--item", 5)], ids=lambda o: o[0]
)
def test_explanations_are_drawn(run, tmp_path, options):
    pytest.importorskip("matplotlib")
    figure = tmp_path / "figure.png"
    shown = call("explain", run, *options, "--figure", figure).stdout
    assert f"Drawn in {figure}." in shown.replace("\n", "")
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_figure_of_another_form_is_refused(run, tmp_path):
    assert ".png, .svg, .pdf" in call("explain", run, "--figure", tmp_path / "figure.jpg").stderr


ONE_TEXT = "--user ID with --item ID or with --new-text FILE"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--user 3", ONE_TEXT),
        ("--item 5", ONE_TEXT),
        ("--user 3 --item 5 --new-text x", ONE_TEXT),
        ("--user 3 --item 5 --filter 1", "the same for all users"),
        ("--word so", "give all three"),
        ("--phrase soa --word soa", "give all three"),
        ("--filters 2 --filter 1", "goes without --filter"),
        ("--phrase soa -n 2", "leave out -n"),
        ("--phrase soa --word soa --others sob --filter 1 --filter 2", "found --filter 1, 2"),
        ("--phrase zzz", "does not know the word 'zzz'"),
    ],
)
def test_options_that_do_not_go_together_are_errors(run, options, message):
    result = call("explain", run, *options.split())
    assert result.exit_code == 1
    assert message in " ".join(result.stderr.split())
