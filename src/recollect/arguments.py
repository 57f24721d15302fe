"""What public functions refuse at once: an argument of the wrong kind, in words of the caller."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from recollect.errors import SettingError


def expect(name: str, value: Any, kind: type | tuple[type, ...], what: str) -> None:
    """Refuse an argument of another kind.

    Args:
        name: of the argument.
        value: as the caller gave it.
        kind: the class it must be of, or several.
        what: to pass, for the message.

    Raises:
        SettingError: naming the argument, what was found and what to pass.
    """
    if not isinstance(value, kind):
        raise SettingError(f"{name} is {found(value)}; pass {what}.")


def found(value: Any) -> str:
    """A value in a message: short ones as they are, of others the kind."""
    if value is None or isinstance(value, bool | int | float | np.generic):
        return repr(value)

    if isinstance(value, str | bytes):
        return f"the text {value[:40]!r}"

    kind = type(value).__name__
    article = "an" if kind[0] in "AEIOUaeiou" else "a"
    return f"{article} {kind}"


def expect_ratings(name: str, value: Any, kind: type) -> None:
    """Refuse what is not Ratings.

    Args:
        name: of the argument.
        value: as the caller gave it.
        kind: Ratings, or AnyRatings where they may be on disk.

    Raises:
        SettingError: saying how to make Ratings of it.
    """
    how = "Ratings: recollect.read(path), recollect.load(name) or recollect.from_frame(frame)"
    expect(name, value, kind, how)


def expect_whole(name: str, value: Any, *, at_least: int, what: str) -> None:
    """Refuse what is no whole number, or one that is too small.

    Args:
        name: of the argument.
        value: as the caller gave it.
        at_least: the smallest allowed.
        what: it is, for the message.

    Raises:
        SettingError: naming the argument.
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < at_least:
        raise SettingError(
            f"{name} is {what}, a whole number of {at_least} or more; found {found(value)}."
        )


def expect_number(name: str, value: Any, what: str) -> None:
    """Refuse what is no finite number.

    Args:
        name: of the argument.
        value: as the caller gave it.
        what: it is, for the message.

    Raises:
        SettingError: naming the argument.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if not is_number or isinstance(value, bool) or not np.isfinite(value):
        raise SettingError(f"{name} is {what}, a number; found {found(value)}.")


def expect_probability(name: str, value: float) -> None:
    """Refuse a number that does not lie between 0 and 1.

    Args:
        name: of the argument.
        value: as the caller gave it.

    Raises:
        SettingError: naming the argument.
    """
    if not 0 < value < 1:  # nor does NaN
        raise SettingError(f"{name} must be a probability between 0 and 1, found {value}.")


def expect_path(name: str, value: Any, *, such_as: str = "'lists.parquet'") -> None:
    """Refuse what is no path.

    Args:
        name: of the argument.
        value: as the caller gave it.
        such_as: an example, for the message.

    Raises:
        SettingError: naming the argument.
    """
    is_path = isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str)
    if not is_path or not os.fspath(value):
        raise SettingError(f"{name} is {found(value)}; pass a path, such as {such_as}.")


def expect_column(role: str, column: Any) -> None:
    """Refuse what cannot name a column.

    Args:
        role: what is in the column: "user", "item", "rating" or "time".
        column: as the caller gave it; None: to be found.

    Raises:
        SettingError: naming the role.
    """
    is_number = isinstance(column, int | np.integer) and not isinstance(column, bool)
    if column is not None and not is_number and not isinstance(column, str):
        raise SettingError(
            f"{role} is the column of {role}s, its name or its place from 0; found {found(column)}."
        )


def expect_scale(scale: Any) -> None:
    """Refuse a scale that is no pair of numbers; None: to be inferred.

    Raises:
        SettingError: saying what a scale is.
    """
    if scale is None:
        return

    what = "the lowest and the highest rating, such as (1, 5)"
    is_pair = isinstance(scale, Sequence | np.ndarray) and not isinstance(scale, str | bytes)
    if not is_pair or len(scale) != 2:
        raise SettingError(f"scale is {what}; found {found(scale)}.")

    for limit in scale:
        expect_number("scale", limit, what)
