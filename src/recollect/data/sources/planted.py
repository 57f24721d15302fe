"""Planted ratings: drawn from a known truth, at any size, with a known lowest possible error.

A rating of user u and item i is drawn from a normal distribution around mu + b_u + b_i + U_u·V_i.
It is clipped to the scale, and rounded where ratings come in steps. Popularity and activity have
long tails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int, Int32, Int64
from scipy.special import expit, ndtr

from recollect.data.ratings import Ratings
from recollect.data.sparse_rows import pieces
from recollect.data.vocab import Vocab
from recollect.errors import SettingError

BLOCK = 1 << 21  # ratings made at once
DAY = 86_400  # seconds
FIRST_DAY = 946_684_800  # 2000-01-01
HEAD = 50  # the first 1/HEAD of users and items have about the same weight
CROWDED = 32  # the items of a user with more than 1/CROWDED of all are drawn without repetition
DIGITS = "abcdefghij"  # letters of the words that planted texts are made of
SILENT_SHARE = 0.2  # of the words of planted texts, which mean nothing
BISECTIONS = 100


@dataclass(frozen=True)
class Variant:
    """Settings of `planted` under a name."""

    n_users: int
    n_items: int
    n_ratings: int
    settings: dict[str, Any] = field(default_factory=lambda: {"step": 1.0, "noise": 0.8})

    def __str__(self) -> str:
        size = f"{self.n_ratings:,} ratings of {self.n_items:,} items by {self.n_users:,} users"
        return f"made here: {size}; 1 to 5"


VARIANTS = {
    "tiny": Variant(60, 40, 800),
    "small": Variant(943, 1682, 100_000),
    "medium": Variant(6040, 3706, 1_000_000),
    "big": Variant(500_000, 100_000, 5_000_000),
    "netflix": Variant(480_189, 17_770, 100_480_507),
}


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The ratings of a variant, the same each time; nothing is read from `folder`."""
    made = VARIANTS[variant]
    planted_ = planted(made.n_users, made.n_items, made.n_ratings, **made.settings)
    return replace(planted_.ratings, name=f"planted/{variant}", checked=True)


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Always: planted ratings are made, not read."""
    return True


def how_to_get(variant: str) -> str:
    """Nothing has to be done for ratings that are made here."""
    return "it is made when it is asked for"


@dataclass(frozen=True, eq=False)
class Truth:
    """What the ratings are drawn from."""

    mu: float
    b_user: Float32[np.ndarray, " n_users"]
    b_item: Float32[np.ndarray, " n_items"]
    U: Float32[np.ndarray, "n_users rank"]
    V: Float32[np.ndarray, "n_items rank"]
    noise: float  # standard deviation, in units of the scale
    scale: tuple[float, float]
    step: float | None  # ratings are lowest + whole steps; None: any value

    def mean(
        self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The mean of each pair's distribution before clipping and rounding."""
        product = np.einsum("pk,pk->p", self.U[user], self.V[item], dtype=np.float64)
        return self.mu + self.b_user[user] + self.b_item[item] + product

    def expected(
        self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"]
    ) -> Float32[np.ndarray, " pairs"]:
        """The expected rating of each pair, clipped and rounded: the best possible prediction."""
        return _expected(self.mean(user, item), self).astype(np.float32)

    def draw(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        random: np.random.Generator,
    ) -> Float32[np.ndarray, " pairs"]:
        """Draw a rating of each pair.

        Args:
            user: row numbers of users.
            item: row numbers of items.
            random: the source of randomness.
        """
        low, high = self.scale
        value = self.mean(user, item) + self.noise * random.standard_normal(len(user))
        if self.step is not None:
            value = low + self.step * np.rint((value - low) / self.step)
        return np.clip(value, low, high).astype(np.float32)


