"""Ratings by row and step of time, and what an LSTM reads of them.

A row of either side (a user, an item) has a slot for each step of time in which it has ratings, and
none for other steps. The LSTM's state at a slot depends on the ratings of the row's slots before
it, and on the clock; it does not depend on the slot's own ratings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64
from torch import Tensor

from recollect.data.calendar import SECONDS
from recollect.data.ratings import Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.kernels import Block


@dataclass(frozen=True, eq=False)
class TimeSteps:
    """A slot for every row and step of time with ratings; those of a row are together, in order."""

    start: Int64[np.ndarray, " rows_and_one"]  # the first slot of each row
    row: Int64[np.ndarray, " slots"]
    step: Int64[np.ndarray, " slots"]  # which step of time, from 0
    before: Int64[np.ndarray, " slots"]  # the row's slot before; -1 before its first
    cells: Rows  # the ratings of each slot, less the mean; columns are rows of the other side
    slot: Int64[np.ndarray, " ratings"]  # of each rating
    rating: Int64[np.ndarray, " ratings"]  # which rating each cell is
    first_step: int  # counted from 1970
    n_steps: int
    days: int  # in a step

    @classmethod
    def of(cls, ratings: Ratings, side: Side, *, days: int, mean: float) -> TimeSteps:
        """The slots of one side.

        Args:
            ratings: with times.
            side: whose slots.
            days: in a step of time.
            mean: what is subtracted from the ratings.
        """
        assert ratings.time is not None
        step = ratings.time // (SECONDS * days)
        first_step = int(step.min())
        n_steps = int(step.max()) - first_step + 1

        # A slot's key orders slots by row, then step; in 64 bits, because it may be large.
        row, column, n_rows, n_columns = _rows_and_columns(ratings, side)
        key = row.astype(np.int64) * n_steps + (step - first_step)
        slots, slot = np.unique(key, return_inverse=True)
        row_of_slot, step_of_slot = np.divmod(slots, n_steps)

        counts = np.bincount(row_of_slot, minlength=n_rows)
        start = np.concatenate([[0], np.cumsum(counts)])
        before = _slots_before(start)
        value = ratings.value - np.float32(mean)
        cells, rating = Rows.group(slot, column, value, n_rows=len(slots), n_columns=n_columns)

        return cls(
            start=start,
            row=row_of_slot,
            step=step_of_slot,
            before=before,
            cells=cells,
            slot=slot,
            rating=rating,
            first_step=first_step,
            n_steps=n_steps,
            days=days,
        )

    def __len__(self) -> int:
        """Number of slots."""
        return len(self.step)

    @property
    def counts(self) -> Int64[np.ndarray, " rows"]:
        """How many slots each row has."""
        return np.diff(self.start)

    def step_at(self, time: Int[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The step of each time, in seconds since 1970; negative before the first rating."""
        seconds = np.asarray(time, np.int64)
        step = seconds // (SECONDS * self.days)

        return step - self.first_step

    def last_step(self, row: Int[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        """The last step of each row; of a row without ratings, the last of all."""
        row = np.asarray(row)
        start = self.start[row]
        end = self.start[row + 1]
        has_slots = end > start
        last = self.step[end - 1]  # of another row where this one has no slots

        return np.where(has_slots, last, self.n_steps - 1)

    def last_before(
        self, row: Int[np.ndarray, " n"], step: Int[np.ndarray, " n"]
    ) -> Int64[np.ndarray, " n"]:
        """The row's last slot before a step; -1 if there is none."""
        row = np.asarray(row, np.int64)
        # Slots ascend by row, then step: one search among the two combined finds all of them.
        radix = self.n_steps + 1
        # A step before the first or after the last must not reach into another row.
        clipped = np.clip(step, 0, self.n_steps)
        key = row * radix + clipped
        keys = self.row * radix + self.step
        next_slot = np.searchsorted(keys, key)
        has_slot_before = next_slot > self.start[row]

        return np.where(has_slot_before, next_slot - 1, -1)

    def inputs(
        self, before: Int[np.ndarray, " n"], step: Int[np.ndarray, " n"], device: torch.device
    ) -> Inputs:
        """What is read on the way from a slot to a later step.

        Args:
            before: the slots; -1 for the start of a row.
            step: the steps.
            device: where the LSTM computes.
        """
        is_first = before < 0
        time = step / self.n_steps
        step_before = self.step[before]  # of the last slot of all where before is −1
        time_before = np.where(is_first, 0, step_before / self.n_steps)
        columns = np.stack([is_first, time, time_before], axis=1)
        clock = torch.as_tensor(columns.astype(np.float32), device=device)
        cells = self.cells.take(before)

        return Inputs(Block.of(cells, device), clock)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What an LSTM reads at some slots."""

    ratings: Block  # x_t−1
    clock: Float32[Tensor, "n 3"]  # whether it is the row's first step; τ_t; τ_t−1


@dataclass(frozen=True, eq=False)
class Packed:
    """The slots of some rows in the order in which an LSTM reads them: the first of every row, the
    rows with most slots first; then the second of every row that has one; and so on.
    """

    slot: Int64[np.ndarray, " n"]
    sizes: list[int]  # how many rows have a first slot, a second …

    @classmethod
    def of(cls, steps: TimeSteps, row: Int[np.ndarray, " rows"]) -> Packed:
        """The slots of these rows."""
        counts = steps.counts[row]
        longest_first = np.argsort(-counts, kind="stable")
        first_slot = steps.start[row][longest_first]
        counts = counts[longest_first]

        # How many rows have so many slots or more; both arrays negated, so that they ascend.
        numbers = np.arange(1, counts.max(initial=0) + 1)
        sizes = np.searchsorted(-counts, -numbers, side="right")

        # The slots at a position are those of the first rows: their rank counts from 0 anew.
        position = np.repeat(np.arange(len(sizes)), sizes)
        begin = np.cumsum(sizes) - sizes
        rank = np.arange(len(position)) - np.repeat(begin, sizes)
        slot = first_slot[rank] + position

        return cls(slot, sizes.tolist())


def _slots_before(start: Int64[np.ndarray, " rows_and_one"]) -> Int64[np.ndarray, " slots"]:
    """The row's slot before each slot; -1 for its first one."""
    n_slots = start[-1]
    before = np.arange(-1, n_slots - 1)
    # The slot to the left of a row's first is another row's.
    has_slots = np.diff(start) > 0
    first_slots = start[:-1][has_slots]
    before[first_slots] = -1

    return before


def _rows_and_columns(ratings: Ratings, side: Side) -> tuple[np.ndarray, np.ndarray, int, int]:
    """The row and the column of each rating, and how many there are of both, seen from a side."""
    if side == "user":
        return ratings.user, ratings.item, ratings.n_users, ratings.n_items

    return ratings.item, ratings.user, ratings.n_items, ratings.n_users


def cells_of(
    rows: Rows, slot: Int64[np.ndarray, " slots"]
) -> tuple[Int64[np.ndarray, " cells"], Int64[np.ndarray, " cells"]]:
    """The cells of some slots: which of these slots each belongs to, from 0, and which cell it
    is."""
    counts = rows.counts[slot]
    index = np.repeat(np.arange(len(slot)), counts)
    # A slot's cells begin at `begin` here, and at `start` among all cells.
    begin = np.cumsum(counts) - counts
    start = rows.start[slot]
    shift = np.repeat(start - begin, counts)
    cell = np.arange(len(index)) + shift

    return index, cell
