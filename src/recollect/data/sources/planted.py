"""Planted ratings: made from a known truth, at any size, with the error that no model can go below.

The truth of user u and item i is the normal distribution around mu + b_u + b_i + U_u·V_i with a known width. It is cut
to the scale, and rounded where ratings come in steps. Popularity and activity have long tails.
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
HEAD = 50  # the first 1/HEAD of users and items are about alike
CROWDED = 32  # a user with more than 1/CROWDED of all items has them drawn without repetition
DIGITS = "abcdefghij"  # of the words that planted texts are made of


@dataclass(frozen=True)
class Variant:
    """Settings of `planted` under a name."""

    n_users: int
    n_items: int
    n_ratings: int
    settings: dict[str, Any] = field(default_factory=lambda: {"step": 1.0, "noise": 0.8})

    def __str__(self) -> str:
        return f"made here: {self.n_ratings:,} ratings of {self.n_items:,} items by {self.n_users:,} users; 1 to 5"


VARIANTS = {
    "tiny": Variant(60, 40, 800),
    "small": Variant(943, 1682, 100_000),
    "medium": Variant(6040, 3706, 1_000_000),
    "big": Variant(500_000, 100_000, 5_000_000),
    "netflix": Variant(480_189, 17_770, 100_480_507),
}


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The ratings of a variant; the same each time. Nothing is read, so `folder` is of no account."""
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
    """What the ratings were made from."""

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
        """The middle of the distribution before cutting and rounding."""
        shared = np.einsum("pk,pk->p", self.U[user], self.V[item], dtype=np.float64)
        return self.mu + self.b_user[user] + self.b_item[item] + shared

    def expected(
        self, user: Int[np.ndarray, " pairs"], item: Int[np.ndarray, " pairs"]
    ) -> Float32[np.ndarray, " pairs"]:
        """The expected rating of each pair, cutting and rounding included: the best prediction there is."""
        return _expected(self.mean(user, item), self).astype(np.float32)

    def draw(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        random: np.random.Generator,
    ) -> Float32[np.ndarray, " pairs"]:
        """A rating of each pair."""
        low, high = self.scale
        value = self.mean(user, item) + self.noise * random.standard_normal(len(user))
        if self.step is not None:
            value = low + self.step * np.rint((value - low) / self.step)
        return np.clip(value, low, high).astype(np.float32)


def _expected(mean: Float64[np.ndarray, " pairs"], truth: Truth) -> Float64[np.ndarray, " pairs"]:
    low, high = truth.scale
    if truth.step is not None:  # lowest + a step for each threshold that is passed
        thresholds = np.arange(low + truth.step / 2, high, truth.step)
        if not truth.noise:
            return low + truth.step * np.sum([mean > t for t in thresholds], axis=0)
        return low + truth.step * np.sum(
            [ndtr((mean - t) / truth.noise) for t in thresholds], axis=0
        )
    if not truth.noise:
        return np.clip(mean, low, high)
    a, b = (low - mean) / truth.noise, (high - mean) / truth.noise
    return (
        low * ndtr(a)
        + high * ndtr(-b)
        + mean * (ndtr(b) - ndtr(a))
        + truth.noise * (_density(a) - _density(b))
    )


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


