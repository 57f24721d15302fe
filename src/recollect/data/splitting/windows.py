"""Window split: train and test are two intervals of the calendar, in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from jaxtyping import Bool, Int8, Int64

from recollect.arguments import expect_ratings
from recollect.data.ratings import Ratings
from recollect.data.splitting.dates import as_seconds, period, times_of
from recollect.data.splitting.shares import Share, check_shares, shuffled
from recollect.data.splitting.split import DROPPED, TEST, TRAIN, VALID, Split, split_by_part
from recollect.errors import DataError, SettingError

OUTSIDE = DROPPED  # code of a rating in neither window
UNSEEN = DROPPED - 1  # code of a rating in the test window whose user or item train lacks


def window_split(
    ratings: Ratings,
    *,
    train: Sequence[str],
    test: Sequence[str],
    valid_share: Share = 0.5,
    seed: int = 0,
    drop_unseen: bool = True,
) -> Split:
    """Learn from one calendar window and test on another, e.g. train=("2005-09-01", "2005-11-30").

    Ratings outside both windows are in no part.

    Args:
        ratings: the whole, with times.
        train: first and last day of the ratings to learn from, both included.
        test: first and last day of the test and validation ratings, both included.
        valid_share: share of the test window's ratings, drawn at random, that are valid.
        seed: of the draw.
        drop_unseen: drop (and count) the ratings of the test window whose user or item train lacks.

    Raises:
        SettingError: for an impossible share or date, or if the windows overlap.
        DataError: without times, or if a part would be empty.

    Source: the protocol of Kuchaiev and Ginsburg, "Training Deep AutoEncoders for Collaborative
        Filtering", 2017.
    """
    expect_ratings("ratings", ratings, Ratings)
    check_shares(valid_share=valid_share)
    part = in_windows(
        ratings,
        train=train,
        test=test,
        drop_unseen=drop_unseen,
    )
    _check_window(ratings, part == TRAIN, "train", train)
    _check_window(ratings, (part == TEST) | (part == UNSEEN), "test", test)
    part[_drawn_for_valid(ratings, part, valid_share, seed)] = VALID
    settings = {
        "train": tuple(train),
        "test": tuple(test),
        "valid_share": valid_share,
        "drop_unseen": drop_unseen,
    }
    reasons = ("outside both windows", "user or item not in train")

    return split_by_part(
        ratings,
        part,
        how="windows",
        seed=seed,
        settings=settings,
        reasons=reasons,
    )


def _drawn_for_valid(
    ratings: Ratings, part: Int8[np.ndarray, " ratings"], share: Share, seed: int
) -> Int64[np.ndarray, " valid"]:
    """The numbers of the test ratings that become valid, drawn at random."""
    held_out = np.flatnonzero(part == TEST)
    order = shuffled(ratings.where(held_out), seed)
    n_valid = round(share * len(held_out))

    return held_out[order][:n_valid]


def _check_window(
    ratings: Ratings, is_inside: Bool[np.ndarray, " ratings"], name: str, days: Sequence[str]
) -> None:
    if not is_inside.any():
        raise DataError(
            f"No rating lies in the window {name}, {days[0]} to {days[1]}; {period(ratings)}. "
            "Choose other days."
        )


def in_windows(
    ratings: Ratings, *, train: Sequence[str], test: Sequence[str], drop_unseen: bool = True
) -> Int8[np.ndarray, " ratings"]:
    """The window of each rating: TRAIN, TEST, OUTSIDE or UNSEEN; none is drawn for valid yet.

    Args:
        ratings: the whole, with times.
        train: first and last day of the first window.
        test: first and last day of the second window.
        drop_unseen: mark ratings of the second window as UNSEEN if the first lacks their user or
            item.

    Raises:
        SettingError: for a bad date, or if the windows overlap.
        DataError: without times.
    """
    time = times_of(ratings, "window_split")
    train_start, train_stop = _window(train, "train")
    test_start, test_stop = _window(test, "test")
    if train_stop > test_start and test_stop > train_start:
        raise SettingError(
            f"The windows train={train} and test={test} overlap; end one before the other starts."
        )

    in_train = (time >= train_start) & (time < train_stop)
    in_test = (time >= test_start) & (time < test_stop)
    part = np.full(len(ratings), OUTSIDE, np.int8)
    part[in_train] = TRAIN
    part[in_test] = TEST
    if drop_unseen:
        is_seen = _is_seen(ratings, in_train)
        part[in_test & ~is_seen] = UNSEEN

    return part


def _is_seen(
    ratings: Ratings, in_train: Bool[np.ndarray, " ratings"]
) -> Bool[np.ndarray, " ratings"]:
    """Whether train has a rating of each rating's user, and one of its item."""
    # Flags instead of np.isin, which would sort a hundred million numbers.
    users = ratings.user[in_train]
    user_in_train = np.zeros(ratings.n_users, bool)
    user_in_train[users] = True

    items = ratings.item[in_train]
    item_in_train = np.zeros(ratings.n_items, bool)
    item_in_train[items] = True

    return user_in_train[ratings.user] & item_in_train[ratings.item]


def _window(days: Sequence[str], name: str) -> tuple[int, int]:
    """The first second of the first day, and the first second after the last day.

    Raises:
        SettingError: if these are not two days in this order.
    """
    if len(days) == 2:
        stop = as_seconds(days[1], end_of_day=True)
        start = as_seconds(days[0])
        if start < stop:
            return start, stop

    raise SettingError(
        f"The window {name}={days} is not a first day and a last day, in this order."
    )


def last_months(ratings: Ratings, months: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """Windows for `window_split`: `months` calendar months, then the last month with ratings.

    Raises:
        SettingError: for fewer than one month or more than a century.
        DataError: without times.
    """
    if not 1 <= months <= 1200:
        raise SettingError(f"{months} months to learn from; expected 1 to 1,200, such as 3.")

    time = times_of(ratings, "last_months")
    latest = datetime.fromtimestamp(int(time.max()), UTC)
    last = latest.year * 12 + latest.month - 1  # months since the year 0
    train_start = _first_day(last - months)
    test_start = _first_day(last)
    test_stop = _first_day(last + 1)
    day = timedelta(days=1)

    train = (f"{train_start}", f"{test_start - day}")
    test = (f"{test_start}", f"{test_stop - day}")

    return train, test


def _first_day(month: int) -> date:
    """The first day of a month, counted from January of the year 0."""
    year, months_before = divmod(month, 12)
    return date(year, months_before + 1, 1)
