"""Cut ratings into the part to learn from, the part to choose by, and the part to be judged on.

Every function returns a `Split`, which unpacks as `train, valid, test`. All parts keep the vocabularies of the whole.
Which rating goes where depends on the ratings and the seed, never on the order of the rows in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from jaxtyping import Int, Int8, Int64

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.splitting.new_users_and_items import new_item_split, new_user_split
from recollect.data.splitting.split import (
    DROPPED,
    TEST,
    TRAIN,
    VALID,
    Share,
    Split,
    check_shares,
    cut_by,
    place_in_group,
    times_of,
)
from recollect.errors import DataError, SettingError, unknown

Date = (
    str | int
)  # "2005-12-01", "2005-12-01T12:00", or seconds since 1970; without a zone it is UTC


def random_split(
    ratings: Ratings, *, test: Share = 0.1, valid: Share = 0.0, seed: int = 0
) -> Split:
    """Draw ratings at random: first `test`, a share of all; then `valid`, a share of what remains (carved from train).

    With test=0.1 and valid=0.05, 4.5% of all ratings are in valid. The seed fixes test whatever valid is.

    Raises: SettingError for an impossible share, DataError if a part would be empty.
    """
    check_shares(test=test, valid=valid)
    shuffled = _shuffled(ratings, seed)
    n_test = round(test * len(shuffled))
    n_valid = round(valid * (len(shuffled) - n_test))
    part = np.zeros(len(shuffled), np.int8)
    part[shuffled[:n_test]] = TEST
    part[shuffled[n_test : n_test + n_valid]] = VALID
    return cut_by(ratings, part, "random split", seed, {"test": test, "valid": valid})


def covering_split(
    ratings: Ratings, *, test: Share = 0.1, valid: Share = 0.1, seed: int = 0
) -> Split:
    """Draw ratings at random so that every user and every item has at least one in train; shares are of all ratings.

    One rating of every user goes to train, then one of every item not yet covered, then others up to train's share;
    what remains is test and valid. They hold no cold user and no cold item, which makes them easier than a
    random split's.

    Raises: SettingError for impossible shares, DataError if train is too small to cover all, or a part is empty.
    Source: the protocol of Kim et al., "Convolutional Matrix Factorization", RecSys 2016.
    """
    check_shares(test=test, valid=valid)
    if test + valid >= 1:
        raise SettingError(
            f"test={test} and valid={valid} add up to {test + valid:g} and leave nothing to train on; "
            "make them less than 1 together."
        )
    order, n_cover = _cover_first(ratings, _shuffled(ratings, seed))
    n_test, n_valid = round(test * len(order)), round(valid * len(order))
    n_train = len(order) - n_test - n_valid
    _check_cover(n_cover, n_train, len(order))
    part = np.zeros(len(order), np.int8)
    part[order[n_train:]] = VALID
    part[order[n_train + n_valid :]] = TEST
    return cut_by(ratings, part, "covering split", seed, {"test": test, "valid": valid})


def time_split(
    ratings: Ratings,
    *,
    test: Share = 0.1,
    valid: Share = 0.05,
    test_from: Date | None = None,
    valid_from: Date | None = None,
) -> Split:
    """Cut at two moments, the same for all users: the latest ratings are test, those before them valid.

    `test` is a share of all ratings, `valid` a share of those that remain; a date (`test_from`, `valid_from`: the first
    moment of the part) takes the place of its share. Ratings at the very moment of a cut all go to the later part, so
    that part can be larger than its share.

    Raises: SettingError for an impossible share or date, DataError if there are no times or a part would be empty.
    """
    check_shares(
        **({"test": test} if test_from is None else {}),
        **({"valid": valid} if valid_from is None else {}),
    )
    time = times_of(ratings, "time_split")
    start = _latest(time, test) if test_from is None else _seconds(test_from)
    part = np.where(time >= start, TEST, TRAIN).astype(np.int8)
    if valid_from is not None or valid:
        begin = _latest(time[time < start], valid) if valid_from is None else _seconds(valid_from)
        if begin >= start:
            raise SettingError(
                f"valid_from={valid_from!r} is not before the start of test, "
                f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d %H:%M:%S}; give an earlier date."
            )
        part[(time >= begin) & (time < start)] = VALID
    settings = {"test": test} if test_from is None else {"test_from": test_from}
    return cut_by(
        ratings,
        part,
        "split by time",
        None,
        settings | ({"valid": valid} if valid_from is None else {"valid_from": valid_from}),
    )


def window_split(
    ratings: Ratings,
    *,
    train: Sequence[str],
    test: Sequence[str],
    valid_share: Share = 0.5,
    seed: int = 0,
    drop_unseen: bool = True,
) -> Split:
    """Learn from one calendar window and be judged on another, e.g. train=("2005-09-01", "2005-11-30").

    Windows are days in UTC, the last one included. `valid_share` of the second window's ratings, drawn at random, are
    valid. Ratings there by a user or of an item that train does not have are dropped (and counted), or kept with
    drop_unseen=False. Ratings outside both windows are in no part.

    Raises: SettingError for an impossible share, date or overlapping windows, DataError without times or for an
    empty part.
    Source: the protocol of Kuchaiev and Ginsburg, "Training Deep AutoEncoders for Collaborative Filtering", 2017.
    """
    check_shares(valid_share=valid_share)
    part = in_windows(ratings, train=train, test=test, drop_unseen=drop_unseen)
    for name, days, lies in (
        ("train", train, part == TRAIN),
        ("test", test, (part == TEST) | (part == DROPPED - 1)),
    ):
        if not lies.any():
            raise DataError(
                f"No rating lies in the window {name}, {days[0]} to {days[1]}; {_span(ratings)}. Choose other days."
            )
    held_out = np.flatnonzero(part == TEST)
    held_out = held_out[_shuffled(ratings.where(held_out), seed)]
    part[held_out[: round(valid_share * len(held_out))]] = VALID
    return cut_by(
        ratings,
        part,
        "windows",
        seed,
        {
            "train": tuple(train),
            "test": tuple(test),
            "valid_share": valid_share,
            "drop_unseen": drop_unseen,
        },
        reasons=("outside both windows", "user or item not in train"),
    )


def in_windows(
    ratings: Ratings, *, train: Sequence[str], test: Sequence[str], drop_unseen: bool = True
) -> Int8[np.ndarray, " ratings"]:
    """Which ratings lie in which window, before any are drawn: TRAIN, TEST, DROPPED (outside both) or, of the second window
    and not seen in the first, DROPPED - 1.

    Raises: SettingError for a bad date or overlapping windows, DataError without times.
    """
    time = times_of(ratings, "window_split")
    (train_start, train_stop), (test_start, test_stop) = (
        _window(train, "train"),
        _window(test, "test"),
    )
    if train_stop > test_start and test_stop > train_start:
        raise SettingError(
            f"The windows train={train} and test={test} overlap; end one before the other starts."
        )
    part = np.full(len(ratings), DROPPED, np.int8)
    part[(time >= train_start) & (time < train_stop)] = TRAIN
    part[(time >= test_start) & (time < test_stop)] = TEST
    if drop_unseen:
        learned, held_out = part == TRAIN, np.flatnonzero(part == TEST)
        seen_user, seen_item = np.zeros(ratings.n_users, bool), np.zeros(ratings.n_items, bool)
        seen_user[ratings.user[learned]] = True
        seen_item[ratings.item[learned]] = True
        part[held_out[~(seen_user[ratings.user[held_out]] & seen_item[ratings.item[held_out]])]] = (
            DROPPED - 1
        )
    return part


def last_months(ratings: Ratings, months: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """Windows for `window_split`: so many calendar months (UTC), and the month after them, the last that has ratings.

    Raises: SettingError for fewer than one month or more than a century, DataError without times.
    """
    if not 1 <= months <= 1200:
        raise SettingError(f"{months} months to learn from; expected 1 to 1,200, such as 3.")
    latest = datetime.fromtimestamp(int(times_of(ratings, "last_months").max()), UTC)
    last = latest.year * 12 + latest.month - 1
    first, test, end = (
        date(month // 12, month % 12 + 1, 1) for month in (last - months, last, last + 1)
    )
    day = timedelta(days=1)
    return (f"{first}", f"{test - day}"), (f"{test}", f"{end - day}")


def leave_last_split(ratings: Ratings, *, n: int = 1, valid: int = 0, min_train: int = 1) -> Split:
    """Each user's last `n` ratings by time are test, the `valid` ratings before them valid.

    Users with fewer than n + valid + min_train ratings stay in train whole. Ratings of one moment are ordered by the
    item's row. Users' last ratings lie at different moments, so train holds ratings younger than some of test:
    `time_split` does not.

    Raises: SettingError for an impossible count, DataError if there are no times or a part would be empty.
    """
    if n < 1 or valid < 0 or min_train < 0:
        raise SettingError(
            f"leave_last_split needs n of 1 or more, valid and min_train of 0 or more; found n={n}, "
            f"valid={valid}, min_train={min_train}."
        )
    order = np.lexsort((ratings.item, times_of(ratings, "leave_last_split"), ratings.user))
    count = ratings.count("user")[ratings.user[order]]
    from_last = count - 1 - place_in_group(ratings.user[order])
    enough = count >= n + valid + min_train
    part = np.zeros(len(order), np.int8)
    part[order[enough & (from_last < n + valid)]] = VALID
    part[order[enough & (from_last < n)]] = TEST
    return cut_by(
        ratings, part, "each user's last", None, {"n": n, "valid": valid, "min_train": min_train}
    )


def k_folds(ratings: Ratings, *, k: int = 5, valid: Share = 0.0, seed: int = 0) -> Iterator[Split]:
    """k splits, one at a time; each rating is in the test part of exactly one. `valid` is a share of each one's rest.

    Raises: SettingError for k < 2 or an impossible share, DataError for fewer ratings than folds.
    """
    check_shares(valid=valid)
    if k < 2:
        raise SettingError(
            f"k_folds needs k of 2 or more, found {k}; one part for test is random_split."
        )
    if len(ratings) < k:
        raise DataError(f"{len(ratings)} ratings cannot make {k} folds; lower k.")
    folds = np.array_split(_shuffled(ratings, seed), k)

    def one(j: int) -> Split:
        rest = np.concatenate(folds[j + 1 :] + folds[:j])
        part = np.zeros(len(ratings), np.int8)
        part[folds[j]] = TEST
        part[rest[: round(valid * len(rest))]] = (
            VALID  # from the fold after, so that it differs from split to split
        )
        return cut_by(ratings, part, f"fold {j + 1} of {k}", seed, {"k": k, "valid": valid})

    return map(one, range(k))


def density_sweep(
    ratings: Ratings,
    *,
    shares: Sequence[float] = (0.2, 0.4, 0.6, 0.8),
    seed: int = 0,
    covering: bool = True,
) -> dict[float, Split]:
    """A split for each share of the ratings to learn from; a smaller train is part of every larger one.

    What remains is halved into valid and test. With covering, every user and item has a rating in every train.

    Raises: SettingError for an impossible share, DataError if the smallest train cannot cover all, or a part is empty.
    Source: the density experiment of Kim et al., "Convolutional Matrix Factorization", RecSys 2016.
    """
    order, n_cover = _shuffled(ratings, seed), 0
    if covering:
        order, n_cover = _cover_first(ratings, order)
    half = np.where(
        (len(order) - np.arange(len(order))) % 2 == 0, VALID, TEST
    )  # a rating keeps its half in all splits
    splits = {}
    for share in shares:
        check_shares(train=share)
        n_train = round(share * len(order))
        _check_cover(n_cover, n_train, len(order))
        part = np.zeros(len(order), np.int8)
        part[order[n_train:]] = half[n_train:]
        splits[share] = cut_by(
            ratings, part, f"density sweep, {share:g}", seed, {"share": share, "covering": covering}
        )
    return splits


def find(how: str) -> Callable[..., Split]:
    """The split of this name, such as "random" or "leave_last": those functions that return one Split.

    Raises: SettingError, listing the names there are.
    """
    every = {
        f.__name__.removesuffix("_split"): f
        for f in (
            random_split,
            covering_split,
            time_split,
            window_split,
            leave_last_split,
            new_user_split,
            new_item_split,
        )
    }
    if how not in every:
        raise unknown("split", how, every)
    return every[how]


def shared_pairs(a: Ratings, b: AnyRatings) -> int:
    """How many (user, item) pairs stand in both.

    Raises: DataError if they do not have the same vocabularies.
    """
    if a.users != b.users or a.items != b.items:
        raise DataError(
            f"{a!r} and {b!r} have different vocabularies, so their pairs cannot be compared; use parts of "
            "one split, or read both into one Ratings first."
        )
    return b.shared(a)


def _shuffled(ratings: Ratings, seed: int) -> Int64[np.ndarray, " ratings"]:
    """The entries in random order; shuffled from the order by user and item, so that the file's order is forgotten."""
    return np.random.default_rng(seed).permutation(ratings.entry("user"))


