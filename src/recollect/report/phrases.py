"""Figures of what a model of texts responds to: phrases of filters, and the words of a text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from recollect.report.figures import COLORS
from recollect.report.training_curve import check
from recollect.system.atomic_files import replacing

# All lengths are in inches.
WIDTH = 8.0
LINE = 0.29  # from line to line
GAP = 0.05  # between the boxes of words
PADDING = 0.1  # of the box of a word, both sides together
MARGIN = 0.35  # around the text
ABOVE = 0.75  # for the title
BELOW = 0.85  # for the legend
DARK = 0.6  # share of the deepest color from which on letters are white
GREY = "#4b5563"


def bars(table: pl.DataFrame, path: str | Path, *, title: str = "") -> Path:
    """Draw the answers of filters to phrases as bars, a panel for each filter.

    Args:
        table: with the columns filter, phrase and answer, as `recollect.explain` has them.
        path: where to write; .png, .svg or .pdf.
        title: stands above (default: none).

    Returns: the path.
    Raises: SettingError for another ending, or without Matplotlib.
    """
    check(path)
    from matplotlib.figure import Figure

    filters = [rows for _, rows in table.group_by("filter", maintain_order=True)]
    heights = [0.27 * len(rows) + 0.3 for rows in filters]
    figure: Any = Figure(figsize=(WIDTH, sum(heights) + 0.9), dpi=150, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.06)
    n_panels = max(1, len(filters))
    grid = figure.subplots(n_panels, 1, sharex=True, squeeze=False, height_ratios=heights or None)
    panels = grid[:, 0]
    for axes, rows in zip(panels, filters, strict=False):
        _draw_filter(axes, rows)
    largest = float(table["answer"].to_numpy().max(initial=0))
    panels[-1].set(xlabel="answer", xlim=(0, 1.12 * largest or 1.0))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    return _save(figure, path)


def _draw_filter(axes: Any, rows: pl.DataFrame) -> None:
    """The phrases of one filter, from top to bottom in the table's order."""
    drawn = axes.barh(range(len(rows)), rows["answer"], color=COLORS[1], height=0.7)
    axes.bar_label(drawn, fmt="%.4f", padding=3, fontsize=8)
    axes.set_yticks(range(len(rows)), rows["phrase"], fontsize=9, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"filter {rows['filter'][0]}", loc="left", fontsize=9, color=GREY)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.spines[["top", "right"]].set_visible(False)


def text(words: pl.DataFrame, path: str | Path, *, title: str = "", below: str = "") -> Path:
    """Draw a text word by word in the color of its contribution: blue for, red against.

    Args:
        words: with the columns word and change, in the text's order.
        path: where to write; .png, .svg or .pdf.
        title: stands above (default: none).
        below: stands below the title (default: nothing).

    Returns: the path.
    Raises: SettingError as `bars`.
    """
    check(path)
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    largest = float(words["change"].abs().to_numpy().max(initial=0)) or 1.0
    colors = ScalarMappable(Normalize(-largest, largest), colormaps["RdBu"])
    figure = Figure(figsize=(WIDTH, 1), dpi=150)
    positions = _place_words(figure, words["word"].to_list())
    n_lines = positions[-1][1] + 1
    height = ABOVE + LINE * n_lines + BELOW
    figure.set_figheight(height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(MARGIN, 0.25, title, fontsize=11, va="center", parse_math=False)
    axes.text(MARGIN, 0.5, below, fontsize=9, va="center", color=GREY, parse_math=False)
    for word, change, (x, line) in zip(words["word"], words["change"], positions, strict=True):
        y = ABOVE + LINE * (line + 0.5)
        ink = "white" if abs(change) > DARK * largest else "black"
        background = colors.to_rgba(change)
        box = {"facecolor": background, "edgecolor": "none", "boxstyle": "square,pad=0.25"}
        axes.text(x, y, word, fontsize=10, va="center", parse_math=False, color=ink, bbox=box)
    _draw_legend(figure, colors, height)
    return _save(figure, path)


def _place_words(figure: Any, words: list[str]) -> list[tuple[float, int]]:
    """The left edge of each word and its line, with as many words in a line as fit."""
    x = MARGIN
    line = 0
    positions = []
    for word in words:
        # Only a drawn word has a width.
        drawn = figure.text(0, 0, word, fontsize=10, parse_math=False)
        width = drawn.get_window_extent().width / figure.dpi + PADDING
        drawn.remove()
        if x + width > WIDTH - MARGIN and x > MARGIN:
            x = MARGIN
            line += 1
        positions.append((x, line))
        x += width + GAP
    return positions


def _draw_legend(figure: Any, colors: Any, height: float) -> None:
    axes = figure.add_axes((MARGIN / WIDTH, 0.48 / height, 0.4, 0.12 / height))
    largest = colors.norm.vmax
    ticks = [-largest, 0, largest]
    bar = figure.colorbar(colors, cax=axes, orientation="horizontal", ticks=ticks)
    bar.set_ticklabels([f"−{largest:.3f}", "0", f"+{largest:.3f}"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.set_label("spoke against  ←  change of the prediction  →  spoke for", fontsize=8)


def _save(figure: Any, path: str | Path) -> Path:
    path = Path(path)
    with replacing(path) as fresh:
        figure.savefig(fresh, format=path.suffix[1:])
    return path
