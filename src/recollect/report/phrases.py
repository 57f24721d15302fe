"""Phrases as pictures: what filters answer to, and what a text spoke for and against. Reads tables only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from recollect.report.pictures import COLORS, check

WIDTH = 8.0  # inches
LINE, BLANK = 0.29, 0.05  # inches from line to line, and between the boxes of words
EDGE = 0.35  # inches around the text
ABOVE, BELOW = 0.75, 0.85  # inches for the title, and for the legend
DARK = 0.6  # of the deepest color: from here on letters are white


def bars(table: pl.DataFrame, path: str | Path, *, title: str = "") -> Path:
    """Draw what filters answer to phrases as bars, a panel for each filter; returns the path.

    The table has the columns filter, phrase and answer, as those of `recollect.explain` have.

    Raises: SettingError for another ending than .png, .svg or .pdf, or if Matplotlib is not there.
    """
    check(path)
    from matplotlib.figure import Figure

    parts = [part for _, part in table.group_by("filter", maintain_order=True)]
    heights = [0.27 * len(part) + 0.3 for part in parts]
    picture: Any = Figure(figsize=(WIDTH, sum(heights) + 0.9), dpi=150, layout="constrained")
    picture.get_layout_engine().set(w_pad=0.12, h_pad=0.06)  # inches around everything
    panels = picture.subplots(
        max(1, len(parts)), 1, sharex=True, squeeze=False, height_ratios=heights or None
    )[:, 0]
    for axes, part in zip(panels, parts, strict=False):
        _panel(axes, part)
    longest = float(table["answer"].to_numpy().max(initial=0))
    panels[-1].set(xlabel="answer", xlim=(0, 1.12 * longest or 1.0))
    picture.suptitle(title, x=0.01, ha="left", fontsize=11, parse_math=False)
    return _saved(picture, path)


def _panel(axes: Any, part: pl.DataFrame) -> None:
    """The phrases of one filter, from top to bottom as they stand in the table."""
    drawn = axes.barh(range(len(part)), part["answer"], color=COLORS[1], height=0.7)
    axes.bar_label(drawn, fmt="%.4f", padding=3, fontsize=8)
    axes.set_yticks(range(len(part)), part["phrase"], fontsize=9, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"filter {part['filter'][0]}", loc="left", fontsize=9, color="#4b5563")
    axes.set_ylim(len(part) - 0.4, -0.6)
    axes.spines[["top", "right"]].set_visible(False)


def text(words: pl.DataFrame, path: str | Path, *, title: str = "", below: str = "") -> Path:
    """Draw a text word by word, each on the color of its change: blue spoke for, red against; returns the path.

    The table has the columns word and change, in the text's order; `below` stands under the title.

    Raises: SettingError as `bars`.
    """
    check(path)
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    largest = float(words["change"].abs().to_numpy().max(initial=0)) or 1.0
    colors = ScalarMappable(Normalize(-largest, largest), colormaps["RdBu"])
    picture = Figure(figsize=(WIDTH, 1), dpi=150)
    places = _lines(picture, words["word"].to_list())
    height = ABOVE + LINE * (places[-1][1] + 1) + BELOW
    picture.set_figheight(height)
    axes = picture.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(EDGE, 0.25, title, fontsize=11, va="center", parse_math=False)
    axes.text(EDGE, 0.5, below, fontsize=9, va="center", color="#4b5563", parse_math=False)
    for word, change, (x, line) in zip(words["word"], words["change"], places, strict=True):
        axes.text(
            x,
            ABOVE + LINE * (line + 0.5),
            word,
            fontsize=10,
            va="center",
            parse_math=False,
            color="white" if abs(change) > DARK * largest else "black",
            bbox={
                "facecolor": colors.to_rgba(change),
                "edgecolor": "none",
                "boxstyle": "square,pad=0.25",
            },
        )
    _legend(picture, colors, height)
    return _saved(picture, path)


def _lines(picture: Any, words: list[str]) -> list[tuple[float, int]]:
    """Where each word stands, in inches from the left and in lines: as many to a line as have room."""
    x, line, found = EDGE, 0, []
    for word in words:
        drawn = picture.text(0, 0, word, fontsize=10, parse_math=False)
        wide = drawn.get_window_extent().width / picture.dpi + 0.1  # with the edge of its box
        drawn.remove()
        if x + wide > WIDTH - EDGE and x > EDGE:
            x, line = EDGE, line + 1
        found.append((x, line))
        x += wide + BLANK
    return found


def _legend(picture: Any, colors: Any, height: float) -> None:
    axes = picture.add_axes((EDGE / WIDTH, 0.48 / height, 0.4, 0.12 / height))
    largest = colors.norm.vmax
    bar = picture.colorbar(colors, cax=axes, orientation="horizontal", ticks=[-largest, 0, largest])
    bar.set_ticklabels([f"−{largest:.3f}", "0", f"+{largest:.3f}"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.set_label("spoke against  ←  change of the prediction  →  spoke for", fontsize=8)


def _saved(picture: Any, path: str | Path) -> Path:
    from recollect.system.atomic_files import replacing

    path = Path(path)
    with replacing(path) as fresh:
        picture.savefig(fresh, format=path.suffix[1:])
    return path
