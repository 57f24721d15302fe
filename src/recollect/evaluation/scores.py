"""What a protocol measured: values per rating or user, for means, intervals and paired tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float, Int64

from recollect.errors import DataError, SettingError
from recollect.evaluation import metrics
from recollect.evaluation.significance import (
    Difference,
    Interval,
    Statistic,
    bootstrap_interval,
    paired_bootstrap,
)

MACRO = "_macro"  # the end of a figure's name: its mean over users instead of ratings

# What two Scores must have in common to be compared, and what a message calls it.
MUST_AGREE = {
    "tested_on": "the test ratings",
    "relevant_from": "the rating from which on an item is relevant",
    "n_candidates": "the number of items that were ranked",
}


@dataclass(frozen=True, repr=False)
class Scores:
    """Values per rating or per user, and what they were measured on.

    `values[name]` has one number per entry of `unit` ("rating" or "user"); for RMSE it is the
    squared error, whose mean's root is the figure. A rating's values come with its user (`group`)
    and its pair (`pair`, as in Ratings).
    """

    values: dict[str, Float[np.ndarray, " units"]]
    unit: str
    about: dict[str, Any]  # model, settings, data fingerprint, split, seed, counts
    whole: dict[str, float] = field(default_factory=dict)  # figures of all lists, such as coverage
    group: Int64[np.ndarray, " units"] | None = None
    pair: Int64[np.ndarray, " units"] | None = None

    def __repr__(self) -> str:
        """The figures, of which model, and of how many test ratings."""
        of_values = [name for name in self.values if name in self.names()]
        figures = [f"{name} {self[name]:.4f}" for name in (*of_values, *self.whole)]
        model = self.about.get("model", "a model")
        n_test = self.about.get("n_test", len(next(iter(self.values.values()), ())))
        on = f"{model} on {n_test:,} test ratings"
        n_cold = self.about.get("n_cold")
        if n_cold:
            on += (
                f", {n_cold:,} of them cold"
                if self.unit == "rating"
                else f", {n_cold:,} users cold"
            )

        return f"Scores({on}: {', '.join(figures)})"

    def __getitem__(self, name: str) -> float:
        """The figure of that name; NaN if there is nothing to average."""
        if name in self.whole:
            return self.whole[name]

        values = self.of(name)
        # NumPy warns of a mean over nothing but NaN.
        if not np.isfinite(values).any():
            return float("nan")

        mean = float(np.nanmean(values))
        if _statistic(name) == "root_mean":
            return mean**0.5

        return mean

    def of(self, name: str) -> Float[np.ndarray, " _"]:
        """The values behind a figure: per rating, or per user (NaN for a user without ratings).

        Raises:
            SettingError: for a figure that was not measured, with those that were.
        """
        if name in self.values:
            return self.values[name]

        if name not in self.names():
            raise SettingError(
                f"There are no values of {name!r} here, only of {', '.join(self.names())}. "
                f"{self._why_not(name)}"
            )

        assert self.group is not None
        per_rating = name.removesuffix(MACRO)
        n_users = int(self.group.max(initial=-1)) + 1
        means = metrics.mean_per_user(self.values[per_rating], self.group, n_users)

        if _statistic(per_rating) == "root_mean":
            return np.sqrt(means)

        return means

    def names(self) -> list[str]:
        """The figures that have values."""
        if self.group is None:
            return list(self.values)

        over_users = [f"{name}{MACRO}" for name in self.values]

        return [*self.values, *over_users]

    def interval(self, name: str, *, level: float = 0.95, n: int = 1000, seed: int = 0) -> Interval:
        """A figure with its bootstrap interval over users: how it would vary with other users.

        Args:
            name: of the figure.
            level: the confidence level.
            n: resamples.
            seed: of the resamples.
        """
        values = self.of(name)
        finite = np.isfinite(values)
        if not finite.any():
            return Interval(float("nan"), float("nan"), float("nan"))

        return bootstrap_interval(
            values[finite],
            statistic=_statistic(name),
            group=self._group_of(name, finite),
            n=n,
            level=level,
            seed=seed,
        )

    def versus(
        self, other: Scores, name: str, *, level: float = 0.95, n: int = 2000, seed: int = 0
    ) -> Difference:
        """This figure minus the other model's, by a paired bootstrap over users.

        Users for whom a figure is NaN are left out.

        Args:
            other: the scores of another model on the same test ratings.
            name: of the figure.
            level: the confidence level.
            n: resamples.
            seed: of the resamples.

        Raises:
            DataError: if the two were not measured on the same test ratings in the same way.
            SettingError: for a figure that either does not have.
        """
        self._check_comparable(other, name)
        first = self._in_order(name)
        second = other._in_order(name)
        finite = np.isfinite(first) & np.isfinite(second)
        order = self._order(name)

        return paired_bootstrap(
            first[finite],
            second[finite],
            statistic=_statistic(name),
            group=self._group_of(name, order[finite]),
            level=level,
            n=n,
            seed=seed,
        )

    def table(self, *names: str, level: float = 0.95) -> pl.DataFrame:
        """The figures and their intervals (null for a figure of all lists together).

        Args:
            names: of the figures; default: all.
            level: the confidence level.

        Returns: columns metric, value, low, high.
        """
        rows = []

        for name in names or (*self.names(), *self.whole):
            row = {"metric": name, "value": self[name], "low": None, "high": None}
            if name not in self.whole:
                interval = self.interval(name, level=level)
                row |= {"low": interval.low, "high": interval.high}

            rows.append(row)

        number = pl.Float64
        schema = {"metric": pl.String, "value": number, "low": number, "high": number}

        return pl.DataFrame(rows, schema=schema)

    def _why_not(self, name: str) -> str:
        """Why there are no values of a figure, in a sentence."""
        metric = metrics.METRICS.get(name.partition("@")[0])
        is_shown = metric is not None and metric.of == "shown"
        if is_shown and self.about.get("item_field", "") is None:
            return (
                "The items have no field of genres, which it needs; give the model's ratings a "
                "table of items (with_items)."
            )

        return "held_out measures errors, full_ranking the ranking figures."

    def _check_comparable(self, other: Scores, name: str) -> None:
        must_agree = dict(MUST_AGREE)
        if name.startswith("diversity@"):
            must_agree["diversity_from"] = "what diversity is computed from"

        for key, what in must_agree.items():
            first = self.about.get(key)
            second = other.about.get(key)
            if first != second or (key == "tested_on" and first is None):
                subject = what[0].upper() + what[1:]
                raise DataError(
                    f"{subject} must be the same for both scores, found {first} and {second}; "
                    "score both models on one split, in the same way."
                )

    def _group_of(self, name: str, which: np.ndarray) -> Int64[np.ndarray, " _"] | None:
        """The users of these values; None where a value is a user's already."""
        if name not in self.values or self.group is None:
            return None
        return self.group[which]

    def _order(self, name: str) -> Int64[np.ndarray, " _"]:
        """An order of the values that does not depend on the order of the test ratings."""
        if name not in self.values or self.pair is None:
            n_values = len(self.of(name))
            return np.arange(n_values)

        return np.argsort(self.pair)

    def _in_order(self, name: str) -> Float[np.ndarray, " _"]:
        values = self.of(name)
        order = self._order(name)
        return values[order]


def _statistic(name: str) -> Statistic:
    """How values become a figure: "ndcg@10" is a metric's name and a length."""
    base_name = name.partition("@")[0]
    metric = metrics.METRICS.get(base_name)
    if metric is not None and metric.root:
        return "root_mean"

    return "mean"