def _expected(mean: Float64[np.ndarray, " pairs"], truth: Truth) -> Float64[np.ndarray, " pairs"]:
    """The expectation of the clipped and rounded rating, for these means before clipping."""
    low, high = truth.scale
    if truth.step is not None:
        # The lowest rating, and a step for each threshold that is passed.
        thresholds = np.arange(low + truth.step / 2, high, truth.step)
        if not truth.noise:
            passed = [mean > threshold for threshold in thresholds]
        else:
            passed = [ndtr((mean - threshold) / truth.noise) for threshold in thresholds]

        return low + truth.step * np.sum(passed, axis=0)

    if not truth.noise:
        return np.clip(mean, low, high)

    # The mean of a normal distribution that is censored at both ends.
    below = (low - mean) / truth.noise
    above = (high - mean) / truth.noise
    inside = mean * (ndtr(above) - ndtr(below)) + truth.noise * (_density(below) - _density(above))

    return low * ndtr(below) + high * ndtr(-above) + inside


def _density(x: np.ndarray) -> np.ndarray:
    """Of the standard normal distribution."""
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


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
    n_pairs = n_users * n_items
    if not (n_users > 0 and n_items > 0 and 0 < n_ratings <= n_pairs):
        raise SettingError(
            f"{n_ratings:,} ratings of {n_items:,} items by {n_users:,} users cannot be made; "
            f"expected 1 to users × items = {n_pairs:,}."
        )

    steps_fit = step is None or _divides(step, high - low)
    if rank < 1 or noise < 0 or not low < high or not steps_fit:
        raise SettingError(
            f"rank={rank}, noise={noise}, scale={scale}, step={step}: expected rank of 1 or more, "
            "noise of 0 or more, a lowest below a highest rating, and a step that divides their "
            "difference."
        )

    random = np.random.default_rng(seed)
    truth = _truth(
        n_users,
        n_items,
        rank=rank,
        noise=float(noise),
        scale=(low, high),
        step=step,
        random=random,
    )
    counts = _activity(n_users, n_items, n_ratings, float(activity), random)
    weight = random.permutation(_long_tail(n_items, float(popularity)))
    user = np.repeat(np.arange(n_users, dtype=np.int32), counts)
    item, value, expected = _drawn(counts, weight, truth, random)
    ratings = Ratings(
        user,
        item,
        value,
        _numbered(n_users),
        _numbered(n_items),
        scale=(low, high),
        name="planted",
        time=_times(user, n_users, random) if times else None,
        catalogue=_catalogue(n_items),
        checked=True,
    )
    squared_error = 0.0

    for first in range(0, n_ratings, BLOCK):
        part = slice(first, first + BLOCK)
        squared_error += float(np.square(value[part] - expected[part], dtype=np.float64).sum())

    return Planted(ratings, expected, float(np.sqrt(squared_error / n_ratings)), truth)


@dataclass(frozen=True, eq=False)
class Block:
    """All planted ratings of the items `first` … `first + len(counts) - 1`, item by item."""

    first: int
    counts: Int64[np.ndarray, " items"]  # ratings of each item
    user: Int64[np.ndarray, " ratings"]
    value: Float32[np.ndarray, " ratings"]


def planted_by_item(
    n_users: int,
    n_items: int,
    n_ratings: int,
    *,
    rank: int = 2,
    noise: int | float = 0.8,
    seed: int = 0,
    popularity: int | float = 1.2,
    activity: int | float = 1.0,
) -> Iterator[Block]:
    """Planted ratings, 1 to 5 in whole steps, item by item and a few million at a time.

    Memory grows with users and items only. Users are drawn for items: each item has a rating, a
    user may have none.

    Args:
        n_users: how many users.
        n_items: how many items.
        n_ratings: how many ratings.
        rank: the number of factors.
        noise: standard deviation around the truth.
        seed: of all draws.
        popularity: the exponent with which items' ratings fall from the first to the last.
        activity: the same of the draws of users.

    Raises:
        SettingError: if there are more ratings than pairs or fewer than items.
    """
    n_pairs = n_users * n_items
    if not (n_users > 0 and 0 < n_items <= n_ratings <= n_pairs):
        raise SettingError(
            f"{n_ratings:,} ratings of {n_items:,} items by {n_users:,} users cannot be made; "
            f"expected {n_items:,}, one an item, to users × items = {n_pairs:,}."
        )

    random = np.random.default_rng(seed)
    truth = _truth(
        n_users,
        n_items,
        rank=rank,
        noise=float(noise),
        scale=(1.0, 5.0),
        step=1.0,
        random=random,
    )
    counts = _activity(n_items, n_users, n_ratings, float(popularity), random)
    weight = random.permutation(_long_tail(n_users, float(activity)))

    def block(part: slice) -> Block:
        user = _items(counts[part], weight, random).astype(np.int64)
        item = np.repeat(np.arange(part.start, part.stop), counts[part])
        return Block(part.start, counts[part], user, truth.draw(user, item, random))

    return map(block, pieces(counts, rows=n_items, cells=BLOCK))


