"""What Gibbs sampling of factors computes, in plain NumPy of 64 bits. `kernels.gibbs` does it for
many rows at once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64


def features(
    left: Float[np.ndarray, "cells k"],
    right: Float[np.ndarray, "cells k"],
    value: Float[np.ndarray, " cells"],
) -> tuple[Float64[np.ndarray, "cells k"], Float64[np.ndarray, " cells"]]:
    """What each cell says of a row x: f and y of y ≈ x · f.

    Args:
        left: the vector of the first other table, for each cell: factors, and an offset last.
        right: that of the second one.
        value: the cells' ratings.
    """
    left = left.astype(np.float64)
    right = right.astype(np.float64)
    # r = x_k + left_k + right_k + x · (left + right) + left · right, so x meets left + right, and
    # its offset meets 1.
    factors = left[:, :-1] + right[:, :-1]
    ones = np.ones((len(left), 1))
    f = np.concatenate([factors, ones], axis=1)

    products = left[:, :-1] * right[:, :-1]
    y = value - left[:, -1] - right[:, -1] - products.sum(axis=1)

    return f, y


def draw_row(
    left: Float[np.ndarray, "cells k"],
    right: Float[np.ndarray, "cells k"],
    value: Float[np.ndarray, " cells"],
    *,
    base: Float[np.ndarray, "k k"],
    pull: Float[np.ndarray, " k"],
    noise: Float[np.ndarray, " k"],
) -> Float64[np.ndarray, " k"]:
    """A draw of one row: x ~ N(A⁻¹ b, σ² A⁻¹), A = base + Σ f fᵀ, b = pull + Σ y f.

    Args:
        left: the vector of the first other table, for each cell of the row.
        right: that of the second one.
        value: the cells' ratings.
        base: the prior precision times σ².
        pull: the prior precision times σ² times the prior mean.
        noise: standard normal numbers times σ; zeros give the posterior mean.
    """
    f, y = features(left, right, value)
    A = base + f.T @ f
    b = pull + y @ f
    lower = np.linalg.cholesky(A)
    half = np.linalg.solve(lower, b)
    # lower⁻ᵀ noise has covariance σ² (lower lowerᵀ)⁻¹ = σ² A⁻¹.
    return np.linalg.solve(lower.T, half + noise)


def ratings(
    a: Float[np.ndarray, "pairs k"],
    b: Float[np.ndarray, "pairs k"],
    c: Float[np.ndarray, "pairs k"],
) -> Float[np.ndarray, " pairs"]:
    """The rating of each triple of vectors: their offsets, and the products of their factors two
    by two.

    Args:
        a: a vector for each pair: factors, and an offset last.
        b: the same of the second table.
        c: the same of the third.
    """
    offsets = a[:, -1] + b[:, -1] + c[:, -1]
    # In the last column the products of offsets, which do not count.
    products = a * b + a * c + b * c
    of_factors = products[:, :-1]

    return offsets + of_factors.sum(axis=1)


def draw_bag_row(
    weight: Float[np.ndarray, " holders"],
    y: Float[np.ndarray, " k"],
    residual: Float[np.ndarray, "holders k"],
    *,
    precision: Float[np.ndarray, " k"],
    pull: Float[np.ndarray, " k"],
    noise: Float[np.ndarray, " k"],
) -> Float64[np.ndarray, " k"]:
    """A draw of one vector in bags, given the others: each column is a Bayesian regression on the
    holders' weights.

    Args:
        weight: of each holder.
        y: the vector before.
        residual: the holders' targets without their bags, before.
        precision: of the prior, for each column.
        pull: the prior's precision times its mean, for each column.
        noise: standard normal numbers.
    """
    square = weight @ weight
    total = precision + square
    # The vector to be drawn is part of the bags that were taken off the targets.
    without_y = residual + np.outer(weight, y)
    mean = (pull + weight @ without_y) / total
    deviation = noise / np.sqrt(total)

    return mean + deviation
