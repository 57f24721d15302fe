"""The memory that a fit will take, predicted from shapes before anything is built.

A `Memory` names what is held at the peak, in bytes. The figures behind it (bytes per rating, copies
of the parameters) are read off the code and checked against measured peaks: docs/log.md. They hold
for a process with the settings of the command line (`recollect.system.allocator.configure`);
without them, allocators keep a quarter more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch

from recollect.data.rating_unit import RatingUnit
from recollect.data.ratings import Ratings, Side
from recollect.run import Run
from recollect.training.gradient_options import GradientOptions

MB = 1 << 20

# The process, before any data.
LIBRARIES = 375 * MB  # Python, torch, Polars, SciPy, the command line
COMPILED = 70 * MB  # the sparse products, Numba and LLVM
TORCH_OPTIM = 65 * MB  # what torch imports when its first optimizer is made
TEXT_LIBRARIES = 100 * MB  # scikit-learn, and the table of documents
CUDA = 1_000 * MB  # torch's libraries for a GPU, on the host; not measured

# Bytes per rating.
CONVERTED = 12  # values in another unit: of the ratings, by user and by item
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
    converted: bool = False  # whether the model's unit is another than that of the ratings

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
            converted=not (train.implicit or RatingUnit.of(train.scale).is_identity),
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


def of_data(shape: Shape) -> dict[str, int]:
    """What every fit holds: the libraries and the ratings."""
    per_rating = 20 if shape.timed else 12
    if shape.converted:
        per_rating += CONVERTED

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


def of_item_weights(shape: Shape) -> Memory:
    """The memory of a matrix of weights between items, solved in its own place.

    Args:
        shape: how large the data are.
    """
    leak_check = LEAK_CHECK if shape.n_valid else 0
    host = of_data(shape)
    host["libraries"] = LIBRARIES + COMPILED
    host["parameters"] = 4 * shape.n_items**2
    # The events by row and by column, twice; and a block of columns of XᵀX, sparse and dense.
    host["temporaries"] = max(32, leak_check) * shape.held + 16 * 1024 * shape.n_items

    return Memory(host)


def of_sparse_item_weights(shape: Shape, *, keep: float, neighbors: int) -> Memory:
    """The memory of the largest weights between items, found in blocks of similar items.

    Args:
        shape: how large the data are.
        keep: share of the items × items weights.
        neighbors: the most weights of an item.
    """
    leak_check = LEAK_CHECK if shape.n_valid else 0
    candidates = shape.n_items * min(neighbors, max(1, shape.n_items - 1))
    n_weights = min(int(keep * shape.n_items**2), candidates) + shape.n_items
    host = of_data(shape)
    host["libraries"] = LIBRARIES + COMPILED
    host["parameters"] = 8 * n_weights
    # Similar items and their cosines, once more while the largest are looked for; then the weights
    # by column, and the blocks.
    choosing = 13 * candidates
    solving = 24 * n_weights
    host["temporaries"] = max(32, leak_check) * shape.held + max(choosing, solving)

    return Memory(host)


def of_rows(
    shape: Shape,
    run: Run,
    *,
    side: Side,
    hidden: tuple[int, ...],
    options: GradientOptions,
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
        options: the optimizer and the size of batches.
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
    network = _network(shape, options, parameters)

    # What validation predicts is made once and kept if it is one block, else at each validation.
    kept, validation = _validation(shape, n_rows, hidden, block_rows, block_ratings)
    if shape.n_valid:
        validation += RANKED_CELL * min(ranked, n_rows * n_columns)

    if kept:
        network["validation block"] = kept

    step = _step(options, n_rows, n_columns, hidden, cells_per_row, dense)
    _, in_step = OPTIMIZERS.get(options.optimizer, OTHER_OPTIMIZER)
    # A step, the optimizer's own step and validation follow each other: the largest counts.
    network["temporaries"] = max(step + parameters // 2, int(in_step * parameters), validation)

    host = of_data(shape)
    host["libraries"] = LIBRARIES + COMPILED
    # The package has an L-BFGS of its own.
    if options.optimizer != "lbfgs":
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


def _validation(
    shape: Shape, n_rows: int, hidden: tuple[int, ...], block_rows: int, block_ratings: int
) -> tuple[int, int]:
    """Bytes that validation keeps from epoch to epoch, and its temporary bytes."""
    if not shape.n_valid:
        return 0, 0

    rows_at_once = min(n_rows, block_rows)
    temporary = 12 * rows_at_once * sum(hidden) + 50 * shape.n_valid
    if n_rows <= block_rows and shape.n_train <= block_ratings:
        return 8 * shape.n_train + 20 * shape.n_valid, temporary

    cells_per_row = shape.n_train / max(1, n_rows)
    cells_at_once = min(int(rows_at_once * cells_per_row), block_ratings)

    return 0, temporary + TAKING_ROWS * cells_at_once


def _step(
    options: GradientOptions,
    n_rows: int,
    n_columns: int,
    hidden: tuple[int, ...],
    cells_per_row: float,
    dense: int,
) -> int:
    """Temporary bytes of a training step: activations, dense blocks, numbers per cell."""
    rows_at_once = min(n_rows, options.batch_size or n_rows)
    per_cell = CELL_TEMPORARIES
    if options.batch_size is not None:
        per_cell += SECOND_ORIENTATION + TAKING_ROWS

    activations = 12 * sum(hidden)
    dense_rows = 4 * dense * n_columns
    cells = int(per_cell * cells_per_row)

    return rows_at_once * (activations + dense_rows + cells)


def _network(shape: Shape, options: GradientOptions, parameters: int) -> dict[str, int]:
    """What stays from step to step, for so many bytes of parameters."""
    copies, _ = OPTIMIZERS.get(options.optimizer, OTHER_OPTIMIZER)
    if options.optimizer == "lbfgs":
        copies += options.history

    return {
        "parameters": parameters,
        "gradients": parameters,
        "optimizer": parameters * copies * options.state_bits // 32,
        "best weights": parameters if shape.n_valid else 0,
        "training block": SECOND_ORIENTATION * shape.n_train if options.batch_size is None else 0,
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


def of_blend(members: Sequence[Memory], shape: Shape) -> Memory:
    """The peak of fitting several models one after the other, and keeping them all.

    Args:
        members: the peak of each one's fit.
        shape: how large the data are.
    """
    largest = max(members, key=lambda member: member.peak)
    host = dict(largest.host)
    kept = sum(member.host.get("parameters", 0) for member in members)
    host["other members"] = kept - largest.host.get("parameters", 0)
    # Without a validation part some ratings are held out, and the others are a copy.
    host["held out"] = 0 if shape.n_valid else of_data(shape)["data"] + 2 * VIEW * shape.held
    device = dict(max(members, key=lambda member: member.device_peak).device)

    return Memory(host, device)
