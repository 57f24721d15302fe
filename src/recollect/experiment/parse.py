"""Reading an experiment's file: TOML to an `Experiment`, checked before any work.

A key, model, setting, data set, split or name that does not exist is an error with its place in
the file and the names that exist. The data themselves are not needed.
"""

from __future__ import annotations

import inspect
import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recollect import registry
from recollect.data import sources
from recollect.data.sources import netflix
from recollect.data.splitting import find
from recollect.errors import SettingError, unknown
from recollect.evaluation.metrics import rating_figures
from recollect.experiment.spec import (
    PUBLISHED,
    RECORDS,
    Check,
    Claim,
    Experiment,
    Part,
    RunSpec,
    Table,
    format_setting,
)
from recollect.experiment.texts import TEXT_KEYS, read_texts
from recollect.experiment.toml_file import (
    error_context,
    read_toml,
    refuse_unknown_keys,
    require_keys,
)

CHECKS = ("below", "near", "lowest", "falls", "overfits")
FILE_KEYS = {"paper", "link", "protocol", "records", "part", "like", "table"}
SHORT_FILE_KEYS = {"data", "split", "metric", *TEXT_KEYS, "run", "check", "figure"}
PART_KEYS = {"data", "split", "metric", "about", *TEXT_KEYS}
TABLE_KEYS = {"name", "title", "shows", "parts", "splits", "figure", "run", "check"}
RUN_KEYS = {"name", "model", "like", "on", "claim", "sweep", "note"}  # all others are settings
CLAIM_KEYS = {"value", "where", "within"}
CHECK_KEYS = {"says", "where", "within", "parts", *CHECKS}

Raw = dict[str, Any]  # a TOML table


def read(path: str | Path, *, trusted: registry.Trusted = ()) -> Experiment:
    """The experiment that a file describes.

    Args:
        path: of the file.
        trusted: models from outside the package that it may name (`registry.find_trusted`).

    Raises: DataError if the file does not exist or is not TOML; UntrustedError for a model from
        outside that is not trusted; SettingError, with the place, for a key, model, setting, data
        set, split or name that does not exist.
    """
    path = Path(path)
    raw = read_toml(path, trusted=trusted)

    with error_context(str(path)):
        if "table" not in raw:
            raw = _expand_short_file(raw, path.stem)

        refuse_unknown_keys(raw, FILE_KEYS, "key")
        require_keys(raw, "paper", "part", "table")
        _check_link(raw.get("link", ""))
        parts = {name: _read_part(name, part) for name, part in raw["part"].items()}
        tables = [_read_table(table, parts, raw.get("like", {})) for table in raw["table"]]
        _refuse_duplicates([table.name for table in tables], "table")

    return Experiment(
        name=path.stem,
        paper=raw["paper"],
        protocol=raw.get("protocol", ""),
        link=raw.get("link", ""),
        parts=parts,
        tables={table.name: table for table in tables},
        records=_records_folder(raw, path),
    )


def _check_link(link: str) -> None:
    """Refuse a link that a page could not follow, or that would run code: `javascript:`."""
    if link and not link.startswith(("https://", "http://")):
        raise SettingError(f"link is an address that begins with https://, found {link!r}.")


def _records_folder(raw: Raw, path: Path) -> Path:
    if "records" not in raw:
        return RECORDS
    return Path(os.path.normpath(path.parent / raw["records"]))


def _expand_short_file(raw: Raw, name: str) -> Raw:
    """A file with one data set and one table, written out with its part and its table."""
    refuse_unknown_keys(raw, FILE_KEYS | SHORT_FILE_KEYS, "key")
    part = {key: raw[key] for key in PART_KEYS if key in raw}
    table = {key: raw[key] for key in ("run", "check", "figure") if key in raw}
    shared = {key: value for key, value in raw.items() if key not in SHORT_FILE_KEYS}
    # The part of movielens/100k is called 100k.
    data = str(raw.get("data", ""))
    part_name = data.rpartition("/")[2] or "all"

    return {
        **shared,
        "part": {part_name: part},
        "table": [{"name": name, **table}],
    }


