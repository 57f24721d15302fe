"""What local models compute, in plain NumPy of 64 bits. `kernels.llorma` does it for many rows and
ratings at once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64


def solve_row(
    weight: Float[np.ndarray, " cells"],
    features: Float[np.ndarray, "cells k"],
    target: Float[np.ndarray, " cells"],
    reg: float,
) -> Float64[np.ndarray, " k"]:
    """A row's factors in one model alone: x minimizes Σ w (target − x · f)² + reg Σ w ‖x‖².

    Args:
        weight: w of each cell.
        features: f, the factors of the cells' columns.
        target: the values without the columns' offsets.
        reg: λ for each rating of weight 1.
    """
    f = features.astype(np.float64)
    identity = np.eye(f.shape[1])
    weighted = weight[:, None] * f
    # `reg` is λ for one rating of weight 1, so it grows with the row's weights.
    A = f.T @ weighted + reg * weight.sum() * identity
    b = f.T @ (weight * target)

    return np.linalg.solve(A, b)


def solve_row_jointly(
    share: Float[np.ndarray, " cells"],
    features: Float[np.ndarray, "cells k"],
    residual: Float[np.ndarray, " cells"],
    old: Float[np.ndarray, " k"],
    reg: float,
) -> Float64[np.ndarray, " k"]:
    """A row's factors beside other models: x minimizes Σ (residual + a (old · f) − a (x · f))² +
    reg Σ a ‖x‖².

    Args:
        share: a, the model's share in the mean of all models, for each cell.
        features: f, the factors of the cells' columns.
        residual: the values without the mean of all models, this one included.
        old: the factors before.
        reg: λ for each rating that is the model's alone.
    """
    f = share[:, None] * features.astype(np.float64)
    identity = np.eye(f.shape[1])
    A = f.T @ f + reg * share.sum() * identity
    # What this model contributes so far is given back to the residual.
    target = residual + f @ old
    b = f.T @ target

    return np.linalg.solve(A, b)


def step(
    p: Float[np.ndarray, "models k"],
    q: Float[np.ndarray, "models k"],
    *,
    error: Float[np.ndarray, " models"],
    length: Float[np.ndarray, " models"],
    reg: Float[np.ndarray, " models"],
) -> Float[np.ndarray, "models k"]:
    """One side's factors after a step on one rating: p + length (error q − reg p) in each model.

    Args:
        p: the factors of the rating's user (or item).
        q: those of its item (or user).
        error: the rating less the prediction.
        length: of the step; `lengths_alone` or `lengths_jointly`.
        reg: λ of p for each rating of weight 1.
    """
    gradient = error[:, None] * q
    penalty = reg[:, None] * p
    descent = gradient - penalty
    return p + length[:, None] * descent


def lengths_alone(
    weight: Float[np.ndarray, " models"], scale: Float[np.ndarray, " models"], rate: float
) -> Float[np.ndarray, " models"]:
    """How long each model's step on a rating is, of models that learn alone.

    Args:
        weight: of the rating in each model.
        scale: 1 / the mean weight of each model's ratings.
        rate: the length for a rating of mean weight.
    """
    return rate * weight * scale


def lengths_jointly(
    weight: Float[np.ndarray, " models"], rate: float
) -> Float[np.ndarray, " models"]:
    """How long each model's step is if the models learn jointly: rate · a / Σ a², a their shares
    in the mean."""
    share = weight / weight.sum()
    # A step in every model moves the mean by Σ a² of what it would move one model.
    effect = share @ share
    return rate * share / effect
