"""What was measured of a run, and the difference of two runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recollect.evaluation.significance import (
    Difference,
    Interval,
    Statistic,
    mean_interval,
    paired_bootstrap_of_sums,
    resampled_t,
)
from recollect.experiment.carried import CarriedRow
from recollect.experiment.metric import more_is_better
from recollect.experiment.results import Record, UserSums, is_done
from recollect.experiment.spec import MIN_SPLITS, RunSpec, has_user_sums


@dataclass(frozen=True)
class Outcome:
    """What was measured of a run: a record per split, or the row as an earlier release printed it.

    With `carried` there are no records; otherwise `records` has None for each split without one.
    """

    run: RunSpec
    records: Sequence[Record | None]
    metric: str
    test_share: float | None  # of splits that overlap; None: they do not
    user_sums: Callable[[int], UserSums | None]  # values by user on the split of this number
    carried: CarriedRow | None = None

    @property
    def done(self) -> list[Record]:
        """The records with figures."""
        present = [record for record in self.records if record is not None]
        return [record for record in present if is_done(record)]

    @property
    def n_done(self) -> int:
        """The number of splits that have a figure."""
        if self.carried is not None:
            return self.carried.n_splits

        return len(self.done)

    def value(self, split: int) -> float | None:
        """The figure on one split; None if it is not known."""
        if split >= len(self.records):
            return None

        record = self.records[split]
        if record is None or not is_done(record):
            return None

        figure: float = record["test"][self.metric]
        return figure

    @property
    def sign(self) -> int:
        """1 if less is better, −1 if more is: a figure times this is an error."""
        return -1 if more_is_better(self.metric) else 1

    @property
    def error(self) -> float:
        """The mean, its sign changed if more is better: the best run has the least."""
        return self.sign * self.mean

    def mean_on(self, splits: Sequence[int], metric: str) -> float:
        """Mean over some splits, which all have records, of any metric."""
        records = [self.records[split] for split in splits]
        return statistics.fmean(record["test"][metric] for record in records if record is not None)

    @property
    def interval(self) -> Interval | None:
        """Mean over the splits with its 95% interval, without limits for fewer than MIN_SPLITS."""
        if self.carried is not None:
            return self.carried.interval

        values = [record["test"][self.metric] for record in self.done]
        if not values:
            return None

        interval = mean_interval(values, test_share=self.test_share)
        if len(values) < MIN_SPLITS:
            return Interval(interval.mean, float("nan"), float("nan"))

        return interval

    @property
    def mean(self) -> float:
        """Mean over the splits; NaN without a figure."""
        interval = self.interval
        if interval is None:
            return float("nan")

        return interval.mean

    @property
    def curve(self) -> list[tuple[int, float]]:
        """Epoch and validation figure on the first split that has a record."""
        if self.carried is not None:
            return self.carried.curve

        return self._curve("valid_")

    @property
    def train_curve(self) -> list[tuple[int, float]]:
        """Epoch and training error on the first split that has a record; none of a carried row."""
        return self._curve("train_")

    def _curve(self, beginning: str) -> list[tuple[int, float]]:
        """The figure by epoch whose name begins so, on the first split that has a record."""
        done = self.done
        return _curve_of(done[0], beginning) if done else []

    @property
    def last_train_errors(self) -> list[float]:
        """The training error of the last epoch on each split that has one."""
        curves = [_curve_of(record, "train_") for record in self.done]
        return [points[-1][1] for points in curves if points]


def _curve_of(record: Record, beginning: str) -> list[tuple[int, float]]:
    """Epoch and figure of the curve whose name begins so; of ratings it is an RMSE."""
    for name, points in record["curve"].items():
        if name.startswith(beginning):
            return [(epoch, figure) for epoch, figure in points]

    return []


class Tested(NamedTuple):
    """A difference of two runs, and the test that gave its p."""

    difference: float
    p: float
    test: str


def tested_difference(a: Outcome, b: Outcome) -> Tested | str:
    """The mean of a less that of b on the splits that both have, tested; or why it cannot be."""
    carried = [outcome.run.name for outcome in (a, b) if outcome.carried is not None]
    if carried:
        return f"of {', '.join(carried)} only the mean is known; run it again"

    n_splits = min(len(a.records), len(b.records))
    both = [(j, a.value(j), b.value(j)) for j in range(n_splits)]
    common = [(j, x, y) for j, x, y in both if x is not None and y is not None]
    if len(common) >= MIN_SPLITS and a.test_share is not None:
        _, first, second = zip(*common, strict=True)
        result = resampled_t(first, second, test_share=a.test_share)
        return Tested(result.difference, result.p, f"corrected t-test over {len(common)} splits")

    if not common or not has_user_sums(a.metric):
        return "the runs have no split in common, or too few for this metric"

    splits = [j for j, _, _ in common]
    of_a = [a.user_sums(j) for j in splits]
    of_b = [b.user_sums(j) for j in splits]
    difference = compare_users(of_a, of_b, a.metric)
    if difference is None:
        return "values by user were not kept; `recollect run --fresh` keeps them"

    n_common = f"{len(splits)} split{'s' * (len(splits) > 1)}"

    return Tested(difference.difference, difference.p, f"bootstrap over users, {n_common}")


def compare_users(
    first: Sequence[UserSums | None], second: Sequence[UserSums | None], metric: str
) -> Difference | None:
    """The difference of two runs by a paired bootstrap over users.

    Args:
        first: errors of the first run by user, one per split.
        second: those of the second on the same splits.
        metric: "rmse", "mae", or one of lists.

    Returns: None if the errors of a split were not kept.
    """
    a = [sums for sums in first if sums is not None]
    b = [sums for sums in second if sums is not None]
    if len(a) < len(first) or len(b) < len(second):
        return None

    # A user may have test ratings in several splits: all of them are drawn together.
    users = np.concatenate([sums.user for sums in a])
    counts = np.concatenate([sums.count for sums in a])
    position = np.unique(users, return_inverse=True)[1]
    count = np.bincount(position, counts)
    totals = []

    for run in (a, b):
        if not all(metric in sums.sums for sums in run):
            return None

        values = np.concatenate([sums.sums[metric] for sums in run])
        totals.append(np.bincount(position, values))

    statistic: Statistic = "root_mean" if metric == "rmse" else "mean"

    return paired_bootstrap_of_sums(totals[0], totals[1], count, statistic=statistic)
