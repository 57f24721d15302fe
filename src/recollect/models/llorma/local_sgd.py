"""Stochastic gradient descent on all local models."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from torch import Tensor
from typing_extensions import override

from recollect.data.ratings import Ratings
from recollect.kernels.llorma import LocalDescent, LocalWeights
from recollect.models.llorma.local_factors import LocalFactors
from recollect.training.sgd import CompiledSGD, factor_pairs


class LocalSGD(CompiledSGD):
    """A Learner that takes a step on every rating in each epoch.

    Each local model alone minimizes Σ w (r − r̂_t)² and its penalty; jointly, they minimize the
    squared error of their weighted mean and the penalties of all.
    """

    def __init__(
        self,
        net: LocalFactors,
        train: Ratings,
        target: Float32[np.ndarray, " ratings"],
        weights: LocalWeights,
        *,
        learning_rate: float,
        decay: float,
        joint: bool,
    ) -> None:
        """Sort the ratings and copy the factors.

        Args:
            net: the local models.
            train: the ratings.
            target: what the models learn to predict: the ratings less mu.
            weights: of users and items in each model, and their λ.
            learning_rate: of the first epoch.
            decay: what the learning rate is multiplied by after each epoch.
            joint: descend on the error of the mean; False: each model on its own.
        """
        # The loops have offsets in arrays of their own, the network in a last column.
        self.k = net.user.shape[2] - net.offsets
        self.descent = LocalDescent(
            train.user,
            train.item,
            target,
            weights,
            factors=self.k,
            joint=joint,
        )

        super().__init__(net, learning_rate=learning_rate, decay=decay)

    @override
    def descend(self, shrink: float, seed: int) -> tuple[float, float]:
        rate = self.learning_rate * shrink
        offsets = self.net.offsets

        return self.descent.epoch(rate=rate, seed=seed, offsets=offsets)

    @override
    def pairs(self) -> list[tuple[np.ndarray, Tensor]]:
        net = self.net
        descent = self.descent
        users = factor_pairs(descent.user, descent.b_user, net.user, self.k)
        items = factor_pairs(descent.item, descent.b_item, net.item, self.k)

        return users + items
