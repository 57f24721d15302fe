"""How a split by time is asked for in a word: --time 0.1, --time 2005-12-01, --windows 3m, --windows FIRST:LAST,FIRST:LAST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from recollect.data.ratings import Ratings
from recollect.errors import SettingError

Later = Callable[[Ratings], dict[str, Any]]  # settings that depend on the ratings

WINDOWS = (
    "--windows takes FIRST:LAST,FIRST:LAST, the days to learn from and those to be judged on, such as "
    "2005-09-01:2005-11-30,2005-12-01:2005-12-31; or a number of months before the last one, such as 3; or, for "
    "Netflix, {}"
)


def way_of(
    how: str | None, time: str | None, windows: str | None, *, is_netflix: bool
) -> tuple[str, Later]:
    """The name of the split that is asked for, and its settings once the ratings are there.

    Raises: SettingError if more than one way is stated, or a share, a date or a window cannot be read.
    """
    stated = [
        f"--{name} {text}"
        for name, text in (("how", how), ("time", time), ("windows", windows))
        if text is not None
    ]
    if len(stated) > 1:
        raise SettingError(f"{' and '.join(stated)} are two ways to cut; state one.")
    if time is not None:
        settings = _time(time)
        return "time", lambda ratings: settings
    if windows is not None:
        return "windows", _windows(windows, is_netflix=is_netflix)
    return how or "random", lambda ratings: {}


def _time(text: str) -> dict[str, Any]:
    try:
        return {"test": float(text)}
    except ValueError:
        pass
    if _is_day(text):
        return {"test_from": text}
    raise SettingError(
        f"--time takes the share of the latest ratings, such as 0.1, or the first day of the test part, such as "
        f"2005-12-01; found {text!r}."
    )


def _windows(text: str, *, is_netflix: bool) -> Later:
    from recollect.data.sources import netflix
    from recollect.data.splitting import last_months

    if text.isdecimal():
        return lambda ratings: _settings(*last_months(ratings, int(text)))
    if text in netflix.WINDOWS:
        if not is_netflix:
            raise SettingError(
                f"--windows {text} are days of Netflix' ratings; for other data state the days, such as "
                "2005-09-01:2005-11-30,2005-12-01:2005-12-31, or a number of months."
            )
        window = netflix.WINDOWS[text]
        return lambda ratings: _settings(window.train_days, window.test_days)
    days = [tuple(window.split(":")) for window in text.split(",")]
    if wrong := [
        day
        for window in days
        for day in window
        if len(window) == len(days) == 2 and not _is_day(day)
    ]:
        raise SettingError(
            f"--windows {text}: {wrong[0]!r} is not a date; write it like 2005-12-01."
        )
    if len(days) != 2 or not all(len(window) == 2 for window in days):
        raise SettingError(f"{WINDOWS.format(', '.join(netflix.WINDOWS))}; found {text!r}.")
    return lambda ratings: _settings(*days)


def _settings(train: tuple[str, ...], test: tuple[str, ...]) -> dict[str, Any]:
    return {"train": train, "test": test}


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
