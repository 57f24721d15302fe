"""Figures of what a model of texts has learned: bars of activations, and texts colored by word.

Both are drawn from tables of `recollect.explain`; no model is needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from recollect.report.figures import COLORS
from recollect.report.training_curve import check

WIDTH = 8.0  # inches
LINE_HEIGHT = 0.29  # inches from line to line
WORD_GAP = 0.05  # inches between the boxes of words
BOX_MARGIN = 0.1  # inches that a word's box is wider than the word
MARGIN = 0.35  # inches around the text
HEADER = 0.75  # inches for the title
FOOTER = 0.85  # inches for the legend
DARK = 0.6  # share of the largest change from which letters are white
GRAY = "#4b5563"


def bars(table: pl.DataFrame, path: str | Path, *, title: str = "") -> Path:
    """Draw the activations of phrases as bars, a panel for each filter; returns the path.

    Args:
        table: the columns filter, phrase and answer, as those of `recollect.explain` have.
        path: of the figure.
        title: above all panels.

    Raises:
        SettingError: for an ending other than .png, .svg or .pdf, or if Matplotlib is missing.
    """
    check(path)
    filters = [rows for _, rows in table.group_by("filter", maintain_order=True)]
    heights = [0.27 * len(rows) + 0.3 for rows in filters]
    figure, panels = _stack_panels(heights)

    for axes, rows in zip(panels, filters, strict=False):
        _panel(axes, rows)

    largest = float(table["answer"].to_numpy().max(initial=0))
    panels[-1].set(xlabel="activation", xlim=(0, 1.12 * largest or 1.0))
    figure.suptitle(
        title,
        x=0.01,
        ha="left",
        fontsize=11,
        parse_math=False,
    )

    return _saved(figure, path)


def _stack_panels(heights: list[float]) -> tuple[Any, Any]:
    """A figure, and its panels of these heights in inches, one below the other."""
    from matplotlib.figure import Figure

    figure: Any = Figure(
        figsize=(WIDTH, sum(heights) + 0.9),
        dpi=150,
        layout="constrained",
    )
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.06)  # inches around everything
    n_panels = max(1, len(heights))
    grid = figure.subplots(
        n_panels,
        1,
        sharex=True,
        squeeze=False,
        height_ratios=heights or None,
    )

    return figure, grid[:, 0]


def _panel(axes: Any, rows: pl.DataFrame) -> None:
    """The phrases of one filter, from top to bottom in the order of the table."""
    drawn = axes.barh(range(len(rows)), rows["answer"], color=COLORS[1], height=0.7)
    axes.bar_label(
        drawn,
        fmt="%.4f",
        padding=3,
        fontsize=8,
    )
    axes.set_yticks(range(len(rows)), rows["phrase"], fontsize=9, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(
        f"filter {rows['filter'][0]}",
        loc="left",
        fontsize=9,
        color=GRAY,
    )
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.spines[["top", "right"]].set_visible(False)


def colored_text(
    words: pl.DataFrame, path: str | Path, *, title: str = "", subtitle: str = ""
) -> Path:
    """Draw a text word by word, each on the color of its change; returns the path.

    Args:
        words: the columns word and change, in the text's order. Blue counts for the item, red
            against it.
        path: of the figure.
        title: the first line.
        subtitle: the second line.

    Raises:
        SettingError: for an ending other than .png, .svg or .pdf, or if Matplotlib is missing.
    """
    check(path)
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    largest = float(words["change"].abs().to_numpy().max(initial=0)) or 1.0
    colors = ScalarMappable(Normalize(-largest, largest), colormaps["RdBu"])
    figure = Figure(figsize=(WIDTH, 1), dpi=150)
    positions = _positions(figure, words["word"].to_list())
    n_lines = positions[-1][1] + 1
    height = HEADER + LINE_HEIGHT * n_lines + FOOTER
    figure.set_figheight(height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    _draw_header(axes, title, subtitle)

    for word, change, (x, line) in zip(words["word"], words["change"], positions, strict=True):
        y = HEADER + LINE_HEIGHT * (line + 0.5)
        letters = "white" if abs(change) > DARK * largest else "black"
        _draw_word(axes, word, (x, y), color=letters, background=colors.to_rgba(change))

    _legend(figure, colors, height)

    return _saved(figure, path)


def _draw_header(axes: Any, title: str, subtitle: str) -> None:
    """The title and, below it, the subtitle."""
    axes.text(
        MARGIN,
        0.25,
        title,
        fontsize=11,
        va="center",
        parse_math=False,
    )

    axes.text(
        MARGIN,
        0.5,
        subtitle,
        fontsize=9,
        va="center",
        color=GRAY,
        parse_math=False,
    )


def _draw_word(
    axes: Any, word: str, position: tuple[float, float], *, color: str, background: Any
) -> None:
    """A word in a box."""
    box = {"facecolor": background, "edgecolor": "none", "boxstyle": "square,pad=0.25"}
    axes.text(
        *position,
        word,
        fontsize=10,
        va="center",
        parse_math=False,
        color=color,
        bbox=box,
    )


def _positions(figure: Any, words: list[str]) -> list[tuple[float, int]]:
    """Inches from the left, and the line, of each word: lines are filled one after another."""
    x = MARGIN
    line = 0
    positions: list[tuple[float, int]] = []

    for word in words:
        width = _width(figure, word)
        if x + width > WIDTH - MARGIN and x > MARGIN:
            x = MARGIN
            line += 1

        positions.append((x, line))
        x += width + WORD_GAP

    return positions


def _width(figure: Any, word: str) -> float:
    """Inches that a word with its box takes; only a word that is drawn can be measured."""
    drawn = figure.text(0, 0, word, fontsize=10, parse_math=False)
    pixels = drawn.get_window_extent().width
    drawn.remove()
    return pixels / figure.dpi + BOX_MARGIN


def _legend(figure: Any, colors: Any, height: float) -> None:
    """The scale of colors, below the text."""
    axes = figure.add_axes((MARGIN / WIDTH, 0.48 / height, 0.4, 0.12 / height))
    largest = colors.norm.vmax
    bar = figure.colorbar(
        colors,
        cax=axes,
        orientation="horizontal",
        ticks=[-largest, 0, largest],
    )
    bar.set_ticklabels([f"−{largest:.3f}", "0", f"+{largest:.3f}"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.set_label("against  ←  change of the prediction  →  for", fontsize=8)


def _saved(figure: Any, path: str | Path) -> Path:
    """Write the figure; a file that exists is replaced when the new one is complete."""
    from recollect.system.atomic_files import replacing

    path = Path(path)

    with replacing(path) as unfinished:
        figure.savefig(unfinished, format=path.suffix[1:])

    return path
