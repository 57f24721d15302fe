"""Alternating subspace descent: users learn while the items' states stay fixed, then the reverse.

Source: Wu, Ahmed, Beutel, Smola, Jing. "Recurrent Recommender Networks." WSDM 2017, section 3.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from recollect.data.ratings import Ratings, Side
from recollect.data.sparse_rows import pieces
from recollect.families.pair_blocks import in_blocks
from recollect.kernels import Block
from recollect.kernels.ridge import ridge
from recollect.models.rrn.dynamic_factors import DynamicFactors
from recollect.models.rrn.network import OTHER, SIDES
from recollect.models.rrn.time_steps import Inputs, Packed, TimeSteps, cells_of
from recollect.training import optimizers
from recollect.training.als import residuals
from recollect.training.fit_loop import DivergedError
from recollect.training.losses import add_ridge

MAX_LEVERAGE = 0.95  # a rating that alone determines its prediction would leave 0 / 0


@dataclass(frozen=True, kw_only=True)
class SubspaceOptions:
    """How to descend."""

    learning_rate: float
    decay: float  # what it is multiplied by after each epoch
    batch_size: int  # rows
    batch_slots: int  # slots of a batch at most, or one row
    reg: float  # λ of the LSTMs' weights, with each rating
    leave_one_out: bool  # LSTMs learn residuals of factors that have not seen the rating itself


class SubspaceDescent:
    """A Learner of Σ ((r − r̂)² + reg ‖weights‖²) + λ of the stationary factors.

    A turn of a side first solves for its stationary factors, exactly, given the dynamic part; then
    it takes gradient steps on its LSTM, some rows at a time.
    """

    def __init__(
        self,
        net: Any,
        train: Ratings,
        steps: Mapping[Side, TimeSteps],
        options: SubspaceOptions,
        *,
        reg_user: Float[Tensor, " users"],
        reg_item: Float[Tensor, " items"],
    ) -> None:
        """Set up an optimizer for each side.

        Args:
            net: the network.
            train: the ratings.
            steps: the same by step of time, for each side.
            options: how to descend.
            reg_user: λ of each user's stationary factors.
            reg_item: λ of each item's.
        """
        self.net = net
        self.train = train
        self.steps = steps
        self.options = options
        self.device = net.stationary.user.device
        self.reg = {"user": reg_user.to(self.device), "item": reg_item.to(self.device)}
        self.optimizers: dict[Side, optimizers.Adam] = {}

        for side in SIDES:
            parameters = net.dynamic[side].parameters()
            self.optimizers[side] = optimizers.Adam(parameters, learning_rate=options.learning_rate)

    @property
    def converged(self) -> bool:
        """Never: validation decides when to stop."""
        return False

    def pretrain(self, epochs: int) -> None:
        """Solve for the stationary factors alone, users and items in turn; to be called once."""
        for _ in range(epochs):
            for side in SIDES:
                self.solve(side)

        if self.options.leave_one_out:
            # Once: later turns change the factors, and these leverages then are approximate.
            # Both sides' factors have seen the rating, and their effects on it nearly add up.
            leverage = self.leverage("user") + self.leverage("item")
            self._remaining = 1 - leverage.clamp(max=MAX_LEVERAGE)

    def epoch(self, number: int) -> dict[str, float]:
        """A turn of users, then a turn of items, whose errors before each step are the train
        RMSE."""
        self.net.train()
        rate = self.options.learning_rate * self.options.decay ** (number - 1)

        for side in SIDES:
            self.optimizers[side].rate = rate
            squares = self.turn(side)

        # The items' turn is the last; an error of the users' that is not finite reaches it.
        if not math.isfinite(squares):
            raise DivergedError(
                f"The error became {squares} in epoch {number}; the step is too large: lower "
                f"learning_rate (it is {rate:g})."
            )

        mean_square = squares / max(1, len(self.train))
        return {
            "epoch": float(number),
            "train_rmse": math.sqrt(mean_square),
            "learning_rate": rate,
        }

    def turn(self, side: Side) -> float:
        """One side learns; returns the sum of squared errors, each before its step."""
        other_factors = self._dynamic_factors(OTHER[side])
        own_factors = self._dynamic_factors(side)
        dynamic = self._dynamic_part(side, own_factors, other_factors)
        self.solve(side, dynamic)
        residual = self._stationary_residual()
        if self.options.leave_one_out:
            # Without the rating itself, a ridge regression's error is error / (1 − leverage).
            error = residual - dynamic
            residual = dynamic + error / self._remaining

        squares = 0.0
        for row in self._batches(side):
            squares += self._gradient_step(side, row, other_factors, residual)

        return squares

    def _batches(self, side: Side) -> Iterator[Int64[np.ndarray, " rows"]]:
        """The rows with ratings in random order, some at a time."""
        counts = self.steps[side].counts
        order = torch.randperm(len(counts)).numpy()
        order = order[counts[order] > 0]

        # Rows differ in length by thousands, so a batch is limited in slots, too.
        batches = pieces(
            counts[order],
            rows=self.options.batch_size,
            cells=self.options.batch_slots,
        )

        for batch in batches:
            yield order[batch]

    def _dynamic_factors(self, side: Side) -> Float[Tensor, "slots k"]:
        lstm = self.net.dynamic[side]
        dynamic = DynamicFactors(lstm, self.steps[side])

        return dynamic.at_slots()

    def _dynamic_part(
        self, side: Side, own_factors: Tensor, other_factors: Tensor
    ) -> Float[Tensor, " ratings"]:
        """ũ · m̃ of each rating."""

        def product(own_slot: Tensor, other_slot: Tensor) -> Tensor:
            own = own_factors[own_slot]
            other = other_factors[other_slot]
            return (own * other).sum(dim=1)

        own_slot = self.steps[side].slot
        other_slot = self.steps[OTHER[side]].slot

        return in_blocks(product, own_slot, other_slot, device=self.device)

    @torch.no_grad()
    def _stationary_residual(self) -> Float[Tensor, " ratings"]:
        """Each rating less mu + b_u + b_i + u · m."""
        train = self.train
        stationary = in_blocks(self.net.stationary, train.user, train.item, device=self.device)
        value = torch.as_tensor(train.value, device=self.device)

        return value - stationary

    @torch.no_grad()
    def solve(self, side: Side, dynamic: Float[Tensor, " ratings"] | None = None) -> None:
        """Solve for one side's stationary factors.

        Args:
            side: whose factors.
            dynamic: what the dynamic part predicts of each rating; None: nothing.
        """
        net = self.net.stationary
        other = OTHER[side]
        block = Block.of(self.train.rows(side), self.device)
        value = residuals(net, block, other)
        if dynamic is not None:
            # The cells of the block are the ratings, sorted by the side's rows.
            rating = torch.as_tensor(self.train.entry(side), device=self.device)
            value -= dynamic[rating]

        features = net.features(other)
        solved = ridge(block, features, reg=self.reg[side], value=value)
        factors = net.user if side == "user" else net.item
        factors.copy_(solved)

    @torch.no_grad()
    def leverage(self, side: Side) -> Float[Tensor, " ratings"]:
        """How much each rating changes its own prediction: f (FᵀF + λ)⁻¹ f of its row's
        regression."""
        rows = self.train.rows(side)
        reg = self.reg[side].cpu().numpy()
        features = self.net.stationary.features(OTHER[side])
        features = features.cpu().numpy()
        k = features.shape[1]
        identity = np.eye(k, dtype=np.float32)
        by_cell = np.empty(rows.n_cells, np.float32)

        for row in np.flatnonzero(rows.counts):
            begin = rows.start[row]
            end = rows.start[row + 1]
            cells = slice(begin, end)
            columns = rows.column[cells]
            f = features[columns]
            precision = f.T @ f + reg[row] * identity
            inverse = np.linalg.inv(precision)
            # Only the diagonal of f inverse fᵀ, which has cells × cells numbers.
            products = (f @ inverse) * f
            by_cell[cells] = products.sum(axis=1)

        by_rating: Float32[np.ndarray, " ratings"] = np.empty_like(by_cell)
        by_rating[self.train.entry(side)] = by_cell

        return torch.as_tensor(by_rating, device=self.device)

    def _gradient_step(
        self,
        side: Side,
        row: Int64[np.ndarray, " rows"],
        other_factors: Float[Tensor, "slots k"],
        residual: Float[Tensor, " ratings"],
    ) -> float:
        """A step of Adam on the ratings of some rows; their squared error before it.

        Args:
            side: whose LSTM learns.
            row: the rows of the batch.
            other_factors: the other side's dynamic factors at its slots.
            residual: what the dynamic part is to predict of each rating.
        """
        steps = self.steps[side]
        device = self.device
        optimizer = self.optimizers[side]
        packed = Packed.of(steps, row)
        slot = packed.slot
        inputs = steps.inputs(steps.before[slot], steps.step[slot], device)

        # The batch's ratings: which slot of the batch each belongs to, and which rating it is.
        index, cell = cells_of(steps.cells, slot)
        rating = steps.rating[cell]
        other_slot = self.steps[OTHER[side]].slot[rating]
        other = other_factors[torch.as_tensor(other_slot, device=device)]
        target = residual[torch.as_tensor(rating, device=device)]

        optimizer.zero_grad()
        own = self._own_factors(side, inputs, packed)[torch.as_tensor(index, device=device)]
        predicted = (own * other).sum(dim=1)
        squares = (target - predicted).square().sum()
        mean_square = squares / len(rating)
        mean_square.backward()
        if self.options.reg:
            for weight in self.net.dynamic[side].weights():
                # reg ‖W‖² has the gradient 2 reg W.
                add_ridge(weight, 2 * self.options.reg)

        optimizer.step()

        return float(squares.detach())

    def _own_factors(self, side: Side, inputs: Inputs, packed: Packed) -> Float[Tensor, "slots k"]:
        """The side's dynamic factors at some slots, with gradients."""
        lstm = self.net.dynamic[side]
        gates = lstm.gates(inputs)
        h, _ = lstm.read(gates, packed.sizes)
        factors: Tensor = lstm.out(h)

        return factors

    def state(self) -> dict[str, Any]:
        """The optimizers' states."""
        states: dict[str, Any] = {}
        for side, optimizer in self.optimizers.items():
            states[side] = optimizer.state_dict()

        return states

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume with the optimizers' states of a snapshot."""
        for side, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[side])
