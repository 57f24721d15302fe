"""Reading the checks of a table, and comparing how exact its claims are with what they claim."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from recollect.errors import SettingError, unknown
from recollect.experiment.parse_run import refuse_unknown_parts
from recollect.experiment.spec import Check, Claim, Part, RunSpec
from recollect.experiment.toml_file import error_context, refuse_unknown_keys, require_keys

CHECKS = (
    "below",
    "below_train",
    "near",
    "gains_little",
    "improves",
    "lowest",
    "falls",
    "overfits",
)
OF_TWO = ("below", "below_train", "near", "gains_little", "improves")  # they compare two groups
CHECK_KEYS = {"says", "where", "within", "parts", "by", "because", *CHECKS}
ROUND = 1e-9  # figures are printed to four places; differences of them are as exact as this
Raw = dict[str, Any]  # a TOML table


def read_check(raw: Raw, runs: tuple[RunSpec, ...], parts: Mapping[str, Part]) -> Check:
    """A check of a table.

    Args:
        raw: as read.
        runs: those of the table.
        parts: those of the file.

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

        return Check(
            says=raw["says"],
            where=raw["where"],
            kind=kind,
            groups=groups,
            within=float(raw.get("within", 0.0)),
            by=_read_by(kind, raw, parts),
            because=raw.get("because", ""),
            parts=_parts_of(raw),
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
    """The groups with each sweep replaced by its runs; "falls" is about the sweep itself."""
    if kind == "falls":
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
    if kind == "falls":
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
            if check.kind not in ("below", "lowest") or not check.concerns(parts[part]):
                continue

            for first, second in compared(check, list(claims)):
                if first in claims and second in claims:
                    why = f"check {check.says!r}"
                    yield _Step(first, part, claims[first], claims[second], why)
                    yield _Step(second, part, claims[second], claims[first], why)


def compared(check: Check, names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of runs of which a check says that the first is better.

    Args:
        check: "below" or "lowest".
        names: of the runs with which the lowest is compared.
    """
    if check.kind == "below":
        first, second = check.groups
        return list(itertools.product(first, second))

    (lowest,) = check.groups[0]

    return [(lowest, name) for name in names if name != lowest]


def _steps_of_parts(
    runs: Mapping[str, Sequence[RunSpec]], parts: Mapping[str, Part]
) -> Iterator[_Step]:
    """The pairs of claims of a run on two parts that have the same data."""
    claims = [
        (run.name, part, run.claim)
        for part, of_part in runs.items()
        for run in of_part
        if run.claim is not None
    ]

    for (name, part, claim), (other_name, other_part, other) in itertools.permutations(claims, 2):
        is_sweep = name == other_name and parts[part].data == parts[other_part].data
        if is_sweep:
            yield _Step(name, part, claim, other, f"part {other_part}")
