"""Ratings by row and step of time, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from recollect.data.calendar import SECONDS
from recollect.models.rrn.time_steps import Packed, TimeSteps, cells_of


@pytest.fixture
def steps(few):
    """Steps of users 0 (steps 0 and 1), 1 (step 1) and 2 (step 5)."""
    time = np.array([0, 1, 1, 5, 5, 5, 2]) * SECONDS
    return TimeSteps.of(replace(few, time=time), "user", days=1, mean=0.0)


def test_a_row_has_a_slot_for_each_step_with_ratings(steps):
    assert steps.start.tolist() == [0, 2, 3, 4]
    assert steps.row.tolist() == [0, 0, 1, 2]
    assert steps.before.tolist() == [-1, 0, -1, -1]


def test_slots_are_read_with_the_longest_row_first(steps):
    packed = Packed.of(steps, np.array([2, 0, 1]))
    assert packed.slot.tolist() == [0, 3, 2, 1]
    assert packed.sizes == [3, 1]


def test_the_last_slot_before_a_step_is_strictly_before(steps):
    before = steps.last_before(np.array([0, 0, 0, 0]), np.array([-3, 0, 1, 9]))
    assert before.tolist() == [-1, -1, 0, 1]


def test_the_cells_of_slots_are_those_of_their_rows(steps):
    slots = np.array([3, 0])
    index, cell = cells_of(steps.cells, slots)
    for position, slot in enumerate(slots):
        expected = np.arange(steps.cells.start[slot], steps.cells.start[slot + 1])
        np.testing.assert_array_equal(cell[index == position], expected)
