"""The largest numbers of rows beside a sort of each row."""

import numpy as np
import pytest

from recollect.kernels import first_n as kernel
from recollect.kernels.reference.first_n import first_n as by_sorting
from recollect.ranking import first_n as ranked_of

NEVER = -np.inf


@pytest.fixture
def scores() -> np.ndarray:
    """Rows with and without ties, and with few or no numbers that may be ranked."""
    random = np.random.default_rng(0)
    made = random.standard_normal((9, 333)).astype(np.float32)
    made[:, ::7] = NEVER
    made[1] = np.round(made[1])
    made[2] = 1.0
    made[3] = NEVER
    made[4, 5:] = NEVER
    made[5] = np.sort(made[5])
    made[6, 3] = np.nan
    return made


@pytest.mark.parametrize("n", [1, 2, 10, 100, 333])
def test_the_largest_are_those_of_a_sort(scores, n):
    np.testing.assert_array_equal(kernel.first_n(scores, n), by_sorting(scores, n))


def test_long_lists_are_the_same(scores, monkeypatch):
    expected = kernel.first_n(scores, 50)
    monkeypatch.setattr(kernel, "LISTED", 49)
    np.testing.assert_array_equal(kernel.first_n(scores, 50), expected)


def test_ties_go_by_column():
    scores = np.array([[1, 2, 2, 1, 2]], np.float32)
    np.testing.assert_array_equal(kernel.first_n(scores, 4), [[1, 2, 4, 0]])


def test_rows_of_a_larger_matrix_are_read_where_they_lie(scores):
    part = scores[::2, 10:300]
    np.testing.assert_array_equal(kernel.first_n(part, 5), by_sorting(part, 5))


def test_a_list_longer_than_the_row_ends_in_none(scores):
    shown = ranked_of(400, scores)
    np.testing.assert_array_equal(shown[:, :333], by_sorting(scores, 333))
    assert (shown[:, 333:] == -1).all()
