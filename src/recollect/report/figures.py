"""The figures of an experiment's tables. Matplotlib is imported when the first one is drawn."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from recollect.evaluation.significance import Interval
from recollect.experiment.metric import label
from recollect.experiment.spec import format_setting
from recollect.report.rows import ResultRow
from recollect.report.tables import ResultTable
from recollect.report.training_curve import check
from recollect.system.atomic_files import replacing

COLORS = (
    "#c2410c",
    "#2563eb",
    "#059669",
    "#9333ea",
    "#ca8a04",
    "#0891b2",
    "#db2777",
    "#65a30d",
)
INK = "#010203"  # stands for the color of text, which a page sets itself


def draw(table: ResultTable) -> Any:
    """The figure that a table asks for, as Matplotlib's.

    None if there is nothing to draw, or only one point of a sweep.

    Raises: SettingError without Matplotlib.
    """
    kind = table.table.figure
    if kind is None or not _has_content(table, kind):
        return None

    check("figure.png")
    from matplotlib.figure import Figure

    rows = [row for row in table.rows if row.interval is not None or row.claim is not None]
    # A line a run, so that their names do not overlap.
    height = 1.1 + 0.36 * len(rows) if kind == "runs" else 3.6
    figure = Figure(figsize=(7, height), layout="constrained")
    axes = figure.add_subplot()
    draw_kind = {
        "runs": _draw_runs,
        "epochs": _draw_epochs,
        "curves": _draw_epochs,
        "counts": _draw_counts,
        "gain": _draw_gain,
    }
    draw_kind.get(kind, _draw_sweep)(axes, table, rows)
    title = f"{table.table.title}: {table.part.name}"
    grid = "x" if kind == "runs" else "y"
    _style(axes, title=title, grid=grid)

    return figure


def _has_content(table: ResultTable, kind: str) -> bool:
    if not table.has_results:
        return False

    if kind == "counts":
        return table.part.name in table.item_counts

    if kind in ("runs", "epochs", "curves"):
        return True

    if kind == "gain":
        return len(_gains(table.rows)) >= 2

    rows = _rows_of_sweep(table.rows, kind)
    values = {row.run.swept[kind] for row in rows}

    return len(values) >= 2


def _style(axes: Any, *, title: str, grid: str) -> None:
    """Title, grid, legend and edges in the color that pages set.

    Args:
        axes: with everything drawn.
        title: stands above.
        grid: "x" or "y".
    """
    axes.set_title(
        title,
        loc="left",
        fontsize=10,
        color=INK,
    )

    axes.grid(
        axis=grid,
        color=INK,
        alpha=0.12,
    )
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _draw_legend(axes)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)

    for spine in axes.spines.values():
        spine.set_color(INK)
        spine.set_alpha(0.5)


def _draw_legend(axes: Any) -> None:
    """Name what is drawn, if it is more than one thing."""
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 1:
        axes.legend(
            handles,
            labels,
            frameon=False,
            fontsize=9,
            labelcolor=INK,
        )


def _draw_runs(axes: Any, table: ResultTable, rows: Sequence[ResultRow]) -> None:
    """A dot per run with its interval, the paper's number as a hollow diamond."""
    labels = {"ours": "ours", "paper": "paper"}  # each stands in the legend once

    for position, row in enumerate(rows):
        if row.interval is not None:
            below, above = _half_widths(row.interval)
            axes.errorbar(
                row.interval.mean,
                position,
                xerr=[[below], [above]] if math.isfinite(row.interval.low) else None,
                fmt="o",
                color=COLORS[0],
                capsize=3,
                label=labels.pop("ours", None),
            )

        if row.claim is not None:
            axes.plot(
                row.claim.value,
                position,
                "D",
                markerfacecolor="none",
                color=COLORS[1],
                label=labels.pop("paper", None),
            )

    axes.set_yticks(range(len(rows)), [row.run.name for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel=label(table.part.metric), ylim=(len(rows) - 0.4, -0.6))


def _half_widths(interval: Interval) -> tuple[float, float]:
    """How far the limits lie below and above the mean; 0 without limits."""
    if not math.isfinite(interval.low):
        return 0.0, 0.0

    below = interval.mean - interval.low
    above = interval.high - interval.mean

    return below, above


def _draw_sweep(axes: Any, table: ResultTable, rows: Sequence[ResultRow]) -> None:
    """A line per series over the values of the swept setting, with intervals if there are some."""
    setting = table.table.figure or ""
    rows = _rows_of_sweep(rows, setting)
    values = list(dict.fromkeys(row.run.swept[setting] for row in rows))
    is_numeric = all(isinstance(value, int | float) for value in values)
    x_of = {value: value if is_numeric else position for position, value in enumerate(values)}
    series = dict.fromkeys(_name_of_series(row, setting) for row in rows)

    for color, name in zip(_cycle_colors(), series, strict=False):
        members = [row for row in rows if _name_of_series(row, setting) == name]
        intervals = [row.interval for row in members if row.interval is not None]
        below, above = zip(*map(_half_widths, intervals), strict=True)
        axes.errorbar(
            [x_of[row.run.swept[setting]] for row in members],
            [interval.mean for interval in intervals],
            yerr=[below, above],
            fmt="o-",
            color=color,
            capsize=3,
            markersize=4,
            label=name,
        )

    _mark_values(axes, values, is_numeric=is_numeric)
    axes.set(xlabel=setting, ylabel=label(table.part.metric))


def _mark_values(axes: Any, values: Sequence[Any], *, is_numeric: bool) -> None:
    """Ticks at the values of a setting that are not numbers, or that need a logarithmic scale."""
    ticks = [format_setting(value) for value in values]
    if not is_numeric:
        axes.set_xticks(range(len(values)), ticks)
        return

    positive = [value for value in values if value > 0]
    if min(values) < 0 or not positive or max(positive) / min(positive) <= 20:
        return

    if min(values) > 0:
        axes.set_xscale("log")
    else:
        # Zero has no logarithm: below the least value the scale is linear.
        axes.set_xscale("symlog", linthresh=min(positive))

    axes.set_xticks(values, ticks)
    axes.minorticks_off()


def _rows_of_sweep(rows: Sequence[ResultRow], setting: str) -> list[ResultRow]:
    """The rows with a figure in which this setting is swept."""
    swept = [row for row in rows if setting in row.run.swept]
    return [row for row in swept if row.interval is not None]


def _name_of_series(row: ResultRow, setting: str) -> str:
    """The run's name with whatever is swept beside this setting."""
    parts = [row.run.series]

    for key, value in row.run.swept.items():
        if key != setting:
            parts.append(f"{key} = {format_setting(value)}")

    return ", ".join(parts)


def _draw_gain(axes: Any, table: ResultTable, rows: Sequence[ResultRow]) -> None:
    """By how many per cent the second sweep is better than the first, over their setting."""
    gains = _gains(rows)
    swept = next(row.run.swept for row in rows if row.run.swept)
    axes.plot(
        list(gains),
        list(gains.values()),
        "o-",
        color=COLORS[0],
        markersize=4,
    )
    _mark_values(axes, list(gains), is_numeric=True)
    (setting,) = swept
    axes.set(xlabel=setting, ylabel="gain, %")


def _gains(rows: Sequence[ResultRow]) -> dict[Any, float]:
    """The gain of the second sweep over the first in per cent, where both have a figure."""
    series = list(dict.fromkeys(row.run.series for row in rows if row.run.swept))
    means: dict[str, dict[Any, float]] = {name: {} for name in series}

    for row in rows:
        if row.run.swept and row.interval is not None:
            (value,) = row.run.swept.values()
            means[row.run.series][value] = row.interval.mean

    base, better = (means[name] for name in series)

    sign = rows[0].outcome.sign

    return {
        value: sign * 100 * (mean - better[value]) / mean
        for value, mean in base.items()
        if value in better
    }


def _draw_epochs(axes: Any, table: ResultTable, rows: Sequence[ResultRow]) -> None:
    """The validation figure by epoch on the first split, a line per run; errors without far
    outliers.

    Of the kind "curves", the training error as well, dashed.
    """
    drawn = []
    with_training = table.table.figure == "curves"
    with_figures = [row for row in rows if row.outcome.n_done]

    for color, row in zip(_cycle_colors(), with_figures, strict=False):
        points = row.outcome.curve
        if points:
            epochs, errors = zip(*points, strict=True)
            axes.plot(
                epochs,
                errors,
                color=color,
                linewidth=1.6,
                label=row.run.name,
            )
            drawn.append(errors)

        if with_training and row.outcome.train_curve:
            epochs, errors = zip(*row.outcome.train_curve, strict=True)
            axes.plot(
                epochs,
                errors,
                color=color,
                linewidth=1.2,
                linestyle="--",
            )
            drawn.append(errors)

    if table.part.events is not None:
        # Models of events are stopped by the NDCG of their lists.
        axes.set(xlabel="epoch", ylabel="validation NDCG")
        return

    if drawn:
        _cut_outliers(axes, drawn)

    words = "RMSE: training dashed, validation" if with_training else "validation RMSE"
    axes.set(xlabel="epoch", ylabel=words)


def _cut_outliers(axes: Any, drawn: Sequence[Sequence[float]]) -> None:
    """Show the errors without the first epochs, which are far above the others."""
    low = min(min(errors) for errors in drawn)
    last = max(errors[-1] for errors in drawn)
    # A run that ends far above stays visible.
    high = 1.1 * last
    if last < 1.5 * low:
        high = min(1.25 * low, 1.02 * last)

    # Errors that hardly differ are not spread over the whole height.
    high = max(1.03 * low, high)
    axes.set_ylim(low - 0.05 * (high - low), high)


def _draw_counts(axes: Any, table: ResultTable, rows: Sequence[ResultRow]) -> None:
    """The share of items with fewer than so many ratings, a line for each part of the table."""
    for color, (name, counts) in zip(_cycle_colors(), table.item_counts.items(), strict=False):
        shares = [position / (len(counts) - 1) for position in range(len(counts))]
        axes.step(
            counts,
            shares,
            where="post",
            color=color,
            linewidth=1.8,
            label=name,
        )

    axes.set_xscale("log")
    axes.set(
        xlabel="ratings of an item",
        ylabel="share of items with fewer",
        ylim=(0, 1.02),
    )


def _cycle_colors() -> Iterator[str]:
    return itertools.cycle(COLORS)


def write_png(figure: Any, path: Path) -> Path:
    """Write a figure for a white page; returns the path."""
    with replacing(path) as fresh:
        figure.savefig(
            fresh,
            format="png",
            dpi=150,
            metadata={"Software": None},
        )

    return path


def to_svg(figure: Any, name: str) -> str:
    """A figure as SVG for a page, whose text and lines take the color of the page's text.

    Args:
        figure: as Matplotlib has it.
        name: different for each figure of a page, so that ids inside do not clash.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    metadata = {"Date": None, "Creator": None}

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata=metadata,
        )

    text = buffer.getvalue()

    return text[text.index("<svg") :].replace(INK, "currentColor")
