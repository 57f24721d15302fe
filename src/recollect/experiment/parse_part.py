"""Reading a part of an experiment's file: its data, how they are split, and the metric."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from recollect.data import sources
from recollect.data.sources import netflix
from recollect.data.sources.movielens import TOP_N_FOLDS
from recollect.data.splitting import find
from recollect.errors import SettingError, unknown
from recollect.experiment.events import Events, read_events
from recollect.experiment.keep import Keep, read_keep
from recollect.experiment.metric import check_metric
from recollect.experiment.spec import PUBLISHED, Part
from recollect.experiment.texts import TEXT_KEYS, read_texts
from recollect.experiment.toml_file import error_context, refuse_unknown_keys, require_keys

PART_KEYS = {
    "data",
    "events",
    "split",
    "metric",
    "chosen_by",
    "about",
    "keep",
    "published",
    *TEXT_KEYS,
}
FOLDS = {"movielens/100k": (1, 2, 3, 4, 5), "movielens/1m": TOP_N_FOLDS}
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
        texts = read_texts(raw)
        events = read_events(raw.get("events"))
        if events is not None and raw["split"]["how"] == "new_item":
            raise SettingError(
                "Lists of all items say nothing of a new_item split, whose test items are new; "
                "take a split of users or events."
            )

        keep = read_keep(raw.get("keep"), has_texts=texts is not None)
        check_published(raw["split"], raw["data"], events, keep)

        return Part(
            name=name,
            data=raw["data"],
            split=raw["split"],
            metric=read_metric(raw, events),
            chosen_by=_read_chosen_by(raw, events),
            about=raw.get("about", ""),
            events=events,
            texts=texts,
            keep=keep,
            published=_read_published(raw.get("published", {})),
        )


def read_metric(raw: Raw, events: Events | None) -> str:
    """The metric of a part; of events none is taken for granted.

    Args:
        raw: the part as read.
        events: which of its ratings are events.

    Raises: SettingError for a metric of other data, or none of events.
    """
    if events is not None and "metric" not in raw:
        raise SettingError('A part of events says by what it is measured: metric = "ndcg@10".')

    metric: str = raw.get("metric", "rmse")
    check_metric(metric, of_events=events is not None)

    return metric


def _read_chosen_by(raw: Raw, events: Events | None) -> str:
    """The validation figure that chooses among candidates, if it is another than the metric."""
    metric: str = raw.get("chosen_by", "")
    if not metric:
        return ""

    if events is None:
        raise SettingError(
            "chosen_by is for parts of events: of ratings the validation RMSE chooses; leave it "
            "out."
        )

    check_metric(metric, of_events=True)

    return metric


def check_published(split: Raw, data: str, events: Events | None, keep: Keep | None) -> None:
    """Refuse published splits of other ratings than those that were split.

    Args:
        split: of a part.
        data: the name of its data.
        events: which ratings are events.
        keep: which ratings are kept.

    Raises: SettingError with what was split.
    """
    if split["how"] != PUBLISHED:
        return

    if data == "movielens/1m":
        if events != Events(4.0) or keep != Keep(core=10):
            raise SettingError(
                "The published splits of movielens/1m are of events = { from = 4 } and keep = "
                "{ core = 10 }; state both."
            )

        return

    if events is not None:
        raise SettingError(f"The published splits of {data} are of ratings; leave out events.")

    if keep is not None:
        raise SettingError("Published folds are kept whole; leave out keep.")


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
    if data not in FOLDS:
        raise SettingError(
            f"The {PUBLISHED} folds are of {' and '.join(FOLDS)}, found data {data!r}; "
            'use how = "random".'
        )

    first, *_, last = FOLDS[data]
    folds = split.get("folds", FOLDS["movielens/100k"])
    if not set(folds) <= set(FOLDS[data]):
        stated = f"found {split['folds']}" if "folds" in split else "found none: state folds"
        raise SettingError(f"folds of {data} are numbers from {first} to {last}, {stated}.")