def _read_part(name: str, raw: Raw) -> Part:
    with error_context(f"part {name}"):
        refuse_unknown_keys(raw, PART_KEYS, "key of a part")
        require_keys(raw, "data", "split")
        check_data(raw["data"])
        check_split(raw["split"], raw["data"])
        metric = raw.get("metric", "rmse")
        if metric not in rating_figures():
            raise unknown("metric of an experiment", metric, rating_figures())

        return Part(
            name=name,
            data=raw["data"],
            split=raw["split"],
            metric=metric,
            about=raw.get("about", ""),
            texts=read_texts(raw),
        )


def check_data(name: str) -> None:
    """Refuse data that are neither a known name nor a file.

    Raises: SettingError with the names that are known.
    """
    known = sources.known()
    is_source = name in known
    is_on_disk = Path(name).is_file() or netflix.is_folder(name)
    if not is_source and not is_on_disk:
        raise unknown("data set or file", name, known)


def check_split(split: Any, data: str) -> None:
    """Refuse a split that does not exist, or settings that it does not have.

    Args:
        split: the table as read: how, and the settings of that split.
        data: the name of the data; the published folds are of one data set.

    Raises: SettingError with what exists.
    """
    if not isinstance(split, dict) or "how" not in split:
        raise SettingError(
            f'split is a table with how, such as {{ how = "random", test = 0.1 }}; found {split!r}.'
        )

    if split["how"] == PUBLISHED:
        _check_published_split(split, data)
        return

    parameters = inspect.signature(find(split["how"])).parameters
    known = {"how", "seed", "repeat", *parameters} - {"ratings"}
    refuse_unknown_keys(split, known, f"setting of the {split['how']} split")
    repeat = split.get("repeat", 1)
    if not isinstance(repeat, int) or repeat < 1:
        raise SettingError(f"repeat is the number of splits, 1 or more; found {repeat!r}.")


def _check_published_split(split: Raw, data: str) -> None:
    refuse_unknown_keys(split, {"how", "folds", "valid"}, f"setting of the {PUBLISHED} split")
    if data != "movielens/100k":
        raise SettingError(
            f'The {PUBLISHED} folds are of movielens/100k, found data {data!r}; use how = "random".'
        )

    if set(split.get("folds", [])) - {1, 2, 3, 4, 5}:
        raise SettingError(f"folds are numbers from 1 to 5, found {split['folds']}.")


def _read_table(raw: Raw, parts: Mapping[str, Part], likes: Raw) -> Table:
    with error_context(f"table {raw.get('name', '?')}"):
        refuse_unknown_keys(raw, TABLE_KEYS, "key of a table")
        require_keys(raw, "name", "run")
        part_names = raw.get("parts", list(parts))
        _refuse_unknown_parts(part_names, parts)
        runs = {}

        for part in part_names:
            runs[part] = _read_runs_of_part(raw["run"], part, parts, likes)

        runs_of_first = runs[part_names[0]]

        return Table(
            name=raw["name"],
            title=raw["title"] if "title" in raw else raw["name"],
            shows=raw.get("shows", ""),
            runs=runs,
            checks=tuple(
                _read_check(check, runs_of_first, parts) for check in raw.get("check", [])
            ),
            figure=_read_figure(raw, runs_of_first),
            n_splits=raw.get("splits"),
        )


def _read_figure(raw: Raw, runs: tuple[RunSpec, ...]) -> str | None:
    figure: str | None = raw.get("figure")
    swept = {setting for run in runs for setting in run.swept}
    known = ("runs", "epochs", "counts", *swept)
    if figure is not None and figure not in known:
        raise unknown("figure", str(figure), known)

    return figure


def _read_runs_of_part(
    raw_runs: list[Raw], part: str, parts: Mapping[str, Part], likes: Raw
) -> tuple[RunSpec, ...]:
    runs = []

    for raw in raw_runs:
        runs += _read_runs(raw, part, parts, likes)

    names = [run.name for run in runs]
    _refuse_duplicates(names, "run")

    return tuple(runs)


