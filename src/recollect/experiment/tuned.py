"""Whether the ratings on which settings were chosen are test ratings: by what splits say.

Settings are chosen with the train and validation ratings of a split. Two splits of the same data
are compared by their descriptions, without the data; where these do not show that no rating of the
one is a test rating of the other, some are taken to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recollect.data.splitting.dates import as_seconds
from recollect.errors import SettingError
from recollect.experiment import search_space
from recollect.experiment.events import read_events
from recollect.experiment.keep import read_keep
from recollect.experiment.parse_part import check_data, check_split
from recollect.experiment.spec import PUBLISHED, Part, SplitSpec, Tuned, splits_of
from recollect.experiment.toml_file import refuse_unknown_keys, require_keys

BY_TIME = ("time", "window")  # test ratings were given after those of train
# What fixes the test ratings of a split beside its seed; other settings move validation only.
FIXES_TEST = {
    "random": ("test",),
    "covering": ("test",),
    "time": ("test", "test_from"),
    "window": ("train", "test", "valid_share", "drop_unseen"),
    "per_user": ("test",),
    "new_user": ("users", "given", "min_ratings", "valid_users", "by"),
    PUBLISHED: ("fold",),
}


def read_tuned(raw: Any, folder: Path) -> tuple[Tuned, search_space.Space | None]:
    """Where settings were chosen, and the search space if a file of tuning is named.

    Args:
        raw: as read: a path of a file of tuning from the folder, or a table of data and split.
        folder: that of the experiment's file.

    Raises: SettingError for a file, data or a split that does not exist.
    """
    if isinstance(raw, str):
        space = search_space.read(folder / raw)
        subset = tuple(space.part.subset)
        return Tuned(space.part.data, space.part.split, raw, subset), space

    if not isinstance(raw, Mapping):
        raise SettingError(
            "tuned is a file of tuning, or a table of data and split on whose validation ratings "
            f"settings were chosen; found {raw!r}."
        )

    refuse_unknown_keys(raw, {"data", "events", "keep", "split"}, "key of tuned")
    require_keys(raw, "data", "split")
    check_data(raw["data"])
    check_split(raw["split"], raw["data"])
    events = read_events(raw.get("events"))
    keep = read_keep(raw.get("keep"), has_texts=False)
    part = Part("", raw["data"], raw["split"], events=events, keep=keep)

    return Tuned(raw["data"], raw["split"], subset=tuple(part.subset)), None


def check_found(space: search_space.Space, model: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings that a file of tuning cannot have found.

    Args:
        space: what the file searches.
        model: of the run that names the file.
        settings: all of its settings.

    Raises: SettingError with the setting.
    """
    if space.model != model:
        raise SettingError(f"{space.name} tunes {space.model}, and this is {model}.")

    for name, bounds in space.search.items():
        if not _lies_in(settings[name], bounds):
            raise SettingError(
                f"{space.name} cannot have found {name} = {settings[name]}: it searches {bounds}."
            )


def _lies_in(value: Any, bounds: Mapping[str, Any]) -> bool:
    if "choices" not in bounds:
        return bool(bounds["low"] <= value <= bounds["high"])

    plain = list(value) if isinstance(value, tuple) else value

    return plain in bounds["choices"]


def refuse_test_ratings(tuned: Tuned, part: Part) -> None:
    """Refuse settings for ratings to come that were chosen with some of these ratings.

    Raises: SettingError for a part whose test ratings follow its train ratings in time.
    """
    if part.split["how"] not in BY_TIME or not splits_with_overlap(tuned, part):
        return

    raise SettingError(
        f"Its settings were chosen on {tuned}, and some of those ratings are of the test interval "
        f"of part {part.name}. Choose them on ratings before it, or leave them out there: "
        f"on.{part.name} overrides settings and tuned."
    )


def splits_with_overlap(tuned: Tuned, part: Part) -> list[int]:
    """The seeds of a part's splits whose test ratings may be among those of tuning."""
    if tuned.data != part.data:
        return []

    # Other ratings of the same data are drawn otherwise by the same seed.
    is_same = tuned.subset == tuple(part.subset)
    used = splits_of(tuned.split)
    seeds = []

    for split in part.splits:
        clean = [is_same and is_disjoint(other, split) for other in used]
        if not all(clean):
            seeds.append(split.seed)

    return seeds


def is_disjoint(used: SplitSpec, split: SplitSpec) -> bool:
    """Whether it is certain that no train or validation rating of one split is a test rating.

    Args:
        used: the split whose train and validation ratings are meant.
        split: the split, of the same ratings, whose test ratings are meant.
    """
    return _has_same_test(used, split) or _ends_before(used, split)


def _has_same_test(used: SplitSpec, split: SplitSpec) -> bool:
    how = split.settings["how"]
    if used.settings["how"] != how or how not in FIXES_TEST:
        return False

    same = [used.settings.get(key) == split.settings.get(key) for key in FIXES_TEST[how]]
    is_drawn = how not in ("time", PUBLISHED)

    return all(same) and (used.seed == split.seed or not is_drawn)


def _ends_before(used: SplitSpec, split: SplitSpec) -> bool:
    end = _end(used.settings)
    start = _start_of_test(split.settings)
    return end is not None and start is not None and end <= start


def _end(settings: Mapping[str, Any]) -> int | None:
    """The second after the last train or validation rating; None if the split does not say."""
    if settings["how"] == "window":
        last_days = (settings["train"][1], settings["test"][1])
        return max(as_seconds(day, end_of_day=True) for day in last_days)

    if settings["how"] == "time" and "test_from" in settings:
        return as_seconds(settings["test_from"])

    return None


def _start_of_test(settings: Mapping[str, Any]) -> int | None:
    """The first second of the test ratings; None if the split does not say."""
    if settings["how"] == "window":
        return as_seconds(settings["test"][0])

    if settings["how"] == "time" and "test_from" in settings:
        return as_seconds(settings["test_from"])

    return None
