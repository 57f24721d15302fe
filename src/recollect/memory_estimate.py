"""The memory that a fit will take, predicted from the shapes before anything is built, and whether there is as much.

A `Memory` names what will be held at the worst moment, in bytes. The figures behind it (bytes per rating, copies of the
parameters) are read off the code and checked against measured peaks: docs/log.md. They hold for a process with the settings
of the command line (`recollect.system.allocator.share`); without them, allocators keep a quarter more.
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
from recollect.training.gradient import GradientOptions

MB = 1 << 20
LIBRARIES = 375 * MB  # Python, torch, Polars, SciPy, the command line
COMPILED = 70 * MB  # the sparse products, Numba and LLVM
TORCH_OPTIM = 65 * MB  # what torch imports when its first optimizer is made
CUDA = 1_000 * MB  # torch's libraries for a GPU, on the host; not measured
VIEW = 16  # bytes per training rating, by user (for the fingerprint) and by what the rows are
OTHER_WAY = 12  # the training block's second orientation, and its values in that order
IN_PASSING = (
    20  # a number per cell: prediction, difference, gradient, the same by column, one to spare
)
CUTTING_OUT = 40  # copying rows out of a block
STREAMED = (
    300 * MB
)  # of ratings on disk: the window that is mixed, the next one, and copies of both
RANKING = 14  # per cell that is ranked: scores, a copy of them, a flag
TURNS = 140  # per rating: both orientations, predictions, differences
TEXT_LIBRARIES = 100 * MB  # scikit-learn, and the table of documents
CHECKING = 66  # looking for pairs that train and valid share

# Copies of the parameters: kept by the optimizer; and beside gradients, for a moment, in its step.
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
    """What a fit holds when it holds most, in bytes by what it is for: on the host, and on a GPU if it runs there."""

    host: dict[str, int]
    device: dict[str, int] = field(default_factory=dict)

    @property
    def peak(self) -> int:
        """Bytes on the host, the libraries and the data included: the process's peak."""
        return sum(self.host.values())

    @property
    def device_peak(self) -> int:
        """Bytes on the GPU; 0 without one."""
        return sum(self.device.values())


# --- what a fit needs ---------------------------------------------------------------------------------------------------


def of_data(shape: Shape) -> dict[str, int]:
    """What every fit holds: the libraries and the ratings."""
    per_rating = 20 if shape.timed else 12
    ids = 150 * (shape.n_users + shape.n_items)  # text, and where to find it
    window = min(STREAMED, shape.n_train * CUTTING_OUT) if shape.on_disk else 0
    return {
        "libraries": LIBRARIES,
        "data": per_rating * (shape.held + shape.n_valid) + ids + window,
    }


def of_pairs(shape: Shape, *, parameters: int, bytes_per_rating: int) -> Memory:
    """A model solved from loose ratings: bytes of its parameters, and bytes per training rating on the way."""
    passing = max(bytes_per_rating, CHECKING if shape.n_valid else 0) * shape.held
    return Memory({**of_data(shape), "parameters": parameters, "temporaries": passing})


