"""Row models after a change of their ratings.

The row of a user or item with new ratings is encoded anew, so a new row needs no learning. A new
column has weights of 0 in the first layer, so that it changes no code until the next fit; its
weights in the last layer are solved for from the codes of the rows that have a rating in it, as
new users of an item-side network are (`fold_in`). Those of a known column follow its new ratings by
recursive least squares. The prior of the columns waits for the next fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from recollect.data.sparse_rows import Rows
from recollect.families.fold_in import with_ones
from recollect.online.change import Change
from recollect.online.columns import recursive_least_squares, with_columns
from recollect.online.result import Updatable
from recollect.training.offsets import shrunken_mean

LEAST_REG = 1.0  # λ of a column whose fit had none
MOST_RATINGS = 500  # of a column that follows new ratings: one with more hardly moves by one

Codes = tuple[Tensor, Float32[np.ndarray, " rows"]]  # of every row, and what is added to its output


def updatable_rows(side: str) -> Updatable:
    """What an update changes of an autoencoder of ratings.

    Args:
        side: what a row is.
    """
    other = "user" if side == "item" else "item"
    return Updatable(
        learns=f"the codes of {side}s with new ratings; the last layer's weights of new {other}s, "
        f"and of {other}s with up to {MOST_RATINGS} ratings, from these codes",
        waits=f"the first layer and all layers between; ratings of new {other}s do not change "
        "codes until then",
    )


@torch.no_grad()
def learn_columns(
    model: Any, change: Change, before: Any, solve: Callable[[Any, Codes, Change, Any], None]
) -> Any:
    """The network of a row model after a change; its codes are kept with it.

    Args:
        model: the model with the new ratings and the network before.
        change: of the ratings.
        before: the model before, whose codes of other rows are taken.
        solve: writes the output columns that changed into the network of the model, from the codes
            of all rows.
    """
    n_columns = change.after.n_users if model.side == "item" else change.after.n_items
    net = with_columns(before.net_, n_columns).eval()
    model.net_ = net
    if getattr(net, "offsets", None) is not None:
        _set_offsets_of_new_columns(model, change)

    codes = _codes(model, change, before)
    solve(model, codes, change, before)
    model._fitted_codes.get(lambda: codes)

    return net


def _set_offsets_of_new_columns(model: Any, change: Change) -> None:
    """The offset of each new column: the shrunken mean of what the rows' offsets leave."""
    new = change.new(model.other_side)
    if not len(new):
        return

    columns = change.after.rows(model.other_side).take(new)
    rows = change.after.rows(model.side).take(columns.column)
    offsets = model.net_.offsets
    offset = offsets(model.block(rows)).cpu().numpy()
    residual = (columns.value - offset).astype(np.float64)
    total = np.bincount(columns.row, weights=residual, minlength=len(new))
    of_columns = shrunken_mean(total, columns.counts, reg=model.row_reg)
    index = torch.from_numpy(new)
    offsets.column[index] = torch.from_numpy(of_columns).to(offsets.column)


def _codes(model: Any, change: Change, before: Any) -> Codes:
    """The codes of all rows: of those that changed computed, of the others as they were."""
    codes, means = before.codes(before.given_)
    n_rows = len(change.after.rows(model.side))
    touched = change.touched(model.side)
    all_codes = torch.zeros(n_rows, codes.shape[1], dtype=codes.dtype, device=codes.device)
    all_means = np.zeros(n_rows, np.float32)
    all_codes[: len(codes)] = codes
    all_means[: len(means)] = means
    # A new row without ratings, too, has a code: that of an empty row.
    wanted = np.union1d(touched, np.arange(len(codes), n_rows))
    rows, of_rows = model.inputs(change.after.rows(model.side).take(wanted))
    all_codes[torch.from_numpy(wanted)] = model.net_.encode(model.block(rows))
    all_means[wanted] = of_rows

    return all_codes, all_means


def solve_rating_columns(model: Any, codes: Codes, change: Change, before: Any) -> None:
    """Write the output columns with new ratings into the network.

    Args:
        model: an autoencoder of ratings; `net_` is written into.
        codes: of all rows.
        change: of the ratings.
        before: the model before, whose prior of the columns is kept.
    """
    prior = before.column_prior()
    model._column_prior.get(lambda: prior)
    other = model.other_side
    layer = model.net_.output
    is_new = np.isin(change.touched(other), change.new(other))

    for column, new in zip(change.touched(other).tolist(), is_new.tolist(), strict=True):
        row, value = _ratings_of(model, change, column)
        code = codes[0][torch.from_numpy(row)]
        target = torch.as_tensor(value - codes[1][row], device=code.device)
        if new:
            x = prior.column(code, target.double(), f=model.net_.f, linear=model.linear)
        elif model.linear and len(row) <= MOST_RATINGS:
            x = _followed(model, change, column, row, with_ones(code), target.double())
        else:
            continue

        layer.weight[column] = x[:-1].to(layer.weight)
        layer.bias[column] = x[-1].to(layer.bias)


def _ratings_of(
    model: Any, change: Change, column: int
) -> tuple[Int64[np.ndarray, " rated"], Float32[np.ndarray, " rated"]]:
    """The rows that have a rating in a column, and the ratings."""
    cells: Rows = change.after.rows(model.other_side).take(np.array([column]))
    return cells.column.astype(np.int64), cells.value


def _followed(
    model: Any,
    change: Change,
    column: int,
    row: Int64[np.ndarray, " rated"],
    features: Float[Tensor, "rated k"],
    target: Float[Tensor, " rated"],
) -> Float[Tensor, " k"]:
    """A known column after its new ratings.

    Args:
        model: the autoencoder.
        change: of the ratings.
        column: its number.
        row: the rows that have a rating in it.
        features: their codes, and a 1 behind each.
        target: what the column is to explain of each rating.
    """
    layer = model.net_.output
    x = torch.cat([layer.weight[column], layer.bias[column, None]]).double()
    is_column = (change.user if model.side == "item" else change.item) == column
    changed = (change.item if model.side == "item" else change.user)[is_column]
    is_changed = torch.from_numpy(np.isin(row, changed)).to(target.device)
    error = (target - features @ x) * is_changed

    # λ/2 ‖w‖² stands beside the squared error.
    return recursive_least_squares(x, features, error, reg=max(model.output_reg / 2, LEAST_REG))
