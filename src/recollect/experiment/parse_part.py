"""Reading a part of an experiment's file: its data, how they are split, and the metric."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from recollect.data import sources
from recollect.data.sources import netflix
from recollect.data.splitting import find
from recollect.errors import SettingError, unknown
from recollect.evaluation.metrics import rating_figures
from recollect.experiment.keep import Keep, read_keep
from recollect.experiment.spec import PUBLISHED, Part
from recollect.experiment.texts import TEXT_KEYS, read_texts
from recollect.experiment.toml_file import error_context, refuse_unknown_keys, require_keys

PART_KEYS = {"data", "split", "metric", "about", "keep", "published", *TEXT_KEYS}
Raw = dict[str, Any]  # a TOML table


def read_part(name: str, raw: Raw) -> Part:
    """The part of this name.

    Raises: SettingError, with the place, for a key, data set, split or metric that does not exist.
    """
    with error_context(f"part {name}"):
        refuse_unknown_keys(raw, PART_KEYS, "key of a part")
        require_keys(raw, "data", "split")
        check_data(raw["data"])
        check_split(raw["split"], raw["data"])
        metric = raw.get("metric", "rmse")
        if metric not in rating_figures():
            raise unknown("metric of an experiment", metric, rating_figures())

        texts = read_texts(raw)

        return Part(
            name=name,
            data=raw["data"],
            split=raw["split"],
            metric=metric,
            about=raw.get("about", ""),
            texts=texts,
            keep=_read_keep_of_part(raw, has_texts=texts is not None),
            published=_read_published(raw.get("published", {})),
        )


def _read_keep_of_part(raw: Raw, *, has_texts: bool) -> Keep | None:
    """Which ratings the part keeps; folds are files, of which nothing is left out."""
    keep = read_keep(raw.get("keep"), has_texts=has_texts)
    if keep is not None and raw["split"]["how"] == PUBLISHED:
        raise SettingError("Published folds are kept whole; leave out keep.")

    return keep


def _read_published(raw: Any) -> dict[str, int]:
    """The counts of the data that the paper prints, by what is counted."""
    is_table = isinstance(raw, dict)
    if not is_table or not all(isinstance(count, int) for count in raw.values()):
        raise SettingError(
            "published has the counts that the paper prints, such as "
            f"{{ users = 6040 }}; found {raw!r}."
        )

    return dict(raw)


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
