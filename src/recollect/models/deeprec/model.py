"""DeepRec: a deep autoencoder for ratings, with dense re-feeding, or for events, to rank.

Source: Kuchaiev, Ginsburg. "Training Deep AutoEncoders for Collaborative Filtering." 2017,
arXiv:1708.01715.
Differs: the defaults are not the paper's (`PAPER` below): for ratings there are two smaller layers
of tanh, less dropout, a λ and Adam, and the bias model's offsets are added to what the network
gives, where its training starts; there is no re-feeding, and no activation after the last layer.
The rate does not fall (milestones=(24, 36, 48, 66, 72) is the authors' code). The last batch of an
epoch is trained on (the authors' code drops it, even a full one); the training error of an epoch is
over its ratings, not a mean over batches; the fit is stopped by the validation error (the authors
chose a checkpoint by it); predictions are clipped to the scale; pairs with an unknown user or item
are predicted and counted (the paper leaves them out); a rating of 0 is a rating (their code takes
it for unknown); a bounded last activation is stretched onto the scale. Re-fed rows are their own
target, as in the paper and its code; the first author wrote later that the target stays what was
observed: that is `refeed_target="input"`. Events are not in the paper. Their input and the
multinomial loss are those of Mult-DAE (Liang, Krishnan, Hoffman, Jebara. "Variational Autoencoders
for Collaborative Filtering." WWW 2018), the weighted loss is that of Hu, Koren, Volinsky
("Collaborative Filtering for Implicit Feedback Datasets." ICDM 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import NotUpdatableError
from recollect.families.event_columns import UPDATABLE, solve_new_items
from recollect.families.row_updates import learn_columns, solve_rating_columns, updatable_rows
from recollect.families.starting import start_from_offsets
from recollect.model import Capabilities
from recollect.models.deeprec.events import EventsRecipe
from recollect.models.deeprec.network import Network
from recollect.models.deeprec.ratings import RatingsRecipe
from recollect.models.deeprec.recipe import Recipe
from recollect.models.deeprec.settings import DeepRecSettings
from recollect.online.change import Change
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.training.history import History


@dataclass(kw_only=True, eq=False)
class DeepRec(DeepRecSettings):
    """A deep autoencoder on user rows (or item rows) with dropout on its code.

    `loss` chooses the recipe: "ratings" is the paper's, any other loss is for events.
    """

    @property
    def recipe(self) -> Recipe:
        """What is done with this kind of data."""
        if self.loss == "ratings":
            return RatingsRecipe(self)

        return EventsRecipe(self)

    @property
    @override
    def capabilities(self) -> Capabilities:
        return self.recipe.capabilities

    @override
    def check(self) -> None:
        super().check()
        self.recipe.check()

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        n_columns = n_users if self.side == "item" else n_items
        return self.recipe.network(n_columns, self.given_.scale)

    @property
    @override
    def dense_matrices(self) -> int:
        return self.recipe.dense_matrices

    @property
    @override
    def ranked_cells(self) -> int:
        return self.recipe.ranked_cells

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Minimize the losses of the recipe, a step after each."""
        recipe = self.recipe
        if self.has_offsets:
            start_from_offsets(self.net_, train, self.side)

        return self.minimize(
            recipe.steps,
            train,
            valid,
            run,
            measure=recipe.validation(train, valid),
            figure=recipe.figure,
            validate_start=self.has_offsets,
            hint=recipe.hint,
        )

    @property
    @override
    def updatable(self) -> Updatable:
        if self.tied:
            raise NotUpdatableError(
                "The last layer of a tied DeepRec has the first layer's weights, which wait for a "
                "fit; fit it again with the further ratings, or with tied=False."
            )

        return updatable_rows(self.side) if self.loss == "ratings" else UPDATABLE

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        solve = solve_rating_columns if self.loss == "ratings" else solve_new_items
        return learn_columns(self, change, before, solve)

    @override
    def penalty(self, net: Network) -> list[tuple[Tensor, float]]:
        """λ/2 · Σ ‖W‖²: each weight matrix with its λ; none if λ is 0."""
        if not self.reg:
            return []

        return [(weight, self.reg) for weight in net.weights()]


# The settings of the paper, where the defaults are others.
PAPER = {
    "hidden": (512, 512, 1024),
    "activation": "selu",
    "last_activation": True,
    "dropout": 0.8,
    "input_dropout": 0.0,
    "reg": 0.0,
    "refeed": 1,
    "optimizer": "sgd",
    "learning_rate": 0.005,
    "batch_size": 128,
    "refit": False,
    "cold": "mean",
}

# Settings that learn planted ratings in a moment, for the tests of all models.
QUICK = {
    "hidden": (12, 16),
    "dropout": 0.2,
    "input_dropout": 0.0,
    "reg": 0.0,
    "learning_rate": 0.03,
    "batch_size": 40,
    "epochs": 30,
    "refit": False,
}