def of_factors(shape: Shape, *, numbers: int, texts: int = 0) -> Memory:
    """A model of so many factors in all, solved in turns or by descent; bytes for reading texts, if it does."""
    passing = max(TURNS, CHECKING if shape.n_valid else 0) * shape.held
    return Memory(
        {
            **of_data(shape),
            "libraries": LIBRARIES + COMPILED + (TEXT_LIBRARIES if texts else 0),
            "parameters": 4 * 4 * numbers,
            "temporaries": passing,
            **({"texts": texts} if texts else {}),
        }
    )


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
    """An autoencoder on sparse rows, trained by `training.loop`; validation looks at so many rows and ratings at once, or ranks
    so many cells. A step holds so many `dense` blocks, rows × columns."""
    n_rows, n_columns = (
        (shape.n_items, shape.n_users) if side == "item" else (shape.n_users, shape.n_items)
    )
    copy = 4 * sum(
        a * b + b for a, b in pairwise((n_columns, *hidden, n_columns))
    )  # of the parameters
    views = VIEW * shape.held * (2 if side == "item" else 1)
    libraries = LIBRARIES + COMPILED + (0 if plan.optimizer == "lbfgs" else TORCH_OPTIM)
    network = _network(shape, plan, copy)
    whole, per_row = plan.batch_size is None, shape.n_train / max(1, n_rows)  # cells
    seen = min(n_rows, plan.batch_size or n_rows)
    a_cell = IN_PASSING if whole else IN_PASSING + OTHER_WAY + CUTTING_OUT
    step = seen * (12 * sum(hidden) + 4 * dense * n_columns + int(a_cell * per_row))
    look = 0
    if shape.n_valid:
        seen = min(n_rows, block_rows)
        look = (
            12 * seen * sum(hidden) + 50 * shape.n_valid + RANKING * min(ranked, n_rows * n_columns)
        )
        if n_rows <= block_rows and shape.n_train <= block_ratings:
            network["validation block"] = 8 * shape.n_train + 20 * shape.n_valid
        else:
            look += CUTTING_OUT * min(int(seen * per_row), block_ratings)
    _, in_step = OPTIMIZERS.get(plan.optimizer, OTHER_OPTIMIZER)
    network["temporaries"] = max(step + copy // 2, int(in_step * copy), look)
    data = {**of_data(shape), "libraries": libraries}
    if torch.device(run.device).type == "cuda":
        snapshot = (
            network["parameters"] + network["optimizer"] + network["best weights"]
            if run.folder
            else 0
        )
        return Memory(
            {
                **data,
                "libraries": libraries + CUDA,
                "rows": views,
                "temporaries": max(CHECKING * shape.held, snapshot),
            },
            network,
        )
    checking = CHECKING * shape.held if shape.n_valid else 0  # before anything else is there
    if views + sum(network.values()) < checking:
        return Memory({**data, "temporaries": checking})
    return Memory({**data, "rows": views, **network})


def _network(shape: Shape, plan: GradientOptions, copy: int) -> dict[str, int]:
    """What stays from step to step."""
    kept, _ = OPTIMIZERS.get(plan.optimizer, OTHER_OPTIMIZER)
    return {
        "parameters": copy,
        "gradients": copy,
        "optimizer": copy
        * (kept + (plan.history if plan.optimizer == "lbfgs" else 0))
        * plan.state_bits
        // 32,
        "best weights": copy if shape.n_valid else 0,
        "training block": OTHER_WAY * shape.n_train if plan.batch_size is None else 0,
    }


def of_refit(shape: Shape, first: Memory, second: Memory) -> Memory:
    """A fit and another on train and validation together, while the first one's ratings and network are kept."""
    place = second.device or second.host
    kept = first.host["data"] + 2 * VIEW * shape.held
    host, device = {**second.host, "first fit": kept}, dict(second.device)
    (device if second.device else host)["first fit"] = place.get("parameters", 0) + (
        0 if second.device else kept
    )
    again = Memory(host, device)
    return again if again.peak > first.peak else first


# --- whether it fits: `model` is a Model, whose file imports this one -----------------------------------------------------


def refuse_too_large(model: Any, shape: Shape, run: Run) -> None:
    """Refuse a fit that would need more than there is, before anything is built.

    Raises: SizeError with the largest parts, what there is, and the settings that would fit.
    """
    there = rooms(run)
    short = lacking(model.memory(shape, run), there)
    if short is None:
        return
    parts, where = short
    largest = sorted(parts.items(), key=lambda part: -part[1])[:3]
    ways = [
        " and ".join(f"{k}={v!r}" for k, v in way.items())
        for way in fitting(model, shape, run, there)
    ]
    raise SizeError(
        f"{type(model).__name__} on {shape.n_users:,} × {shape.n_items:,} with {_told(model)} would need "
        f"{size(sum(parts.values()))} ({', '.join(f'{name} {size(part)}' for name, part in largest)}, …); {where.limit} has "
        f"{size(where.bytes)}. "
        + (f"What fits: {'; or '.join(ways)}." if ways else "No setting makes it fit.")
        + " Run(memory_check=False) tries it nevertheless."
    )


def rooms(run: Run) -> tuple[MemoryLimit | None, MemoryLimit | None]:
    """What there is on the host, and on the GPU if the run uses one."""
    return available(), available_on_device(run.device) if torch.device(
        run.device
    ).type == "cuda" else None


def lacking(
    need: Memory, there: tuple[MemoryLimit | None, MemoryLimit | None]
) -> tuple[dict[str, int], MemoryLimit] | None:
    """The parts and the place for which there is not room enough; None if it fits, or nobody knows what there is."""
    for parts, where in zip((need.host, need.device), there, strict=True):
        if where is not None and sum(parts.values()) > where.bytes:
            return parts, where
    return None


def fitting(
    model: Any, shape: Shape, run: Run, there: tuple[MemoryLimit | None, MemoryLimit | None]
) -> list[dict[str, Any]]:
    """Changes of the model's settings with which it fits: fewer hidden units, and what it names as `lighter`."""
    now, ways = model.memory(shape, run), []
    for changes in ({}, *model.capabilities.smaller):

        def need(more: dict[str, Any], changes: dict[str, Any] = changes) -> Memory:
            return dataclasses.replace(model, **changes, **more).memory(shape, run)

        if changes and need({}).peak + need({}).device_peak >= now.peak + now.device_peak:
            continue
        if changes and lacking(need({}), there) is None:
            ways.append(changes)
        elif hasattr(model, "hidden"):
            hidden = _most(
                model.hidden,
                lambda h, need=need: lacking(need({"hidden": h}), there) is None,  # type: ignore[misc]
            )
            ways += [] if hidden is None else [{**changes, "hidden": hidden}]
    return ways


def _most(
    hidden: int | tuple[int, ...], fits: Callable[[Any], bool]
) -> int | tuple[int, ...] | None:
    """The largest share of the hidden units that fits, in hundredths; None if not even one fits."""

    def shared(percent: int) -> int | tuple[int, ...]:
        return (
            hidden * percent // 100
            if isinstance(hidden, int)
            else tuple(size * percent // 100 for size in hidden)
        )

    low, high = 0, 100  # percent: fits, does not
    while high - low > 1:
        middle = (low + high) // 2
        few = np.min(shared(middle)) < 1
        low, high = (middle, high) if few or fits(shared(middle)) else (low, middle)
    return shared(low) if np.min(shared(low)) >= 1 else None


def _told(model: Any) -> str:
    """The settings that its size depends on."""
    names = dict.fromkeys(["hidden", *(key for way in model.capabilities.smaller for key in way)])
    found = {name: getattr(model, name, None) for name in names}
    return (
        ", ".join(f"{name}={value!r}" for name, value in found.items() if value is not None)
        or "its settings"
    )


def size(n: int) -> str:
    """Bytes for people."""
    return f"{n / MB:,.0f} MB" if n < 1000 * MB else f"{n / MB / 1024:,.1f} GB"