def _read_runs(raw: Raw, part: str, parts: Mapping[str, Part], likes: Raw) -> list[RunSpec]:
    """One run, or one for each combination of swept values."""
    with error_context(f"run {raw.get('name', raw.get('model', '?'))}"):
        merged = _merge_layers(raw, part, parts, likes)
        name = merged.get("name", merged.get("model"))
        if name is None:
            raise SettingError("It has neither a name nor a model; give it one.")

        claim = _read_claim(merged.get("claim"), part, parts)
        if "model" not in merged:
            return [_read_run_without_model(merged, name, claim)]

        if merged.get("sweep") and "claim" in merged:
            raise SettingError("A sweep has no claim; write the run with the claim separately.")

        return _expand_sweep(merged, name, claim)


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


def _expand_sweep(merged: Raw, name: str, claim: Claim | None) -> list[RunSpec]:
    model = merged["model"]
    stated = {key: value for key, value in merged.items() if key not in RUN_KEYS}
    sweep = merged.get("sweep", {})
    runs = []

    for values in itertools.product(*sweep.values()):
        swept = dict(zip(sweep, values, strict=True))
        settings = resolve_settings(model, {**stated, **swept})
        note = merged.get("note", "")
        run = RunSpec(
            name=_name_of_point(name, swept),
            model=model,
            settings=settings,
            claim=claim,
            series=name,
            swept=swept,
            note=note,
        )
        runs.append(run)

    return runs


def _name_of_point(name: str, swept: Raw) -> str:
    parts = [name]

    for key, value in swept.items():
        parts.append(f"{key} = {format_setting(value)}")

    return ", ".join(parts)


def _merge_layers(raw: Raw, part: str, parts: Mapping[str, Part], likes: Raw) -> Raw:
    """Settings of `like`, then those of the run; each first for all parts, then for this one."""
    like = raw.get("like")
    if like is not None and like not in likes:
        raise unknown("like", like, likes)

    merged: Raw = {}

    for layer in (likes.get(str(like), {}), raw):
        on_parts = layer.get("on", {})
        _refuse_unknown_parts(on_parts, parts)
        merged |= layer
        merged |= on_parts.get(part, {})

    return merged


def resolve_settings(model: str, stated: Raw) -> Raw:
    """All settings of a model: those stated, and the defaults of the others.

    Raises: SettingError for a model or setting that does not exist, or a value it cannot take.
    """
    return registry.settings(registry.make(model, **stated))


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

    return Claim(float(raw["value"]), raw["where"], float(raw.get("within", 0.0)))


def _read_check(raw: Raw, runs: tuple[RunSpec, ...], parts: Mapping[str, Part]) -> Check:
    with error_context(f"check {raw.get('says', '?')!r}"):
        refuse_unknown_keys(raw, CHECK_KEYS, "key of a check")
        require_keys(raw, "says", "where")
        kinds = [kind for kind in CHECKS if kind in raw]
        if len(kinds) != 1:
            raise SettingError(f"It has {len(kinds)} of {', '.join(CHECKS)}; give it one.")

        kind = kinds[0]
        groups = _read_groups(kind, raw[kind])
        _refuse_unknown_runs(kind, groups, runs)
        _refuse_unknown_parts(raw.get("parts", []), parts)

        return Check(
            says=raw["says"],
            where=raw["where"],
            kind=kind,
            groups=groups,
            within=float(raw.get("within", 0.0)),
            parts=tuple(raw.get("parts", ())),
        )


def _read_groups(kind: str, stated: Any) -> tuple[tuple[str, ...], ...]:
    """The runs that a check names: two groups for "below" and "near", one for the others."""
    if kind in ("below", "near"):
        if not isinstance(stated, list) or len(stated) != 2:
            raise SettingError(f"{kind} takes two runs, or two lists of runs; found {stated!r}.")

        groups = stated
    else:
        groups = [stated]

    return tuple((group,) if isinstance(group, str) else tuple(group) for group in groups)


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


def _refuse_unknown_parts(names: Any, parts: Mapping[str, Part]) -> None:
    for name in names:
        if name not in parts:
            raise unknown("part", name, parts)


def _refuse_duplicates(names: list[str], kind: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SettingError(f"There are two {kind}s {name!r}; give each its own name.")