@dataclass(frozen=True, eq=False)
class Planted:
    """Ratings and the truth they were made from."""

    ratings: Ratings
    expected: Float32[np.ndarray, " ratings"]  # each rating's expectation
    floor: float  # RMSE of `expected` on these ratings: no model does better but by luck
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
    """Ratings of distinct pairs, made from a truth of low rank.

    `noise` is a standard deviation in units of the scale. `step` makes ratings lowest + whole steps: 1 for stars, 0.5
    for half stars, None for any value. `popularity` and `activity` are the exponents with which the draws of items and
    the ratings of users fall from the first to the last (0: all alike), as far as the number of pairs allows. The same
    arguments give the same ratings. Memory grows with ratings, never with users × items.

    Raises: SettingError if there are more ratings than pairs, or a setting is out of range.
    """
    low, high = map(float, scale)
    step = None if step is None else float(step)
    if not (n_users > 0 and n_items > 0 and 0 < n_ratings <= n_users * n_items):
        raise SettingError(
            f"{n_ratings:,} ratings of {n_items:,} items by {n_users:,} users cannot be made; expected "
            f"1 to users × items = {n_users * n_items:,}."
        )
    if (
        rank < 1
        or noise < 0
        or not low < high
        or (step is not None and not _divides(step, high - low))
    ):
        raise SettingError(
            f"rank={rank}, noise={noise}, scale={scale}, step={step}: expected rank of 1 or more, noise "
            "of 0 or more, a lowest below a highest rating, and a step that divides their difference."
        )
    random = np.random.default_rng(seed)
    truth = _truth(
        n_users, n_items, rank=rank, noise=float(noise), scale=(low, high), step=step, random=random
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
    error = sum(
        float(np.square(value[at : at + BLOCK] - expected[at : at + BLOCK], dtype=np.float64).sum())
        for at in range(0, n_ratings, BLOCK)
    )
    return Planted(ratings, expected, float(np.sqrt(error / n_ratings)), truth)


@dataclass(frozen=True, eq=False)
class Block:
    """Some planted ratings: all those of the items `first` … `first + len(counts) - 1`, one item after the other."""

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
    """The same kind of ratings, 1 to 5 in whole steps, item by item and a few million at a time, so that memory grows with
    users and items only. Here users are drawn for items: each item has a rating, a user may have none.

    Raises: SettingError if there are more ratings than pairs or fewer than items.
    """
    if not (n_users > 0 and 0 < n_items <= n_ratings <= n_users * n_items):
        raise SettingError(
            f"{n_ratings:,} ratings of {n_items:,} items by {n_users:,} users cannot be made; expected "
            f"{n_items:,}, one an item, to users × items = {n_users * n_items:,}."
        )
    random = np.random.default_rng(seed)
    truth = _truth(
        n_users, n_items, rank=rank, noise=float(noise), scale=(1.0, 5.0), step=1.0, random=random
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
    """Items, ratings and their expectations, users in order; made in blocks of users, to bound the memory."""
    ends = np.cumsum(counts)
    item = np.empty(int(ends[-1]), np.int32)
    value, expected = np.empty(len(item), np.float32), np.empty(len(item), np.float32)
    first = done = 0
    while first < len(counts):
        last = max(
            first + 1, int(np.searchsorted(ends, done + BLOCK, side="right"))
        )  # at least one user
        part = slice(done, int(ends[last - 1]))
        user = np.repeat(np.arange(first, last), counts[first:last])
        item[part] = _items(counts[first:last], weight, random)
        value[part] = truth.draw(user, item[part], random)
        expected[part] = truth.expected(user, item[part])
        first, done = last, part.stop
    return item, value, expected


def _divides(step: float, width: float) -> bool:
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
    """Offsets and factors whose sizes are those of films: on a scale of 1 to 5, each part spreads by about 0.4."""
    low, high = scale
    spread = (high - low) / 10

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32)

    return Truth(
        low + 0.62 * (high - low),
        spread * normal(n_users),
        spread * normal(n_items),
        spread * normal(n_users, rank),
        normal(n_items, rank) / np.float32(np.sqrt(rank)),
        noise,
        scale,
        step,
    )


def _long_tail(n: int, exponent: float) -> Float64[np.ndarray, " n"]:
    """Weights that fall as a power, bent at the head so that the first does not have it all (Zipf and Mandelbrot)."""
    return (np.arange(n) + 1 + n / HEAD) ** -exponent


def _activity(
    n_users: int, n_items: int, n_ratings: int, exponent: float, random: np.random.Generator
) -> Int64[np.ndarray, " n_users"]:
    """How many ratings each user has: a long tail between 1 (0 if there are fewer ratings than users) and n_items."""
    weight = _long_tail(n_users, exponent)
    least = 1 if n_ratings >= n_users else 0
    small, large = 0.0, 2.0 * n_items / weight[-1]
    for _ in range(100):  # halve until the counts add up
        middle = (small + large) / 2
        too_few = np.clip(middle * weight, least, n_items).sum() < n_ratings
        small, large = (middle, large) if too_few else (small, middle)
    counts = np.floor(np.clip(small * weight, least, n_items)).astype(np.int64)
    while rest := n_ratings - int(counts.sum()):
        free = np.flatnonzero(counts < n_items)
        counts[random.permutation(free)[:rest]] += 1
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
    for heavy in np.flatnonzero(
        crowded
    ):  # exponential races: the first to arrive are the ones drawn
        arrival = random.standard_exponential(len(weight)) / weight
        n = counts[heavy]
        item[starts[heavy] : starts[heavy] + n] = np.argpartition(arrival, n - 1)[:n]
    rows = np.flatnonzero(~crowded)
    row, found = _redrawn(counts[rows], weight, random)
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts[rows]) - counts[rows], counts[rows])
    item[starts[rows][row] + place] = found
    return item


