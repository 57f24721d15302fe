"""The history of a fit: what was measured after each epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


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
