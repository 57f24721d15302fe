"""Which ratings are levels."""

import numpy as np
import pytest

from recollect.data.levels import are_levels


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.repeat([0.5, 1.0, 5.0], 10), True),
        (np.repeat([0.5, 1.0, 5.0], 9), False),  # too few ratings of each
        (np.repeat(np.arange(101), 50), False),  # percent
        (np.full(100, 3.0), False),
    ],
)
def test_ratings_of_few_values_are_levels(values, expected):
    assert are_levels(values.astype(np.float32)) is expected
