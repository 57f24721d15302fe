"""What results say about a paper's claims: a word, and the figures behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from recollect.evaluation.significance import Interval
from recollect.experiment.carried import CarriedCheck
from recollect.experiment.metric import cutoff_of, label, more_is_better
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


def judge_claim(claim: Claim, interval: Interval, metric: str = "rmse") -> Verdict:
    """Whether a figure reaches the paper's.

    better: the whole interval (without one: the figure and `within`) is on the better side of the
        claim: below it if less is better, above it if more is.
    confirmed: the figure is at most `within` worse, or the interval reaches it.
    missed: neither.

    Args:
        claim: the paper's number.
        interval: our figure, with limits if there are enough splits.
        metric: it says whether less or more is better.
    """
    sign = -1 if more_is_better(metric) else 1
    # How much worse: 0.834 is 0.003 above 0.831, not a bit more.
    worse = round(sign * (interval.mean - claim.value), 9)
    best, worst = sorted((sign * interval.low, sign * interval.high))
    value = sign * claim.value
    if not np.isfinite(worst):
        worst = sign * interval.mean + claim.within

    if worst < value:
        return Verdict("better", f"better by {-worse:.4f}")

    if worse <= claim.within or best <= value:
        return Verdict("confirmed", "confirmed")

    return Verdict("missed", f"missed by {worse:.4f}")


def judge_claim_of_fold(claim: Claim, fold: float | None, metric: str = "rmse") -> Verdict:
    """Whether the figure of the fold that a claim is about reaches the paper's.

    Args:
        claim: of a fold.
        fold: our figure of this fold; None if it is not known.
        metric: it says whether less or more is better.
    """
    if fold is None:
        return Verdict("open", f"no figure of fold {claim.fold}")

    without_limits = Interval(fold, float("nan"), float("nan"))
    word, text = judge_claim(claim, without_limits, metric)

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
    if check.kind in ("falls", "rises"):
        series = check.groups[0]
        return [
            outcome for outcome in outcomes if outcome.run.series in series and outcome.run.swept
        ]

    if check.kind in ("lowest", "highest", "never_best"):
        return [outcome for outcome in outcomes if outcome.run.model]

    by_name = {outcome.run.name: outcome for outcome in outcomes}

    return [by_name[name] for group in check.groups for name in group]


def _pairs(check: Check, concerned: Sequence[Outcome]) -> list[tuple[Outcome, Outcome]]:
    """Each run of the first group with each of the second."""
    by_name = {outcome.run.name: outcome for outcome in concerned}
    pairs = product(*check.groups)
    return [(by_name[a], by_name[b]) for a, b in pairs]


def _sides(outcome: Outcome) -> tuple[str, str]:
    """Where a better figure lies, and a worse one: below and above if less is better."""
    return ("below", "above") if outcome.sign > 0 else ("above", "below")


def _judge_better(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    """Whether each run of the first group is better than each of the second by more than chance."""
    tested = []

    for a, b in _pairs(check, concerned):
        result = tested_difference(a, b)
        if isinstance(result, str):
            return Verdict("open", result)

        # How much worse a is than b.
        tested.append(result._replace(difference=a.sign * result.difference))

    # A positive difference weighs more than a large p: it contradicts the claim.
    worst = max(tested, key=lambda pair: (pair.difference >= 0, pair.p, pair.difference))
    p_and_test = f"(p = {worst.p:.2g}, {worst.test})"
    better_side, worse_side = _sides(concerned[0])
    if worst.difference >= 0:
        return Verdict("not confirmed", f"{worse_side} by {worst.difference:.4f} {p_and_test}")

    if worst.p >= LEVEL:
        better = f"{better_side} by {-worst.difference:.4f}, which may be chance {p_and_test}"
        return Verdict("not confirmed", better)

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
    """Whether the best of the first group is at most `within` better than that of the second."""
    best, without = _best_of_groups(check, concerned)
    gain = without.error - best.error
    word = "confirmed" if gain <= check.within else "not confirmed"
    side = _side(gain * best.sign)
    text = (
        f"the best, {best.run.name}, is {abs(gain):.4f} {side} {without.run.name}; a gain "
        f"of {check.within:g} counts as little"
    )

    return Verdict(word, text)


def _judge_improves(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    """Whether the best of the first group is better than that of the second by so many per cent."""
    best, rival = _best_of_groups(check, concerned)
    (claimed,) = check.by.values()
    percent = 100 * (rival.error - best.error) / rival.mean
    word = "confirmed" if percent >= claimed - check.within else "not confirmed"

    return Verdict(word, f"{percent:.2f}% over {rival.run.name}, the paper {claimed:.2f}%")


def _best_of_groups(check: Check, concerned: Sequence[Outcome]) -> tuple[Outcome, Outcome]:
    """The best mean of the first group, and that of the second."""
    by_name = {outcome.run.name: outcome for outcome in concerned}
    first, second = ([by_name[name] for name in group] for group in check.groups)
    return min(first, key=_error_of), min(second, key=_error_of)


def _error_of(outcome: Outcome) -> float:
    return outcome.error


def _judge_best(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    """Whether a run has the best mean of the table."""
    name = check.groups[0][0]
    claimed = next(outcome for outcome in concerned if outcome.run.name == name)
    others = [outcome for outcome in concerned if outcome.run.name != name]
    best_other = min(others, key=_error_of)
    rival = best_other.run.name
    gain = best_other.error - claimed.error
    better_side, worse_side = _sides(claimed)
    if gain > 0:
        return Verdict("confirmed", f"{gain:.4f} {better_side} {rival}")

    return Verdict("not confirmed", f"{-gain:.4f} {worse_side} {rival}")


def _judge_never_best(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    """Whether no run of the group has the best mean of the table in any of the measures.

    Compared are the splits on which all runs have figures.
    """
    n_splits = min(len(outcome.records) for outcome in concerned)
    values = {outcome.run.name: outcome for outcome in concerned}
    common = [j for j in range(n_splits) if all(o.value(j) is not None for o in concerned)]
    if not common:
        return Verdict("open", "the runs have no split in common")

    n = cutoff_of(concerned[0].metric)
    measures_of: dict[str, list[str]] = {}

    for measure in check.measures:
        metric = f"{measure}@{n}"
        means = {name: outcome.mean_on(common, metric) for name, outcome in values.items()}
        best = max(means, key=lambda name: means[name])
        measures_of.setdefault(best, []).append(label(metric))

    is_so = not set(measures_of) & set(check.groups[0])
    lists = [f"{name} is best in {', '.join(measures)}" for name, measures in measures_of.items()]
    plural = "s" * (len(common) > 1)
    text = f"{'; '.join(lists)} ({len(common)} split{plural})"

    return Verdict("confirmed" if is_so else "not confirmed", text)


def _judge_falls(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    """Whether a sweep gets better from value to value: errors fall, figures of lists rise."""
    steps = [(after.error - before.error, before, after) for before, after in pairwise(concerned)]
    step, before, after = max(steps, key=lambda step: step[0])
    rises = before.sign > 0
    if step > check.within:
        place = f"from {before.run.name} to {after.run.name}"
        return Verdict("not confirmed", f"{'rises' if rises else 'falls'} by {step:.4f} {place}")

    first = concerned[0].mean
    last = concerned[-1].mean
    text = f"from {first:.4f} to {last:.4f}"
    if check.within:
        text += f"; steps {'up' if rises else 'down'} of {check.within:g} are allowed"

    return Verdict("confirmed", text)


def _judge_overfits(check: Check, concerned: Sequence[Outcome]) -> Verdict:
    """Whether the validation figure of the last epoch is worse than the best by over `within`."""
    rises = {}

    for outcome in concerned:
        # Of events the curve is an NDCG, of which more is better.
        errors = [outcome.sign * figure for _, figure in outcome.curve]
        if not errors:
            return Verdict("open", f"{outcome.run.name} has no validation errors by epoch")

        rises[outcome.run.name] = errors[-1] - min(errors)

    name = min(rises, key=lambda name: rises[name])
    word = "confirmed" if rises[name] > check.within else "not confirmed"
    is_error = concerned[0].sign > 0
    what = "validation error" if is_error else "validation figure"
    side = _sides(concerned[0])[1]

    return Verdict(word, f"{what} at the end {rises[name]:.4f} {side} its best ({name})")


JUDGES: dict[str, Callable[[Check, Sequence[Outcome]], Verdict]] = {
    "below": _judge_better,
    "above": _judge_better,
    "below_train": _judge_below_train,
    "near": _judge_near,
    "gains_little": _judge_gains_little,
    "improves": _judge_improves,
    "lowest": _judge_best,
    "highest": _judge_best,
    "never_best": _judge_never_best,
    "falls": _judge_falls,
    "rises": _judge_falls,
    "overfits": _judge_overfits,
}
