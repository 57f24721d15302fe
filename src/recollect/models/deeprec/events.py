"""DeepRec for events, each with a count: losses over whole rows, stopped by a ranking metric.

    weighted       Σ (1 + alpha · count) (1 − h)² over events  +  a Σ h² over all other cells
    logistic       −Σ log σ(h) over events  −  a Σ log(1 − σ(h)) over all other cells
    multinomial    −Σ count · log softmax(h) over events

a is `absent_weight`. The losses stand in `training/losses.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import DataError, SettingError
from recollect.kernels import Block
from recollect.model import Capabilities
from recollect.models.deeprec.network import Network
from recollect.models.deeprec.recipe import Loss, Recipe
from recollect.ranking import mean_ndcg
from recollect.system.door import words
from recollect.training import gradient
from recollect.training.early_stopping import ValidationMetric
from recollect.training.losses import logistic_loss, multinomial_loss, weighted_error
from recollect.unseen import BLOCK_CELLS

# Rows are users, and outputs are not ratings: these settings must have the values below.
REQUIRED = {"side": "user", "center": False, "last_activation": False, "refeed": 0}


class EventsRecipe(Recipe):
    """One of the losses for events, over every cell of a row."""

    figure = "train_loss"
    ranked_cells = BLOCK_CELLS

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(
            output="scores",
            needs=frozenset({"events"}),
            streams=True,
            smaller=({"batch_size": 32},),
        )

    @property
    @override
    def dense_matrices(self) -> int:
        return 5

    @override
    def check(self) -> None:
        settings = self.settings
        wrong = [name for name, value in REQUIRED.items() if getattr(settings, name) != value]
        if wrong:
            required = ", ".join(f"{name}={REQUIRED[name]!r}" for name in wrong)
            raise SettingError(
                f"loss={settings.loss!r} is on users' rows and its outputs are not ratings: it "
                f"needs {required}; leave {' and '.join(wrong)} out."
            )

    @override
    def network(self, n_columns: int, scale: tuple[float, float]) -> Network:
        settings = self.settings
        f: nn.Module = nn.Identity()  # also of the multinomial loss: softmax keeps the ranking
        if settings.loss == "logistic":
            f = nn.Sigmoid()

        values = partial(input_values, counts=settings.counts, normalize=settings.normalize)
        return Network(n_columns, settings, f=f, input_values=values)

    @override
    def validation(self, train: AnyRatings, valid: Ratings | None) -> ValidationMetric | None:
        """NDCG of the validation events among the items that are not in train.

        Raises:
            DataError: if no user has events in both, which would leave the figure unchanged
                from epoch to epoch.
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

        n = self.settings.valid_n
        ndcg = partial(mean_ndcg, self.settings, valid, train, n=n)

        return ValidationMetric(f"valid_ndcg@{n}", ndcg, better="higher")

    @override
    def steps(self, net: Network, rows: Block) -> Iterator[gradient.Step]:
        hidden = net.encode(rows)
        # Before f: the losses apply the sigmoid or the softmax in a numerically stable way.
        out = net.output(hidden)
        # A layer may compute in 16 bits, in which sums over whole rows would lose digits.
        yield self.loss(out.float(), rows)

    def loss(self, out: Float[Tensor, "rows columns"], rows: Block) -> Loss:
        """The loss over every cell, and the number of events."""
        settings = self.settings
        row = rows.rows.row_of_cells()
        column = rows.column.long()
        count = transformed_counts(rows, settings.counts)
        if settings.loss == "weighted":
            return weighted_error(
                out,
                row,
                column,
                count,
                alpha=settings.alpha,
                absent=settings.absent_weight,
            )

        if settings.loss == "logistic":
            return logistic_loss(out, row, column, absent=settings.absent_weight)

        return multinomial_loss(out, row, column, count)


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

    row = rows.rows.row_of_cells()
    square = count.new_zeros(rows.n_rows)
    square.index_add_(0, row, count.square())
    # Rows without events have length 0, and no cell that would be divided by it.
    length = square.sqrt()

    return count / length[row]
