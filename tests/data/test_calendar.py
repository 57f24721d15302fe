"""Days of users: slots, the deviation from the mean day, parts of the time."""

import numpy as np
import pytest

from recollect.data.calendar import SECONDS, Days
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab


@pytest.fixture
def days() -> Days:
    """User 0 rated twice on day 10 and once on day 40; user 1 on day 20; user 2 never."""
    time = np.array([40, 10, 10, 20]) * SECONDS + np.array([5, 0, SECONDS - 1, 3])
    return Days.of(
        Ratings(
            np.array([0, 0, 0, 1], np.int32),
            np.array([0, 1, 2, 0], np.int32),
            np.ones(4, np.float32),
            Vocab(["a", "b", "c"]),
            Vocab(["x", "y", "z"]),
            time=time,
        )
    )


def test_a_slot_is_a_user_and_a_day(days):
    assert len(days) == 3
    assert days.day.tolist() == [10, 40, 20]
    assert days.user.tolist() == [0, 0, 1]
    assert days.count.tolist() == [2, 1, 1]
    assert days.start.tolist() == [0, 2, 3, 3]
    slots = days.slot(np.array([0, 0, 1]), np.array([10, 40, 20]))
    np.testing.assert_array_equal(slots, [0, 1, 2])


def test_days_without_ratings_share_the_last_slot(days):
    user = np.array([0, 0, 1, 1, 2, 0])
    day = np.array([9, 41, 10, 40, 20, 1000])
    np.testing.assert_array_equal(days.slot(user, day), [3] * 6)
    np.testing.assert_array_equal(days.n_ratings(np.array([0, 3])), [2, 1])


def test_deviation_is_the_signed_power_of_the_distance_from_the_mean_day(days):
    np.testing.assert_allclose(days.mean[:2], [20, 20])
    deviation = days.deviation(np.array([0, 0, 1]), np.array([40, 10, 20]), power=0.4)
    np.testing.assert_allclose(deviation, [20**0.4, -(10**0.4), 0], rtol=1e-6)


def test_bins_are_equally_long_and_end_with_the_first_and_last_day(days):
    halves = days.bin(np.array([0, 10, 20, 25, 40, 99]), n=2)
    np.testing.assert_array_equal(halves, [0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(days.bin(np.array([10, 40]), n=31), [0, 30])


def test_the_latest_day_is_a_users_own_or_that_of_all(days):
    np.testing.assert_array_equal(days.latest(np.array([0, 1, 2])), [40, 20, 40])
