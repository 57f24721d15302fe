"""What results say about a paper's claims: a word, and the figures behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
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
from recollect.experiment.carried import CarriedCheck, CarriedRow
from recollect.experiment.results import Record, UserSums, is_done
from recollect.experiment.spec import MIN_SPLITS, Check, Claim, RunSpec

LEVEL = 0.05  # p below which a difference is more than chance


class Verdict(NamedTuple):
    """A word and the reason.

    The word is better, confirmed or missed for a claim; confirmed or not confirmed for a check;
    open where results are missing.
    """

    word: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """What was measured of a run: a record per split, or the row as an earlier release printed it.

    With `carried` there are no records; otherwise `records` has None for each split without one.
    """

    run: RunSpec
    records: Sequence[Record | None]
    metric: str
    test_share: float | None  # of splits that overlap; None: they do not
    user_sums: Callable[[int], UserSums | None]  # errors by user on the split of this number
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
        """Epoch and validation RMSE on the first split that has a record."""
        if self.carried is not None:
            return self.carried.curve

        done = self.done
        if not done:
            return []

        points = done[0]["curve"]["valid_rmse"]

        return [(epoch, error) for epoch, error in points]


def judge_claim(claim: Claim, interval: Interval) -> Verdict:
    """Whether a figure reaches the paper's; lower is better.

    better: the whole interval (without one: the figure and `within`) is below the claim.
    confirmed: the figure is at most `within` above it, or the interval reaches it.
    missed: neither.
    """
    # 0.834 is 0.003 above 0.831, not a bit more.
    above = round(interval.mean - claim.value, 9)
    upper = interval.high
    if not np.isfinite(upper):
        upper = interval.mean + claim.within

    if upper < claim.value:
        return Verdict("better", f"better by {-above:.4f}")

    if above <= claim.within or interval.low <= claim.value:
        return Verdict("confirmed", "confirmed")

    return Verdict("missed", f"missed by {above:.4f}")


def judge_check(
    check: Check, outcomes: Sequence[Outcome], carried: CarriedCheck | None = None
) -> Verdict:
    """Whether results confirm what the paper says in words.

    Args:
        check: what is asked.
        outcomes: those of all runs of the table.
        carried: the verdict that an earlier release printed. It is kept if one of the runs is known
            from that release only and all figures are still those that it was computed from.
    """
    concerned = _concerned(check, outcomes)
    lacking = [outcome.run.name for outcome in concerned if not outcome.n_done]
    if lacking:
        return Verdict("open", f"no result of {', '.join(lacking)}")

    is_carried = any(outcome.carried is not None for outcome in concerned)
    figures = {outcome.run.name: outcome.mean for outcome in concerned}
    if is_carried and carried is not None and carried.stands(figures):
        return Verdict(carried.word, carried.text)

    return JUDGES[check.kind](check, concerned)


def _concerned(check: Check, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes that a check is about, in the table's order for a series."""
    if check.kind == "falls":
        series = check.groups[0]
        return [
            outcome for outcome in outcomes if outcome.run.series in series and outcome.run.swept
        ]

    if check.kind == "lowest":
        return [outcome for outcome in outcomes if outcome.run.model]

    by_name = {outcome.run.name: outcome for outcome in outcomes}

    return [by_name[name] for group in check.groups for name in group]


def _pairs(check: Check, concerned: Sequence[Outcome]) -> list[tuple[Outcome, Outcome]]:
    """Each run of the first group with each of the second."""
    by_name = {outcome.run.name: outcome for outcome in concerned}
    pairs = product(*check.groups)
    return [(by_name[a], by_name[b]) for a, b in pairs]


class _Tested(NamedTuple):
    """A difference of two runs, and the test that gave its p."""

    difference: float
    p: float
    test: str


