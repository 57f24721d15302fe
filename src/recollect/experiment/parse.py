"""Reading an experiment's file: TOML to an `Experiment`, checked before any work.

A key, model, setting, data set, split or name that does not exist is an error with its place in
the file and the names that exist. The data themselves are not needed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recollect import registry
from recollect.errors import SettingError, unknown
from recollect.experiment.metric import check_metric
from recollect.experiment.parse_check import read_check, refuse_wide_claims
from recollect.experiment.parse_part import PART_KEYS, read_part
from recollect.experiment.parse_run import (
    Surroundings,
    read_runs_of_part,
    refuse_duplicates,
    refuse_unknown_parts,
)
from recollect.experiment.spec import RECORDS, Experiment, Part, RunSpec, Table
from recollect.experiment.texts import TEXT_KEYS
from recollect.experiment.toml_file import (
    error_context,
    read_toml,
    refuse_unknown_keys,
    require_keys,
)

FILE_KEYS = {"paper", "link", "protocol", "records", "part", "like", "table"}
SHORT_FILE_KEYS = {
    "data",
    "events",
    "split",
    "metric",
    "chosen_by",
    "keep",
    *TEXT_KEYS,
    "run",
    "check",
    "figure",
    "also",
}
# A figure may also be a swept setting.
FIGURES = ("runs", "epochs", "curves", "counts", "gain")
TABLE_KEYS = {"name", "title", "shows", "parts", "splits", "figure", "also", "run", "check"}

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
        parts = {name: read_part(name, part) for name, part in raw["part"].items()}
        around = Surroundings(parts, raw.get("like", {}), path.parent)
        tables = [_read_table(table, around) for table in raw["table"]]
        refuse_duplicates([table.name for table in tables], "table")

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
    table = {key: raw[key] for key in ("run", "check", "figure", "also") if key in raw}
    shared = {key: value for key, value in raw.items() if key not in SHORT_FILE_KEYS}
    # The part of movielens/100k is called 100k.
    data = str(raw.get("data", ""))
    part_name = data.rpartition("/")[2] or "all"

    return {
        **shared,
        "part": {part_name: part},
        "table": [{"name": name, **table}],
    }


def _read_table(raw: Raw, around: Surroundings) -> Table:
    with error_context(f"table {raw.get('name', '?')}"):
        refuse_unknown_keys(raw, TABLE_KEYS, "key of a table")
        require_keys(raw, "name", "run")
        part_names = raw.get("parts", list(around.parts))
        refuse_unknown_parts(part_names, around.parts)
        parts_of_table = [around.parts[name] for name in part_names]
        runs = {part: read_runs_of_part(raw["run"], part, around) for part in part_names}
        runs_of_first = runs[part_names[0]]
        checks = [
            read_check(check, runs_of_first, around.parts, part_names)
            for check in raw.get("check", [])
        ]
        refuse_wide_claims(runs, checks, around.parts)

        return Table(
            name=raw["name"],
            title=raw["title"] if "title" in raw else raw["name"],
            shows=raw.get("shows", ""),
            runs=runs,
            checks=tuple(checks),
            figure=_read_figure(raw, runs_of_first, parts_of_table),
            also=_read_also(raw, parts_of_table),
            n_splits=_read_splits(raw.get("splits"), around),
        )


def _read_splits(raw: Any, around: Surroundings) -> int | dict[str, int] | None:
    """How many splits of a part a table has: one number, or a number for each part."""
    by_part = raw if isinstance(raw, dict) else {}
    refuse_unknown_parts(by_part, around.parts)
    numbers = list(by_part.values()) or [raw]
    if raw is not None and not all(type(n) is int and n >= 1 for n in numbers):
        raise SettingError(
            f"splits is the number of a part's splits, 1 or more, or one for each part; found "
            f"{raw!r}."
        )

    return raw


def _read_also(raw: Raw, parts: Sequence[Part]) -> tuple[str, ...]:
    """Further metrics of lists that the table shows."""
    metrics = raw.get("also", [])
    if not isinstance(metrics, list):
        raise SettingError(f'also is a list of metrics, such as ["recall@10"]; found {metrics!r}.')

    for part in parts:
        if metrics and part.events is None:
            raise SettingError(
                f"also adds metrics of lists, and part {part.name} is of ratings; leave it out."
            )

    for metric in metrics:
        check_metric(metric, of_events=True)

    return tuple(metrics)


def _check_gain(runs: tuple[RunSpec, ...]) -> None:
    """Refuse a figure of the gain of one sweep over another without two sweeps of one setting."""
    series = {run.series for run in runs if run.swept}
    settings = {tuple(run.swept) for run in runs if run.swept}
    if len(series) != 2 or [len(keys) for keys in settings] != [1]:
        raise SettingError(
            'figure = "gain" shows by how many per cent the second of two sweeps is better than '
            f"the first, over one setting; found {len(series)} sweeps over {len(settings)}."
        )


def _read_figure(raw: Raw, runs: tuple[RunSpec, ...], parts: Sequence[Part]) -> str | None:
    figure: str | None = raw.get("figure")
    swept = {setting for run in runs for setting in run.swept}
    known = (*FIGURES, *swept)
    if figure is not None and figure not in known:
        raise unknown("figure", str(figure), known)

    if figure == "curves" and any(part.events is not None for part in parts):
        raise SettingError(
            'figure = "curves" draws training and validation errors together, and of events they '
            'are a loss and an NDCG; take figure = "epochs".'
        )

    if figure == "gain":
        _check_gain(runs)

    return figure
