"""RBM: a restricted Boltzmann machine that completes a row of the rating matrix.

Source: Salakhutdinov, Mnih, Hinton. "Restricted Boltzmann Machines for Collaborative Filtering."
ICML 2007.
Differs: rows may be items, too (Georgiev and Nakov, ICML 2013; the I-RBM of the AutoRec paper);
Adam by default, with optimizer="sgd" momentum as in the paper; reconstructions are the softmax's
probabilities, only hidden units are drawn; the epochs at which T grows are settings, the paper does
not give its own; stopped by the validation error. By default the categories of a column share a
slope, so that what is learned from a 4 also counts for a 5; ordered=False is the paper's. The RBM
whose errors the AutoRec paper prints is another machine, by its authors' code: visible="sigmoid",
threshold=True, sample=False, with 500 hidden units; docs/models/rbm.md has its settings and what of
its training is left out. conditional=True (section 4) uses which training ratings exist, where the
paper adds the pairs of the test set. Where ratings have more distinct values than `categories`,
each counts as the nearest of that many evenly spaced ones. New users of an item-side machine are
folded in, which the paper leaves open. No Gaussian hidden units (section 3), no factored weights
(section 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn.functional import pad
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.families.row_model import RowModel
from recollect.kernels.ridge import ridge
from recollect.memory_estimate import Memory, Shape, of_pairs
from recollect.models.rbm.contrastive_divergence import ContrastiveDivergence, ContrastiveOptions
from recollect.models.rbm.network import Network
from recollect.run import Run
from recollect.settings import setting
from recollect.training import fit_loop
from recollect.training.history import History


@dataclass(kw_only=True, eq=False)
class RBM(RowModel):
    """A restricted Boltzmann machine on item rows (I-RBM) or user rows (U-RBM, the paper's)."""

    why_not_updatable: ClassVar[str] = (
        "has weights of each value of each column, learned by sampling all rows,"
    )

    former_network_names: ClassVar = {"level": "category_value", "rated": "D"}

    center: bool = False  # must stay False: ratings are categories, without a mean to subtract
    reg: float = 40.0  # lambda on all weights, beside a contrastive loss summed over all rows
    hidden: int = setting(200, at_least=1)  # F, hidden units
    # Values of a rating; with more distinct values, each counts as the nearest of so many
    categories: int = setting(10, at_least=2, formerly="levels")
    ordered: bool = True  # the categories of a column share a slope; the paper: False
    conditional: bool = False  # what is rated at all reaches the hidden units through D, section 4
    steps: tuple[int, ...] = setting((1,), at_least=1)  # T, Gibbs steps of a reconstruction
    steps_from: tuple[int, ...] = ()  # epochs from which on the next T counts
    sample: bool = True  # hidden units are drawn in training; False: probabilities are used
    # Categories of a column: "softmax", one of them is 1; "sigmoid", each is 0 or 1 by itself
    visible: str = setting("softmax", one_of=("softmax", "sigmoid"))
    # Hidden units are 1 where p > 1/2, in training and in predictions; needs sample=False
    threshold: bool = False
    init: float = setting(0.01, above=0)  # standard deviation of the weights before training
    # Takes a step of contrastive divergence after each batch
    optimizer: str = setting("adam", one_of=("adam", "sgd", "rmsprop"))
    learning_rate: float = setting(0.004, above=0)  # of a gradient that is the mean over a batch
    decay: float = setting(0.95, above=0, at_most=1)  # factor of the learning rate after each epoch
    momentum: float = setting(0.9, at_least=0, below=1)  # SGD only
    batch_size: int = setting(200, at_least=1)  # rows
    epochs: int = setting(60, at_least=1)  # at most
    patience: int | None = setting(5, at_least=1)  # validations without a gain before stopping
    validate_every: int = setting(1, at_least=1, formerly="look_every")  # epochs between them

    @property
    @override
    def linear(self) -> bool:
        return False  # the expectation of a softmax, or of sigmoids

    @override
    def check(self) -> None:
        if self.center:
            raise SettingError(
                "An RBM learns ratings as categories, without a mean to subtract, found "
                "center=True; leave center out."
            )

        if self.threshold and self.sample:
            raise SettingError(
                "threshold=True sets a hidden unit to 1 where its probability is above 1/2, and "
                "sample=True draws it; set sample=False, or leave threshold out."
            )

        self.options().check()

    def options(self) -> ContrastiveOptions:
        """The settings of training."""
        return ContrastiveOptions(
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            decay=self.decay,
            momentum=self.momentum,
            batch_size=self.batch_size,
            steps=self.steps,
            steps_from=self.steps_from,
            sample=self.sample,
        )

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        n_columns = n_users if self.side == "item" else n_items
        category_values = self._category_values()

        return Network(
            n_columns,
            self.hidden,
            category_values,
            ordered=self.ordered,
            conditional=self.conditional,
            std=self.init,
            visible=self.visible,
            threshold=self.threshold,
        )

    def _category_values(self) -> Float32[np.ndarray, " categories"]:
        """The distinct ratings, or evenly spaced ones if there are more than `categories`."""
        # Part by part: all ratings are never sorted at once.
        distinct = [np.unique(part) for part in self.given_.values()]
        values = np.unique(np.concatenate(distinct))
        if len(values) <= self.categories:
            return values

        lowest = values[0]
        highest = values[-1]

        return np.linspace(lowest, highest, self.categories, dtype=np.float32)

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """The peak of one fit, as if ratings had `categories` distinct values."""
        n_rows = shape.n_items
        n_columns = shape.n_users
        if self.side == "user":
            n_rows = shape.n_users
            n_columns = shape.n_items

        matrices = self.categories + self.ordered + self.conditional
        parameters = 4 * n_columns * self.hidden * matrices
        ratings_per_row = shape.n_train // max(1, n_rows)
        # About ten numbers of 4 bytes for each visible and each hidden unit of a row.
        units_per_row = self.categories * ratings_per_row + self.hidden
        batch = self.batch_size * 40 * units_per_row

        # Parameters, gradients, Adam's two moments, W computed from the slope, and its gradient.
        return of_pairs(shape, parameters=6 * parameters + batch, bytes_per_rating=60)

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Contrastive divergence, section 2.2."""
        rows = train.rows(self.side)
        assert isinstance(rows, Rows)  # fit refuses ratings on disk: the model does not stream
        self.net_.init_biases(self.block(rows))

        learner = ContrastiveDivergence(self.net_, rows, self.options(), reg=self.reg)

        return fit_loop.run_epochs(
            learner,
            run,
            epochs=self.epochs,
            patience=self.patience,
            validate_every=self.validate_every,
            measure=self.validation(train, valid),
            fit_key=self.fit_key(train, valid),
        )

    @override
    @torch.no_grad()
    def output_columns(self) -> Tensor:
        """The fitted columns: the weights and the bias of each category, one after the other."""
        # All categories of a user are one column, since they are predicted together.
        fitted = torch.as_tensor(self.fitted_columns())
        weight, bias = self.net_.by_column()
        # columns × categories × (hidden + 1), before the last two axes become one.
        weight_and_bias = torch.cat([weight[fitted], bias[fitted, :, None]], dim=2)

        return weight_and_bias.flatten(1)

    @property
    @override
    def output_reg(self) -> float:
        return 0.0  # λ stands beside the contrastive loss here, not beside squared errors

    @override
    @torch.no_grad()
    def fold_in_columns(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """New users: ridge regression on how the average user's expected ratings change.

        It is one Gauss-Newton step from the mean of the fitted columns, along the directions in
        which the columns differ most.
        """
        expected, slopes = self._average_user()
        block = self.block(rows)
        assert block.value is not None
        # Slopes are per standard deviation, so λ is the variance of the noise alone.
        reg = torch.full((len(rows),), self.residual_variance(), device=self.device)
        residual = block.value - expected[block.column]
        factors = ridge(block, slopes, reg=reg, value=residual)
        scores = expected + factors @ slopes.t()

        return scores.cpu().numpy()

    @torch.no_grad()
    def _average_user(self) -> tuple[Float[Tensor, " items"], Float[Tensor, "items directions"]]:
        """The average user's expected rating of each item, and its slopes.

        A slope is the change of the expected rating along a main direction of the columns, per
        standard deviation. There are as many directions as hidden units.
        """
        prior = self.column_prior()
        n_categories = self.net_.n_categories
        codes, _ = self.codes(self.given_)
        # The 1 is multiplied by the bias, which stands last in a column of each category.
        codes = pad(codes, (0, 1), value=1.0)
        width = codes.shape[1]

        mean = prior.mean.float().view(n_categories, width)
        unit_input = codes @ mean.t()
        expected, slope = self.net_.expected_and_slope(unit_input)
        # The columns of the root ascend in variance, so the main directions are the last ones.
        main = prior.root[:, -self.hidden :].float().view(n_categories, width, -1)
        slopes = sum(slope[:, k, None] * (codes @ main[k]) for k in range(n_categories))

        return expected, slopes

    @override
    @torch.no_grad()
    def column_vectors(self) -> Tensor:
        """The slope of each column's expected rating at the mean code."""
        codes, _ = self.codes(self.given_)
        weight, bias = self.net_.by_column()
        # A row without ratings has the code of the hidden biases alone.
        rated = torch.as_tensor(self.given_.count(self.side) > 0)
        mean_code = codes[rated].mean(dim=0)
        unit_input = weight @ mean_code + bias
        _, slope = self.net_.expected_and_slope(unit_input)

        return torch.einsum("ck,ckh->ch", slope, weight)


# Settings that learn planted ratings in a moment, for the tests of all models.
QUICK = {
    "hidden": 40,
    "categories": 5,
    "reg": 3.0,
    "learning_rate": 0.02,
    "decay": 0.98,
    "batch_size": 40,
    "epochs": 30,
}
