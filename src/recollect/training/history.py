"""The history of a fit: what was measured after each epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from recollect.data.rating_unit import RatingUnit

# Figures in rating points or a power of them, which a fit measures in its model's unit. Losses and
# objectives are what the fit minimizes, and stay as they are.
POWER = {"train_rmse": 1, "valid_rmse": 1, "member_rmse": 1, "alpha": -2}


@dataclass
class History:
    """The figures of each epoch, and which epoch's weights were kept.

    The dicts of `epochs` have the same keys, except where a figure was not measured.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0  # the epoch whose weights were kept
    best_valid: float | None = None  # its validation figure; None without validation
    seconds: float = 0.0
    stopped: str = ""  # why the fit ended early, if training diverged
    train_name: str = "train_rmse"  # the key of the training figure; train_loss if it is no RMSE
    valid_name: str = "valid_rmse"  # the key of the validation figure
    # The same validation figure of the simplest model, and that model: "bias" or "popularity"
    baseline: float | None = None
    baseline_name: str = ""
    members: list[History] = field(default_factory=list)  # of a blend: those of its members

    def __len__(self) -> int:
        return len(self.epochs)

    @property
    def best_valid_rmse(self) -> float:
        """The validation RMSE of the kept weights; infinite if there is none."""
        if self.best_valid is None or self.valid_name != "valid_rmse":
            return math.inf
        return self.best_valid

    def column(self, key: str) -> list[tuple[int, float]]:
        """(epoch, figure) of every epoch in which the figure was measured."""
        points = []

        for figures in self.epochs:
            # Validation figures are not measured in every epoch.
            if key in figures:
                epoch = int(figures["epoch"])
                points.append((epoch, figures[key]))

        return points


def history_in_points(history: History, unit: RatingUnit) -> History:
    """A history in a model's unit as one in rating points."""
    return _scaled(history, unit.size)


def history_in_unit(history: History, unit: RatingUnit) -> History:
    """A history in rating points as one in a model's unit."""
    return _scaled(history, 1 / unit.size)


def _scaled(history: History, size: float) -> History:
    if size == 1.0:
        return history

    epochs = [scaled_figures(figures, size) for figures in history.epochs]
    best_valid = history.best_valid
    if best_valid is not None:
        best_valid *= size ** POWER.get(history.valid_name, 0)

    members = [_scaled(member, size) for member in history.members]

    return replace(history, epochs=epochs, best_valid=best_valid, members=members)


def scaled_figures(figures: dict[str, float], size: float) -> dict[str, float]:
    """Figures in a unit of so many rating points, as ones in rating points."""
    return {key: figure * size ** POWER.get(key, 0) for key, figure in figures.items()}