def _drawn(
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
        n_within = int(np.searchsorted(ends, done + BLOCK, side="right"))
        last = max(first + 1, n_within)  # at least one user
        part = slice(done, int(ends[last - 1]))
        user = np.repeat(np.arange(first, last), counts[first:last])
        item[part] = _items(counts[first:last], weight, random)
        value[part] = truth.draw(user, item[part], random)
        expected[part] = truth.expected(user, item[part])
        first = last
        done = part.stop

    return item, value, expected


def _divides(step: float, width: float) -> bool:
    """Whether the width is a whole number of steps."""
    return step > 0 and bool(np.isclose(width / step, np.rint(width / step)))


def _truth(
    n_users: int,
    n_items: int,
    *,
    rank: int,
    noise: float,
    scale: tuple[float, float],
    step: float | None,
    random: np.random.Generator,
) -> Truth:
    """Offsets and factors as of films: on a scale of 1 to 5 each has a deviation of about 0.4."""
    low, high = scale
    std = (high - low) / 10

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32)

    return Truth(
        low + 0.62 * (high - low),
        std * normal(n_users),
        std * normal(n_items),
        std * normal(n_users, rank),
        normal(n_items, rank) / np.float32(np.sqrt(rank)),
        noise,
        scale,
        step,
    )


def _long_tail(n: int, exponent: float) -> Float64[np.ndarray, " n"]:
    """Weights that fall as a power, flattened at the head (Zipf and Mandelbrot)."""
    return (np.arange(n) + 1 + n / HEAD) ** -exponent


def _activity(
    n_users: int, n_items: int, n_ratings: int, exponent: float, random: np.random.Generator
) -> Int64[np.ndarray, " n_users"]:
    """How many ratings each user has: a long tail between 1 and n_items.

    With fewer ratings than users the least is 0.
    """
    weight = _long_tail(n_users, exponent)
    least = 1 if n_ratings >= n_users else 0
    # Bisect for the factor with which the clipped counts add up to n_ratings.
    low, high = 0.0, 2.0 * n_items / weight[-1]

    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if np.clip(middle * weight, least, n_items).sum() < n_ratings:
            low = middle
        else:
            high = middle

    counts = np.floor(np.clip(low * weight, least, n_items)).astype(np.int64)

    while n_missing := n_ratings - int(counts.sum()):
        free = np.flatnonzero(counts < n_items)
        counts[random.permutation(free)[:n_missing]] += 1

    return random.permutation(counts)


def _items(
    counts: Int64[np.ndarray, " users"],
    weight: Float64[np.ndarray, " n_items"],
    random: np.random.Generator,
) -> Int32[np.ndarray, " ratings"]:
    """Distinct items for each user, drawn one after the other by weight; users in order."""
    starts = np.cumsum(counts) - counts
    item = np.empty(int(counts.sum()), np.int32)
    crowded = counts * CROWDED > len(weight)

    for user in np.flatnonzero(crowded):
        # An exponential race: the first n to arrive are a draw of n without repetition.
        arrival = random.standard_exponential(len(weight)) / weight
        n = counts[user]
        item[starts[user] : starts[user] + n] = np.argpartition(arrival, n - 1)[:n]

    others = np.flatnonzero(~crowded)
    row, drawn = _redrawn(counts[others], weight, random)
    start_of_row = np.cumsum(counts[others]) - counts[others]
    place = np.arange(len(row)) - np.repeat(start_of_row, counts[others])
    item[starts[others][row] + place] = drawn

    return item


