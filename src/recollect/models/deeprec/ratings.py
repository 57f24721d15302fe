"""DeepRec for ratings: masked squared error, and dense re-feeding.

    step 1       Σ_Ω (r − h(r))² / |Ω|            over the observed ratings of a batch
    step 2 …     ‖y − h(y)‖² / size,  y = h(r)     the dense output, fed in again

A good h has its outputs as fixed points, and a dense row trains all weights at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError
from recollect.kernels import Block
from recollect.model import Capabilities
from recollect.models.deeprec.network import Network
from recollect.models.deeprec.recipe import Loss, Recipe
from recollect.nn import ScaledActivation
from recollect.training import gradient
from recollect.training.early_stopping import ValidationMetric
from recollect.training.losses import squared_error

# Activations whose output can be far below 0, where a rating far below its row's mean lies.
UNBOUNDED_BELOW = ("identity", "lrelu")


class RatingsRecipe(Recipe):
    """Squared error over observed ratings, then over the dense output that is fed in again."""

    figure = "train_rmse"

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(streams=True, smaller=({"batch_size": 32},))

    @property
    @override
    def dense_matrices(self) -> int:
        return 4 if self.settings.refeed else 0

    @property
    @override
    def hint(self) -> str:
        encoder, _ = self.settings.encoder_and_decoder
        if not self.settings.refeed or encoder[-1] >= encoder[0]:
            return ""

        return (
            "Re-feeding through layers that narrow is known to diverge: let them widen, or leave "
            "refeed out."
        )

    @override
    def check(self) -> None:
        settings = self.settings
        bounded = settings.last_activation and settings.activation not in UNBOUNDED_BELOW
        if settings.center and bounded:
            raise SettingError(
                f"center=True needs outputs far below 0, and {settings.activation} gives none; use "
                "last_activation=False."
            )

        if settings.refeed_target == "input" and settings.refeed_share < 1:
            raise SettingError(
                'refeed_share draws from all columns, and with refeed_target="input" only '
                "observed ratings count; leave it out."
            )

    @override
    def network(self, n_columns: int, scale: tuple[float, float]) -> Network:
        settings = self.settings
        name = settings.activation if settings.last_activation else "identity"
        # Stretched, because a bounded activation could not reach all ratings.
        f = ScaledActivation(name, scale)

        return Network(n_columns, settings, f=f)

    @override
    def validation(self, train: AnyRatings, valid: Ratings | None) -> ValidationMetric | None:
        return self.settings.validation(train, valid)

    @override
    def steps(self, net: Network, rows: Block) -> Iterator[gradient.Step]:
        assert rows.value is not None
        hidden = net.encode(rows)
        # Computed before the optimizer's step on the ratings, as in the authors' code.
        output = None
        if self.settings.refeed:
            output = dense_output(net, hidden)

        predicted = net.decode(hidden, at=rows)
        value = rows.value
        if net.offsets is not None:
            value = value - net.offsets.at_cells(rows)

        yield squared_error(predicted, value)
        if output is not None:
            yield from self.refeeding(net, rows, output)

    def refeeding(
        self, net: Network, rows: Block, output: Float[Tensor, "rows columns"]
    ) -> Iterator[gradient.Step]:
        """The losses of re-feeding, one for each time that an output is fed in.

        Args:
            net: the network in training.
            rows: the observed ratings.
            output: the dense output for these rows.
        """
        assert rows.value is not None
        settings = self.settings

        for remaining in reversed(range(settings.refeed)):
            refed = output
            if settings.refeed_noise:
                refed = nn.functional.dropout(refed, settings.refeed_noise)

            hidden = net.encode_dense(refed)
            # The optimizer steps at the yield, so the next input is computed before it.
            if remaining:
                output = dense_output(net, hidden)

            if settings.refeed_target == "input":
                predicted = net.decode(hidden, at=rows)
                loss = squared_error(predicted, rows.value)
            else:
                loss = self.refed_error(net, hidden, refed)

            yield *loss, settings.refeed_rate

    def refed_error(self, net: Network, hidden: Tensor, refed: Tensor) -> Loss:
        """‖y − h(y)‖² on the share of the columns that is drawn, and the number of its terms.

        Args:
            net: the network in training.
            hidden: what its hidden layers make of the re-fed rows.
            refed: y, the re-fed rows; a 0 was dropped if there is noise, and does not count.
        """
        n_columns = refed.shape[1]
        columns = None
        if self.settings.refeed_share < 1:
            n_drawn = max(1, round(self.settings.refeed_share * n_columns))
            permutation = torch.randperm(n_columns, device=refed.device)
            columns = permutation[:n_drawn]
            refed = refed[:, columns]

        output = net.decode(hidden, columns=columns)
        # A layer may compute in 16 bits, in which the sum of squares would lose digits.
        difference = output.float() - refed.float()
        # Dropped numbers of the target are unknown, not 0.
        if self.settings.refeed_noise:
            kept = refed != 0
            error = (difference * kept).square().sum()
            return error, int(kept.sum())

        error = difference.square().sum()
        return error, difference.numel()


@torch.no_grad()
def dense_output(net: Network, hidden: Tensor) -> Float[Tensor, "rows columns"]:
    """The completed rows, as constants: no gradient flows through the target of re-feeding."""
    return net.decode(hidden)
