"""Planted ratings in memory, users in order, with the truth and each rating's expectation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int32, Int64

from recollect.data.ratings import Ratings
from recollect.data.sources.planted import drawing
from recollect.data.sources.planted.truth import Truth, draw_truth
from recollect.data.vocab import Vocab
from recollect.errors import SettingError


@dataclass(frozen=True, eq=False)
class Planted:
    """Ratings and the truth they were made from."""

    ratings: Ratings
    expected: Float32[np.ndarray, " ratings"]  # each rating's expectation
    floor: float  # RMSE of `expected` on these ratings; a model is better by chance only
    truth: Truth


def planted(
    n_users: int,
    n_items: int,
    n_ratings: int,
    *,
    rank: int = 2,
    noise: int | float = 0.3,
    seed: int = 0,
    scale: Sequence[int | float] = (1.0, 5.0),
    step: int | float | None = None,
    times: bool = True,
    popularity: int | float = 1.2,
    activity: int | float = 1.0,
) -> Planted:
    """Ratings of distinct pairs, drawn from a truth of low rank.

    The same arguments give the same ratings. Memory grows with ratings, never with users × items.

    Args:
        n_users: how many users.
        n_items: how many items.
        n_ratings: how many ratings.
        rank: the number of factors.
        noise: standard deviation around the truth, in units of the scale.
        seed: of all draws.
        scale: the lowest and the highest rating.
        step: ratings are lowest + whole steps: 1 for stars, 0.5 for half stars, None for any value.
        times: whether ratings have times.
        popularity: the exponent with which the draws of items fall from the first to the last; 0:
            all alike.
        activity: the same of users' ratings, as far as the number of pairs allows.

    Raises:
        SettingError: if there are more ratings than pairs, or a setting is out of range.
    """
    low, high = map(float, scale)
    step = None if step is None else float(step)
    _check_size(n_users, n_items, n_ratings)
    _check_truth(rank, noise, scale, step)

    random = np.random.default_rng(seed)
    truth = draw_truth(
        n_users,
        n_items,
        rank=rank,
        noise=float(noise),
        scale=(low, high),
        step=step,
        random=random,
    )
    counts = drawing.draw_counts(
        n_users,
        n_items,
        n_ratings,
        exponent=float(activity),
        random=random,
    )
    weight = random.permutation(drawing.long_tail(n_items, float(popularity)))
    item, value, expected = _draw_ratings(counts, weight, truth, random)

    user, time = _users_and_times(counts, random, times=times)
    ratings = _as_ratings(user, item, value, time, (n_users, n_items), (low, high))

    return Planted(ratings, expected, _rmse(value, expected), truth)


def _users_and_times(
    counts: Int64[np.ndarray, " n_users"], random: np.random.Generator, *, times: bool
) -> tuple[Int32[np.ndarray, " ratings"], Int64[np.ndarray, " ratings"] | None]:
    """The user of each rating, users in order, and its time if it is to have one."""
    users = np.arange(len(counts), dtype=np.int32)
    user = np.repeat(users, counts)
    time = None
    if times:
        time = drawing.draw_times(user, len(users), random)

    return user, time


def _as_ratings(
    user: Int32[np.ndarray, " ratings"],
    item: Int32[np.ndarray, " ratings"],
    value: Float32[np.ndarray, " ratings"],
    time: Int64[np.ndarray, " ratings"] | None,
    shape: tuple[int, int],
    scale: tuple[float, float],
) -> Ratings:
    """The ratings with a vocabulary for each side and a catalogue; `shape` is users, items."""
    n_users, n_items = shape

    return Ratings(
        user,
        item,
        value,
        _numbered(n_users),
        _numbered(n_items),
        scale=scale,
        name="planted",
        time=time,
        catalogue=_catalogue(n_items),
        checked=True,
    )


def _check_size(n_users: int, n_items: int, n_ratings: int) -> None:
    n_pairs = n_users * n_items
    if not (n_users > 0 and n_items > 0 and 0 < n_ratings <= n_pairs):
        raise SettingError(
            f"{n_ratings:,} ratings of {n_items:,} items by {n_users:,} users cannot be made; "
            f"expected 1 to users × items = {n_pairs:,}."
        )


def _check_truth(
    rank: int, noise: int | float, scale: Sequence[int | float], step: float | None
) -> None:
    low, high = map(float, scale)
    steps_fit = step is None or _divides(step, high - low)
    if rank < 1 or noise < 0 or not low < high or not steps_fit:
        raise SettingError(
            f"rank={rank}, noise={noise}, scale={scale}, step={step}: expected rank of 1 or more, "
            "noise of 0 or more, a lowest below a highest rating, and a step that divides their "
            "difference."
        )


def _divides(step: float, width: float) -> bool:
    """Whether the width is a whole number of steps."""
    if step <= 0:
        return False

    n_steps = width / step

    return bool(np.isclose(n_steps, np.rint(n_steps)))


def _draw_ratings(
    counts: Int64[np.ndarray, " n_users"],
    weight: Float64[np.ndarray, " n_items"],
    truth: Truth,
    random: np.random.Generator,
) -> tuple[
    Int32[np.ndarray, " ratings"], Float32[np.ndarray, " ratings"], Float32[np.ndarray, " ratings"]
]:
    """Items, ratings and their expectations, users in order; in blocks, to bound memory."""
    ends = np.cumsum(counts)
    item = np.empty(int(ends[-1]), np.int32)
    value = np.empty(len(item), np.float32)
    expected = np.empty(len(item), np.float32)
    first = done = 0

    while first < len(counts):
        n_within = int(np.searchsorted(ends, done + drawing.BLOCK, side="right"))
        last = max(first + 1, n_within)  # at least one user
        part = slice(done, int(ends[last - 1]))
        users = np.arange(first, last)
        user = np.repeat(users, counts[first:last])
        item[part] = drawing.draw_columns(counts[first:last], weight, random)
        value[part] = truth.draw(user, item[part], random)
        expected[part] = truth.expected(user, item[part])
        first = last
        done = part.stop

    return item, value, expected


def _rmse(
    value: Float32[np.ndarray, " ratings"], expected: Float32[np.ndarray, " ratings"]
) -> float:
    """Root mean squared error, in blocks, to bound memory."""
    squared_error = 0.0

    for first in range(0, len(value), drawing.BLOCK):
        part = slice(first, first + drawing.BLOCK)
        error = value[part] - expected[part]
        squared_error += float(np.square(error, dtype=np.float64).sum())

    mean = squared_error / len(value)

    return float(np.sqrt(mean))


def _numbered(n: int) -> Vocab:
    """The ids "1" to "n"."""
    numbers = np.arange(1, n + 1)
    return Vocab(pl.Series(numbers))


def _catalogue(n_items: int) -> pl.DataFrame:
    ids = pl.DataFrame({"item_id": _numbered(n_items).ids})
    return ids.select(
        "item_id",
        title=pl.format("Item {}", "item_id"),
        genres=pl.lit([], dtype=pl.List(pl.String)),
    )
