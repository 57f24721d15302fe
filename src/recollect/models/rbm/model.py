"""RBM: a restricted Boltzmann machine that completes a row of the rating matrix.

Source: Salakhutdinov, Mnih, Hinton. "Restricted Boltzmann Machines for Collaborative Filtering." ICML 2007.
Differs: rows may be items, too (Georgiev and Nakov, ICML 2013; the I-RBM of the AutoRec paper); Adam by default, with momentum as
the paper's where optimizer="sgd"; reconstructions are the softmax's probabilities, only hidden units are drawn; T grows at epochs
of our choosing, the paper does not give its own; stopped by the validation error. By default the levels of a column share
a slope, so that what is learned of a 4 is not lost on a 5; ordered=False is the paper's. conditional=True (section 4) knows which
training ratings there are, where the paper adds the pairs of the test set. Where ratings have more distinct values than `levels`,
each counts as the nearest of so many evenly spaced ones. Someone new to an item-side machine is folded in, which the paper leaves
open. No Gaussian hidden units (section 3), no factored weights (section 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn.functional import pad, softplus

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.families.fold_in import OutputColumns
from recollect.families.row_model import RowModel
from recollect.kernels import Block, observed, times_dense
from recollect.kernels.ridge import ridge
from recollect.memory_estimate import Memory, Shape, of_pairs
from recollect.models.rbm.contrastive_divergence import ContrastiveDivergence, ContrastiveOptions
from recollect.run import Run
from recollect.settings import setting
from recollect.training import fit_loop
from recollect.training.history import History

AT_ONCE = 8_000_000  # probabilities worked out at once where every column is asked for: 32 MB


class Network(nn.Module):
    """Binary hidden units h and, for each column that a row has rated, a softmax over the levels of a rating.

    `weight` and `bias` have a row per column and level: columns · levels × hidden, the levels of a column together. W is that,
    and if levels are ordered level · `slope` added, the levels taken as of mean 0 and standard deviation 1.
    """

    def __init__(
        self,
        n_columns: int,
        hidden: int,
        level: Float32[np.ndarray, " levels"],
        *,
        ordered: bool,
        conditional: bool,
        std: float,
    ) -> None:
        super().__init__()
        self.level = nn.Buffer(torch.as_tensor(level))
        drawn = torch.randn(n_columns if ordered else n_columns * len(level), hidden) * std
        self.slope = nn.Parameter(drawn) if ordered else None
        self.weight = nn.Parameter(
            torch.zeros(n_columns * len(level), hidden) if ordered else drawn
        )
        self.bias = nn.Parameter(torch.zeros(n_columns * len(level)))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.rated = nn.Parameter(torch.zeros(n_columns, hidden)) if conditional else None  # D

    def weights(self) -> list[nn.Parameter]:
        """The matrices that lambda is on: all but the biases."""
        return [x for x in (self.weight, self.slope, self.rated) if x is not None]

    def table(self) -> Float[Tensor, "columns_levels hidden"]:
        """W: the weights between each level of each column and the hidden units."""
        if self.slope is None:
            return self.weight
        at = (self.level - self.level.mean()) / self.level.std(correction=0).clamp(min=1e-9)
        return self.weight + (self.slope[:, None] * at[:, None]).flatten(0, 1)

    @torch.no_grad()
    def begin(self, block: Block) -> None:
        """Biases at the logarithms of the levels' shares of each column, one further rating being an average one."""
        count = torch.bincount(self.levelled(block).column, minlength=len(self.bias)).view(
            -1, len(self.level)
        )
        share = (count + count.sum(dim=0) / count.sum()) / (count.sum(dim=1, keepdim=True) + 1)
        self.bias.copy_(share.log().view(-1))

    def levelled(self, block: Block) -> Block:
        """The ratings as visible units: a 1 at the column and level of each, the level that is nearest."""
        assert block.value is not None
        level = torch.bucketize(block.value, (self.level[1:] + self.level[:-1]) / 2)
        column = block.column * len(self.level) + level
        return Block(
            block.rows.start.cpu().numpy(),
            column.cpu().numpy(),
            np.ones(block.n_cells, np.float32),
            n_columns=block.n_columns * len(self.level),
            device=block.device,
        )

    def widened(self, block: Block) -> Block:
        """Every level of each cell's column."""
        levels = len(self.level)
        column = block.column[:, None] * levels + torch.arange(levels, device=block.device)
        return Block(
            block.rows.start.cpu().numpy() * levels,
            column.view(-1).cpu().numpy(),
            n_columns=block.n_columns * levels,
            device=block.device,
        )

    def ground(self, block: Block) -> Float[Tensor, "rows hidden"]:
        """What the hidden units get whatever the ratings are: b_j, and Σ r_i D_ij over what is rated at all (section 4)."""
        if self.rated is None:
            return self.hidden_bias.expand(block.n_rows, -1)
        return (
            times_dense(block, self.rated, torch.ones(block.n_cells, device=block.device))
            + self.hidden_bias
        )

    def encode(self, block: Block) -> Float[Tensor, "rows hidden"]:
        """p(h = 1 | v), equation 2."""
        return torch.sigmoid(times_dense(self.levelled(block), self.table()) + self.ground(block))

    def chances(
        self, wide: Block, hidden: Float[Tensor, "rows hidden"], W: Tensor
    ) -> Float[Tensor, "cells levels"]:
        """p(v = each level | h), equation 1; `wide` is made by `widened`."""
        return observed(wide, hidden, W, self.bias).view(-1, len(self.level)).softmax(dim=1)

    def decode(
        self,
        code: Float[Tensor, "rows hidden"],
        at: Block | None = None,
        columns: Tensor | None = None,
    ) -> Tensor:
        """The expected rating at the cells of `at`, or rows × these columns, or rows × all: mean field, section 2.3."""
        weight, bias = self.columns()
        if (
            at is not None
        ):  # level by level: a cell may be asked for twice, and a block's columns must ascend
            found = [
                observed(at, code, weight[:, k].contiguous(), bias[:, k])
                for k in range(len(self.level))
            ]
            return torch.stack(found, dim=1).softmax(dim=1) @ self.level
        if columns is not None:
            weight, bias = weight[columns], bias[columns]
        across = weight.flatten(0, 1).t()
        parts = code.split(max(1, AT_ONCE // max(1, bias.numel())))
        return torch.cat(
            [
                (some @ across).view(len(some), *bias.shape).add_(bias).softmax(dim=2) @ self.level
                for some in parts
            ]
        )

    def columns(
        self,
    ) -> tuple[Float[Tensor, "columns levels hidden"], Float[Tensor, "columns levels"]]:
        """The weights and biases of each column."""
        levels = len(self.level)
        return self.table().view(-1, levels, self.weight.shape[1]), self.bias.view(-1, levels)

    def contrast(self, rows: Rows, *, steps: int, sample: bool) -> tuple[Tensor, float]:
        """See `training.contrastive.Machine`; the gradient is equation 6, of biases and D likewise."""
        block = Block.of(rows, self.level.device)
        assert block.value is not None
        data, wide, ground, W = (
            self.levelled(block),
            self.widened(block),
            self.ground(block),
            self.table(),
        )

        def reconstruction(activation: Tensor) -> Tensor:
            hidden = torch.sigmoid(activation)
            return self.chances(wide, torch.bernoulli(hidden) if sample else hidden, W)

        begun = times_dense(data, W) + ground
        with torch.no_grad():
            first = chances = reconstruction(begun)
            for _ in range(steps - 1):
                chances = reconstruction(times_dense(wide, W, chances.view(-1)) + ground)
            error = float((first @ self.level - block.value).square().sum())
        ended = times_dense(wide, W, chances.view(-1)) + ground
        visible = self.bias[data.column].sum() - chances.view(-1) @ self.bias[wide.column]
        return softplus(ended).sum() - softplus(begun).sum() - visible, error


@dataclass(kw_only=True, eq=False)
class RBM(RowModel):
    """A restricted Boltzmann machine on item rows (I-RBM) or user rows (U-RBM, the paper's); predicts the expected rating."""

    side: Side = "item"
    center: bool = False  # stays False: ratings are levels, from which nothing can be taken off
    reg: float = 40.0  # lambda of contrast + lambda/2 ‖weights‖², the contrast summed over all rows
    hidden: int = 200  # F
    levels: int = (
        10  # values of a rating; where there are more, each counts as the nearest of so many
    )
    ordered: bool = (
        True  # the levels of a column share a slope beside weights of their own; the paper: False
    )
    conditional: bool = (
        False  # which columns are rated reaches the hidden units, too, through D: section 4
    )
    steps: tuple[int, ...] = (1,)  # T, Gibbs steps of a reconstruction
    steps_from: tuple[int, ...] = ()  # epochs from which on the next T counts
    sample: bool = (
        True  # hidden units are drawn 0 or 1 in learning; False: their probabilities go on
    )
    init: float = 0.01  # standard deviation of W before training
    optimizer: str = "adam"  # or "sgd"
    learning_rate: float = 0.004  # a batch's gradient is the mean over its rows
    decay: float = 0.95  # what the learning rate is multiplied by after each epoch
    momentum: float = 0.9  # SGD only
    batch_size: int = 200  # rows
    epochs: int = 60  # at most
    patience: int | None = 5  # looks at the validation error without a gain before stopping
    validate_every: int = setting(1, at_least=1, formerly="look_every")  # epochs between looks

    @property
    def linear(self) -> bool:
        """See RowModel: a softmax is not."""
        return False

    def check(self) -> None:
        """Refuse settings that cannot work."""
        if self.side not in ("user", "item"):
            raise SettingError(f'side is "item" or "user", found {self.side!r}.')
        if self.center:
            raise SettingError(
                "An RBM learns the levels of ratings as they are, found center=True; leave center out."
            )
        for name, least in (
            ("hidden", 1),
            ("levels", 2),
            ("epochs", 1),
            ("patience", 1),
            ("validate_every", 1),
        ):
            if getattr(self, name) is not None and getattr(self, name) < least:
                raise SettingError(f"{name} is {least} or more, found {getattr(self, name)}.")
        if self.reg < 0 or self.init <= 0:
            raise SettingError(
                f"reg is 0 or more and init above 0, found {self.reg} and {self.init}."
            )
        self.options().check()

    def options(self) -> ContrastiveOptions:
        """The training part of the settings."""
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

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """The network before learning; columns · levels · F numbers and few more."""
        level = np.unique(np.concatenate([np.unique(some) for some in self.given_.values()]))
        if len(level) > self.levels:
            level = np.linspace(level[0], level[-1], self.levels, dtype=np.float32)
        n_columns = n_users if self.side == "item" else n_items
        return Network(
            n_columns,
            self.hidden,
            level,
            ordered=self.ordered,
            conditional=self.conditional,
            std=self.init,
        )

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model; as for `levels` levels, whether or not there are so many."""
        n_rows, n_columns = (
            (shape.n_items, shape.n_users)
            if self.side == "item"
            else (shape.n_users, shape.n_items)
        )
        copy = 4 * n_columns * self.hidden * (self.levels + self.ordered + self.conditional)
        a_batch = self.batch_size * (
            40 * self.levels * shape.n_train // max(1, n_rows) + 40 * self.hidden
        )
        return of_pairs(shape, parameters=6 * copy + a_batch, bytes_per_rating=60)

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Contrastive divergence, section 2.2."""
        rows = train.rows(self.side)
        assert isinstance(rows, Rows)  # fit refuses others: it does not stream
        self.net_.begin(self.block(rows))
        return fit_loop.run_epochs(
            ContrastiveDivergence(self.net_, rows, self.options(), reg=self.reg),
            run,
            epochs=self.epochs,
            patience=self.patience,
            validate_every=self.validate_every,
            measure=self.validation(train, valid),
            fit_key=self.fit_key(train, valid),
        )

    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """See Model. `side="user"`: one pass over their ratings. `side="item"`: a ridge on how the expected ratings of the
        average user change along the directions in which users differ."""
        if self.side == "user":
            return super().fold_in(rows)
        rows = rows.only_columns(self.given_.count("item") > 0)
        expected, features = self._average_user()
        block = self.block(rows)
        assert block.value is not None
        reg = torch.full((len(rows),), self._residual_variance(), device=self._device)
        taste = ridge(block, features, reg=reg, value=block.value - expected[block.column])
        return (expected + taste @ features.t()).cpu().numpy()

    def columns(self) -> OutputColumns:
        """See RowModel; a column is its weights and biases of all levels."""
        if self._kept_columns is None:
            weight, bias = (
                x.detach()[torch.as_tensor(self._fitted_columns() > 0)] for x in self.net_.columns()
            )
            found = torch.cat([weight, bias[:, :, None]], dim=2).flatten(1)
            self._kept_columns = OutputColumns.of(
                found, variance=self._residual_variance(), reg=0.0
            )
        return self._kept_columns

    @torch.no_grad()
    def _average_user(self) -> tuple[Float[Tensor, " items"], Float[Tensor, "items directions"]]:
        """What the mean of the fitted columns expects of each item, and the slopes of that along their main directions, each as
        long as the columns' standard deviation."""
        columns, level = self.columns(), self.net_.level
        codes = pad(self._codes(self.given_)[0], (0, 1), value=1.0)
        chances = (codes @ columns.middle.float().view(len(level), -1).t()).softmax(dim=1)
        expected = chances @ level
        slope = chances * (level - expected[:, None])
        main = columns.spread[:, -self.hidden :].float().view(len(level), codes.shape[1], -1)
        return expected, sum(slope[:, k, None] * (codes @ main[k]) for k in range(len(level)))

    @torch.no_grad()
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """Rows: their codes. OutputColumns: the slope of their expected rating at the mean code. Both less their mean."""
        codes, _ = self._codes(self.given_)
        if side != self.side:
            weight, bias = self.net_.columns()
            middle = codes[torch.as_tensor(self.given_.count(self.side) > 0)].mean(dim=0)
            chances = (weight @ middle + bias).softmax(dim=1)
            expected = chances @ self.net_.level
            codes = torch.einsum(
                "ck,ckh->ch", chances * (self.net_.level - expected[:, None]), weight
            )
        found = codes.cpu().numpy()
        return found - found[self.given_.count(side) > 0].mean(axis=0)


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "hidden": 40,
    "levels": 5,
    "reg": 3.0,
    "learning_rate": 0.02,
    "decay": 0.98,
    "batch_size": 20,
    "epochs": 40,
}
