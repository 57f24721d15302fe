"""Splits by time in one option.

--time 0.1, --time 2005-12-01, --windows 3m, --windows 3, --windows FIRST:LAST,FIRST:LAST
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from recollect.errors import SettingError

SettingsOf = Callable[[Any], dict[str, Any]]  # of the ratings, on which some settings depend

FORMS = (
    "--windows takes FIRST:LAST,FIRST:LAST, the days to train on and the days to test on, such as "
    "2005-09-01:2005-11-30,2005-12-01:2005-12-31; or a number of months before the last one, such "
    "as 3; or, for Netflix, {}"
)


def split_method(
    how: str | None, time: str | None, windows: str | None, *, is_netflix: bool
) -> tuple[str, SettingsOf]:
    """The name of the split, and a function of the ratings that returns its settings.

    Args:
        how: the value of --how; None if not stated.
        time: the value of --time; None if not stated.
        windows: the value of --windows; None if not stated.
        is_netflix: whether the named windows of the Netflix Prize may be used.

    Raises:
        SettingError: if more than one is stated, or a share, a date or a window cannot be read.
    """
    options = (("how", how), ("time", time), ("windows", windows))
    stated = [f"--{name} {text}" for name, text in options if text is not None]
    if len(stated) > 1:
        raise SettingError(f"{' and '.join(stated)} are two ways to split; state one.")

    if time is not None:
        settings = _time_settings(time)
        return "time", lambda ratings: settings

    if windows is not None:
        return "windows", _window_settings(windows, is_netflix=is_netflix)

    return how or "random", lambda ratings: {}


def _time_settings(text: str) -> dict[str, Any]:
    """The settings that --time states: a share, or the first day of the test part."""
    if _is_day(text):
        return {"test_from": text}

    try:
        return {"test": float(text)}
    except ValueError:
        raise SettingError(
            "--time takes the share of the latest ratings, such as 0.1, or the first day of the "
            f"test part, such as 2005-12-01; found {text!r}."
        ) from None


def _window_settings(text: str, *, is_netflix: bool) -> SettingsOf:
    """The settings that --windows states, as a function of the ratings."""
    from recollect.data.sources import netflix
    from recollect.data.splitting import last_months

    if text.isdecimal():
        return lambda ratings: _as_settings(*last_months(ratings, int(text)))

    if text in netflix.WINDOWS:
        if not is_netflix:
            raise SettingError(
                f"--windows {text} are days of Netflix' ratings; for other data state the days, "
                "such as 2005-09-01:2005-11-30,2005-12-01:2005-12-31, or a number of months."
            )

        window = netflix.WINDOWS[text]
        return lambda ratings: _as_settings(window.train_days, window.test_days)

    train, test = _stated_days(text, named=list(netflix.WINDOWS))

    return lambda ratings: _as_settings(train, test)


def _stated_days(text: str, *, named: list[str]) -> list[tuple[str, ...]]:
    """The days of both windows, written as FIRST:LAST,FIRST:LAST.

    Raises:
        SettingError: if there are not two windows of two days each, or one is not a date.
    """
    windows = [tuple(window.split(":")) for window in text.split(",")]
    if len(windows) != 2 or not all(len(window) == 2 for window in windows):
        raise SettingError(f"{FORMS.format(', '.join(named))}; found {text!r}.")

    for window in windows:
        for day in window:
            if not _is_day(day):
                raise SettingError(
                    f"--windows {text}: {day!r} is not a date; write it like 2005-12-01."
                )

    return windows


def _as_settings(train: tuple[str, ...], test: tuple[str, ...]) -> dict[str, Any]:
    return {"train": train, "test": test}


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
