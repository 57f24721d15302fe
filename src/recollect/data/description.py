"""Ratings in figures: sizes, scale, values, times, and how many each user and item has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Num

from recollect.data.ratings import AnyRatings, Ratings, Side

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
MOST_VALUES = 20  # with more different values, tenths of the scale are counted instead


def describe(ratings: AnyRatings) -> dict[str, Any]:
    """The ratings in figures.

    `values` is how often each value occurs (of more than 20 different ones, each tenth of the
    scale), `times` the first and the last day, and `counts` the QUANTILES of the number of ratings
    per user and per item, of those who have any.
    """
    return {
        "name": ratings.name,
        "ratings": len(ratings),
        "users": ratings.n_users,
        "items": ratings.n_items,
        "density": ratings.density,
        "scale": ratings.scale,
        "mean": ratings.mean,
        "values": count_values(ratings),
        "times": first_and_last_day(ratings),
        "counts": {
            "per user": count_quantiles(ratings, "user"),
            "per item": count_quantiles(ratings, "item"),
        },
        "notes": ratings.notes,
        "implicit": ratings.implicit,
        "titles": ratings.catalogue is not None,
        "kinds": describe_kinds(ratings),
        "fingerprint": ratings.fingerprint,
    }


def describe_kinds(ratings: AnyRatings) -> list[dict[str, Any]]:
    """Of each kind of items: how many, in how many pairs and of how many users, and the median of
    these users; empty if all items are of one kind, or the ratings are on disk.
    """
    kinds = ratings.kinds
    if len(kinds) < 2 or not isinstance(ratings, Ratings):
        return []

    rows = []
    of_pair = kinds.of_item[ratings.item]

    for number, kind in enumerate(kinds.names):
        own = np.bincount(ratings.user[of_pair == number], minlength=ratings.n_users)
        rows.append(
            {
                "kind": kind,
                "items": int(kinds.sizes[number]),
                "pairs": int(own.sum()),
                "users": int((own > 0).sum()),
                "median": float(np.median(own[own > 0])) if own.any() else 0.0,
            }
        )

    return rows


def compare_published(ratings: AnyRatings, published: Mapping[str, int]) -> list[dict[str, Any]]:
    """Published counts of lists, and of items of each kind, beside what is found.

    Args:
        ratings: of lists.
        published: how many, by "lists", a kind, or "a kind in lists" for its pairs.
    """
    found = {"lists": ratings.n_users}
    for row in describe_kinds(ratings):
        found[row["kind"]] = row["items"]
        found[f"{row['kind']} in lists"] = row["pairs"]

    return [
        {
            "count": name,
            "found": found.get(name, 0),
            "published": number,
            "verdict": "the same" if found.get(name, 0) == number else "differs",
        }
        for name, number in published.items()
    ]


def count_values(ratings: AnyRatings) -> dict[str, int]:
    """How often each value occurs; of more than 20 different values, each tenth of the scale."""
    counts: dict[float, int] = {}
    tenths = np.zeros(10, np.int64)

    for part in ratings.values():
        if len(counts) <= MOST_VALUES:
            _add_counts(counts, part)

        in_part, _ = np.histogram(part.astype(np.float64), bins=10, range=ratings.scale)
        tenths += in_part

    if len(counts) <= MOST_VALUES:
        return {f"{value:g}": count for value, count in sorted(counts.items())}

    edges = np.linspace(*ratings.scale, 11)
    count_of_tenth = {}

    for (low, high), count in zip(pairwise(edges), tenths, strict=True):
        count_of_tenth[f"{low:.4g} – {high:.4g}"] = int(count)

    return count_of_tenth


def _add_counts(counts: dict[float, int], values: Num[np.ndarray, " ratings"]) -> None:
    distinct, n = np.unique(values, return_counts=True)
    for value, count in zip(distinct.tolist(), n.tolist(), strict=True):
        counts[value] = counts.get(value, 0) + count


def first_and_last_day(ratings: AnyRatings) -> list[str] | None:
    """The days (UTC) of the first and the last rating; None without times."""
    if ratings.time is None:
        return None

    days = []
    for time in (ratings.time.min(), ratings.time.max()):
        try:
            moment = datetime.fromtimestamp(int(time), UTC)
        except (OverflowError, OSError, ValueError):  # beyond the years that Python can write
            days.append(f"{int(time):,} s after 1970")
            continue

        days.append(moment.strftime("%Y-%m-%d"))
    return days


def count_quantiles(ratings: AnyRatings, side: Side) -> list[int]:
    """The QUANTILES of the number of ratings of users or items that have any."""
    count = ratings.count(side)
    positive = count[count > 0]
    quantiles = np.quantile(positive, QUANTILES, method="nearest")
    return [int(quantile) for quantile in quantiles]


def count_unrated(ratings: AnyRatings, *, or_with_text: bool = False) -> int:
    """How many users and items have no ratings.

    Args:
        ratings: in which users and items may have none.
        or_with_text: whether to leave out items that have a text, for a model that reads texts.
    """
    is_unrated = ratings.count("item") == 0
    if or_with_text and ratings.text is not None:
        is_unrated &= ~ratings.text.has

    n_users = (ratings.count("user") == 0).sum()
    n_items = is_unrated.sum()

    return int(n_users + n_items)