def _cover_first(
    ratings: Ratings, shuffled: Int64[np.ndarray, " ratings"]
) -> tuple[Int64[np.ndarray, " ratings"], int]:
    """The entries with those in front that cover every user and item, and how many these are."""
    front = np.zeros(len(shuffled), bool)
    front[_first_of_each(ratings.user[shuffled], ratings.n_users)] = True
    has_item = np.zeros(ratings.n_items, bool)
    has_item[ratings.item[shuffled[front]]] = True
    first = _first_of_each(ratings.item[shuffled], ratings.n_items)
    front[first[~has_item[ratings.item[shuffled[first]]]]] = True
    return np.concatenate([shuffled[front], shuffled[~front]]), int(front.sum())


def _first_of_each(
    group: Int[np.ndarray, " entries"], n_groups: int
) -> Int64[np.ndarray, " present"]:
    first = np.full(n_groups, -1)
    first[group[::-1]] = np.arange(len(group))[
        ::-1
    ]  # of equal indices NumPy keeps the last one written
    return first[first >= 0]


def _check_cover(n_cover: int, n_train: int, n: int) -> None:
    if n_cover > n_train:
        raise DataError(
            f"Covering every user and item takes {n_cover:,} ratings, but train would have {n_train:,} of "
            f"{n:,}; leave at least {n_cover / max(n, 1):.1%} for train, or use random_split."
        )


