"""The training curve of one fit as a figure."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from recollect.errors import SettingError
from recollect.system.atomic_files import replacing
from recollect.training.history import History

ENDINGS = (".png", ".svg", ".pdf")
TRAIN_COLOR = "#8a8f98"
VALID_COLOR = "#c2410c"


def check(path: str | Path) -> None:
    """Refuse a figure that could not be drawn, before the work is done.

    Raises: SettingError for another ending than .png, .svg or .pdf, or without Matplotlib.
    """
    if Path(path).suffix not in ENDINGS:
        endings = ", ".join(ENDINGS)
        raise SettingError(f"{path} must end in {endings}, so that it is clear what to draw.")

    try:
        import matplotlib  # noqa: F401
    except ImportError as problem:
        raise SettingError(
            'Drawing needs Matplotlib; install it with: pip install "recollect[plot]".'
        ) from problem


def curve(history: History, path: str | Path, *, title: str = "") -> Path:
    """Draw training and validation figures over the epochs, with the kept epoch marked.

    Figures of two kinds, such as a loss and an NDCG, get a panel each, one below the other.

    Args:
        history: of the fit.
        path: where to write; the ending decides the format.
        title: stands above the figure (default: none).

    Returns: the path.
    Raises: SettingError as `check`.
    """
    check(path)
    from matplotlib.ticker import MaxNLocator

    path = Path(path)
    names = (history.train_name, history.valid_name)
    kinds = list(dict.fromkeys(_kind(name) for name in names if history.column(name)))
    figure, panels = _stack_panels(max(1, len(kinds)))

    for axes, kind in zip(panels, kinds, strict=False):
        _draw_panel(axes, history, kind)

    if not kinds:
        message = "this model has no epochs"
        panels[0].text(0.5, 0.5, message, ha="center", transform=panels[0].transAxes)

    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_title(title, loc="left", fontsize=11)

    with replacing(path) as fresh:
        figure.savefig(fresh, format=path.suffix[1:])

    return path


def _kind(name: str) -> str:
    """What is measured: "rmse" of "valid_rmse"."""
    return name.partition("_")[2]


def _stack_panels(n_panels: int) -> tuple[Any, Any]:
    """A figure, and so many panels in it, one below the other."""
    from matplotlib.figure import Figure

    height = 4 if n_panels == 1 else 6
    figure = Figure(
        figsize=(7, height),
        dpi=150,
        layout="constrained",
    )
    panels = figure.subplots(n_panels, 1, sharex=True, squeeze=False)[:, 0]

    return figure, panels


def _draw_panel(axes: Any, history: History, kind: str) -> None:
    """Draw what was measured of one kind: "rmse", "loss", "ndcg@100"."""
    lines = (
        (history.train_name, "training", TRAIN_COLOR),
        (history.valid_name, "validation", VALID_COLOR),
    )

    for name, label, color in lines:
        points = history.column(name)
        if points and _kind(name) == kind:
            epochs, values = zip(*points, strict=True)
            style = "o-" if len(points) == 1 else "-"
            axes.plot(
                epochs,
                values,
                style,
                label=label,
                color=color,
                linewidth=1.8,
            )

    if _kind(history.valid_name) == kind:
        _mark_kept_epoch(axes, history, kind)

    axes.set_ylabel("RMSE" if kind == "rmse" else kind)
    axes.grid(axis="y", color="#e5e7eb")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _mark_kept_epoch(axes: Any, history: History, kind: str) -> None:
    epoch = history.best_epoch
    kept = dict(history.column(history.valid_name)).get(epoch, math.nan)
    if not math.isfinite(kept):
        return

    axes.plot(epoch, kept, "o", color=VALID_COLOR)
    axes.annotate(
        f"{kept:.4f}, epoch {epoch}",
        (epoch, kept),
        xytext=(0, 9),
        textcoords="offset points",
        ha="right" if epoch > len(history) / 2 else "left",
        color=VALID_COLOR,
    )

    if kind == "rmse":
        # The errors of the first epochs, far above the others, would flatten the curve.
        train = [value for _, value in history.column("train_rmse") if math.isfinite(value)]
        low = min(kept, *train)
        high = 1.25 * kept
        axes.set_ylim(low - 0.1 * (high - low), max(high, low * 1.05))
