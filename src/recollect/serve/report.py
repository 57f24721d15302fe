"""What became of lists: how often one led to an event, by version and arm."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recollect.serve.store import lists
from recollect.serve.store.database import Session

Z = 1.959964  # of a 95% interval


@dataclass(frozen=True)
class ArmFigures:
    """What became of the lists of a version in an arm.

    Args:
        version: of the model.
        experiment: None: lists of users in no experiment.
        arm: of the experiment.
        n_lists: how many lists were answered.
        n_hits: how many led to an event that named them.
        rate: the share of these.
        low: lower bound of its 95% interval.
        high: upper bound.
    """

    version: int
    experiment: str | None
    arm: str | None
    n_lists: int
    n_hits: int
    rate: float
    low: float
    high: float


def hit_rates(session: Session) -> list[ArmFigures]:
    """The figures of every version and arm that has lists."""
    return [
        ArmFigures(version, experiment, arm, n_lists, n_hits, *wilson(n_hits, n_lists))
        for version, experiment, arm, n_lists, n_hits in lists.outcomes(session)
    ]


def wilson(n_hits: int, n: int) -> tuple[float, float, float]:
    """A share, and the bounds of its 95% interval.

    Args:
        n_hits: of n.
        n: at least 1.

    Source: Wilson. "Probable Inference, the Law of Succession, and Statistical Inference." Journal
    of the American Statistical Association 1927.
    """
    share = n_hits / n
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return share, max(0.0, middle - half), min(1.0, middle + half)
