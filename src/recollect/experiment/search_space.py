"""A file of tuning: which settings are searched, on what, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recollect import registry
from recollect.errors import SettingError
from recollect.experiment.events import read_events
from recollect.experiment.keep import read_keep
from recollect.experiment.metric import is_of_lists, label
from recollect.experiment.parse_part import check_data, check_published, check_split, read_metric
from recollect.experiment.spec import Part
from recollect.experiment.texts import TEXT_KEYS, read_texts
from recollect.experiment.toml_file import (
    error_context,
    read_toml,
    refuse_unknown_keys,
    require_keys,
)
from recollect.system.atomic_files import checksum
from recollect.system.door import words

# Every other key is a setting that stays as it is.
FILE_KEYS = {
    "data",
    "events",
    "split",
    "keep",
    "model",
    "metric",
    "seed",
    "trials",
    "minutes",
    "search",
    *TEXT_KEYS,
}
RANGE_KEYS = {"low", "high", "log", "step"}
Bounds = dict[str, Any]  # low, high, log, step; or choices


@dataclass(frozen=True)
class Space:
    """What a file of tuning describes."""

    name: str
    part: Part
    model: str
    settings: dict[str, Any]  # fixed
    search: dict[str, Bounds]  # by setting
    seed: int = 0
    trials: int = 50
    minutes: float | None = None

    @property
    def key(self) -> str:
        """16 hexadecimal digits that identify the study: everything but how long it goes on."""
        about = {
            "data": self.part.source,
            "split": self.part.split,
            "model": self.model,
            "settings": self.settings,
            "search": self.search,
            "seed": self.seed,
        }
        if is_of_lists(self.part.metric):
            about["metric"] = self.part.metric

        return checksum(about)[:16]


def read(path: str | Path, *, trusted: registry.Trusted = ()) -> Space:
    """The search space that a file describes.

    Args:
        path: of the file.
        trusted: models from outside the package that it may name (`registry.find_trusted`).

    Raises: DataError if the file does not exist or is not TOML; UntrustedError for a model from
        outside that is not trusted; SettingError for a key, model, setting, data set or split that
        does not exist, or bounds that make no range.
    """
    path = Path(path)
    raw = read_toml(path, trusted=trusted)

    with error_context(str(path)):
        require_keys(raw, "data", "split", "model", "search")
        check_data(raw["data"])
        check_split(raw["split"], raw["data"])
        space = Space(
            name=path.stem,
            part=_read_part(path.stem, raw),
            model=raw["model"],
            settings={key: value for key, value in raw.items() if key not in FILE_KEYS},
            search=raw["search"],
            seed=raw.get("seed", 0),
            trials=raw.get("trials", 50),
            minutes=raw.get("minutes"),
        )
        check_search(space)

    return space


def _read_part(name: str, raw: dict[str, Any]) -> Part:
    """The data, split and metric on which candidates are judged."""
    texts = read_texts(raw)
    keep = read_keep(raw.get("keep"), has_texts=texts is not None)
    events = read_events(raw.get("events"))
    check_published(raw["split"], raw["data"], events, keep)
    metric = read_metric(raw, events)
    if events is None and metric != "rmse":
        raise SettingError(
            "Candidates are judged by the validation RMSE; "
            f"found metric = {metric!r}: leave it out."
        )

    return Part(
        name=name,
        data=raw["data"],
        split=raw["split"],
        metric=metric,
        events=events,
        texts=texts,
        keep=keep,
    )


def check_search(space: Space) -> None:
    """Refuse a search without settings, or bounds that the model does not take.

    Raises:
        SettingError: naming the setting, or for a model of other data than the metric is of.
    """
    if not space.search:
        example = words(
            'search={"reg": {"low": 1, "high": 1000, "log": True}}',
            "[search] reg = { low = 1, high = 1000, log = true }",
        )
        raise SettingError(f"The search names no setting; give one, such as {example}.")

    for name, bounds in space.search.items():
        with error_context(f"search {name}"):
            _check_bounds(bounds)

    metric = space.part.metric
    of_events = is_of_lists(metric)

    for end in (0, -1):
        values = {name: _end(bounds, end) for name, bounds in space.search.items()}
        model = registry.make(space.model, **{**space.settings, **values})
        if (model.output == "scores") != of_events:
            kind, needed = ("events", "ratings") if not of_events else ("ratings", "events")
            raise SettingError(
                f"{space.model} with these settings learns from {kind}, and candidates are judged "
                f"by the {label(metric)} of {needed}; tune a model of {needed}, or by another "
                "metric."
            )


def _check_bounds(bounds: Any) -> None:
    if not isinstance(bounds, dict) or ("choices" in bounds) == ("low" in bounds):
        raise SettingError(f"A setting has low and high, or choices; found {bounds!r}.")

    if "choices" in bounds:
        refuse_unknown_keys(bounds, {"choices"}, "key of a range")
        if not isinstance(bounds["choices"], list) or not bounds["choices"]:
            raise SettingError(f"choices is a list of values, found {bounds['choices']!r}.")

        return

    refuse_unknown_keys(bounds, RANGE_KEYS, "key of a range")
    require_keys(bounds, "low", "high")
    low, high = bounds["low"], bounds["high"]
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        raise SettingError(
            f"low and high are numbers; found {bounds!r}; for other values use choices."
        )

    is_impossible_log = bounds.get("log") and (low <= 0 or "step" in bounds)
    if low >= high or is_impossible_log:
        raise SettingError(
            f"low is below high, and with log above 0 and without step; found {bounds!r}."
        )


def _end(bounds: Bounds, end: int) -> Any:
    """The first (0) or last (-1) value of a setting's bounds."""
    if "choices" in bounds:
        return bounds["choices"][end]
    return (bounds["low"], bounds["high"])[end]
