"""Stochastic gradient descent with a step per rating, in compiled loops.

`CompiledSGD` is what such Learners share: the loops work on arrays of their own, padded for the
processor's vector instructions, which are copied from the network before the first epoch and back
after each one. `FactorSGD` learns a plain factor model.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from typing_extensions import override

from recollect.data.ratings import Ratings
from recollect.kernels.sgd import FactorArrays
from recollect.nn import Factors
from recollect.training.fit_loop import DivergedError


class CompiledSGD(ABC):
    """A Learner that takes a step on every rating in each epoch; the learning rate decays."""

    def __init__(self, net: Any, *, learning_rate: float, decay: float) -> None:
        """Copy the network's parameters into the loops' arrays.

        Args:
            net: the network; its parameter `user` tells the device.
            learning_rate: of the first epoch.
            decay: what the learning rate is multiplied by after each epoch.
        """
        self.net = net
        self.device = net.user.device
        self.learning_rate = learning_rate
        self.decay = decay
        self.load_from_network()

    @abstractmethod
    def pairs(self) -> Iterable[tuple[np.ndarray, Tensor]]:
        """Each array of the loops and the network's tensor of the same shape; both are views."""

    @abstractmethod
    def descend(self, shrink: float, seed: int) -> tuple[float, float]:
        """Take a step on every rating; returns the sum of squared errors, each before its step, and
        the sum of their weights.

        Args:
            shrink: the learning rate as a share of that of the first epoch.
            seed: of the order in which the ratings are visited.
        """

    def load_from_network(self) -> None:
        """Copy the network's parameters into the loops' arrays."""
        for array, tensor in self.pairs():
            array[:] = tensor.cpu().numpy()

    def store_in_network(self) -> None:
        """Copy the loops' arrays into the network's parameters."""
        for array, tensor in self.pairs():
            tensor.copy_(torch.from_numpy(array))

    @property
    def converged(self) -> bool:
        """Never: validation decides when to stop."""
        return False

    def epoch(self, number: int) -> dict[str, float]:
        """Take a step on every rating; the training RMSE is that of the predictions before each
        step.
        """
        shrink = self.decay ** (number - 1)
        learning_rate = self.learning_rate * shrink
        # From torch's generator, whose state a snapshot keeps: a resumed fit draws the same seeds.
        seed = int(torch.randint(2**62, ()))
        squares, n = self.descend(shrink, seed)
        if not math.isfinite(squares):
            raise DivergedError(
                f"The error became {squares} in epoch {number}; the step is too large: lower "
                f"learning_rate (it is {learning_rate:g})."
            )

        # Validation, snapshots and the best weights read the network, not the loops' arrays.
        self.store_in_network()

        rmse = 0.0
        if n:
            rmse = math.sqrt(squares / n)

        return {
            "epoch": float(number),
            "train_rmse": rmse,
            "learning_rate": learning_rate,
        }

    def state(self) -> dict[str, Any]:
        """Nothing: all that is learned is in the network."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from the network's parameters."""
        self.load_from_network()


def factor_pairs(
    array: np.ndarray, offset: np.ndarray, tensor: Tensor, k: int
) -> list[tuple[np.ndarray, Tensor]]:
    """The `CompiledSGD.pairs` of one side's factors and, if the network has them, of its offsets.

    Args:
        array: the loops' factors, k columns and padding.
        offset: the loops' offsets.
        tensor: the network's k factors, with offsets in a column behind them.
        k: number of factors.
    """
    # Slices are views, so that copying into them reaches the array and the tensor.
    loop_factors = array[..., :k]
    net_factors = tensor[..., :k]
    pairs = [(loop_factors, net_factors)]

    has_offsets = tensor.shape[-1] > k
    if has_offsets:
        net_offset = tensor[..., k]
        pairs.append((offset, net_offset))

    return pairs


class FactorSGD(CompiledSGD):
    """SGD of a factor model: minimizes Σ (r − r̂)² + Σ reg_user ‖U_u‖² + Σ reg_item ‖V_i‖².

    A row's λ is divided among its ratings: each step brings an equal part of it.
    """

    def __init__(
        self,
        net: Factors,
        train: Ratings,
        *,
        reg_user: Float[Tensor, " users"],
        reg_item: Float[Tensor, " items"],
        learning_rate: float,
        decay: float = 1.0,
    ) -> None:
        """Sort the ratings into cells and copy the factors.

        Args:
            net: the factors to be learned.
            train: the ratings.
            reg_user: λ of each user.
            reg_item: λ of each item.
            learning_rate: of the first epoch.
            decay: what the learning rate is multiplied by after each epoch.
        """
        self.k = net.user.shape[1] - net.offsets
        self.n_ratings = len(train)
        self.arrays = FactorArrays(
            train.user,
            train.item,
            train.value - float(net.mu),
            n_users=train.n_users,
            n_items=train.n_items,
            factors=self.k,
        )
        # A row's penalty counts once in the sum, and its ratings' steps bring it in equal parts.
        self.reg_user = _reg_per_rating(reg_user, train.count("user"))
        self.reg_item = _reg_per_rating(reg_item, train.count("item"))
        super().__init__(net, learning_rate=learning_rate, decay=decay)

    @override
    def descend(self, shrink: float, seed: int) -> tuple[float, float]:
        """A step per rating: p += γ (e q − λ p), q += γ (e p − λ q), and so for offsets."""
        squares = self.arrays.descend(
            reg_user=self.reg_user,
            reg_item=self.reg_item,
            rate=self.learning_rate * shrink,
            seed=seed,
            offsets=self.net.offsets,
        )
        return squares, float(self.n_ratings)

    @override
    def pairs(self) -> list[tuple[np.ndarray, Tensor]]:
        arrays = self.arrays
        users = factor_pairs(arrays.p, arrays.b_user, self.net.user, self.k)
        items = factor_pairs(arrays.q, arrays.b_item, self.net.item, self.k)
        return users + items


def _reg_per_rating(reg: Tensor, count: np.ndarray) -> Float32[np.ndarray, " rows"]:
    # A row without ratings takes no step; 1 only avoids a division by 0.
    at_least_one = np.maximum(count, 1)
    per_rating: np.ndarray = reg.cpu().numpy() / at_least_one

    return per_rating.astype(np.float32)
