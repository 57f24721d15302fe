"""SVD++ and timeSVD++: that a user rated an item says something about their taste, whatever the
rating.

A user's factors are p_u + |N(u)|^-1/2 Σ y_j over N(u), the items they rated. An item has factors
q_i, which they are multiplied with, and y_i, which it adds to the factors of everyone who rated it.

SVDppFactors    the network
SVDppSGD        how it is learned: `kernels.svdpp`, user by user
SVDppModel      the settings, fold-in
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.families.matrix_factorization import centered_factors, predict_table, valid_rmse
from recollect.families.pair_model import PairModel
from recollect.kernels import Block, observed, times_dense
from recollect.kernels.ridge import ridge
from recollect.kernels.svdpp import StepSizes, SVDppArrays, TimeSlots
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.nn import Factors
from recollect.online.change import Change
from recollect.online.factors import due_items, grown
from recollect.online.networks import with_rows
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting
from recollect.training import fit_loop
from recollect.training.als import residuals
from recollect.training.history import History
from recollect.training.regularization import reg_by_count
from recollect.training.sgd import CompiledSGD


class SVDppFactors(Factors):
    """mu + b_u + b_i + q_i · (p_u + |N(u)|^-1/2 Σ y_j).

    `user` holds the sum in brackets, and b_u; `item` holds q_i and b_i. The sum is kept beside its
    parts `p` and `y`, because predictions need nothing else.
    """

    def __init__(self, n_users: int, n_items: int, k: int) -> None:
        super().__init__(n_users, n_items, k, offsets=True)
        p = torch.zeros(n_users, k)
        y = torch.zeros(n_items, k)
        self.p = nn.Buffer(p)
        self.y = nn.Buffer(y)

    def arrays(self) -> dict[str, Tensor]:
        """The parameters by their names in `SVDppArrays`: views of the network's tensors."""
        return {
            "p": self.p,
            "q": self.item[:, :-1],
            "b_user": self.user[:, -1],
            "b_item": self.item[:, -1],
            "y": self.y,
        }

    def y_sums(self, block: Block) -> Float32[Tensor, "rows k"]:
        """|N|^-1/2 Σ y_j for each row of a block of ratings."""
        # Ones in place of the ratings: that an item was rated counts, not how.
        ones = torch.ones(block.n_cells, device=block.device)
        sums = times_dense(block, self.y, ones)
        count = block.rows.start.diff().clamp(min=1)
        root = count.sqrt()[:, None]
        return sums / root


class SVDppSGD(CompiledSGD):
    """The Learner: a step per rating in compiled loops, user by user."""

    def __init__(self, net: SVDppFactors, arrays: SVDppArrays, *, decay: float) -> None:
        """Copy the network's parameters into the loops' arrays.

        Args:
            net: the network.
            arrays: the ratings, the arrays and their step sizes.
            decay: what the learning rate is multiplied by after each epoch.
        """
        self.arrays = arrays
        super().__init__(net, learning_rate=arrays.steps.rate, decay=decay)

    @override
    def descend(self, shrink: float, seed: int) -> tuple[float, float]:
        squares = self.arrays.descend(shrink=shrink, seed=seed)
        n_ratings = float(len(self.arrays))
        return squares, n_ratings

    @override
    def pairs(self) -> Iterator[tuple[np.ndarray, Tensor]]:
        for name, tensor in self.net.arrays().items():
            array = getattr(self.arrays, name)
            if tensor.ndim == 2:
                # The loops' factors have columns of zeros behind them.
                k = tensor.shape[1]
                array = array[:, :k]

            yield array, tensor

    @override
    def store_in_network(self) -> None:
        super().store_in_network()
        # The sum p_u + |N|^-1/2 Σ y_j is no parameter, so `pairs` does not have it.
        factors = self.net.user[:, :-1]
        k = factors.shape[1]
        sums = self.arrays.user_factors()[:, :k]
        factors.copy_(torch.from_numpy(sums))


