"""Figures of activations and of texts."""

import polars as pl
import pytest

from recollect.report import phrases

pytest.importorskip("matplotlib")

ACTIVATIONS = pl.DataFrame(
    {"filter": [2, 2, 3], "phrase": ["red fox", "blue $ox", "moon"], "answer": [1.5, 1.0, 0.25]}
)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
@pytest.mark.parametrize("table", [ACTIVATIONS, ACTIVATIONS.clear()], ids=["filters", "nothing"])
def test_activations_are_drawn_as_bars(table, ending, tmp_path):
    path = phrases.bars(table, tmp_path / f"bars.{ending}", title="What costs $1 or $2")
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
@pytest.mark.parametrize(
    ("words", "changes"),
    [(["a", "$b$", "c", *["word"] * 60], [0.2, -0.4, *[0.0] * 61]), (["a"], [0.0])],
    ids=["several lines", "no change"],
)
def test_texts_are_drawn_word_by_word(words, changes, ending, tmp_path):
    table = pl.DataFrame({"word": words, "change": changes})
    assert phrases.colored_text(table, tmp_path / f"text.{ending}").stat().st_size > 1000


def test_a_text_is_broken_into_lines_of_the_width():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(phrases.WIDTH, 1), dpi=150)
    positions = phrases._positions(figure, ["word"] * 40 + ["w" * 300, "word"])
    x = [position[0] for position in positions]
    line = [position[1] for position in positions]
    assert line == sorted(line)
    assert max(x) < phrases.WIDTH - phrases.MARGIN
    assert min(x) == phrases.MARGIN
    # The long word has a line to itself.
    assert line[-2] == line[-3] + 1 == line[-1] - 1
