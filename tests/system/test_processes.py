"""One function over many inputs, in processes of their own."""

import math
import os

import pytest

from recollect.errors import SettingError, TrainingError
from recollect.system.processes import run_each


def process_id(_: int) -> int:
    return os.getpid()


def test_results_come_in_the_order_of_the_inputs() -> None:
    assert list(run_each(math.sqrt, [9.0, 4.0, 1.0])) == [3, 2, 1]
    assert list(run_each(math.sqrt, [9.0, 4.0, 1.0], processes=2)) == [3, 2, 1]


def test_each_input_gets_a_fresh_process() -> None:
    ids = list(run_each(process_id, [1, 2], processes=1))
    assert len({*ids, os.getpid()}) == 3


def test_inputs_are_taken_as_they_are_needed() -> None:
    taken = []
    inputs = (taken.append(x) or x for x in [4.0, 9.0, 16.0])
    first = next(iter(run_each(math.sqrt, inputs, processes=1)))
    assert (first, taken) == (2, [4])


def test_an_error_in_a_process_is_raised_as_itself() -> None:
    with pytest.raises(ValueError, match=r"math domain|nonnegative"):
        list(run_each(math.sqrt, [4.0, -1.0], processes=1))


def test_a_process_that_dies_is_reported() -> None:
    with pytest.raises(TrainingError, match="worker process died"):
        list(run_each(os._exit, [3], processes=1))


def test_fewer_than_0_processes_are_refused() -> None:
    with pytest.raises(SettingError, match="or more"):
        run_each(math.sqrt, [], processes=-1)
