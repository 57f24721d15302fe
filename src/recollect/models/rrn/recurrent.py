"""What someone's ratings say of them as time goes on: steps of time, and an LSTM that reads them one after the other.

A row of either side (a user, an item) has a slot for each step of time in which it has ratings, and none for other steps. The
state at a slot has read the ratings of the slots before it, and knows when it is; the slot's own ratings it has not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64
from torch import Tensor, nn

from recollect.data.calendar import SECONDS
from recollect.data.ratings import Ratings, Side
from recollect.data.sparse_rows import Rows, pieces
from recollect.kernels import Block, times_dense

SLOTS = 1 << 16  # slots read at once without gradients
KEPT = 1 << 19  # states of so many slots are kept for the next prediction


@dataclass(frozen=True, eq=False)
class TimeSteps:
    """A slot for every row and step of time with ratings, a row's together and in order."""

    start: Int64[np.ndarray, " rows_and_one"]  # the first slot of each row
    step: Int64[np.ndarray, " slots"]  # which step of time, from 0
    cells: Rows  # the ratings of each slot, less the mean; a column is a row of the other side
    slot: Int64[np.ndarray, " ratings"]  # of each rating
    entry: Int64[np.ndarray, " ratings"]  # which rating each cell is
    zero: int  # the first step, counted from 1970
    n_steps: int
    days: int  # in a step

    @classmethod
    def of(cls, ratings: Ratings, side: Side, *, days: int, mean: float) -> TimeSteps:
        """The steps of these ratings, which have times."""
        assert ratings.time is not None
        step = ratings.time // (SECONDS * days)
        zero, n_steps = int(step.min()), int(step.max() - step.min()) + 1
        row, column = (
            (ratings.user, ratings.item) if side == "user" else (ratings.item, ratings.user)
        )
        n_rows, n_columns = (ratings.n_users, ratings.n_items)[:: 1 if side == "user" else -1]
        key, slot = np.unique(row.astype(np.int64) * n_steps + (step - zero), return_inverse=True)
        at, step = np.divmod(key, n_steps)
        start = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=n_rows))])
        cells, entry = Rows.group(
            slot, column, ratings.value - np.float32(mean), n_rows=len(key), n_columns=n_columns
        )
        return cls(start, step, cells, slot, entry, zero, n_steps, days)

    def __len__(self) -> int:
        """Slots."""
        return len(self.step)

    @property
    def counts(self) -> Int64[np.ndarray, " rows"]:
        """How many slots each row has."""
        return np.diff(self.start)

    @cached_property
    def row(self) -> Int64[np.ndarray, " slots"]:
        """Whose each slot is."""
        return np.repeat(np.arange(len(self.start) - 1), self.counts)

    @cached_property
    def before(self) -> Int64[np.ndarray, " slots"]:
        """The slot before each one; -1 before a row's first."""
        found = np.arange(-1, len(self) - 1)
        found[self.start[:-1][self.counts > 0]] = -1
        return found

    def step_at(self, time: Int[np.ndarray, " some"]) -> Int64[np.ndarray, " some"]:
        """The step of each time, in seconds since 1970: below 0 before the first rating."""
        return np.asarray(time, np.int64) // (SECONDS * self.days) - self.zero

    def last_before(
        self, row: Int[np.ndarray, " some"], step: Int[np.ndarray, " some"]
    ) -> Int64[np.ndarray, " some"]:
        """The row's last slot before this step; -1 if there is none."""
        row, reach = np.asarray(row, np.int64), self.n_steps + 1
        found = np.searchsorted(
            self.row * reach + self.step, row * reach + np.clip(step, 0, self.n_steps)
        )
        return np.where(found > self.start[row], found - 1, -1)

    def input(
        self, before: Int[np.ndarray, " some"], step: Int[np.ndarray, " some"], device: torch.device
    ) -> Inputs:
        """What is read on the way from a slot (-1: from nothing) to a step."""
        new = before < 0
        clock = np.stack(
            [new, step / self.n_steps, np.where(new, 0, self.step[before] / self.n_steps)], axis=1
        )
        read = self.cells.take(before)
        return Inputs(
            Block.of(read, device),
            torch.as_tensor(clock.astype(np.float32), device=device),
        )


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the LSTM reads: sparse ratings; and whether this is the first time, the time, and the time before."""

    ratings: Block
    clock: Float32[Tensor, "some 3"]


@dataclass(frozen=True, eq=False)
class Packed:
    """The slots of some rows, in the order in which they are read: the first of every row, longest rows first, then the second"""

    slot: Int64[np.ndarray, " some"]
    sizes: list[int]  # rows that have a first slot, a second …

    @classmethod
    def of(cls, steps: TimeSteps, row: Int[np.ndarray, " some_rows"]) -> Packed:
        """Those of these rows."""
        counts = steps.counts[row]
        order = np.argsort(-counts, kind="stable")
        first, counts = steps.start[row][order], counts[order]
        sizes = np.searchsorted(-counts, -np.arange(1, counts.max(initial=0) + 1), side="right")
        turn = np.repeat(np.arange(len(sizes)), sizes)
        rank = np.arange(len(turn)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return cls(first[rank] + turn, sizes.tolist())


class Recurrent(nn.Module):
    """y = W_a [ratings, first time, τ_t, τ_t-1]; an LSTM over y; an affine image of its state."""

    def __init__(self, n_columns: int, *, embedding: int, hidden: int, factors: int) -> None:
        super().__init__()
        self.ratings = nn.Parameter(torch.randn(n_columns, embedding) * 0.05)  # of W_a
        self.clock = nn.Linear(3, embedding)  # the rest of it
        self.input = nn.Linear(embedding, 4 * hidden)  # gates: input, forget, new, output
        self.recur = nn.Linear(hidden, 4 * hidden, bias=False)
        self.out = nn.Linear(hidden, factors)
        nn.init.ones_(self.input.bias[hidden : 2 * hidden])  # remembers at the start
        nn.init.normal_(self.out.weight, std=0.03)  # and says next to nothing
        nn.init.normal_(self.out.bias, std=0.03)
        self.hidden = hidden

    def weights(self) -> list[nn.Parameter]:
        """What bears λ: all but the biases."""
        return [weight for name, weight in self.named_parameters() if not name.endswith("bias")]

    def gates(self, read: Inputs) -> Float[Tensor, "some gates"]:
        """What the inputs add to the gates."""
        return self.input(times_dense(read.ratings, self.ratings) + self.clock(read.clock))

    def move(
        self,
        gates: Float[Tensor, "some gates"],
        h: Float[Tensor, "some k"],
        c: Float[Tensor, "some k"],
    ) -> tuple[Float[Tensor, "some k"], Float[Tensor, "some k"]]:
        """One step of the LSTM."""
        i, f, g, o = torch.addmm(gates, h, self.recur.weight.t()).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def read(
        self, gates: Float[Tensor, "some gates"], sizes: list[int]
    ) -> tuple[Float[Tensor, "some k"], Float[Tensor, "some k"]]:
        """The states h and c after each input, from nothing; `sizes` as in Packed."""
        h = c = gates.new_zeros(sizes[0] if sizes else 0, self.hidden)
        hs, cs = [h[:0]], [c[:0]]
        for part in gates.split(sizes):
            h, c = self.move(part, h[: len(part)], c[: len(part)])
            hs.append(h)
            cs.append(c)
        return torch.cat(hs), torch.cat(cs)


class Reader:
    """A side's steps and the network that reads them: states without gradients, some rows at a time."""

    def __init__(self, net: Recurrent, steps: TimeSteps) -> None:
        self.net, self.steps = net, steps
        self.device = net.ratings.device
        self._kept: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def table(self) -> Float[Tensor, "slots factors"]:
        """What the network says at every slot, before its ratings."""
        out = torch.empty(len(self.steps), self.net.out.out_features, device=self.device)
        for slots, h, _ in self._parts(0, len(self.steps.counts)):
            out[slots] = self.net.out(h)
        return out

    @torch.no_grad()
    def at(
        self, row: Int[np.ndarray, " some"], step: Int[np.ndarray, " some"]
    ) -> Float[Tensor, "some factors"]:
        """The same for any row at any step, from its ratings in earlier steps."""
        out = torch.empty(len(row), self.net.out.out_features, device=self.device)
        order = np.argsort(row, kind="stable")
        for rows, (h, c) in self._states():
            first, end = np.searchsorted(row[order], [rows.start, rows.stop])
            for low in range(first, end, SLOTS):
                some = order[low : min(low + SLOTS, end)]
                before = self.steps.last_before(row[some], step[some])
                where = torch.as_tensor(
                    np.where(before < 0, len(h) - 1, before - self.steps.start[rows.start])
                )
                gates = self.net.gates(
                    self.steps.input(before, np.asarray(step[some]), self.device)
                )
                out[some] = self.net.out(self.net.move(gates, h[where], c[where])[0])
        return out

    def _states(self) -> Iterator[tuple[slice, tuple[Tensor, Tensor]]]:
        """h and c after every slot, for so many rows at a time; and a last one of 0."""
        if self._kept is not None:
            yield slice(0, len(self.steps.counts)), self._kept
            return
        for rows in pieces(self.steps.counts, rows=len(self.steps.counts), cells=KEPT):
            begin, end = self.steps.start[rows.start], self.steps.start[rows.stop]
            h, c = (
                torch.zeros(end - begin + 1, self.net.hidden, device=self.device) for _ in range(2)
            )
            for slots, some_h, some_c in self._parts(rows.start, rows.stop):
                h[slots - begin], c[slots - begin] = some_h, some_c
            if rows == slice(0, len(self.steps.counts)):
                self._kept = h, c
            yield rows, (h, c)

    def _parts(self, first: int, end: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Slots, h and c, of some of these rows at a time."""
        for rows in pieces(self.steps.counts[first:end], rows=end - first, cells=SLOTS):
            packed = Packed.of(self.steps, np.arange(first + rows.start, first + rows.stop))
            read = self.steps.input(
                self.steps.before[packed.slot], self.steps.step[packed.slot], self.device
            )
            yield (
                torch.as_tensor(packed.slot, device=self.device),
                *self.net.read(self.net.gates(read), packed.sizes),
            )