def _span(ratings: Ratings) -> str:
    """From when to when the ratings are, for messages."""
    time = times_of(ratings, "a split by time")
    if not len(time):
        return "there are no ratings"
    first, last = (datetime.fromtimestamp(int(t), UTC) for t in (time.min(), time.max()))
    return f"the ratings run from {first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _latest(time: Int64[np.ndarray, " ratings"], share: Share) -> int:
    """The moment from which on lies the share of the ratings, or more where several were given at that moment."""
    n = max(round(share * len(time)), 1)
    if len(time) <= n:
        raise DataError(
            f"{len(time)} ratings are too few to set the latest {share:.0%} apart; ask for another share."
        )
    return int(np.partition(time, len(time) - n)[len(time) - n])


def _seconds(date: Date, *, end_of_day: bool = False) -> int:
    if isinstance(date, int):
        return date
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        raise SettingError(
            f"{date!r} is not a date; write it like 2005-12-01 (or 2005-12-01T12:00), or in seconds "
            "since 1970."
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int((moment + timedelta(days=1 if end_of_day else 0)).timestamp())


def _window(days: Sequence[str], name: str) -> tuple[int, int]:
    """First second of the first day, and first second after the last one."""
    if len(days) != 2 or (stop := _seconds(days[1], end_of_day=True)) <= (
        start := _seconds(days[0])
    ):
        raise SettingError(
            f"The window {name}={days} is not a first day and a last day, in this order."
        )
    return start, stop
