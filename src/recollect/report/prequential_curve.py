"""Prequential evaluation as a figure: a line per way over the events."""

from __future__ import annotations

from pathlib import Path

from recollect.evaluation.prequential.result import Prequential
from recollect.report.training_curve import check
from recollect.system.atomic_files import replacing

COLORS = {"frozen": "#8a8f98", "fold_in": "#2563eb", "update": "#c2410c", "refit": "#15803d"}
LABELS = {"fold_in": "fold-in"}


def draw(result: Prequential, path: str | Path, *, window: int, title: str = "") -> Path:
    """Draw the figure of each way in sliding windows.

    Args:
        result: of `prequential`.
        path: where to write; the ending decides the format.
        window: events in a window.
        title: stands above the figure.

    Returns: the path.

    Raises:
        SettingError: for another ending than .png, .svg or .pdf, or without Matplotlib.
    """
    check(path)
    from matplotlib.figure import Figure

    path = Path(path)
    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.subplots()

    for (way,), part in result.windows(window).group_by("way", maintain_order=True):
        name = str(way)
        label = LABELS.get(name, name)
        axes.plot(
            part["event"], part[result.metric], label=label, color=COLORS[name], linewidth=1.6
        )

    metric = "RMSE" if result.is_error else result.metric.upper()
    size = min(window, len(result.time))
    axes.set_ylabel(f"{metric} of the last {size:,} events")
    axes.set_xlabel("events after the first fit")
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(axis="y", color="#e5e7eb")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)

    with replacing(path) as fresh:
        figure.savefig(fresh, format=path.suffix[1:])

    return path
