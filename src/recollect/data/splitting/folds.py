"""k folds: cross-validation, in which every rating is tested once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int8

from recollect.arguments import expect_ratings, expect_whole
from recollect.data.ratings import Ratings
from recollect.data.splitting.shares import Share, check_shares, shuffled
from recollect.data.splitting.split import TEST, TRAIN, VALID, Split, split_by_part
from recollect.errors import DataError, SettingError


def k_folds(ratings: Ratings, *, k: int = 5, valid: Share = 0.0, seed: int = 0) -> Iterator[Split]:
    """k splits, made one at a time; each rating is in the test part of exactly one.

    Args:
        ratings: the whole.
        k: number of folds, 2 or more.
        valid: share of the ratings outside the test fold, for validation.
        seed: of the draw.

    Raises:
        SettingError: for k below 2 or an impossible share.
        DataError: for fewer ratings than folds.
    """
    expect_ratings("ratings", ratings, Ratings)
    check_shares(valid=valid)
    expect_whole("k", k, at_least=1, what="the number of folds")
    if k < 2:
        raise SettingError(
            f"k_folds needs k of 2 or more, found {k}; one part for test is random_split."
        )

    if len(ratings) < k:
        raise DataError(f"{len(ratings)} ratings cannot make {k} folds; lower k.")

    folds = np.array_split(shuffled(ratings, seed), k)

    def with_test_fold(j: int) -> Split:
        return split_by_part(
            ratings,
            _part_of_each(folds, j, valid),
            how=f"fold {j + 1} of {k}",
            seed=seed,
            settings={"k": k, "valid": valid},
        )

    return map(with_test_fold, range(k))


def _part_of_each(folds: list[np.ndarray], j: int, valid: Share) -> Int8[np.ndarray, " ratings"]:
    """The part of each rating if fold j is the test part.

    Args:
        folds: the numbers of the ratings in each.
        j: the number of the test fold, from 0.
        valid: share of the remaining ratings that are valid.
    """
    # Valid begins with the fold after the test fold, so that it differs from split to split.
    remaining = np.concatenate(folds[j + 1 :] + folds[:j])
    n_valid = round(valid * len(remaining))
    part = np.full(len(folds[j]) + len(remaining), TRAIN, np.int8)
    part[folds[j]] = TEST
    part[remaining[:n_valid]] = VALID

    return part
