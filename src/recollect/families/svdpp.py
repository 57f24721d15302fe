"""SVDppModel: that someone rated an item tells of their taste, whatever the rating.

A user's factors are p_u + |N(u)|^-1/2 Σ y_j over N(u), the items they rated: q_i is multiplied with them, and y_j is what having
rated j implies. What SVD++ and its form with time share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.families.matrix_factorization import centered_factors, predict_table, valid_rmse
from recollect.families.svdpp_sgd import SVDppSGD
from recollect.kernels import Block, observed, times_dense
from recollect.kernels.ridge import ridge
from recollect.kernels.svdpp import StepSizes, SVDppArrays, TimeSlots
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import PairModel
from recollect.nn import Factors
from recollect.run import Run
from recollect.settings import setting
from recollect.training import fit_loop
from recollect.training.history import History


class SVDppFactors(Factors):
    """mu + b_u + b_i + q_i · (p_u + |N(u)|^-1/2 Σ y_j).

    `user` holds what is in brackets, and b_u; `item` q_i and b_i; `own` p_u alone, and `implied` y.
    """

    def __init__(self, n_users: int, n_items: int, k: int) -> None:
        super().__init__(n_users, n_items, k, offsets=True)
        self.own = nn.Buffer(torch.zeros(n_users, k))
        self.implied = nn.Buffer(torch.zeros(n_items, k))

    def places(self) -> dict[str, Tensor]:
        """Where each thing is kept that the kernel learns, by its name there."""
        return {
            "own": self.own,
            "item": self.item[:, :-1],
            "b_user": self.user[:, -1],
            "b_item": self.item[:, -1],
            "implied": self.implied,
        }

    def of(self, block: Block) -> Float32[Tensor, "rows k"]:
        """What having rated these items, whatever the values, tells of each row's taste: |N|^-1/2 Σ y_j."""
        counts = block.rows.start.diff().clamp(min=1)
        ones = torch.ones(block.n_cells, device=block.device)
        return times_dense(block, self.implied, ones) / counts.sqrt()[:, None]


@dataclass(kw_only=True, eq=False)
class SVDppModel(PairModel):
    """mu + b_u + b_i + q_i · (p_u + |N(u)|^-1/2 Σ y_j), learned by descent, user by user."""

    factors: int = setting(64, at_least=1)  # numbers per user and per item
    learning_rate: float = setting(0.02, above=0)  # gamma_1 and gamma_2, in the first epoch
    decay: float = 0.94  # what the learning rate is multiplied by after each epoch
    reg_user: float = setting(
        0.16, above=0
    )  # lambda_7 of p_u, times the user's number of ratings to the power reg_power
    reg_item: float = setting(0.15, above=0)  # the same of q_i
    reg_power: float = 0.8  # 1: lambda_7 with each rating, as the paper has it; less: it grows slower than the ratings
    reg_y: float = setting(
        0.0022, at_least=0, formerly="reg_implied"
    )  # lambda_7 of y_j, with each rating of a user who rated j
    reg_offset: float = setting(0.01, above=0)  # lambda_6 of b_u and b_i, with each rating
    init: float = setting(
        0.003, above=0
    )  # standard deviation of p and q at the start; y starts at 0
    epochs: int = setting(60, at_least=1)  # passes at most
    patience: int | None = setting(
        3, at_least=1
    )  # looks at the validation figure without a gain before stopping
    validate_every: int = setting(3, at_least=1, formerly="look_every")  # epochs between looks

    def check(self) -> None:
        """Refuse settings that cannot work."""
        if self.reg_y < 0 or not 0 <= self.reg_power <= 1 or not 0 < self.decay <= 1:
            raise SettingError(
                "reg_y is 0 or more, reg_power is 0 to 1, and decay is above 0 and at most 1; found "
                f"{self.reg_y}, {self.reg_power} and {self.decay}."
            )

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """Factors drawn at random, offsets of 0."""
        net = self.empty(n_users, n_items)
        nn.init.normal_(net.own, std=self.init)
        nn.init.normal_(net.item[:, : self.factors], std=self.init)
        return net

    def empty(self, n_users: int, n_items: int) -> SVDppFactors:
        """The network with nothing in it."""
        return SVDppFactors(n_users, n_items, self.factors)

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model."""
        return of_factors(shape, numbers=(2 * self.factors + 1) * (shape.n_users + shape.n_items))

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Descend, user by user."""
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
        """What learns, epoch by epoch."""
        rows = train.by_user
        visits = SVDppArrays(
            rows.start,
            rows.column,
            rows.value - np.float32(train.mean),
            n_items=train.n_items,
            factors=self.factors,
            steps=self.steps(train),
            time=self.time(train),
        )
        return SVDppSGD(self.net_, visits, decay=self.decay)

    def time(self, train: Ratings) -> TimeSlots | None:
        """When the ratings were given, if that matters."""
        return None

    def steps(self, train: Ratings) -> StepSizes:
        """How large a step is, and the λ that a rating brings with it."""
        n_user, n_item = np.maximum(train.count("user"), 1.0), np.maximum(train.count("item"), 1.0)
        return StepSizes(
            rate=self.learning_rate,
            reg_user=(self.reg_user * n_user ** (self.reg_power - 1)).astype(np.float32),
            reg_item=(self.reg_item * n_item ** (self.reg_power - 1)).astype(np.float32),
            reg_y=self.reg_y,
            reg_offset=self.reg_offset,
        )

    # --- predicting -----------------------------------------------------------------------------------------------

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        return predict_table(self.net_, user)

    @torch.no_grad()
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """See Model. What their items imply, and of what that leaves over the ridge regression for p_u and b_u."""
        net: Any = self.net_
        rows = rows.only_columns(self.known_items())
        block = Block.of(rows, net.item.device)
        implied, items = net.of(block), net.item[:, : self.factors].contiguous()
        rest = (
            block.value
            - net.mu
            - net.item[:, -1][block.column.long()]
            - observed(block, implied, items)
        )
        n = np.maximum(rows.counts, 1.0)
        reg = torch.as_tensor(
            self.reg_user * n**self.reg_power, dtype=torch.float32, device=items.device
        )
        lighter = float(
            np.sqrt(self.reg_user / self.reg_offset)
        )  # length of the offset's feature: its λ
        found = ridge(block, nn.functional.pad(items, (0, 1), value=lighter), reg=reg, value=rest)
        user = torch.cat([found[:, :-1] + implied, lighter * found[:, -1:]], dim=1)
        return net.predict_all(user).cpu().numpy()

    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """Factors without offsets, less their mean."""
        return centered_factors(self, side, self.factors)
