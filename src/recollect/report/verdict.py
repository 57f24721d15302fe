"""What results say about a paper's claims: a word, and the figures behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np

from recollect.evaluation.significance import Interval, mean_interval, paired_bootstrap, resampled_t
from recollect.experiment.file import Check, Claim, Entry

ENOUGH = 3  # splits from which on an interval over them, and a test, say something
LEVEL = 0.05  # p below which a difference is more than chance


class Verdict(NamedTuple):
    """`word` is better, confirmed, missed; of a check confirmed, not confirmed; open, if there is too little to tell."""

    word: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """What was measured of an entry, one record per finished split (None for one that is not there)."""

    entry: Entry
    records: Sequence[dict[str, Any] | None]
    errors: Callable[[int], dict[str, np.ndarray]]  # of the test ratings of one split
    metric: str
    test_share: float | None  # for splits that overlap; None: they do not

    @property
    def done(self) -> list[dict[str, Any]]:
        """The finished records."""
        return [record for record in self.records if record is not None and "failed" not in record]

    def value(self, split: int) -> float | None:
        """The figure on one split, if it is there."""
        record = self.records[split]
        return None if record is None or "failed" in record else record["test"][self.metric]

    @property
    def interval(self) -> Interval | None:
        """Mean and 95% interval over the finished splits; without limits if they are fewer than ENOUGH."""
        values = [record["test"][self.metric] for record in self.done]
        if not values:
            return None
        found = mean_interval(values, test_share=self.test_share)
        return found if len(values) >= ENOUGH else Interval(found.mean, float("nan"), float("nan"))


def of_claim(claim: Claim, found: Interval) -> Verdict:
    """Whether a figure reaches the paper's; lower is better.

    better: the whole interval (without one, the figure and `within`) is below the claim. confirmed: the figure is at most
    `within` above it, or the interval reaches it. missed: neither.
    """
    above = round(found.mean - claim.value, 9)  # 0.834 is 0.003 above 0.831
    if (found.high if np.isfinite(found.high) else found.mean + claim.within) < claim.value:
        return Verdict("better", f"better by {-above:.4f}")
    if above <= claim.within or found.low <= claim.value:
        return Verdict("confirmed", "confirmed")
    return Verdict("missed", f"missed by {above:.4f}")


def of_check(check: Check, outcomes: Sequence[Outcome]) -> Verdict:
    """Whether results confirm what the paper says in words."""
    by_name = {outcome.entry.name: outcome for outcome in outcomes}
    if check.kind == "falls":
        asked = [
            outcome
            for outcome in outcomes
            if outcome.entry.line in check.of[0] and outcome.entry.point
        ]
    elif check.kind == "lowest":
        asked = [outcome for outcome in outcomes if outcome.entry.model]
    else:
        asked = [by_name[name] for group in check.of for name in group]
    lacking = [outcome.entry.name for outcome in asked if not outcome.done]
    if lacking:
        return Verdict("open", f"no result of {', '.join(lacking)}")
    return HOW[check.kind](check, asked, by_name)


def _below(check: Check, asked: Sequence[Outcome], by_name: dict[str, Outcome]) -> Verdict:
    pairs = [_difference(by_name[a], by_name[b]) for a, b in product(*check.of)]
    if any(pair is None for pair in pairs):
        return Verdict("open", "the runs have no split in common, or too few for this metric")
    worst, p, by = max(
        (pair for pair in pairs if pair is not None),
        key=lambda pair: (pair[0] >= 0, pair[1], pair[0]),
    )
    if worst < 0 and p < LEVEL:
        least = min(-pair[0] for pair in pairs if pair is not None)
        return Verdict(
            "confirmed",
            f"by {least:.4f}{' or more' if len(pairs) > 1 else ''}, more than chance (p = {p:.2g}, {by})",
        )
    if worst < 0:
        return Verdict(
            "not confirmed", f"below by {-worst:.4f}, which may be chance (p = {p:.2g}, {by})"
        )
    return Verdict("not confirmed", f"above by {worst:.4f} (p = {p:.2g}, {by})")


def _difference(a: Outcome, b: Outcome) -> tuple[float, float, str] | None:
    """a − b on the splits that both have, its p and the test; None if it cannot be tested."""
    both = [
        j
        for j in range(min(len(a.records), len(b.records)))
        if a.value(j) is not None and b.value(j) is not None
    ]
    if len(both) >= ENOUGH and a.test_share is not None:
        found = resampled_t(
            [a.value(j) for j in both],  # type: ignore[misc]
            [b.value(j) for j in both],  # type: ignore[misc]
            test_share=a.test_share,
        )
        return found.difference, found.p, f"corrected t-test over {len(both)} splits"
    if not both or a.metric not in ("rmse", "mae"):
        return None
    mine, others = ([each.errors(j) for j in both] for each in (a, b))
    user = np.concatenate([errors["user"] for errors in mine])
    first, second = (
        np.concatenate([errors["squared_error"] for errors in each]) for each in (mine, others)
    )
    if a.metric == "mae":
        first, second = np.sqrt(first), np.sqrt(second)
    found = paired_bootstrap(
        first, second, statistic="root_mean" if a.metric == "rmse" else "mean", group=user
    )
    return (
        found.difference,
        found.p,
        f"bootstrap over users, {len(both)} split{'s' * (len(both) > 1)}",
    )


def _near(check: Check, asked: Sequence[Outcome], by_name: dict[str, Outcome]) -> Verdict:
    apart = max(abs(_mean(by_name[a]) - _mean(by_name[b])) for a, b in product(*check.of))
    said = f"{apart:.4f} apart, at most {check.within:g} asked"
    return Verdict("confirmed" if apart <= check.within else "not confirmed", said)


def _lowest(check: Check, asked: Sequence[Outcome], by_name: dict[str, Outcome]) -> Verdict:
    ((name,),) = check.of
    next_best = min((outcome for outcome in asked if outcome.entry.name != name), key=_mean)
    gain = _mean(next_best) - _mean(by_name[name])
    said = f"{abs(gain):.4f} {'below' if gain > 0 else 'above'} {next_best.entry.name}"
    return Verdict("confirmed" if gain > 0 else "not confirmed", said)


def _falls(check: Check, asked: Sequence[Outcome], by_name: dict[str, Outcome]) -> Verdict:
    rises = [(_mean(b) - _mean(a), a, b) for a, b in pairwise(asked)]
    worst, a, b = max(rises, key=lambda rise: rise[0])
    if worst <= check.within:
        slack = f"; steps up of {check.within:g} are allowed" if check.within else ""
        return Verdict("confirmed", f"from {_mean(asked[0]):.4f} to {_mean(asked[-1]):.4f}{slack}")
    return Verdict("not confirmed", f"rises by {worst:.4f} from {a.entry.name} to {b.entry.name}")


def _overfits(check: Check, asked: Sequence[Outcome], by_name: dict[str, Outcome]) -> Verdict:
    """The validation error of the last epoch is above the best one by more than `within`."""
    rise = {}
    for outcome in asked:
        errors = [error for _, error in outcome.done[0]["curve"]["valid_rmse"]]
        if not errors:
            return Verdict("open", f"{outcome.entry.name} has no validation errors by epoch")
        rise[outcome.entry.name] = errors[-1] - min(errors)
    least = min(rise, key=lambda name: rise[name])
    return Verdict(
        "confirmed" if rise[least] > check.within else "not confirmed",
        f"validation error at the end {rise[least]:.4f} above its best ({least})",
    )


def _mean(outcome: Outcome) -> float:
    found = outcome.interval
    assert found is not None
    return found.mean


HOW: dict[str, Callable[[Check, Sequence[Outcome], dict[str, Outcome]], Verdict]] = {
    "below": _below,
    "near": _near,
    "lowest": _lowest,
    "falls": _falls,
    "overfits": _overfits,
}
