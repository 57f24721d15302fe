"""Reading the checks of a table, and comparing how exact its claims are with what they claim."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from recollect.errors import SettingError, unknown
from recollect.evaluation.metrics import metrics_of
from recollect.experiment.metric import more_is_better
from recollect.experiment.parse_run import refuse_unknown_parts
from recollect.experiment.spec import Check, Claim, Part, RunSpec
from recollect.experiment.toml_file import error_context, refuse_unknown_keys, require_keys

CHECKS = (
    "below",
    "above",
    "below_train",
    "near",
    "gains_little",
    "improves",
    "lowest",
    "highest",
    "never_best",
    "falls",
    "rises",
    "overfits",
)
# They compare two groups.
OF_TWO = ("below", "above", "below_train", "near", "gains_little", "improves")
OF_SWEEP = ("falls", "rises")
# Of metrics of which less is better, and what asks the same where more is.
IF_LESS_IS_BETTER = {"below": "above", "lowest": "highest", "falls": "rises"}
IF_MORE_IS_BETTER = {more: less for less, more in IF_LESS_IS_BETTER.items()}
CHECK_KEYS = {"says", "where", "within", "parts", "by", "because", "measures", *CHECKS}
COMPARING = ("below", "above", "lowest", "highest")  # they say that a number is better than another
ROUND = 1e-9  # figures are printed to four places; differences of them are as exact as this
Raw = dict[str, Any]  # a TOML table


def read_check(
    raw: Raw, runs: tuple[RunSpec, ...], parts: Mapping[str, Part], of_table: Sequence[str]
) -> Check:
    """A check of a table.

    Args:
        raw: as read.
        runs: those of the table.
        parts: those of the file.
        of_table: the names of the parts on which the table is made.

    Raises: SettingError, with the place, for runs or parts that do not exist.
    """
    with error_context(f"check {raw.get('says', '?')!r}"):
        refuse_unknown_keys(raw, CHECK_KEYS, "key of a check")
        require_keys(raw, "says", "where")
        kinds = [kind for kind in CHECKS if kind in raw]
        if len(kinds) != 1:
            raise SettingError(f"It has {len(kinds)} of {', '.join(CHECKS)}; give it one.")

        kind = kinds[0]
        groups = _with_members(kind, _read_groups(kind, raw[kind]), runs)
        _refuse_unknown_runs(kind, groups, runs)
        refuse_unknown_parts(raw.get("parts", []), parts)

        check = Check(
            says=raw["says"],
            where=raw["where"],
            kind=kind,
            groups=groups,
            within=float(raw.get("within", 0.0)),
            by=_read_by(kind, raw, parts),
            measures=_read_measures(kind, raw),
            because=raw.get("because", ""),
            parts=_parts_of(raw),
        )
        for part in of_table:
            if check.concerns(parts[part]):
                _refuse_wrong_direction(check, parts[part])

        return check


def _read_measures(kind: str, raw: Raw) -> tuple[str, ...]:
    """The metrics of lists, without cutoff, in which no run of a group is best."""
    if kind != "never_best":
        if "measures" in raw:
            raise SettingError("measures is for never_best alone; leave it out.")

        return ()

    measures = raw.get("measures", [])
    known = [metric.name for metric in metrics_of("lists")]
    if not isinstance(measures, list) or not measures:
        raise SettingError(
            f"never_best says in which metrics: measures is a list of some of {', '.join(known)}."
        )

    for measure in measures:
        if measure not in known:
            raise unknown("metric of lists", str(measure), known)

    return tuple(measures)


def _refuse_wrong_direction(check: Check, part: Part) -> None:
    """Refuse "below" where more is better, and "above" where less is."""
    wrong = IF_LESS_IS_BETTER if more_is_better(part.metric) else IF_MORE_IS_BETTER
    is_of_lists = part.events is not None
    if check.kind == "never_best" and not is_of_lists:
        raise SettingError(f"never_best is about metrics of lists, and part {part.name} has none.")

    if check.kind in wrong:
        better = "more" if is_of_lists else "less"
        raise SettingError(
            f"Of {part.metric}, the metric of part {part.name}, {better} is better: write "
            f"{wrong[check.kind]} instead of {check.kind}."
        )


def _read_by(kind: str, raw: Raw, parts: Mapping[str, Part]) -> dict[str, float]:
    """By how many per cent an improvement is claimed, part by part; only "improves" has it."""
    by = raw.get("by")
    if (kind == "improves") != isinstance(by, dict):
        raise SettingError(
            "improves, and no other check, has by: the per cent that the paper claims on each "
            f"part, such as by = {{ 1m = 3.92 }}; found {by!r}."
        )

    refuse_unknown_parts(by or {}, parts)

    return {part: float(percent) for part, percent in (by or {}).items()}


def _parts_of(raw: Raw) -> tuple[str, ...]:
    """The parts that a check concerns; those of `by` if it has that."""
    names: list[str] = raw.get("parts", list(raw.get("by", {})))
    return tuple(names)


def _read_groups(kind: str, stated: Any) -> tuple[tuple[str, ...], ...]:
    """The runs that a check names: two groups if it compares, one for the others."""
    if kind in OF_TWO:
        if not isinstance(stated, list) or len(stated) != 2:
            raise SettingError(f"{kind} takes two runs, or two lists of runs; found {stated!r}.")

        groups = stated
    else:
        groups = [stated]

    return tuple((group,) if isinstance(group, str) else tuple(group) for group in groups)


def _with_members(
    kind: str, groups: tuple[tuple[str, ...], ...], runs: tuple[RunSpec, ...]
) -> tuple[tuple[str, ...], ...]:
    """The groups with each sweep replaced by its runs; of "falls" they are sweeps themselves."""
    if kind in OF_SWEEP:
        return groups

    members: dict[str, list[str]] = {}
    for run in runs:
        if run.swept:
            members.setdefault(run.series, []).append(run.name)

    expanded = []

    for group in groups:
        names = [members.get(name, [name]) for name in group]
        expanded.append(tuple(itertools.chain(*names)))

    return tuple(expanded)


def _refuse_unknown_runs(
    kind: str, groups: tuple[tuple[str, ...], ...], runs: tuple[RunSpec, ...]
) -> None:
    if kind in OF_SWEEP:
        what = "swept run of this table"
        known = {run.series for run in runs if run.swept}
    else:
        what = "run of this table"
        known = {run.name for run in runs if run.model}

    for name in itertools.chain(*groups):
        if name not in known:
            raise unknown(what, name, known)


# --- how exact a claim is -------------------------------------------------------------------------


class _Step(NamedTuple):
    """Two numbers of the paper whose difference is claimed."""

    run: str
    part: str
    claim: Claim
    other: Claim
    why: str


def refuse_wide_claims(
    runs: Mapping[str, Sequence[RunSpec]], checks: Sequence[Check], parts: Mapping[str, Part]
) -> None:
    """Refuse a `within` that reaches over a difference that the table claims.

    A figure that is nearer to another number of the paper than to its own confirms nothing. Claimed
    are the differences that a check names, and those of a run between parts with the same data.

    Args:
        runs: of a table, by part.
        checks: of the table.
        parts: those of the file.

    Raises: SettingError with both numbers.
    """
    steps = itertools.chain(_steps_of_checks(runs, checks, parts), _steps_of_parts(runs, parts))

    for step in steps:
        difference = abs(step.claim.value - step.other.value)
        if difference > ROUND and step.claim.within >= difference - ROUND:
            raise SettingError(
                f"run {step.run}: within = {step.claim.within:g} on part {step.part} reaches from "
                f"{step.claim.value:g} to {step.other.value:g} ({step.why}); state less than "
                f"{difference:.4g}."
            )


def _steps_of_checks(
    runs: Mapping[str, Sequence[RunSpec]], checks: Sequence[Check], parts: Mapping[str, Part]
) -> Iterator[_Step]:
    """The pairs of claims whose difference a check asserts."""
    for part, of_part in runs.items():
        claims = {run.name: run.claim for run in of_part if run.claim is not None}

        for check in checks:
            if check.kind not in COMPARING or not check.concerns(parts[part]):
                continue

            for first, second in compared(check, list(claims)):
                if first in claims and second in claims:
                    why = f"check {check.says!r}"
                    yield _Step(first, part, claims[first], claims[second], why)
                    yield _Step(second, part, claims[second], claims[first], why)


def compared(check: Check, names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of runs of which a check says that the first is better.

    Args:
        check: of a kind in COMPARING.
        names: of the runs with which the lowest or highest is compared.
    """
    if check.kind in ("below", "above"):
        first, second = check.groups
        return list(itertools.product(first, second))

    (best,) = check.groups[0]

    return [(best, name) for name in names if name != best]


def _steps_of_parts(
    runs: Mapping[str, Sequence[RunSpec]], parts: Mapping[str, Part]
) -> Iterator[_Step]:
    """The pairs of claims of a run on two parts that have the same data and metric."""
    claims = [
        (run.name, part, run.claim)
        for part, of_part in runs.items()
        for run in of_part
        if run.claim is not None
    ]

    for (name, part, claim), (other_name, other_part, other) in itertools.permutations(claims, 2):
        same = (parts[part].data, parts[part].metric) == (
            parts[other_part].data,
            parts[other_part].metric,
        )
        is_sweep = name == other_name and same
        if is_sweep:
            yield _Step(name, part, claim, other, f"part {other_part}")
