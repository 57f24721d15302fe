"""DeepRec for events, each with a count: losses over whole rows, stopped by a ranking metric.

    weighted       Σ (1 + alpha · count) (1 − h)² over events  +  a Σ h² over all other cells
    logistic       −Σ log σ(h) over events  −  a Σ log(1 − σ(h)) over all other cells
    multinomial    −Σ count · log softmax(h) over events

a is `absent_weight`. The losses stand in `training/losses.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.families import event_rows
from recollect.families.event_rows import transformed_counts
from recollect.kernels import Block
from recollect.model import Capabilities
from recollect.models.deeprec.network import Network
from recollect.models.deeprec.recipe import Loss, Recipe
from recollect.training import gradient
from recollect.training.early_stopping import ValidationMetric
from recollect.training.losses import logistic_loss, multinomial_loss, weighted_error
from recollect.unseen import BLOCK_CELLS

# These settings are for ratings and must have the values below.
REQUIRED = {**event_rows.REQUIRED, "last_activation": False, "refeed": 0}


class EventsRecipe(Recipe):
    """One of the losses for events, over every cell of a row."""

    figure = "train_loss"
    ranked_cells = BLOCK_CELLS

    @property
    @override
    def capabilities(self) -> Capabilities:
        return replace(event_rows.CAPABILITIES, counts=self.settings.counts != "binary")

    @property
    @override
    def dense_matrices(self) -> int:
        return event_rows.DENSE_MATRICES

    @override
    def check(self) -> None:
        settings = self.settings
        event_rows.check_required(settings, REQUIRED, what=f"loss={settings.loss!r}")

    @override
    def network(self, n_columns: int, scale: tuple[float, float]) -> Network:
        settings = self.settings
        f: nn.Module = nn.Identity()  # also of the multinomial loss: softmax keeps the ranking
        if settings.loss == "logistic":
            f = nn.Sigmoid()

        values = partial(
            event_rows.input_values, counts=settings.counts, normalize=settings.normalize
        )
        return Network(n_columns, settings, f=f, input_values=values)

    @override
    def validation(self, train: AnyRatings, valid: Ratings | None) -> ValidationMetric | None:
        settings = self.settings
        return event_rows.ndcg_of_valid(settings, train, valid, n=settings.valid_n)

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
