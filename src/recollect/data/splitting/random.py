"""Random split: every rating is as likely as any other to be in test."""

from __future__ import annotations

import numpy as np

from recollect.arguments import expect_ratings
from recollect.data.ratings import Ratings
from recollect.data.splitting.shares import Share, check_shares, shuffled
from recollect.data.splitting.split import TEST, VALID, Split, split_by_part
from recollect.errors import SettingError
from recollect.system.door import words


def random_split(
    ratings: Ratings, *, test: Share = 0.1, valid: Share = 0.0, seed: int = 0
) -> Split:
    """Draw test and validation ratings at random; the remaining ones are train.

    With test=0.1 and valid=0.05, 4.5% of all ratings are in valid. With test=0 there is no test
    part: of a published training file, only validation ratings are drawn.

    Args:
        ratings: the whole.
        test: share of all ratings; 0: none.
        valid: share of the ratings that are not in test.
        seed: of the draw; it fixes test whatever `valid` is.

    Raises:
        SettingError: for an impossible share, or if both are 0.
        DataError: if a part would be empty.
    """
    expect_ratings("ratings", ratings, Ratings)
    check_shares(valid=valid)
    has_test = not (isinstance(test, int | float) and test == 0)
    if has_test:
        check_shares(test=test)
    elif not valid:
        raise SettingError(
            "Shares of 0 for test and validation leave nothing to split; give one of them, such "
            f"as {words('valid=0.05', '--valid 0.05')}."
        )

    order = shuffled(ratings, seed)
    n_test = round(test * len(order))
    n_valid = round(valid * (len(order) - n_test))
    part = np.zeros(len(order), np.int8)
    part[order[:n_test]] = TEST
    part[order[n_test : n_test + n_valid]] = VALID
    settings = {"test": test, "valid": valid}

    return split_by_part(
        ratings,
        part,
        how="random split",
        seed=seed,
        settings=settings,
    )
