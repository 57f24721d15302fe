"""Draws of who rates what and when: long tails, distinct items per user, and times.

Rows and columns are users and items, or items and users in `by_item`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

BLOCK = 1 << 21  # ratings made at once
DAY = 86_400  # seconds
FIRST_DAY = 946_684_800  # 2000-01-01
ARRIVALS = 3 * 365 * DAY  # the time within which users arrive
MEDIAN_STAY = 10.0  # days from a user's first to last rating
LONGEST_STAY = 1000.0  # days
HEAD = 50  # the first 1/HEAD of users and items have about the same weight
CROWDED = 32  # the columns of a row with more than 1/CROWDED of all are drawn without repetition
BISECTIONS = 100


def long_tail(n: int, exponent: float) -> Float64[np.ndarray, " n"]:
    """Weights that fall as a power, flattened at the head (Zipf and Mandelbrot)."""
    rank = np.arange(n) + 1
    flattened = rank + n / HEAD
    return flattened**-exponent


def draw_counts(
    n_rows: int,
    n_columns: int,
    n_ratings: int,
    *,
    exponent: float,
    random: np.random.Generator,
) -> Int64[np.ndarray, " n_rows"]:
    """How many ratings each row has: a long tail between 1 and n_columns.

    With fewer ratings than rows the least is 0.

    Args:
        n_rows: how many rows share the ratings.
        n_columns: the most that a row can have.
        n_ratings: how many ratings, at most n_rows × n_columns.
        exponent: the power with which the counts fall from the first to the last.
        random: the source of randomness.
    """
    weight = long_tail(n_rows, exponent)
    least = 1 if n_ratings >= n_rows else 0
    # Bisect for the factor with which the clipped counts add up to n_ratings.
    low, high = 0.0, 2.0 * n_columns / weight[-1]

    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        clipped = np.clip(middle * weight, least, n_columns)
        if clipped.sum() < n_ratings:
            low = middle
        else:
            high = middle

    clipped = np.clip(low * weight, least, n_columns)
    counts = np.floor(clipped).astype(np.int64)

    # What rounding down left over goes to rows at random, one each.
    while n_missing := n_ratings - int(counts.sum()):
        free = np.flatnonzero(counts < n_columns)
        chosen = random.permutation(free)[:n_missing]
        counts[chosen] += 1

    return random.permutation(counts)


def draw_columns(
    counts: Int64[np.ndarray, " rows"],
    weight: Float64[np.ndarray, " n_columns"],
    random: np.random.Generator,
) -> Int32[np.ndarray, " ratings"]:
    """Distinct columns for each row, drawn one after the other by weight; rows in order.

    Args:
        counts: how many columns each row gets.
        weight: the probabilities of the columns, not normalized.
        random: the source of randomness.
    """
    starts = np.cumsum(counts) - counts
    column = np.empty(int(counts.sum()), np.int32)
    # Drawing with repetition would hardly end for a row with most of the columns.
    is_crowded = counts * CROWDED > len(weight)

    for row in np.flatnonzero(is_crowded):
        # An exponential race: the first n to arrive are a draw of n without repetition.
        arrival = random.standard_exponential(len(weight)) / weight
        n = counts[row]
        first = np.argpartition(arrival, n - 1)[:n]
        column[starts[row] : starts[row] + n] = first

    _fill_sparse(
        column,
        starts,
        counts,
        is_sparse=~is_crowded,
        weight=weight,
        random=random,
    )

    return column


def _fill_sparse(
    column: Int32[np.ndarray, " ratings"],
    starts: Int64[np.ndarray, " rows"],
    counts: Int64[np.ndarray, " rows"],
    *,
    is_sparse: Bool[np.ndarray, " rows"],
    weight: Float64[np.ndarray, " n_columns"],
    random: np.random.Generator,
) -> None:
    """Draw the columns of the rows that have few, into their places in `column`."""
    rows = np.flatnonzero(is_sparse)
    counts = counts[rows]
    row, drawn = _draw_and_redraw(counts, weight, random)
    # `row` counts the sparse rows only; `place` counts within a row.
    start_of_row = np.cumsum(counts) - counts
    place = np.arange(len(row)) - np.repeat(start_of_row, counts)
    start = starts[rows][row]
    column[start + place] = drawn


def _draw_and_redraw(
    counts: Int64[np.ndarray, " rows"],
    weight: Float64[np.ndarray, " n_columns"],
    random: np.random.Generator,
) -> tuple[Int64[np.ndarray, " ratings"], Int64[np.ndarray, " ratings"]]:
    """Draw with repetition, drop repetitions, and draw again for the rows that lack columns.

    Returns: the row and the column of each pair, in order.
    """
    n_columns = len(weight)
    cumulative = np.cumsum(weight)
    finished: list[np.ndarray] = []  # pairs of rows that have all their columns
    pairs = np.empty(0, np.int64)  # row · n_columns + column, of the others
    missing = counts

    while missing.any():
        row = np.repeat(np.arange(len(counts)), missing)
        target = random.random(len(row)) * cumulative[-1]
        place = np.searchsorted(cumulative, target, side="right")
        # Rounding of the product can reach the last sum itself, one past the last column.
        drawn = np.minimum(place, n_columns - 1)
        pairs = np.sort(np.concatenate([pairs, row * n_columns + drawn]))
        is_first = np.diff(pairs, prepend=-1) > 0
        pairs = pairs[is_first]  # np.unique is four times slower here

        row_of_pair = pairs // n_columns
        n_drawn = np.bincount(row_of_pair, minlength=len(counts))
        missing = np.where(missing, counts - n_drawn, 0)
        is_full = missing[row_of_pair] == 0
        finished.append(pairs[is_full])
        pairs = pairs[~is_full]

    pairs = np.sort(np.concatenate([pairs, *finished]))

    return pairs // n_columns, pairs % n_columns


def draw_times(
    user: Int32[np.ndarray, " ratings"], n_users: int, random: np.random.Generator
) -> Int64[np.ndarray, " ratings"]:
    """Each user arrives within three years and rates for a while, most for days, some for years.

    Args:
        user: the row number of each rating's user.
        n_users: how many users.
        random: the source of randomness.

    Returns: seconds since 1970 of each rating.
    """
    arrival = FIRST_DAY + random.integers(0, ARRIVALS, n_users)
    days = random.lognormal(np.log(MEDIAN_STAY), 1.5, n_users)
    stay = np.minimum(days, LONGEST_STAY) * DAY
    time = np.empty(len(user), np.int64)

    for first in range(0, len(user), BLOCK):
        part = slice(first, first + BLOCK)
        users = user[part]
        share = random.random(len(users))
        since_arrival = stay[users] * share
        time[part] = arrival[users] + since_arrival.astype(np.int64)

    return time
