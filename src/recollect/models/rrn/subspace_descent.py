"""Alternating subspace descent: what is said of users changes while the items' states stand still, then the other way round.

A turn of a side solves its factors that do not change with time exactly, from what the moving part leaves over (`still`), and
then descends with its LSTM, some rows at a time. A Learner (see `epochs`).

Source: Wu, Ahmed, Beutel, Smola, Jing. "Recurrent Recommender Networks." WSDM 2017, section 3.4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from recollect.data.ratings import Ratings, Side
from recollect.data.sparse_rows import Rows, pieces
from recollect.kernels import Block
from recollect.kernels.ridge import ridge
from recollect.models.rrn.recurrent import Packed, Reader, TimeSteps
from recollect.training import optimizers
from recollect.training.fit_loop import DivergedError
from recollect.training.losses import add_ridge

SIDES: tuple[Side, Side] = ("user", "item")
CELLS = 1 << 19  # ratings whose products are worked out at once


@dataclass(frozen=True, kw_only=True)
class SubspaceOptions:
    """How to descend."""

    learning_rate: float
    decay: float  # what it is multiplied by after each epoch
    batch_size: int  # rows
    batch_slots: int  # slots of a batch at most, or one row
    reg: float  # λ of the weights with each rating
    left_out: bool  # the LSTMs learn what is left by factors that have not seen the rating itself


class SubspaceDescent:
    """Minimizes Σ ((r − r̂)² + reg ‖weights‖²) + λ of the factors, users and items in turn."""

    def __init__(
        self,
        net: Any,
        train: Ratings,
        steps: Mapping[Side, TimeSteps],
        plan: SubspaceOptions,
        *,
        reg_user: Float[Tensor, " users"],
        reg_item: Float[Tensor, " items"],
    ) -> None:
        self.net, self.steps, self.plan = net, steps, plan
        self.device = net.still.user.device
        self.train = train
        self.reg = {"user": reg_user.to(self.device), "item": reg_item.to(self.device)}
        self.optimizers = {
            side: optimizers.Adam(net.moving[side].parameters(), learning_rate=plan.learning_rate)
            for side in SIDES
        }

    @property
    def converged(self) -> bool:
        """Never: validation says when."""
        return False

    def epoch(self, number: int) -> dict[str, float]:
        """A turn of users, a turn of items; the RMSE on train while going, and the rate."""
        self.net.train()
        rate = self.plan.learning_rate * self.plan.decay ** (number - 1)
        for side in SIDES:
            self.optimizers[side].rate = rate
            total = self.turn(side)
        if not math.isfinite(total):
            raise DivergedError(
                f"The error became {total} in epoch {number}; the step is too large: lower learning_rate (it "
                f"is {rate:g})."
            )
        return {
            "epoch": float(number),
            "train_rmse": math.sqrt(total / max(1, len(self.train))),
            "learning_rate": rate,
        }

    def begin(self, turns: int) -> None:
        """So many turns of factors alone; then how much of the error that a rating would have without them is left with them."""
        for _ in range(turns):
            for side in SIDES:
                self.solve(side)
        if self.plan.left_out:
            user, item = (self._leverage(side) for side in SIDES)
            self._left = 1 - (user + item).clamp(max=0.95)

    def turn(self, side: Side) -> float:
        """One side's; the squared error of its LSTM's predictions while going."""
        facing = self._table(SIDES[side == "user"])
        moved = self._moving(self._table(side), facing, side)
        self.solve(side, moved)
        rest = self._rest()
        if self.plan.left_out:
            rest = moved + (rest - moved) / self._left
        order = torch.randperm(len(self.steps[side].counts)).numpy()
        order = order[self.steps[side].counts[order] > 0]
        return sum(
            self._descend(side, order[rows], facing, rest)
            for rows in pieces(
                self.steps[side].counts[order],
                rows=self.plan.batch_size,
                cells=self.plan.batch_slots,
            )
        )

    def _table(self, side: Side) -> Float[Tensor, "slots k"]:
        return Reader(self.net.moving[side], self.steps[side]).table()

    @torch.no_grad()
    def solve(self, side: Side, moved: Float[Tensor, " ratings"] | None = None) -> None:
        """The side's still factors exactly, from what the moving part leaves over of each rating."""
        still, rows, entry = self.net.still, self.train.rows(side), self.train.entry(side)
        block = Block.of(rows, self.device)
        value: Tensor = (
            block.value - still.mu - still.offset(SIDES[side == "user"])[block.column.long()]
        )
        if moved is not None:
            value -= moved[torch.as_tensor(entry, device=self.device)]
        found = ridge(block, still.features(SIDES[side == "user"]), reg=self.reg[side], value=value)
        (still.user if side == "user" else still.item).copy_(found)

    @torch.no_grad()
    def _leverage(self, side: Side) -> Float[Tensor, " ratings"]:
        """How far each rating pulls its own prediction: f (FᵀF + λ)⁻¹ f for each row's ridge regression."""
        rows, reg = self.train.rows(side), self.reg[side].cpu().numpy()
        features = self.net.still.features(SIDES[side == "user"]).cpu().numpy()
        eye, out = np.eye(features.shape[1], dtype=np.float32), np.empty(rows.n_cells, np.float32)
        for row in np.flatnonzero(rows.counts):
            cells = slice(rows.start[row], rows.start[row + 1])
            f = features[rows.column[cells]]
            out[cells] = ((f @ np.linalg.inv(f.T @ f + reg[row] * eye)) * f).sum(axis=1)
        found = np.empty_like(out)
        found[self.train.entry(side)] = out
        return torch.as_tensor(found, device=self.device)

    def _moving(self, ours: Tensor, facing: Tensor, side: Side) -> Float[Tensor, " ratings"]:
        """What the moving parts say of each rating."""
        slot, slot_facing = (
            torch.as_tensor(self.steps[s].slot, device=self.device)
            for s in (side, SIDES[side == "user"])
        )
        out = torch.empty(len(slot), device=self.device)
        for part in torch.arange(len(slot), device=self.device).split(CELLS):
            out[part] = (ours[slot[part]] * facing[slot_facing[part]]).sum(dim=1)
        return out

    @torch.no_grad()
    def _rest(self) -> Float[Tensor, " ratings"]:
        """What the still part leaves over of each rating."""
        user, item, value = (
            torch.as_tensor(x, device=self.device)
            for x in (self.train.user, self.train.item, self.train.value)
        )
        return torch.cat(
            [
                v - self.net.still(u, i)
                for u, i, v in zip(*(x.split(CELLS) for x in (user, item, value)), strict=True)
            ]
        )

    def _descend(
        self, side: Side, row: Int64[np.ndarray, " rows"], facing: Tensor, rest: Tensor
    ) -> float:
        """A step on the ratings of these rows; their squared error."""
        steps, moving, optimizer = self.steps[side], self.net.moving[side], self.optimizers[side]
        packed = Packed.of(steps, row)
        read = steps.input(steps.before[packed.slot], steps.step[packed.slot], self.device)
        at, cell = _cells(steps.cells, packed.slot)
        entry = steps.entry[cell]
        slot = torch.as_tensor(self.steps[SIDES[side == "user"]].slot[entry], device=self.device)
        optimizer.zero_grad()
        said = moving.out(moving.read(moving.gates(read), packed.sizes)[0])
        found = (said[torch.as_tensor(at, device=self.device)] * facing[slot]).sum(dim=1)
        error = (rest[torch.as_tensor(entry, device=self.device)] - found).square().sum()
        (error / len(entry)).backward()
        if self.plan.reg:
            for weight in moving.weights():
                add_ridge(weight, 2 * self.plan.reg)
        optimizer.step()
        return float(error.detach())

    def state(self) -> dict[str, Any]:
        """See Learner."""
        return {side: optimizer.state_dict() for side, optimizer in self.optimizers.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """See Learner."""
        for side, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state[side])


def _cells(
    rows: Rows, slot: Int64[np.ndarray, " some"]
) -> tuple[Int64[np.ndarray, " cells"], Int64[np.ndarray, " cells"]]:
    """The cells of some slots: which of the slots, counted from 0, and which cell."""
    counts = rows.counts[slot]
    at = np.repeat(np.arange(len(slot)), counts)
    return at, np.arange(len(at)) + np.repeat(rows.start[slot] - np.cumsum(counts) + counts, counts)
