"""Results as pictures. Reads results only; the plotting library is imported when first used."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recollect.errors import SettingError
from recollect.experiment.file import shown
from recollect.report.sheets import Line, Sheet
from recollect.training.history import History

ENDINGS = (".png", ".svg", ".pdf")


def check(path: str | Path) -> None:
    """Refuse a picture that could not be drawn, before the work is done.

    Raises: SettingError for another ending, or if Matplotlib is not there.
    """
    if Path(path).suffix not in ENDINGS:
        raise SettingError(
            f"{path} must end in {', '.join(ENDINGS)}, so that it is clear what to draw."
        )
    try:
        import matplotlib  # noqa: F401
    except ImportError as problem:
        raise SettingError(
            'Drawing needs Matplotlib; install it with: pip install "recollect[plot]".'
        ) from problem


def curve(history: History, path: str | Path, *, title: str = "") -> Path:
    """Draw the training and the validation figure over the epochs, the kept epoch marked; returns the path.

    Figures of two kinds, such as a loss and an NDCG, have a picture each, one below the other.

    Raises: SettingError as `check`.
    """
    from recollect.system.atomic_files import replacing

    check(path)
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    path = Path(path)
    kinds = dict.fromkeys(
        key.partition("_")[2]
        for key in (history.train_name, history.valid_name)
        if history.column(key)
    )
    picture = Figure(figsize=(7, 4 if len(kinds) < 2 else 6), dpi=150, layout="constrained")
    panels = picture.subplots(max(1, len(kinds)), 1, sharex=True, squeeze=False)[:, 0]
    for axes, kind in zip(panels, kinds, strict=False):
        _fit(axes, history, kind)
    if not kinds:
        panels[0].text(
            0.5, 0.5, "this model has no epochs", ha="center", transform=panels[0].transAxes
        )
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_title(title, loc="left", fontsize=11)
    with replacing(path) as fresh:
        picture.savefig(fresh, format=path.suffix[1:])
    return path


def _fit(axes: Any, history: History, kind: str) -> None:
    """What was measured of one kind: "rmse", "loss", "ndcg@100"."""
    for key, name, color in (
        (history.train_name, "training", "#8a8f98"),
        (history.valid_name, "validation", "#c2410c"),
    ):
        points = history.column(key)
        if points and key.partition("_")[2] == kind:
            axes.plot(
                *zip(*points, strict=True),
                "o-" if len(points) == 1 else "-",
                label=name,
                color=color,
                linewidth=1.8,
            )
    by_epoch = (
        dict(history.column(history.valid_name))
        if history.valid_name.partition("_")[2] == kind
        else {}
    )
    kept, at = by_epoch.get(history.best_epoch, math.nan), history.best_epoch
    if math.isfinite(kept):
        axes.plot(at, kept, "o", color="#c2410c")
        axes.annotate(
            f"{kept:.4f}, epoch {at}",
            (at, kept),
            xytext=(0, 9),
            textcoords="offset points",
            ha="right" if at > len(history) / 2 else "left",
            color="#c2410c",
        )
        if kind == "rmse":
            seen = [
                kept,
                *(value for _, value in history.column("train_rmse") if math.isfinite(value)),
            ]
            low, high = (
                min(seen),
                1.25 * kept,
            )  # the first epochs, far above, would flatten all the rest
            axes.set_ylim(low - 0.1 * (high - low), max(high, low * 1.05))
    axes.set_ylabel("RMSE" if kind == "rmse" else kind)
    axes.grid(axis="y", color="#e5e7eb")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


# --- the figures of an experiment -----------------------------------------------------------------------------------------

COLORS = ("#c2410c", "#2563eb", "#059669", "#9333ea", "#ca8a04", "#0891b2", "#db2777", "#65a30d")
INK = "#010203"  # stands for the color of text, which a page sets itself


def figure(sheet: Sheet) -> Any:
    """The figure that a table asks for, as Matplotlib's; None if nothing is there to draw, or but one point of a sweep.

    Raises: SettingError if Matplotlib is not there.
    """
    kind = sheet.table.figure
    if kind is None or not sheet.has_results or (kind == "counts" and not sheet.item_counts):
        return None
    check("figure.png")
    from matplotlib.figure import Figure

    lines = [line for line in sheet.lines if line.interval is not None or line.claim is not None]
    draw = {"runs": _runs, "epochs": _epochs, "counts": _counts}.get(kind, _swept)
    if (
        draw is _swept
        and len(
            {line.entry.point[kind] for line in lines if kind in line.entry.point and line.interval}
        )
        < 2
    ):
        return None
    height = 1.1 + 0.36 * len(lines) if kind == "runs" else 3.6
    picture = Figure(figsize=(7, height), layout="constrained")
    axes = picture.add_subplot()
    draw(axes, sheet, lines)
    axes.set_title(f"{sheet.table.title}: {sheet.part.name}", loc="left", fontsize=10, color=INK)
    axes.grid(axis="x" if kind == "runs" else "y", color=INK, alpha=0.12)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 1:
        axes.legend(handles, labels, frameon=False, fontsize=9, labelcolor=INK)
    _ink(axes)
    return picture


def _ink(axes: Any) -> None:
    """Text and edges in the color that pages set."""
    axes.tick_params(colors=INK, labelsize=9)
    for text in (axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
        spine.set_alpha(0.5)


def _runs(axes: Any, sheet: Sheet, lines: list[Line]) -> None:
    """A dot per run with its interval, the paper's number as a hollow diamond."""
    for place, line in enumerate(lines):
        found = line.interval
        if found is not None:
            ends = (
                [[found.mean - found.low], [found.high - found.mean]]
                if math.isfinite(found.low)
                else None
            )
            axes.errorbar(
                found.mean,
                place,
                xerr=ends,
                fmt="o",
                color=COLORS[0],
                capsize=3,
                label="ours" if not any(each.interval for each in lines[:place]) else None,
            )
        if line.claim is not None:
            axes.plot(
                line.claim.value,
                place,
                "D",
                markerfacecolor="none",
                color=COLORS[1],
                label="paper" if not any(each.claim for each in lines[:place]) else None,
            )
    axes.set_yticks(range(len(lines)), [line.entry.name for line in lines])
    axes.invert_yaxis()
    axes.set(xlabel=sheet.part.metric.upper(), ylim=(len(lines) - 0.4, -0.6))


