"""The factors that an LSTM gives users or items at any time: for predictions, without gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recollect.data.sparse_rows import pieces
from recollect.models.rrn.time_steps import Packed, TimeSteps
from recollect.system.once import Once

SLOTS_AT_ONCE = 1 << 16  # slots that are read together
KEPT_SLOTS = 1 << 19  # the states of so many slots are kept between predictions

States = tuple[Tensor, Tensor]  # h and c after each slot of some rows, and zeros last


class DynamicFactors:
    """ũ of users or m̃ of items, given the ratings by step of time."""

    def __init__(self, lstm: Any, steps: TimeSteps) -> None:
        """Nothing is read before it is needed.

        Args:
            lstm: the side's `RecurrentFactors`.
            steps: the side's ratings.
        """
        self.lstm = lstm
        self.steps = steps
        self.device = lstm.ratings.device
        self._all_states: Once[States] = Once()

    @torch.no_grad()
    def at_slots(self) -> Float[Tensor, "slots factors"]:
        """The factors at every slot, which have not seen the slot's own ratings."""
        n_slots = len(self.steps)
        n_rows = len(self.steps.counts)
        factors = torch.empty(n_slots, self.lstm.out.out_features, device=self.device)

        for slots, h, _ in self._read(0, n_rows):
            factors[slots] = self.lstm.out(h)

        return factors

    @torch.no_grad()
    def at(
        self, row: Int[np.ndarray, " n"], step: Int[np.ndarray, " n"]
    ) -> Float[Tensor, "n factors"]:
        """The factors of any rows at any steps, from their ratings in earlier steps."""
        factors = torch.empty(len(row), self.lstm.out.out_features, device=self.device)
        # By row, because only the states of some rows are in memory at a time.
        order = np.argsort(row, kind="stable")
        ordered_row = row[order]

        for rows, states in self._states():
            first, end = np.searchsorted(ordered_row, [rows.start, rows.stop])

            for low in range(first, end, SLOTS_AT_ONCE):
                high = min(low + SLOTS_AT_ONCE, end)
                index = order[low:high]
                step_of_index = np.asarray(step[index])
                factors[index] = self._next(rows, states, row[index], step_of_index)

        return factors

    def _next(
        self, rows: slice, states: States, row: np.ndarray, step: np.ndarray
    ) -> Float[Tensor, "n factors"]:
        """The factors of some of the rows that the states belong to."""
        h, c = states
        before = self.steps.last_before(row, step)
        # A row that has read nothing starts from the zeros after the last slot.
        zeros = len(h) - 1
        offset = self.steps.start[rows.start]
        position = np.where(before < 0, zeros, before - offset)
        index = torch.as_tensor(position)

        inputs = self.steps.inputs(before, step, self.device)
        gates = self.lstm.gates(inputs)
        h_next, _ = self.lstm.step(gates, h[index], c[index])
        factors: Tensor = self.lstm.out(h_next)

        return factors

    def _states(self) -> Iterator[tuple[slice, States]]:
        """The states of as many rows at a time as may be kept."""
        counts = self.steps.counts
        if len(self.steps) <= KEPT_SLOTS:
            rows = slice(0, len(counts))
            states = self._all_states.get(lambda: self._states_of(rows))
            yield rows, states
            return

        for rows in pieces(counts, rows=len(counts), cells=KEPT_SLOTS):
            yield rows, self._states_of(rows)

    def _states_of(self, rows: slice) -> States:
        begin = self.steps.start[rows.start]
        end = self.steps.start[rows.stop]
        # One more than slots: the zeros that a row starts from.
        shape = (end - begin + 1, self.lstm.hidden)
        h = torch.zeros(shape, device=self.device)
        c = torch.zeros(shape, device=self.device)

        for slots, slot_h, slot_c in self._read(rows.start, rows.stop):
            position = slots - begin
            h[position] = slot_h
            c[position] = slot_c

        return h, c

    def _read(self, first: int, end: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Slots, h and c of rows `first` to `end`, some rows at a time."""
        steps = self.steps
        counts = steps.counts[first:end]

        for rows in pieces(counts, rows=end - first, cells=SLOTS_AT_ONCE):
            row = np.arange(first + rows.start, first + rows.stop)
            packed = Packed.of(steps, row)
            slot = packed.slot
            before = steps.before[slot]
            inputs = steps.inputs(before, steps.step[slot], self.device)
            gates = self.lstm.gates(inputs)
            h, c = self.lstm.read(gates, packed.sizes)
            slots = torch.as_tensor(slot, device=self.device)
            yield slots, h, c
