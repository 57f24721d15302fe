"""Which ratings are levels."""

import numpy as np
import pytest

import recollect as rc
from recollect.data.levels import levels_of


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
    people = range(len(values))
    triples = zip(people, people, values.tolist(), strict=True)
    ratings = rc.from_tuples(triples, scale=(0, 100))
    levels = levels_of(ratings)
    assert (levels is not None) is expected
    if levels is not None:
        assert levels.tolist() == sorted(set(values.tolist()))