def _redrawn(
    counts: Int64[np.ndarray, " users"],
    weight: Float64[np.ndarray, " n_items"],
    random: np.random.Generator,
) -> tuple[Int64[np.ndarray, " ratings"], Int64[np.ndarray, " ratings"]]:
    """The same by drawing with repetition, dropping repetitions, and drawing again.

    Returns: the user and the item of each pair, in order.
    """
    n_items = len(weight)
    cumulative = np.cumsum(weight)
    finished: list[np.ndarray] = []  # pairs of users who have all their items
    pairs = np.empty(0, np.int64)  # user · n_items + item, of the others
    missing = counts

    while missing.any():
        row = np.repeat(np.arange(len(counts)), missing)
        target = random.random(len(row)) * cumulative[-1]
        drawn = np.minimum(np.searchsorted(cumulative, target, side="right"), n_items - 1)
        pairs = np.sort(np.concatenate([pairs, row * n_items + drawn]))
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # np.unique is four times slower here
        n_drawn = np.bincount(pairs // n_items, minlength=len(counts))
        missing = np.where(missing, counts - n_drawn, 0)
        is_full = missing[pairs // n_items] == 0
        finished.append(pairs[is_full])
        pairs = pairs[~is_full]

    pairs = np.sort(np.concatenate([pairs, *finished]))

    return pairs // n_items, pairs % n_items


def _times(
    user: Int32[np.ndarray, " ratings"], n_users: int, random: np.random.Generator
) -> Int64[np.ndarray, " ratings"]:
    """Each user arrives within three years and rates for a while, most for days, some for years."""
    arrival = FIRST_DAY + random.integers(0, 3 * 365 * DAY, n_users)
    stay = np.minimum(random.lognormal(np.log(10.0), 1.5, n_users), 1000.0) * DAY
    time = np.empty(len(user), np.int64)

    for first in range(0, len(user), BLOCK):
        part = slice(first, first + BLOCK)
        people = user[part]
        since_arrival = stay[people] * random.random(len(people))
        time[part] = arrival[people] + since_arrival.astype(np.int64)

    return time


def _numbered(n: int) -> Vocab:
    return Vocab(pl.Series(np.arange(1, n + 1)))


def _catalogue(n_items: int) -> pl.DataFrame:
    ids = pl.DataFrame({"item_id": _numbered(n_items).ids})
    return ids.select(
        "item_id",
        title=pl.format("Item {}", "item_id"),
        genres=pl.lit([], dtype=pl.List(pl.String)),
    )


def planted_texts(truth: Truth, items: Vocab, *, length: int = 30, seed: int = 0) -> dict[str, str]:
    """A document per item that describes its offset and its factors.

    Each of these numbers has ten words for a large value and ten for a small one. For each word a
    number is drawn; the larger it is, the more often the word is one for a large value. Every fifth
    word means nothing.

    Args:
        truth: what the ratings were drawn from.
        items: the ids of the items.
        length: words of a document.
        seed: of all draws.

    Returns: a text per item_id.
    """
    random = np.random.default_rng(seed)
    factors = truth.V / np.std(truth.V, axis=0)
    numbers = np.column_stack([truth.b_item / np.std(truth.b_item), factors])
    shape = (len(numbers), length)
    which = random.integers(0, numbers.shape[1], shape)
    is_large = random.random(shape) < expit(2 * np.take_along_axis(numbers, which, axis=1))
    is_silent = random.random(shape) < SILENT_SHARE
    variant = random.integers(0, 10, shape)
    documents = {}

    for row, item_id in enumerate(items.ids.to_list()):
        words = []

        for place in range(length):
            letter = DIGITS[variant[row, place]]
            size = "much" if is_large[row, place] else "little"
            meaning = f"{size}{DIGITS[which[row, place]]}{letter}"
            words.append(f"so{letter}" if is_silent[row, place] else meaning)

        documents[item_id] = " ".join(words)

    return documents
