"""Refuses a fit that memory cannot hold, before anything is built, and says what would fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from recollect.errors import SizeError
from recollect.memory_estimate import MB, Memory, Shape
from recollect.run import Run
from recollect.system.available_memory import MemoryLimit, available, available_on_device
from recollect.system.door import words

Limits = tuple[MemoryLimit | None, MemoryLimit | None]  # of the host and of the GPU; None: unknown


def refuse_too_large(model: Any, shape: Shape, run: Run) -> None:
    """Refuse a fit that would need more memory than there is, before anything is built.

    Args:
        model: an unfitted Model.
        shape: how large the data are.
        run: on which device.

    Raises:
        SizeError: naming the largest parts, the limit, and the settings that would fit.
    """
    limits = limits_of(run)
    exceeded = lacking(model.memory(shape, run), limits)
    if exceeded is None:
        return

    parts, limit = exceeded
    needed = sum(parts.values())
    largest = sorted(parts.items(), key=lambda part: -part[1])[:3]
    named = ", ".join(f"{name} {size(n)}" for name, n in largest)
    ways = []

    for way in fitting(model, shape, run, limits):
        ways.append(" and ".join(f"{key}={value!r}" for key, value in way.items()))

    advice = f"What fits: {'; or '.join(ways)}." if ways else "No setting makes it fit."
    anyway = words("Run(memory_check=False)", "--no-memory-check")
    raise SizeError(
        f"{type(model).__name__} on {shape.n_users:,} × {shape.n_items:,} with "
        f"{_size_settings(model)} would need {size(needed)} ({named}, …); "
        f"{limit.limit} has {size(limit.bytes)}. {advice} {anyway} tries it "
        "nevertheless."
    )


def limits_of(run: Run) -> Limits:
    """What is available on the host, and on the GPU if the run uses one."""
    if torch.device(run.device).type == "cuda":
        return available(), available_on_device(run.device)
    return available(), None


def lacking(need: Memory, limits: Limits) -> tuple[dict[str, int], MemoryLimit] | None:
    """The parts and the limit that they exceed; None if everything fits, or no limit is known."""
    for parts, limit in zip((need.host, need.device), limits, strict=True):
        total = sum(parts.values())
        if limit is not None and total > limit.bytes:
            return parts, limit

    return None


def fitting(model: Any, shape: Shape, run: Run, limits: Limits) -> list[dict[str, Any]]:
    """Changes of the model's settings with which it fits.

    Fewer hidden units, and the changes that the model names as `capabilities.smaller`.

    Args:
        model: an unfitted Model.
        shape: how large the data are.
        run: on which device.
        limits: what is available on the host and on the GPU.
    """

    def memory_with(changes: dict[str, Any]) -> Memory:
        changed_model = dataclasses.replace(model, **changes)
        return changed_model.memory(shape, run)

    current = memory_with({})
    ways: list[dict[str, Any]] = []

    for changes in ({}, *model.capabilities.smaller):
        changed = memory_with(changes)
        total = changed.peak + changed.device_peak
        is_smaller = total < current.peak + current.device_peak
        if changes and not is_smaller:
            continue

        if changes and lacking(changed, limits) is None:
            ways.append(changes)
            continue

        if not hasattr(model, "hidden"):
            continue

        def fits(hidden: Any, changes: dict[str, Any] = changes) -> bool:
            memory = memory_with({**changes, "hidden": hidden})
            return lacking(memory, limits) is None

        hidden = _largest_hidden(model.hidden, fits)
        if hidden is not None:
            ways.append({**changes, "hidden": hidden})

    return ways


def _largest_hidden(
    hidden: int | tuple[int, ...], fits: Callable[[Any], bool]
) -> int | tuple[int, ...] | None:
    """The largest percentage of the hidden units that fits; None if not even 1% does."""

    def scaled(percent: int) -> int | tuple[int, ...]:
        if isinstance(hidden, int):
            return hidden * percent // 100

        return tuple(units * percent // 100 for units in hidden)

    # Bisection: `low` percent fit, `high` percent do not.
    low = 0
    high = 100

    while high - low > 1:
        middle = (low + high) // 2
        has_empty_layer = np.min(scaled(middle)) < 1
        if has_empty_layer or fits(scaled(middle)):
            low = middle
        else:
            high = middle

    largest = scaled(low)
    if np.min(largest) < 1:
        return None

    return largest


def _size_settings(model: Any) -> str:
    """The settings that the model's size depends on, for a message."""
    names = ["hidden"]

    for way in model.capabilities.smaller:
        names += way

    values = {name: getattr(model, name, None) for name in dict.fromkeys(names)}
    known = [f"{name}={value!r}" for name, value in values.items() if value is not None]

    return ", ".join(known) or "its settings"


def size(n: int) -> str:
    """Bytes for people: "718 MB", "3.0 GB"."""
    megabytes = n / MB
    if megabytes < 1000:
        return f"{megabytes:,.0f} MB"

    return f"{megabytes / 1024:,.1f} GB"
