"""Results as pictures. Reads results only; the plotting library is imported when first used."""

from __future__ import annotations

import math
from pathlib import Path

from recollect.errors import SettingError
from recollect.training.watch import History

ENDINGS = (".png", ".svg", ".pdf")


def check(path: str | Path) -> None:
    """Refuse a picture that could not be drawn, before the work is done.

    Raises: SettingError for another ending, or if Matplotlib is not there.
    """
    if Path(path).suffix not in ENDINGS:
        raise SettingError(f"{path} must end in {', '.join(ENDINGS)}, so that it is clear what to draw.")
    try:
        import matplotlib  # noqa: F401
    except ImportError as problem:
        raise SettingError('Drawing needs Matplotlib; install it with: pip install "recollect[plot]".') from problem


def curve(history: History, path: str | Path, *, title: str = "") -> Path:
    """Draw train and validation RMSE over the epochs, the kept epoch marked; returns the path.

    Raises: SettingError as `check`.
    """
    from recollect.files import replacing

    check(path)
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    path = Path(path)
    picture = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = picture.add_subplot()
    for key, name, colour in (("train_rmse", "training", "#8a8f98"), ("valid_rmse", "validation", "#c2410c")):
        points = history.column(key)
        if points:
            axes.plot(*zip(*points, strict=True), label=name, color=colour, linewidth=1.8)
    if math.isfinite(history.best_valid_rmse):
        axes.plot(history.best_epoch, history.best_valid_rmse, "o", color="#c2410c")
        axes.annotate(f"{history.best_valid_rmse:.4f}, epoch {history.best_epoch}",
                      (history.best_epoch, history.best_valid_rmse), xytext=(0, 9), textcoords="offset points",
                      ha="right" if history.best_epoch > len(history) / 2 else "left", color="#c2410c")
        seen = [history.best_valid_rmse, *(value for _, value in history.column("train_rmse"))]
        low, high = min(seen), 1.25 * history.best_valid_rmse   # the first epochs, far above, would flatten all the rest
        axes.set_ylim(low - 0.1 * (high - low), max(high, low * 1.05))
    axes.set(xlabel="epoch", ylabel="RMSE")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(axis="y", color="#e5e7eb")
    axes.spines[["top", "right"]].set_visible(False)
    if history.epochs:
        axes.legend(frameon=False)
    else:
        axes.text(0.5, 0.5, "this model has no epochs", ha="center", transform=axes.transAxes)
    with replacing(path) as fresh:
        picture.savefig(fresh, format=path.suffix[1:])
    return path
