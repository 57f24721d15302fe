"""What results say about a paper's claims: a word, and the figures behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from recollect.evaluation.significance import Interval
from recollect.experiment.carried import CarriedCheck
from recollect.experiment.spec import Check, Claim
from recollect.report.outcome import Outcome, tested_difference

LEVEL = 0.05  # p below which a difference is more than chance


class Verdict(NamedTuple):
    """A word and the reason.

    The word is better, confirmed or missed for a claim; confirmed or not confirmed for a check;
    open where results are missing.
    """

    word: str
    text: str


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


def judge_claim_of_fold(claim: Claim, fold: float | None) -> Verdict:
    """Whether the figure of the fold that a claim is about reaches the paper's.

    Args:
        claim: of a fold.
        fold: our figure of this fold; None if it is not known.
    """
    if fold is None:
        return Verdict("open", f"no figure of fold {claim.fold}")

    without_limits = Interval(fold, float("nan"), float("nan"))
    word, text = judge_claim(claim, without_limits)

    return Verdict(word, f"{text}: fold {claim.fold} has {fold:.4f}")


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


def _judge_below(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    tested = []

    for a, b in _pairs(check, concerned):
        result = tested_difference(a, b)
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


def _judge_near(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    distances = [abs(a.mean - b.mean) for a, b in _pairs(check, concerned)]
    apart = max(distances)
    is_near = apart <= check.within
    word = "confirmed" if is_near else "not confirmed"
    text = f"{apart:.4f} apart, at most {check.within:g} asked"

    return Verdict(word, text)


def _judge_below_train(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    """Whether training errors of the last epoch differ by more than `within`; no test is made."""
    errors = {}

    for outcome in concerned:
        last = outcome.last_train_errors
        if not last:
            return Verdict("open", f"{outcome.run.name} has no training errors by epoch")

        errors[outcome.run.name] = sum(last) / len(last)

    gains = []
    for a, b in _pairs(check, concerned):
        names = (a.run.name, b.run.name)
        gains.append((errors[names[1]] - errors[names[0]], *names))

    least, name, other = min(gains)
    word = "confirmed" if least > check.within else "not confirmed"
    text = f"training error of {name} {abs(least):.4f} {_side(least)} that of {other}"

    return Verdict(word, text)


def _side(gain: float) -> str:
    return "below" if gain > 0 else "above"


def _judge_gains_little(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    """Whether the best of the first group is at most `within` below the best of the second."""
    best, without = _best_of_groups(check, concerned)
    gain = without.mean - best.mean
    word = "confirmed" if gain <= check.within else "not confirmed"
    text = (
        f"the best, {best.run.name}, is {abs(gain):.4f} {_side(gain)} {without.run.name}; a gain "
        f"of {check.within:g} counts as little"
    )

    return Verdict(word, text)


def _judge_improves(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    """Whether the best of the first group is below that of the second by so many per cent."""
    best, rival = _best_of_groups(check, concerned)
    (claimed,) = check.by.values()
    percent = 100 * (rival.mean - best.mean) / rival.mean
    word = "confirmed" if percent >= claimed - check.within else "not confirmed"

    return Verdict(word, f"{percent:.2f}% over {rival.run.name}, the paper {claimed:.2f}%")


def _best_of_groups(check: Check, concerned: Sequence[Outcome]) -> tuple[Outcome, Outcome]:
    """The lowest mean of the first group, and that of the second."""
    by_name = {outcome.run.name: outcome for outcome in concerned}
    first, second = ([by_name[name] for name in group] for group in check.groups)
    return min(first, key=_mean_of), min(second, key=_mean_of)


def _mean_of(outcome: Outcome) -> float:
    return outcome.mean


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
    "below_train": _judge_below_train,
    "near": _judge_near,
    "gains_little": _judge_gains_little,
    "improves": _judge_improves,
    "lowest": _judge_lowest,
    "falls": _judge_falls,
    "overfits": _judge_overfits,
}