def _judge_below(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    tested = []

    for a, b in _pairs(check, concerned):
        result = _test_difference(a, b)
        if isinstance(result, str):
            return Verdict("open", result)

        tested.append(result)

    # A positive difference weighs more than a large p: it contradicts the claim.
    worst = max(tested, key=lambda pair: (pair.difference >= 0, pair.p, pair.difference))
    p_and_test = f"(p = {worst.p:.2g}, {worst.test})"
    if worst.difference >= 0:
        return Verdict("not confirmed", f"above by {worst.difference:.4f} {p_and_test}")

    if worst.p >= LEVEL:
        below = f"below by {-worst.difference:.4f}, which may be chance {p_and_test}"
        return Verdict("not confirmed", below)

    least = min(-pair.difference for pair in tested)
    or_more = " or more" if len(tested) > 1 else ""

    return Verdict("confirmed", f"by {least:.4f}{or_more}, more than chance {p_and_test}")


def _test_difference(a: Outcome, b: Outcome) -> _Tested | str:
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
        return _Tested(result.difference, result.p, f"corrected t-test over {len(common)} splits")

    if not common or a.metric not in ("rmse", "mae"):
        return "the runs have no split in common, or too few for this metric"

    splits = [j for j, _, _ in common]
    of_a = [a.user_sums(j) for j in splits]
    of_b = [b.user_sums(j) for j in splits]
    difference = compare_users(of_a, of_b, a.metric)
    if difference is None:
        return "errors by user were not kept; `recollect run --fresh` keeps them"

    n_common = f"{len(splits)} split{'s' * (len(splits) > 1)}"

    return _Tested(difference.difference, difference.p, f"bootstrap over users, {n_common}")


def compare_users(
    first: Sequence[UserSums | None], second: Sequence[UserSums | None], metric: str
) -> Difference | None:
    """The difference of two runs by a paired bootstrap over users.

    Args:
        first: errors of the first run by user, one per split.
        second: those of the second on the same splits.
        metric: "rmse" or "mae".

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
    errors = "squared" if metric == "rmse" else "absolute"
    totals = []

    for run in (a, b):
        values = np.concatenate([getattr(sums, errors) for sums in run])
        totals.append(np.bincount(position, values))

    statistic: Statistic = "root_mean" if metric == "rmse" else "mean"

    return paired_bootstrap_of_sums(totals[0], totals[1], count, statistic=statistic)


def _judge_near(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    distances = [abs(a.mean - b.mean) for a, b in _pairs(check, concerned)]
    apart = max(distances)
    is_near = apart <= check.within
    word = "confirmed" if is_near else "not confirmed"
    text = f"{apart:.4f} apart, at most {check.within:g} asked"

    return Verdict(word, text)


def _judge_lowest(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    name = check.groups[0][0]
    claimed = next(outcome for outcome in concerned if outcome.run.name == name)
    others = [outcome for outcome in concerned if outcome.run.name != name]
    best_other = min(others, key=lambda outcome: outcome.mean)
    rival = best_other.run.name
    gain = best_other.mean - claimed.mean
    if gain > 0:
        return Verdict("confirmed", f"{gain:.4f} below {rival}")

    return Verdict("not confirmed", f"{-gain:.4f} above {rival}")


def _judge_falls(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    steps = [(after.mean - before.mean, before, after) for before, after in pairwise(concerned)]
    rise, before, after = max(steps, key=lambda step: step[0])
    if rise > check.within:
        place = f"from {before.run.name} to {after.run.name}"
        return Verdict("not confirmed", f"rises by {rise:.4f} {place}")

    first = concerned[0].mean
    last = concerned[-1].mean
    text = f"from {first:.4f} to {last:.4f}"
    if check.within:
        text += f"; steps up of {check.within:g} are allowed"

    return Verdict("confirmed", text)


def _judge_overfits(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    """Whether the validation error of the last epoch is above the best by more than `within`."""
    rises = {}

    for outcome in concerned:
        errors = [error for _, error in outcome.curve]
        if not errors:
            return Verdict("open", f"{outcome.run.name} has no validation errors by epoch")

        rises[outcome.run.name] = errors[-1] - min(errors)

    name = min(rises, key=lambda name: rises[name])
    word = "confirmed" if rises[name] > check.within else "not confirmed"

    return Verdict(word, f"validation error at the end {rises[name]:.4f} above its best ({name})")


JUDGES: dict[str, Callable[[Check, Sequence[Outcome]], Verdict]] = {
    "below": _judge_below,
    "near": _judge_near,
    "lowest": _judge_lowest,
    "falls": _judge_falls,
    "overfits": _judge_overfits,
}