@dataclass(kw_only=True, eq=False)
class SVDppModel(PairModel):
    """The settings of SVD++ and timeSVD++, and what they do alike."""

    former_network_names: ClassVar = {"own": "p", "implied": "y"}

    factors: int = setting(64, at_least=1)  # k
    learning_rate: float = setting(0.02, above=0)  # gamma_1 and gamma_2, in the first epoch
    # The learning rate is multiplied by this after each epoch
    decay: float = setting(0.94, above=0, at_most=1)
    # lambda_7 of p_u, times the user's number of ratings to the power reg_power
    reg_user: float = setting(0.16, above=0)
    reg_item: float = setting(0.15, above=0)  # the same of q_i
    # 1: lambda_7 with each rating, as the paper; less: it grows slower than the ratings
    reg_power: float = setting(0.8, at_least=0, at_most=1)
    # lambda_7 of y_j, with each rating of each user who rated j
    reg_y: float = setting(0.0022, at_least=0, formerly="reg_implied")
    reg_offset: float = setting(0.01, above=0)  # lambda_6 of b_u and b_i, with each rating
    # Standard deviation of p and q at the start; y starts at 0
    init: float = setting(0.003, above=0)
    epochs: int = setting(60, at_least=1)  # passes at most
    # Validations without a gain before stopping; None: never stop early
    patience: int | None = setting(3, at_least=1)
    validate_every: int = setting(3, at_least=1, formerly="look_every")  # epochs

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        net = self.empty(n_users, n_items)
        q = net.item[:, : self.factors]
        # p and q are each other's gradient, so they may not both start at 0; y and offsets may.
        nn.init.normal_(net.p, std=self.init)
        nn.init.normal_(q, std=self.init)

        return net

    def empty(self, n_users: int, n_items: int) -> SVDppFactors:
        """The network before any parameter is drawn."""
        return SVDppFactors(n_users, n_items, self.factors)

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        n_rows = shape.n_users + shape.n_items
        # A user has p_u beside its sum, an item has q_i and y_i; both have an offset.
        n_columns = 2 * self.factors + 1
        return of_factors(shape, numbers=n_columns * n_rows)

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        assert isinstance(train, Ratings)  # fit refuses others: it does not stream
        self.net_.mu.fill_(train.mean)
        return fit_loop.run_epochs(
            self.learner(train),
            run,
            epochs=self.epochs,
            patience=self.patience,
            validate_every=self.validate_every,
            measure=valid_rmse(self, train, valid),
            fit_key=self.fit_key(train, valid),
        )

    def learner(self, train: Ratings) -> fit_loop.Learner:
        """The Learner of the network: SGD."""
        rows = train.by_user
        residuals_of_mean = rows.value - np.float32(train.mean)
        arrays = SVDppArrays(
            rows.start,
            rows.column,
            residuals_of_mean,
            n_items=train.n_items,
            factors=self.factors,
            steps=self.step_sizes(train),
            time=self.time_slots(train),
        )
        return SVDppSGD(self.net_, arrays, decay=self.decay)

    def time_slots(self, train: Ratings) -> TimeSlots | None:
        """When the ratings were given; None if the model ignores it."""
        return None

    def step_sizes(self, train: Ratings) -> StepSizes:
        """The learning rate, and λ as far as each rating brings it."""
        # λ n^power of a row is reached by n steps of λ n^(power − 1).
        per_rating = self.reg_power - 1
        return StepSizes(
            rate=self.learning_rate,
            reg_user=reg_by_count(self.reg_user, train.count("user"), per_rating),
            reg_item=reg_by_count(self.reg_item, train.count("item"), per_rating),
            reg_y=self.reg_y,
            reg_offset=self.reg_offset,
        )

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        return predict_table(self.net_, user)

    @override
    @torch.no_grad()
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """Raw predictions for new users, with p_u and b_u by ridge regression."""
        net: Any = self.net_
        p, y_sums, b_user = self._solved_users(net, rows.only_columns(self.known_items()))
        user = torch.cat([p + y_sums, b_user], dim=1)

        return net.predict_all(user).cpu().numpy()

    def _solved_users(self, net: SVDppFactors, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """p_u, |N(u)|^-1/2 Σ y_j and b_u of users with these ratings.

        Σ y_j is known from the items; what it leaves of the ratings is regressed on.
        """
        block = Block.of(rows, net.item.device)
        q = net.item[:, : self.factors].contiguous()
        y_sums = net.y_sums(block)
        values = residuals(net, block, "item") - observed(block, y_sums, q)
        p, b_user = self._solved(block, q, values, self.reg_user)

        return p, y_sums, b_user

    def _solved(
        self, block: Block, features: Tensor, values: Tensor, reg: float
    ) -> tuple[Tensor, Tensor]:
        """The factors and the offset of each row, by ridge regression.

        A ridge regression has one λ per row, and that of an offset is another than that of factors:
        the offset is the coefficient of a feature that is longer or shorter than 1 in that
        proportion.

        Args:
            block: ratings.
            features: factors of the columns.
            values: what is to be explained of each rating.
            reg: λ of the factors, before it grows with the ratings.
        """
        count = block.rows.start.diff().cpu().numpy()
        of_rows = torch.from_numpy(reg_by_count(reg, count, self.reg_power))
        feature = float(np.sqrt(reg / self.reg_offset))
        extended = nn.functional.pad(features, (0, 1), value=feature)
        solution = ridge(block, extended, reg=of_rows.to(features.device), value=values)

        return solution[:, :-1], feature * solution[:, -1:]

    @property
    @override
    def updatable(self) -> Updatable:
        return Updatable(
            learns="p and the offset of users with new ratings, q and the offset of items whose "
            "ratings have grown by 5%, each by ridge regression on the other side",
            waits="y of all items (new ones have none), the factors of all other users and items, "
            "and the mean",
        )

    @override
    @torch.no_grad()
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        net = grown(self.net_, change)
        net.p = nn.Buffer(with_rows(net.p, change.after.n_users))
        net.y = nn.Buffer(with_rows(net.y, change.after.n_items))
        net.y[torch.from_numpy(change.new("item"))] = 0
        users = change.touched("user")
        self._solve_users(net, change.after, users)
        items = due_items(change)
        block = Block.of(change.after.by_item.take(items), net.item.device)
        sums = net.user[:, : self.factors].contiguous()
        q, b_item = self._solved(block, sums, residuals(net, block, "user"), self.reg_item)
        net.item[torch.from_numpy(items)] = torch.cat([q, b_item], dim=1)
        # Once more, as items that were new had no factors yet.
        self._solve_users(net, change.after, users)

        return net

    def _solve_users(
        self, net: SVDppFactors, ratings: Ratings, users: Int[np.ndarray, " users"]
    ) -> None:
        """Write what is solved for of some users into a network."""
        p, y_sums, b_user = self._solved_users(net, ratings.by_user.take(users))
        index = torch.from_numpy(users)
        net.p[index] = p
        net.user[index] = torch.cat([p + y_sums, b_user], dim=1)

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        return centered_factors(self, side, self.factors)
