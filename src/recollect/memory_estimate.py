"""The memory that a fit will take, predicted from shapes before anything is built.

A `Memory` names what is held at the peak, in bytes. The figures behind it (bytes per rating, copies
of the parameters) are read off the code and checked against measured peaks: docs/log.md. They hold
for a process with the settings of the command line (`recollect.system.allocator.configure`);
without them, allocators keep a quarter more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from recollect.data.ratings import Ratings, Side
from recollect.errors import SizeError
from recollect.run import Run
from recollect.system.available_memory import MemoryLimit, available, available_on_device
from recollect.training.gradient_options import GradientOptions

MB = 1 << 20

# The process, before any data.
LIBRARIES = 375 * MB  # Python, torch, Polars, SciPy, the command line
COMPILED = 70 * MB  # the sparse products, Numba and LLVM
TORCH_OPTIM = 65 * MB  # what torch imports when its first optimizer is made
TEXT_LIBRARIES = 100 * MB  # scikit-learn, and the table of documents
CUDA = 1_000 * MB  # torch's libraries for a GPU, on the host; not measured

# Bytes per rating.
VIEW = 16  # sorted by user (for the fingerprint), and by what the rows are
SECOND_ORIENTATION = 12  # the training block by column, and its values in that order
CELL_TEMPORARIES = 20  # prediction, difference, gradient, the same by column, one to spare
TAKING_ROWS = 40  # copying rows out of a block
ALS_TEMPORARIES = 140  # both orientations, predictions, differences
LEAK_CHECK = 66  # looking for pairs that train and valid share

STREAMED = 300 * MB  # of ratings on disk: the window being shuffled, the next one, copies of both
RANKED_CELL = 14  # per cell that is ranked: scores, a copy of them, a flag

# Copies of the parameters: kept by the optimizer; and, beside gradients, for a moment in its step.
OPTIMIZERS: dict[str, tuple[int, float]] = {
    "lbfgs": (2, 1.5),
    "rprop": (2, 1.5),
    "adam": (2, 1.0),
    "sgd": (1, 0.5),
}
OTHER_OPTIMIZER = (2, 1.5)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How large the data are."""

    n_users: int
    n_items: int
    n_train: int  # ratings
    n_valid: int = 0  # ratings
    timed: bool = True  # whether ratings have times
    on_disk: bool = False  # whether the training ratings are read as they are needed

    @classmethod
    def of(cls, train: Any, valid: Ratings | None = None) -> Shape:
        """The shape of these ratings; `train` is Ratings, or has its columns on disk."""
        return cls(
            n_users=train.n_users,
            n_items=train.n_items,
            n_train=len(train),
            n_valid=0 if valid is None else len(valid),
            timed=train.time is not None,
            on_disk=not isinstance(train, Ratings),
        )

    @property
    def held(self) -> int:
        """Training ratings that are in memory."""
        return 0 if self.on_disk else self.n_train


@dataclass(frozen=True)
class Memory:
    """What a fit holds at its peak, in bytes by purpose: on the host, and on a GPU if used."""

    host: dict[str, int]
    device: dict[str, int] = field(default_factory=dict)

    @property
    def peak(self) -> int:
        """Bytes on the host, libraries and data included: the peak of the process."""
        return sum(self.host.values())

    @property
    def device_peak(self) -> int:
        """Bytes on the GPU; 0 without one."""
        return sum(self.device.values())


Limits = tuple[MemoryLimit | None, MemoryLimit | None]  # of the host and of the GPU; None: unknown


def of_data(shape: Shape) -> dict[str, int]:
    """What every fit holds: the libraries and the ratings."""
    per_rating = 20 if shape.timed else 12
    ratings = per_rating * (shape.held + shape.n_valid)
    ids = 150 * (shape.n_users + shape.n_items)  # their text, and the index into it
    window = 0
    if shape.on_disk:
        window = min(STREAMED, shape.n_train * TAKING_ROWS)

    return {
        "libraries": LIBRARIES,
        "data": ratings + ids + window,
    }


def of_pairs(shape: Shape, *, parameters: int, bytes_per_rating: int) -> Memory:
    """The memory of a model that is solved from single ratings.

    Args:
        shape: how large the data are.
        parameters: bytes of what is learned.
        bytes_per_rating: temporary bytes per training rating.
    """
    leak_check = LEAK_CHECK if shape.n_valid else 0
    host = of_data(shape)
    host["parameters"] = parameters
    # The check is over before the first temporaries are made.
    host["temporaries"] = max(bytes_per_rating, leak_check) * shape.held

    return Memory(host)


def of_factors(shape: Shape, *, numbers: int, texts: int = 0) -> Memory:
    """The memory of a factor model, solved by alternating least squares or SGD.

    Args:
        shape: how large the data are.
        numbers: how many numbers are learned in all.
        texts: bytes for encoding texts; 0 for a model without.
    """
    leak_check = LEAK_CHECK if shape.n_valid else 0
    host = of_data(shape)
    host["libraries"] = LIBRARIES + COMPILED
    # Four copies of 4 bytes each: the parameters, the best ones, and two while solving.
    host["parameters"] = 4 * 4 * numbers
    host["temporaries"] = max(ALS_TEMPORARIES, leak_check) * shape.held
    if texts:
        host["libraries"] += TEXT_LIBRARIES
        host["texts"] = texts

    return Memory(host)


