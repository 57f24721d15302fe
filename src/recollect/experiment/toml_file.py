"""Reading a TOML file, with errors that name the place of what is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recollect import registry
from recollect.errors import DataError, SettingError, unknown


def read_toml(path: Path, *, trusted: registry.Trusted = ()) -> dict[str, Any]:
    """The content of a TOML file.

    Args:
        path: of the file.
        trusted: models from outside the package that it may name (`registry.find_trusted`).

    Raises:
        DataError: if the file does not exist or is not TOML.
        UntrustedError: if it names a model from outside that is not trusted.
    """
    if not path.is_file():
        raise DataError(f"There is no file {path}; check the path.")

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise DataError(f"{path} is not TOML: {problem}.") from problem

    # Before anything else looks at the file: making a model imports its class.
    for name in _models_from_outside(content):
        registry.find_trusted(name, trusted, not_in=path.parent)

    return content


def _models_from_outside(content: Any) -> Iterator[str]:
    """The names of classes under every key `model`, however deep."""
    if isinstance(content, list):
        for entry in content:
            yield from _models_from_outside(entry)

    if not isinstance(content, dict):
        return

    name = content.get("model")
    if isinstance(name, str) and ":" in name:
        yield name

    for entry in content.values():
        yield from _models_from_outside(entry)


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
