"""Records that exist get today's settings, so that figures survive new names and new settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recollect import registry
from recollect.errors import SettingError
from recollect.experiment.carried import FILE
from recollect.experiment.results import Job, read_json, write_json
from recollect.settings import former_names, former_values

JOB_FIELDS = ("fingerprint", "split", "model", "settings", "seed")


def rekey(folder: Path, renames: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give every record of a folder today's settings, and file it under its new key.

    Settings are renamed, and those that are newer than the record are added, with the value that
    the model had before they existed. The figures are not touched. Rows that were carried over get
    the same.

    Args:
        folder: a folder of records.
        renames: new names by old ones; "svdpp.reg_implied" is a setting of that model alone,
            "look_every" that of every model (default: the former names that the models declare).

    Returns: the new key of each record by its old one, for those that changed.
    Raises: SettingError, before anything is written, if two settings would have one name.
    """
    records = {path: read_json(path) for path in sorted(folder.glob("*.json"))}
    changed = {}

    for path, record in records.items():
        if record is None or "settings" not in record:
            continue  # data.json, carried.json

        settings = _rename(record["model"], record["settings"], renames)
        settings = _completed(record["model"], settings)
        if settings != record["settings"]:
            changed[path] = {**record, "settings": settings}

    carried = _rename_carried(records.get(folder / FILE), renames)
    keys = {}

    for path, record in changed.items():
        key = Job(**{name: record[name] for name in JOB_FIELDS}).key
        _move_record(path, key, record)
        keys[path.stem] = key

    if carried is not None and carried != records[folder / FILE]:
        write_json(folder / FILE, carried)

    return keys


def _move_record(path: Path, key: str, record: dict[str, Any]) -> None:
    user_sums = path.with_suffix(".npz")
    if user_sums.is_file():
        user_sums.rename(path.with_name(f"{key}.npz"))
    write_json(path.with_name(f"{key}.json"), record)
    path.unlink()


def _rename_carried(
    carried: dict[str, Any] | None, renames: Mapping[str, str] | None
) -> dict[str, Any] | None:
    if carried is None:
        return None

    rows = []

    for row in carried["rows"]:
        settings = _rename(row["model"], row["settings"], renames)
        rows.append({**row, "settings": _completed(row["model"], settings)})

    return {**carried, "rows": rows}


def _rename(
    model: str, settings: dict[str, Any], renames: Mapping[str, str] | None
) -> dict[str, Any]:
    if renames is None:
        renames = former_names(registry.find_trusted(model))

    renamed = {}

    for name, value in settings.items():
        new = renames.get(f"{model}.{name}", renames.get(name, name))
        if new in renamed:
            raise SettingError(f"{model} would have two settings {new!r}; choose another name.")

        renamed[new] = value

    return renamed


def _completed(model: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a record with those that are newer than it, at what they meant before."""
    kind = registry.find_trusted(model)
    return {**registry.settings(kind), **former_values(kind), **settings}
