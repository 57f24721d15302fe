"""The vectors of users, of items or of moments, drawn from their posterior; their prior; their
bags."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int, Int64
from scipy.linalg import eigh
from torch import Tensor

from recollect.data.sparse_rows import Rows
from recollect.kernels import gibbs
from recollect.models.bayes_mf.conjugate import normal_wishart
from recollect.models.bayes_mf.noise import Noise


class Bags:
    """Vectors Y_j of what rows hold: a user holds the items that they rated. A row's bag,
    |N|^-½ Σ_{j ∈ N} Y_j, is added to the prior mean of its vector.
    """

    def __init__(self, holders: Rows, k: int) -> None:
        """Vectors of zeros.

        Args:
            holders: a row for each vector, whose columns are the rows that hold it.
            k: numbers of a vector.
        """
        self.start = holders.start
        self.holder = holders.column
        self.is_held = holders.counts > 0

        n_held = np.bincount(holders.column, minlength=holders.n_columns)
        # A holder of nothing has a bag of 0, whatever its weight; 0 would have no power −½.
        weight = np.maximum(n_held, 1) ** -0.5
        self.weight = weight.astype(np.float32)

        self.Y = np.zeros((len(holders), k))
        self.sum = np.zeros((holders.n_columns, k))  # the bag of each holder

    def draw(
        self,
        residual: Float[np.ndarray, "holders k"],
        precision: Float64[np.ndarray, "k k"],
        random: np.random.Generator,
    ) -> None:
        """Draw the prior of Y, then Y, given the holders' vectors.

        Args:
            residual: the holders' vectors less their prior mean and their bags: N(0, precision⁻¹).
            precision: of the holders' prior.
            random: where the randomness comes from.
        """
        mean, own_precision = normal_wishart(self.Y[self.is_held], random)
        # In a basis B with Bᵀ precision B = I and Bᵀ own_precision B = diagonal, the columns of Y
        # are independent, and each of them is a regression on the bags' weights alone.
        diagonal, basis = eigh(own_precision, precision)
        to_basis = np.linalg.inv(basis).T
        pull = diagonal * (mean @ to_basis)
        noise = random.standard_normal(self.Y.shape, np.float32)
        Y, residual_after = gibbs.draw_bag(
            self.start,
            self.holder,
            self.weight,
            self.Y @ to_basis,
            residual @ to_basis,
            precision=diagonal,
            pull=pull,
            noise=noise,
        )

        self.Y = Y @ basis.T
        # What the residual lost, the bags gained.
        self.sum += residual - residual_after @ basis.T


@dataclass
class RowVectors:
    """A vector for each user, item or moment, and the prior that the vectors are draws from."""

    start: Int64[np.ndarray, " rows_and_one"]  # where each row's ratings begin
    left: Int[np.ndarray, " cells"]  # a row of the first of the two other tables, per rating
    right: Int[np.ndarray, " cells"]  # a row of the second one
    rating: Int64[np.ndarray, " cells"]  # which of all ratings each cell is
    table: Float32[np.ndarray, "rows width"]
    k: int  # numbers of a vector, the offset included; the other columns of the table are 0
    bags: Bags | None = None
    mean: Float64[np.ndarray, " k"] = field(init=False)
    precision: Float64[np.ndarray, "k k"] = field(init=False)

    def __post_init__(self) -> None:
        self.mean = np.zeros(self.k)
        self.precision = np.eye(self.k)

    @property
    def is_rated(self) -> Bool[np.ndarray, " rows"]:
        """Which rows have ratings."""
        counts = np.diff(self.start)
        return counts > 0

    @property
    def bag_sums(self) -> Float64[np.ndarray, "rows k"]:
        """The bag of each row; zeros without bags."""
        if self.bags is None:
            shape = (len(self.table), self.k)
            return np.zeros(shape)

        return self.bags.sum

    def draw(
        self,
        noise: Noise,
        lefts: Float32[np.ndarray, "left_rows width"],
        rights: Float32[np.ndarray, "right_rows width"],
        random: np.random.Generator,
    ) -> None:
        """Draw the prior (equation 14), the vectors (equation 11) and those in bags, each given the
        others.

        Args:
            noise: between the factors and the ratings.
            lefts: the table that `left` points into.
            rights: the table that `right` points into.
            random: where the randomness comes from.
        """
        without_bags = self.table[:, : self.k] - self.bag_sums
        # Rows without ratings are draws from the prior itself and would only hold it where it is.
        self.mean, self.precision = normal_wishart(without_bags[self.is_rated], random)
        prior_mean = self.mean + self.bag_sums
        alpha = noise.alpha
        given = gibbs.RowRatings(
            start=self.start,
            left=self.left,
            right=self.right,
            value=noise.value[self.rating],
        )

        # The compiled loops take ratings with noise of precision 1: all else is divided by α.
        deviates = random.standard_normal(prior_mean.shape, np.float32)
        self.table = gibbs.draw(
            given,
            lefts,
            rights,
            base=self.precision / alpha,
            pull=prior_mean @ self.precision / alpha,
            noise=deviates / math.sqrt(alpha),
        )

        if self.bags is not None:
            residual = self.table[:, : self.k] - prior_mean
            self.bags.draw(residual, self.precision, random)

    def sample(self) -> Tensor:
        """The vectors to be kept; of a row without ratings, the prior mean."""
        drawn = self.table[:, : self.k]
        is_rated = self.is_rated[:, None]
        vectors = np.where(is_rated, drawn, self.mean)

        return torch.from_numpy(vectors)

    def state(self) -> dict[str, Any]:
        """What a snapshot needs."""
        arrays = {"table": self.table, "mean": self.mean, "precision": self.precision}
        if self.bags is not None:
            arrays |= {"Y": self.bags.Y, "sum": self.bags.sum}

        tensors = {}
        for name, array in arrays.items():
            contiguous = np.ascontiguousarray(array)
            tensors[name] = torch.from_numpy(contiguous)

        return tensors

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from the state of a snapshot."""
        self.table = state["table"].numpy()
        self.mean = state["mean"].numpy()
        self.precision = state["precision"].numpy()
        if self.bags is not None:
            self.bags.Y = state["Y"].numpy()
            self.bags.sum = state["sum"].numpy()
