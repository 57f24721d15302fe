"""Strict JSON, which every program reads: what is not a finite number is null."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


def to_json(value: Any) -> str:
    """One line of JSON. Tuples and sets become lists, paths text, NumPy's numbers plain ones."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(member) for key, member in value.items()}

    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(member) for member in value]

    if isinstance(value, float):
        return value if math.isfinite(value) else None

    if isinstance(value, str | int | None):
        return value

    if isinstance(value, Path):
        return str(value)

    return _plain(value.tolist())
