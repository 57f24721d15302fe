"""Reading the runs of a table: settings from several layers, sweeps, candidates, and claims."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from recollect import registry
from recollect.errors import SettingError, unknown
from recollect.experiment.search_space import Space
from recollect.experiment.spec import PUBLISHED, Claim, Part, RunSpec, Tuned, format_setting
from recollect.experiment.toml_file import error_context, refuse_unknown_keys, require_keys
from recollect.experiment.tuned import check_found, read_tuned, refuse_test_ratings

# All other keys are settings.
RUN_KEYS = {"name", "model", "like", "on", "claim", "sweep", "choose", "tuned", "note"}
CLAIM_KEYS = {"value", "where", "within", "fold", "because"}
Raw = dict[str, Any]  # a TOML table


@dataclass(frozen=True)
class Surroundings:
    """What the runs of a file refer to."""

    parts: Mapping[str, Part]
    likes: Raw  # settings that runs share
    folder: Path  # from which files of tuning are named


def read_runs_of_part(raw_runs: list[Raw], part: str, around: Surroundings) -> tuple[RunSpec, ...]:
    """The runs of a table on one part.

    Args:
        raw_runs: as read.
        part: the name of the part.
        around: what they refer to.

    Raises: SettingError, with the place, for what does not exist or cannot be run.
    """
    runs = []

    for raw in raw_runs:
        runs += _read_runs(raw, part, around)

    refuse_duplicates([run.name for run in runs], "run")

    return tuple(runs)


def _read_runs(raw: Raw, part: str, around: Surroundings) -> list[RunSpec]:
    """One run, or one for each combination of swept values."""
    with error_context(f"run {raw.get('name', raw.get('model', '?'))}"):
        merged = _merge_layers(raw, part, around)
        name = merged.get("name", merged.get("model"))
        if name is None:
            raise SettingError("It has neither a name nor a model; give it one.")

        claim = _read_claim(merged.get("claim"), part, around.parts)
        if "model" not in merged:
            return [_read_run_without_model(merged, name, claim)]

        if merged.get("sweep") and "claim" in merged:
            raise SettingError("A sweep has no claim; write the run with the claim separately.")

        runs = _expand_sweep(merged, name, claim, _read_tuned(merged, part, around))
        for run in runs:
            _refuse_validation_in_train(run, around.parts[part])
            _refuse_other_kind(run, around.parts[part])

        return runs


def _read_run_without_model(merged: Raw, name: str, claim: Claim | None) -> RunSpec:
    settings = set(merged) - RUN_KEYS
    if settings or "claim" not in merged:
        raise SettingError("It has no model: then it has a name and a claim, and no settings.")

    note = merged.get("note", "") or "not built yet"

    return RunSpec(
        name,
        None,
        claim=claim,
        series=name,
        note=note,
    )


def _read_tuned(merged: Raw, part: str, around: Surroundings) -> Tuned | None:
    """Where the settings of a run were chosen; refused if that was on test ratings to come."""
    if "tuned" not in merged or merged["tuned"] is False:
        return None

    tuned, space = _read_tuned_once(around.folder, merged["tuned"])
    if space is not None:
        stated = {key: value for key, value in merged.items() if key not in RUN_KEYS}
        check_found(space, merged["model"], resolve_settings(merged["model"], stated))

    refuse_test_ratings(tuned, around.parts[part])

    return tuned


def _read_tuned_once(folder: Path, raw: Any) -> tuple[Tuned, Space | None]:
    """As `read_tuned`; a file that many runs name is read once."""
    if isinstance(raw, str):
        return _read_tuning_file(folder, raw)

    return read_tuned(raw, folder)


@cache
def _read_tuning_file(folder: Path, name: str) -> tuple[Tuned, Space | None]:
    return read_tuned(name, folder)


def _expand_sweep(
    merged: Raw, name: str, claim: Claim | None, tuned: Tuned | None
) -> list[RunSpec]:
    """A run for each combination of swept values; each has a candidate for each chosen value."""
    stated = {key: value for key, value in merged.items() if key not in RUN_KEYS}
    base = RunSpec(
        name=name,
        model=merged["model"],
        claim=claim,
        series=name,
        note=merged.get("note", ""),
        tuned=tuned,
    )
    choices = _read_choices(merged.get("choose", {}))
    runs = []

    for swept in _combinations(merged.get("sweep", {})):
        run = _point_of(base, stated, swept)
        plain = replace(run, claim=None, note="", tuned=None)
        candidates = [_point_of(plain, {**stated, **swept}, chosen) for chosen in choices]
        runs.append(replace(run, candidates=tuple(candidates)))

    return runs


def _point_of(run: RunSpec, stated: Raw, values: Raw) -> RunSpec:
    """A run with some values beside its stated settings; they become part of its name."""
    assert run.model is not None
    return replace(
        run,
        name=_name_of_point(run.name, values),
        settings=resolve_settings(run.model, {**stated, **values}),
        swept=values,
    )


def _read_choices(raw: Any) -> list[Raw]:
    """The settings of each candidate: all combinations of a table, or those that a list states."""
    if isinstance(raw, dict):
        return _combinations(raw) if raw else []

    if not isinstance(raw, list) or not all(isinstance(choice, dict) for choice in raw):
        raise SettingError(
            "choose has the values among which validation ratings choose, such as "
            f"{{ reg = [1, 10] }}, or a list of such settings; found {raw!r}."
        )

    return raw


def _combinations(values: Raw) -> list[Raw]:
    """All combinations of the values of some settings; one empty one of none."""
    return [
        dict(zip(values, combination, strict=True))
        for combination in itertools.product(*values.values())
    ]


def _name_of_point(name: str, swept: Raw) -> str:
    parts = [name]

    for key, value in swept.items():
        parts.append(f"{key} = {format_setting(value)}")

    return ", ".join(parts)


def _merge_layers(raw: Raw, part: str, around: Surroundings) -> Raw:
    """Settings of `like`, then those of the run; each first for all parts, then for this one."""
    like = raw.get("like")
    if like is not None and like not in around.likes:
        raise unknown("like", like, around.likes)

    merged: Raw = {}

    for layer in (around.likes.get(str(like), {}), raw):
        on_parts = layer.get("on", {})
        refuse_unknown_parts(on_parts, around.parts)
        merged |= layer
        merged |= on_parts.get(part, {})

    return merged


def resolve_settings(model: str, stated: Raw) -> Raw:
    """All settings of a model: those stated, and the defaults of the others.

    Raises: SettingError for a model or setting that does not exist, or a value it cannot take.
    """
    return registry.settings(registry.make(model, **stated))


def _refuse_validation_in_train(run: RunSpec, part: Part) -> None:
    """Refuse to fit again on train and validation where validation is of the test interval."""
    if part.split["how"] != "window":
        return

    for fit in run.fits:
        if fit.settings.get("refit"):
            raise SettingError(
                f"refit = true would learn from the validation ratings of part {part.name}, which "
                "lie in the test interval. The protocol of windows trains on the first one alone: "
                f"write on.{part.name} = {{ refit = false }}."
            )


def _refuse_other_kind(run: RunSpec, part: Part) -> None:
    """Refuse a model of ratings on a part of events, a model of events on one of ratings, and a
    choice by validation events that do not exist."""
    wanted = "ratings" if part.events is None else "scores"
    kinds = {"ratings": "ratings", "scores": "events"}

    for fit in run.fits:
        assert fit.model is not None
        output = registry.make(fit.model, **fit.settings).output
        if output != wanted:
            raise SettingError(
                f"{fit.model} with these settings is a model of {kinds[output]}, and part "
                f"{part.name} is of {kinds[wanted]}."
            )

    if part.events is not None and run.candidates and not has_validation(part.split):
        raise SettingError(
            f"Candidates are chosen by validation events, and the split of part {part.name} has "
            "none; give it valid = 0.1, or valid_users where users are held out."
        )


def has_validation(split: Raw) -> bool:
    """Whether a split has a validation part."""
    return split["how"] == "window" or bool(split.get("valid") or split.get("valid_users"))


def _read_claim(raw: Any, part: str, parts: Mapping[str, Part]) -> Claim | None:
    """The claim for this part: `claim` is for every part, `claim.PART` for one."""
    if raw is None:
        return None

    if "value" not in raw:
        for name in raw:
            if name not in parts:
                raise unknown("part with a claim", name, parts)

        if part not in raw:
            return None

        raw = raw[part]

    refuse_unknown_keys(raw, CLAIM_KEYS, "key of a claim")
    require_keys(raw, "value", "where")
    claim = Claim(
        value=float(raw["value"]),
        where=raw["where"],
        within=float(raw.get("within", 0.0)),
        fold=raw.get("fold"),
        because=raw.get("because", ""),
    )
    _check_fold(claim, parts[part])

    return claim


def _check_fold(claim: Claim, part: Part) -> None:
    """Refuse a fold that the part does not have."""
    if claim.fold is None:
        return

    if part.split["how"] != PUBLISHED:
        raise SettingError(
            f"fold = {claim.fold} names one of the {PUBLISHED} folds, and part {part.name} has "
            f"{part.split['how']} splits; leave out fold."
        )

    folds = [split.seed for split in part.splits]
    if claim.fold not in folds:
        raise SettingError(f"Part {part.name} has the folds {folds}, found fold = {claim.fold!r}.")


def refuse_unknown_parts(names: Any, parts: Mapping[str, Part]) -> None:
    """Refuse names of parts that do not exist.

    Raises: SettingError with those that do.
    """
    for name in names:
        if name not in parts:
            raise unknown("part", name, parts)


def refuse_duplicates(names: list[str], kind: str) -> None:
    """Refuse two things of one name.

    Raises: SettingError with the name.
    """
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"There are two {kind}s {name!r}; give each its own name.")
