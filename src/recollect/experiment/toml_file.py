"""Reading a TOML file, with errors that name the place of what is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recollect.errors import DataError, SettingError, unknown


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises: DataError if the file does not exist or is not TOML.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}; check the path.")

    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"{path} is not TOML: {problem}.") from problem


@contextmanager
def error_context(place: str) -> Iterator[None]:
    """Prefix the message of a SettingError with its place in the file."""
    try:
        yield
    except SettingError as problem:
        raise SettingError(f"{place}: {problem}") from problem


def refuse_unknown_keys(raw: Mapping[str, Any], known: Iterable[str], kind: str) -> None:
    """Refuse a TOML table with a key that does not exist.

    Args:
        raw: the table as read.
        known: the keys that exist.
        kind: what the keys are called in the error, such as "key of a table".

    Raises: SettingError with the keys that exist and the nearest of them.
    """
    known = set(known)
    for key in raw:
        if key not in known:
            raise unknown(kind, key, known)


def require_keys(raw: Mapping[str, Any], *keys: str) -> None:
    """Refuse a TOML table that lacks one of these keys.

    Raises: SettingError with the key that is missing.
    """
    for key in keys:
        if key not in raw:
            raise SettingError(f"{key} is missing.")