def _redrawn(
    counts: Int64[np.ndarray, " users"],
    weight: Float64[np.ndarray, " n_items"],
    random: np.random.Generator,
) -> tuple[Int64[np.ndarray, " ratings"], Int64[np.ndarray, " ratings"]]:
    """The same by drawing with repetition, dropping repetitions, and drawing again for what is missing."""
    n_items, until = len(weight), np.cumsum(weight)
    done, have, missing = [], np.empty(0, np.int64), counts
    while missing.any():
        row = np.repeat(np.arange(len(counts)), missing)
        drawn = np.searchsorted(until, random.random(len(row)) * until[-1], side="right")
        have = np.sort(np.concatenate([have, row * n_items + np.minimum(drawn, n_items - 1)]))
        have = have[np.diff(have, prepend=-1) > 0]  # np.unique is four times slower here
        missing = np.where(missing, counts - np.bincount(have // n_items, minlength=len(counts)), 0)
        is_full = missing[have // n_items] == 0
        done.append(have[is_full])
        have = have[~is_full]
    pair = np.sort(np.concatenate([have, *done]))
    return pair // n_items, pair % n_items


def _times(
    user: Int32[np.ndarray, " ratings"], n_users: int, random: np.random.Generator
) -> Int64[np.ndarray, " ratings"]:
    """Each user arrives within three years and rates for a while, most for days, some for years."""
    arrival = FIRST_DAY + random.integers(0, 3 * 365 * DAY, n_users)
    stay = np.minimum(random.lognormal(np.log(10.0), 1.5, n_users), 1000.0) * DAY
    time = np.empty(len(user), np.int64)
    for begin in range(0, len(user), BLOCK):
        who = user[begin : begin + BLOCK]
        time[begin : begin + BLOCK] = arrival[who] + (stay[who] * random.random(len(who))).astype(
            np.int64
        )
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
    """A document per item, by its id, that tells what is particular to it: its offset and its factors.

    Each of these numbers has ten words for much of it and ten for little. A document's words are drawn number by number, those
    for much the more often the larger the number is; every fifth word says nothing.
    """
    random = np.random.default_rng(seed)
    told = np.column_stack([truth.b_item / np.std(truth.b_item), truth.V / np.std(truth.V, axis=0)])
    which = random.integers(0, told.shape[1], (len(told), length))
    much = random.random((len(told), length)) < expit(2 * np.take_along_axis(told, which, axis=1))
    silent, word = (
        random.random((len(told), length)) < 0.2,
        random.integers(0, 10, (len(told), length)),
    )
    return {
        item_id: " ".join(
            "so" + DIGITS[w] if s else f"{'much' if m else 'little'}{DIGITS[r]}{DIGITS[w]}"
            for r, m, s, w in zip(*row, strict=True)
        )
        for item_id, row in zip(
            items.ids.to_list(), zip(which, much, silent, word, strict=True), strict=True
        )
    }
