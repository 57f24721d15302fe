"""How settings are read from the command line, and how answers are written."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from tests.cli.support import call

import recollect as rc
from recollect.cli.options.settings import settings_of
from recollect.cli.output.tables import cell, memory, seconds
from recollect.system.strict_json import to_json

TITLE = (
    "A film with a title far longer than any column of any table could ever be, or so one thinks"
)


def test_settings_are_json_tuples_or_text() -> None:
    pairs = ["a=5", "b=0.5", "c=true", "d=None", "e=500,250", "f=item", "g=a=b"]
    assert settings_of(pairs) == {
        "a": 5,
        "b": 0.5,
        "c": True,
        "d": None,
        "e": (500, 250),
        "f": "item",
        "g": "a=b",
    }


def test_json_has_null_for_what_is_not_a_finite_number() -> None:
    value = {"a": float("nan"), "b": (float("inf"), 1.5), "c": Path("x")}
    assert to_json(value) == '{"a": null, "b": [null, 1.5], "c": "x"}'


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (True, "yes"), (0.12345, "0.1235"), (12345, "12,345")],
)
def test_a_cell_shows_a_value(value: object, text: str) -> None:
    assert cell(value) == text


def test_sizes_and_durations_have_the_fitting_unit() -> None:
    assert (memory(772.4), memory(20_480.0)) == ("772 MB", "20.0 GB")
    durations = [seconds(duration) for duration in (0.05, 5.0, 65.0, 7300.0)]
    assert durations == ["0.05 s", "5.0 s", "1 min 5 s", "2 h 1 min"]


def test_without_a_terminal_there_are_no_colors_and_no_truncated_titles(tmp_path: Path) -> None:
    ratings = rc.load("planted/tiny")
    titles = [f"{TITLE} {number}" for number in range(ratings.n_items)]
    catalogue = pl.DataFrame({"item_id": ratings.items.ids, "title": titles})
    rc.save(rc.make("bias").fit(replace(ratings, catalogue=catalogue)), tmp_path / "run")
    result = call("recommend", tmp_path / "run", "--user", 1)
    assert "\x1b" not in result.stdout + result.stderr
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
