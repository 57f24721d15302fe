"""Which ratings of a part count as events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recollect.data.ratings import Ratings
from recollect.errors import SettingError
from recollect.experiment.toml_file import refuse_unknown_keys


@dataclass(frozen=True)
class Events:
    """The ratings that count as events, each as one."""

    threshold: float | None = None  # the lowest such rating; None: all

    def __str__(self) -> str:
        if self.threshold is None:
            return "as events"

        return f"ratings from {self.threshold:g} on as events"

    def of(self, ratings: Ratings) -> Ratings:
        """The events among ratings.

        Raises: DataError if there are none.
        """
        return ratings.events(from_=self.threshold, remember=False)


def read_events(raw: Any) -> Events | None:
    """What the key `events` of a part says; None without it.

    Args:
        raw: true, or a table with the lowest rating that counts: { from = 4 }.

    Raises: SettingError for anything else.
    """
    if raw is None or raw is False:
        return None

    if raw is True:
        return Events()

    is_table = isinstance(raw, dict)
    if is_table:
        refuse_unknown_keys(raw, {"from"}, "key of events")

    threshold = raw.get("from") if is_table else None
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise SettingError(
            "events has the lowest rating that counts as an event, such as { from = 4 }, or is "
            f"true, if all of them are; found {raw!r}."
        )

    return Events(float(threshold))