def _swept(axes: Any, sheet: Sheet, lines: list[Line]) -> None:
    """A line per swept run over the values of the setting, with intervals if there are enough splits."""
    key = sheet.table.figure or ""
    lines = [line for line in lines if key in line.entry.point and line.interval is not None]
    values = list(dict.fromkeys(line.entry.point[key] for line in lines))
    numeric = all(isinstance(value, int | float) for value in values)
    shown_at = {value: value if numeric else place for place, value in enumerate(values)}
    for color, name in zip(
        _colors(), dict.fromkeys(_series(line, key) for line in lines), strict=False
    ):
        mine = [line for line in lines if _series(line, key) == name]
        xs, found = (
            [shown_at[line.entry.point[key]] for line in mine],
            [line.interval for line in mine if line.interval],
        )
        ys = [each.mean for each in found]
        ends = [
            (each.mean - each.low, each.high - each.mean) if math.isfinite(each.low) else (0, 0)
            for each in found
        ]
        axes.errorbar(
            xs,
            ys,
            yerr=list(zip(*ends, strict=True)),
            fmt="o-",
            color=color,
            capsize=3,
            markersize=4,
            label=name,
        )
    if numeric and min(values) > 0 and max(values) / min(values) > 20:
        axes.set_xscale("log")
        axes.set_xticks(values, [shown(value) for value in values])
        axes.minorticks_off()
    if not numeric:
        axes.set_xticks(range(len(values)), [shown(value) for value in values])
    axes.set(xlabel=key, ylabel=sheet.part.metric.upper())


def _series(line: Line, key: str) -> str:
    """The run's name with whatever else is swept."""
    return ", ".join(
        [line.entry.line, *(f"{k} = {shown(v)}" for k, v in line.entry.point.items() if k != key)]
    )


def _epochs(axes: Any, sheet: Sheet, lines: list[Line]) -> None:
    """The validation error by epoch on the first split, a line per run; far outliers are cut off."""
    drawn = []
    for color, line in zip(_colors(), (line for line in lines if line.outcome.done), strict=False):
        points = line.outcome.done[0]["curve"]["valid_rmse"]
        if points:
            axes.plot(*zip(*points, strict=True), color=color, linewidth=1.6, label=line.entry.name)
            drawn.append([error for _, error in points])
    if drawn:
        low = min(min(errors) for errors in drawn)
        ends = max(errors[-1] for errors in drawn)
        top = max(1.03 * low, min(1.25 * low, 1.02 * ends) if ends < 1.5 * low else 1.1 * ends)
        axes.set_ylim(low - 0.05 * (top - low), top)
    axes.set(xlabel="epoch", ylabel="validation RMSE")


def _counts(axes: Any, sheet: Sheet, lines: list[Line]) -> None:
    """The share of items with fewer than so many ratings."""
    counts, n = sheet.item_counts, len(sheet.item_counts) - 1
    axes.step(
        counts, [place / n for place in range(n + 1)], where="post", color=COLORS[0], linewidth=1.8
    )
    axes.set_xscale("log")
    axes.set(xlabel="ratings of an item", ylabel="share of items with fewer", ylim=(0, 1.02))


def _colors() -> Iterator[str]:
    return itertools.cycle(COLORS)


def png(picture: Any, path: Path) -> Path:
    """Write a figure for a white page; returns the path."""
    from recollect.system.atomic_files import replacing

    with replacing(path) as fresh:
        picture.savefig(fresh, format="png", dpi=150, metadata={"Software": None})
    return path


def svg(picture: Any, name: str) -> str:
    """A figure as SVG to stand in a page: text and lines take the page's color, `name` keeps its ids apart."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        picture.savefig(
            out := io.StringIO(),
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None},
        )
    text = out.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")
