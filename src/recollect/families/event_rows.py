"""What the autoencoders of events share: users' rows of events in, a score of every item out.

What enters the network for an event, the settings that such a model must leave alone, and stopping
by the NDCG of the validation events.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import DataError, SettingError
from recollect.kernels import Block
from recollect.model import Capabilities, Model
from recollect.ranking import mean_ndcg
from recollect.system.door import words
from recollect.training.early_stopping import ValidationMetric

COUNTS = ("plain", "log", "binary")  # how the count of an event enters
CAPABILITIES = Capabilities(
    output="scores",
    needs=frozenset({"events"}),
    streams=True,
    smaller=({"batch_size": 32},),
)
# Rows × columns matrices that a training step holds, for the memory estimate.
DENSE_MATRICES = 5
# Rows are users, and outputs are not ratings: these settings must have the values below.
REQUIRED = {"side": "user", "center": False}


def check_required(model: Model, required: Mapping[str, Any], *, what: str) -> None:
    """Refuse settings that are for ratings.

    Args:
        model: whose settings are checked.
        required: the only value that each of these settings may have.
        what: what is for events, for the message.

    Raises:
        SettingError: naming the settings that have another value.
    """
    wrong = [name for name, value in required.items() if getattr(model, name) != value]
    if not wrong:
        return

    needed = ", ".join(f"{name}={required[name]!r}" for name in wrong)
    raise SettingError(
        f"{what} is on users' rows and its outputs are not ratings: it needs {needed}; leave "
        f"{' and '.join(wrong)} out."
    )


def ndcg_of_valid(
    model: Model, train: AnyRatings, valid: Ratings | None, *, n: int
) -> ValidationMetric | None:
    """NDCG of the validation events among the items that are not in train; None without any.

    Args:
        model: the model that is being fitted.
        train: the events to learn from.
        valid: the events that choose when to stop.
        n: length of the lists.

    Raises:
        DataError: if no user has events in both, which would leave the figure unchanged from epoch
            to epoch.
    """
    if valid is None or not len(valid):
        return None

    n_in_train = train.count("user")[valid.user]
    if not n_in_train.any():
        raise DataError(
            "No user in valid has an event in train, so all users would get the same list in "
            "every epoch; take valid from the same users "
            f"({words('random_split(train, test=0, valid=0.05)', '--valid 0.05')}), or leave "
            f"it out ({words('valid=None', '--valid 0')})."
        )

    ndcg = partial(mean_ndcg, model, valid, train, n=n)

    return ValidationMetric(f"valid_ndcg@{n}", ndcg, better="higher")


def transformed_counts(rows: Block, counts: str) -> Float[Tensor, " cells"]:
    """The count of each event as it is ("plain"), as log(1 + count) ("log") or as 1 ("binary")."""
    assert rows.value is not None
    if counts == "plain":
        return rows.value

    if counts == "log":
        return rows.value.log1p()

    return torch.ones_like(rows.value)


def input_values(rows: Block, *, counts: str, normalize: bool) -> Float[Tensor, " cells"]:
    """What enters the network for each event.

    Args:
        rows: events as sparse rows.
        counts: how counts enter: "plain", "log" or "binary".
        normalize: whether each row is divided by its Euclidean length.
    """
    count = transformed_counts(rows, counts)
    if not normalize:
        return count

    # Rows without events have length 0, and no cell that would be divided by it.
    length = row_sums(rows, count.square()).sqrt()
    row = rows.rows.row_of_cells()

    return count / length[row]


def row_sums(rows: Block, value: Float[Tensor, " cells"]) -> Float[Tensor, " rows"]:
    """The sum of each row over its cells.

    Args:
        rows: sparse rows.
        value: a number per cell.
    """
    row = rows.rows.row_of_cells()
    total = value.new_zeros(rows.n_rows)

    return total.index_add_(0, row, value)
