"""Time split: train, valid and test follow each other in time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from jaxtyping import Int64

from recollect.arguments import expect_ratings
from recollect.data.ratings import Ratings
from recollect.data.splitting.dates import Date, as_seconds, times_of
from recollect.data.splitting.shares import Share, check_shares
from recollect.data.splitting.split import TEST, TRAIN, VALID, Split, split_by_part
from recollect.errors import DataError, SettingError


def time_split(
    ratings: Ratings,
    *,
    test: Share = 0.1,
    valid: Share = 0.05,
    test_from: Date | None = None,
    valid_from: Date | None = None,
) -> Split:
    """Split at two moments: the latest ratings are test, those before them valid.

    All ratings of the moment at which a part begins belong to it, so the part may be larger than
    its share.

    Args:
        ratings: the whole, with times.
        test: share of all ratings.
        valid: share of the ratings before test.
        test_from: the first moment of test, in place of its share.
        valid_from: the first moment of valid, in place of its share.

    Raises:
        SettingError: for an impossible share or date.
        DataError: if there are no times or a part would be empty.
    """
    expect_ratings("ratings", ratings, Ratings)
    settings: dict[str, Any] = {"test": test} if test_from is None else {"test_from": test_from}
    settings |= {"valid": valid} if valid_from is None else {"valid_from": valid_from}
    check_shares(**{name: settings[name] for name in ("test", "valid") if name in settings})
    time = times_of(ratings, "time_split")
    test_start = _latest(time, test) if test_from is None else as_seconds(test_from)
    part = np.where(time >= test_start, TEST, TRAIN).astype(np.int8)
    before_test = time < test_start
    if valid_from is not None:
        valid_start = as_seconds(valid_from)
        if valid_start >= test_start:
            raise SettingError(
                f"valid_from={valid_from!r} is not before the start of test, "
                f"{datetime.fromtimestamp(test_start, UTC):%Y-%m-%d %H:%M:%S}; give an earlier "
                "date."
            )

        part[(time >= valid_start) & before_test] = VALID
    elif valid:
        valid_start = _latest(time[before_test], valid)
        part[(time >= valid_start) & before_test] = VALID

    return split_by_part(
        ratings,
        part,
        how="split by time",
        seed=None,
        settings=settings,
    )


def _latest(time: Int64[np.ndarray, " ratings"], share: Share) -> int:
    """The moment at which the latest share of the ratings begins.

    Raises:
        DataError: if no rating would be left before it.
    """
    n = max(round(share * len(time)), 1)
    if len(time) <= n:
        raise DataError(
            f"{len(time)} ratings are too few to set the latest {share:.0%} apart; ask for another "
            "share."
        )

    place = len(time) - n
    partitioned = np.partition(time, place)

    return int(partitioned[place])
