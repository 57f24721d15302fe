"""Fitting a blend again, and what it leaves in the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64
from torch import nn

from recollect.data.ratings import Ratings
from recollect.families.members import fit_members
from recollect.model import Model
from recollect.models.blend.weights import Weights
from recollect.run import Run
from recollect.training.history import History


def fit_others(
    recipes: Sequence[Model], kept: Mapping[int, nn.Module], train: Ratings, run: Run
) -> list[nn.Module]:
    """The networks of all members, of which some stay as they are and the others are fitted.

    Args:
        recipes: the members, unfitted.
        kept: the networks that stay, by the number of the member.
        train: the ratings to learn from.
        run: of the blend.
    """
    others = [number for number in range(len(recipes)) if number not in kept]
    fitted = fit_members([recipes[number] for number in others], train, None, run)
    nets = {**kept, **{n: member.net_ for n, member in zip(others, fitted, strict=True)}}

    return [nets[number] for number in range(len(recipes))]


def history_of(
    fitted: Sequence[Model], weights: Weights, errors: Sequence[Float64[np.ndarray, " valid"]]
) -> History:
    """What was measured: an entry for each member, and the error of the blend.

    Args:
        fitted: the members.
        weights: of the members.
        errors: of each member on all validation ratings, and at last of the blend.
    """
    history = History(members=[member.history_ for member in fitted])
    rmse = [root_mean_square(error) for error in errors]

    for number, member in enumerate(fitted):
        figures = {
            "epoch": number + 1.0,
            "weight": float(weights.weight[number]),
            "seconds": member.seconds_,
        }
        own = rmse[number]
        if own is not None:
            figures["member_rmse"] = own

        history.epochs.append(figures)

    history.best_valid = rmse[-1]
    history.seconds = sum(member.seconds_ for member in fitted)

    return history


def root_mean_square(error: Float64[np.ndarray, " ratings"]) -> float | None:
    """The root of the mean of the squares; None without ratings."""
    return float(np.sqrt(np.mean(error**2))) if len(error) else None