def of_rows(
    shape: Shape,
    run: Run,
    *,
    side: Side,
    hidden: tuple[int, ...],
    plan: GradientOptions,
    block_rows: int,
    block_ratings: int,
    dense: int = 0,
    ranked: int = 0,
) -> Memory:
    """The memory of an autoencoder on sparse rows, trained by `training.gradient`.

    Args:
        shape: how large the data are.
        run: on which device, and whether snapshots are kept.
        side: what a row is.
        hidden: the sizes of the hidden layers.
        plan: the optimizer and the size of batches.
        block_rows: rows that are predicted at once, at most.
        block_ratings: their ratings, at most.
        dense: how many rows × columns blocks a step holds.
        ranked: cells that validation ranks at once.
    """
    n_rows = shape.n_users
    n_columns = shape.n_items
    if side == "item":
        n_rows, n_columns = n_columns, n_rows

    sizes = (n_columns, *hidden, n_columns)
    parameters = 4 * sum(n_in * n_out + n_out for n_in, n_out in pairwise(sizes))
    cells_per_row = shape.n_train / max(1, n_rows)

    network = _network(shape, plan, parameters)
    step = _step(plan, n_rows, n_columns, hidden, cells_per_row, dense)
    validation = 0
    if shape.n_valid:
        rows_at_once = min(n_rows, block_rows)
        validation = 12 * rows_at_once * sum(hidden) + 50 * shape.n_valid
        validation += RANKED_CELL * min(ranked, n_rows * n_columns)
        if n_rows <= block_rows and shape.n_train <= block_ratings:
            network["validation block"] = 8 * shape.n_train + 20 * shape.n_valid
        else:
            validation += TAKING_ROWS * min(int(rows_at_once * cells_per_row), block_ratings)

    _, in_step = OPTIMIZERS.get(plan.optimizer, OTHER_OPTIMIZER)
    # A step, the optimizer's own step and validation follow each other: the largest counts.
    network["temporaries"] = max(step + parameters // 2, int(in_step * parameters), validation)

    host = of_data(shape)
    host["libraries"] = LIBRARIES + COMPILED
    # The package has an L-BFGS of its own.
    if plan.optimizer != "lbfgs":
        host["libraries"] += TORCH_OPTIM

    # Ratings are sorted by user in any case, for the fingerprint.
    n_views = 2 if side == "item" else 1
    views = VIEW * shape.held * n_views
    if torch.device(run.device).type == "cuda":
        return _on_device(shape, run, host, views, network)

    leak_check = LEAK_CHECK * shape.held if shape.n_valid else 0  # before the network is built
    if views + sum(network.values()) < leak_check:
        return Memory({**host, "temporaries": leak_check})

    return Memory({**host, "rows": views, **network})


def _step(
    plan: GradientOptions,
    n_rows: int,
    n_columns: int,
    hidden: tuple[int, ...],
    cells_per_row: float,
    dense: int,
) -> int:
    """Temporary bytes of a training step: activations, dense blocks, numbers per cell."""
    rows_at_once = min(n_rows, plan.batch_size or n_rows)
    per_cell = CELL_TEMPORARIES
    if plan.batch_size is not None:
        per_cell += SECOND_ORIENTATION + TAKING_ROWS

    activations = 12 * sum(hidden)
    dense_rows = 4 * dense * n_columns
    cells = int(per_cell * cells_per_row)

    return rows_at_once * (activations + dense_rows + cells)


def _network(shape: Shape, plan: GradientOptions, parameters: int) -> dict[str, int]:
    """What stays from step to step, for so many bytes of parameters."""
    copies, _ = OPTIMIZERS.get(plan.optimizer, OTHER_OPTIMIZER)
    if plan.optimizer == "lbfgs":
        copies += plan.history

    return {
        "parameters": parameters,
        "gradients": parameters,
        "optimizer": parameters * copies * plan.state_bits // 32,
        "best weights": parameters if shape.n_valid else 0,
        "training block": SECOND_ORIENTATION * shape.n_train if plan.batch_size is None else 0,
    }


def _on_device(
    shape: Shape, run: Run, host: dict[str, int], views: int, network: dict[str, int]
) -> Memory:
    """The same with the network on a GPU; a snapshot copies it to the host."""
    snapshot = 0
    if run.folder:
        snapshot = network["parameters"] + network["optimizer"] + network["best weights"]

    on_host = {
        **host,
        "libraries": host["libraries"] + CUDA,
        "rows": views,
        "temporaries": max(LEAK_CHECK * shape.held, snapshot),
    }

    return Memory(on_host, network)


def of_refit(shape: Shape, first: Memory, second: Memory) -> Memory:
    """The peak of a fit and a refit on train and validation, during which the first one is kept.

    Args:
        shape: how large the data are.
        first: of the fit that stops early.
        second: of the refit alone.
    """
    ratings = first.host["data"] + 2 * VIEW * shape.held
    host = dict(second.host)
    device = dict(second.device)
    if device:
        host["first fit"] = ratings
        device["first fit"] = device.get("parameters", 0)
    else:
        host["first fit"] = ratings + host.get("parameters", 0)

    both = Memory(host, device)

    return both if both.peak > first.peak else first


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
    raise SizeError(
        f"{type(model).__name__} on {shape.n_users:,} × {shape.n_items:,} with "
        f"{_size_settings(model)} would need {size(needed)} ({named}, …); "
        f"{limit.limit} has {size(limit.bytes)}. {advice} Run(memory_check=False) tries it "
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
