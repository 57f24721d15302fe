"""recollect explain, on a model of planted texts."""

from pathlib import Path

import pytest

import recollect as rc
from recollect.data.sources.planted import planted, planted_texts
from test_cli import answer, call

QUICK = {
    "factors": 2,
    "epochs": 2,
    "embedding": 4,
    "filters": 3,
    "hidden": 4,
    "windows": (1, 2),
    "clip": False,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved ConvMF that has read 40 texts."""
    made = planted(60, 40, 1200, noise=0.2, seed=1)
    ratings = rc.with_texts(made.ratings, planted_texts(made.truth, made.ratings.items))
    return rc.save(
        rc.make("convmf", **QUICK).fit(ratings), tmp_path_factory.mktemp("explain") / "run"
    )


def test_explain_shows_the_filters_that_answer_most(run):
    found = answer("explain", run, "--filters", 2, "-n", 3)["filters"]
    assert found == rc.filters(rc.load_model(run), n=2, phrases=3).to_dicts()
    assert len(found) == 6
    shown = call("explain", run, "--filters", 2, "-n", 3).stdout
    assert f"Filter {found[0]['filter']}, over" in shown
    assert found[0]["phrase"] in shown


def test_explain_shows_the_filters_that_are_named(run):
    found = answer("explain", run, "--filter", 5, "--filter", 0)["filters"]
    assert {row["filter"] for row in found} == {0, 5}


def test_explain_says_what_filters_answer_to_a_phrase(run):
    found = answer("explain", run, "--phrase", "muchaa littlebb", "--filters", 4)["answers"]
    assert [row["phrase"] for row in found] == ["muchaa littlebb"] * 4
    one = answer("explain", run, "--phrase", "muchaa littlebb", "--filter", 3)["answers"]
    assert [row["filter"] for row in one] == [3]


def test_explain_exchanges_a_word(run):
    found = answer(
        "explain",
        run,
        "--phrase",
        "muchaa littlebb",
        "--word",
        "muchaa",
        "--others",
        "muchab,sob",
        "--filter",
        4,
    )
    assert [(row["filter"], row["word"]) for row in found["answers"]] == [
        (4, "muchaa"),
        (4, "muchab"),
        (4, "sob"),
    ]


def test_explain_says_what_spoke_for_a_prediction(run):
    found = answer("explain", run, "--user", 3, "--item", 5, "--width", 1, "-n", 4)
    assert found["prediction"] == pytest.approx(
        rc.predict(rc.load_model(run), [(3, 5)])["prediction"][0], abs=1e-5
    )
    assert found["prediction"] == pytest.approx(found["base"] + found["text"] + found["ratings"])
    assert len(found["phrases"]) == 4
    assert "Item 5 (5), for user 3" in call("explain", run, "--user", 3, "--item", 5).stdout


def test_explain_reads_a_new_text(run, tmp_path):
    (tmp_path / "new.txt").write_text("Muchaa, littlebb and muchab.")
    found = answer("explain", run, "--user", 3, "--new-text", tmp_path / "new.txt")
    assert [row["word"] for row in found["words"]] == ["muchaa", "littlebb", "muchab"]
    assert (found["item_id"], found["ratings"]) == (None, 0)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    assert (
        "no text in UTF-8"
        in call("explain", run, "--user", 3, "--new-text", tmp_path / "bad.txt").stderr
    )


def test_explain_draws(run, tmp_path):
    pytest.importorskip("matplotlib")
    asked = (["--filters", 2], ["--phrase", "muchaa littlebb"], ["--user", 3, "--item", 5])
    for number, options in enumerate(asked):
        drawn = tmp_path / f"{number}.png"
        assert f"Drawn in {drawn}." in call(
            "explain", run, *options, "--figure", drawn
        ).stdout.replace("\n", "")
        assert drawn.read_bytes().startswith(b"\x89PNG")
    assert ".png, .svg, .pdf" in call("explain", run, "--figure", tmp_path / "drawn.jpg").stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--user", "3"], "--user ID with --item ID or with --new-text FILE"),
        (["--item", "5"], "--user ID with --item ID or with --new-text FILE"),
        (
            ["--user", "3", "--item", "5", "--new-text", "x"],
            "--user ID with --item ID or with --new-text FILE",
        ),
        (["--user", "3", "--item", "5", "--filter", "1"], "the same for all users"),
        (["--word", "so"], "all three stated"),
        (["--phrase", "soa", "--word", "soa"], "all three stated"),
        (["--filters", "2", "--filter", "1"], "goes without --filter"),
        (["--phrase", "soa", "-n", "2"], "leave out -n"),
        (
            [
                "--phrase",
                "soa",
                "--word",
                "soa",
                "--others",
                "sob",
                "--filter",
                "1",
                "--filter",
                "2",
            ],
            "found --filter 1, 2",
        ),
        (["--phrase", "muchaa zzz"], "does not know the word 'zzz'"),
    ],
)
def test_what_cannot_be_explained_is_said(run, options, says):
    result = call("explain", run, *options)
    assert result.exit_code == 1
    assert says in result.stderr
