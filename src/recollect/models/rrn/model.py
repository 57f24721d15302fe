"""RRN: factors of users and items that two LSTMs carry through time, beside stationary factors.

    r̂_ui(t) = mu + b_u + b_i + u_u · m_i + ũ_u,t · m̃_i,t
    ũ_u,t   = W h_u,t + c,   h_u,t = LSTM(h_u,t−1, y_u,t)
    y_u,t   = W_a [x_u,t−1, first step, τ_t, τ_t−1]

and m̃ of items in the same way; `RecurrentFactors` computes ũ and m̃.

Source: Wu, Ahmed, Beutel, Smola, Jing. "Recurrent Recommender Networks." WSDM 2017.
Differs: on the way to a step an LSTM reads the ratings of the row's step before, and the clock of
    this one: a prediction never sees its own step. x are ratings less the mean, τ shares of the
    time that train spans. Stationary factors, and the offsets with them, are not learned by
    gradients: they are solved for exactly, in epochs of their own at the start and then in each
    turn of a side. With `leave_one_out` the LSTMs learn the residuals that the stationary factors
    would have without the rating itself; the leverages for that are computed once, before the LSTMs
    learn, though the factors change with each turn. Weights are regularized. Lists, and predictions
    without times, are for a user's last step in train; a new user comes at the end of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.families.matrix_factorization import predict_table, valid_rmse
from recollect.families.pair_model import PairModel
from recollect.families.ridge_fold_in import fold_in_factors
from recollect.families.vectors import centered
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import Capabilities
from recollect.models.rrn.dynamic_factors import KEPT_SLOTS, SLOTS_AT_ONCE, DynamicFactors
from recollect.models.rrn.network import SIDES, Network, RecurrentFactors
from recollect.models.rrn.subspace_descent import SubspaceDescent, SubspaceOptions
from recollect.models.rrn.time_steps import TimeSteps
from recollect.nn import Factors
from recollect.run import Run
from recollect.settings import setting
from recollect.system.once import Once
from recollect.training import fit_loop
from recollect.training.history import History
from recollect.training.regularization import reg_by_count

BATCH_SLOTS = 1 << 15  # slots of a batch at most, or one row
BYTES_PER_RATING = 112  # of the time steps of both sides


@dataclass(kw_only=True, eq=False)
class RRN(PairModel):
    """mu + b_u + b_i + u · m + ũ_t · m̃_t, where ũ_t and m̃_t are affine in the states of LSTMs."""

    why_not_updatable: ClassVar[str] = (
        "has states that recurrent networks compute from all ratings before,"
    )

    former_network_names: ClassVar = {"still": "stationary", "moving": "dynamic"}

    hidden: int = setting(40, at_least=1)  # units of each LSTM
    embedding: int = setting(40, at_least=1)  # numbers of y, which the LSTM reads
    dynamic: int = setting(20, at_least=1)  # numbers per user and per item that change with time
    factors: int = setting(20, at_least=1)  # numbers per user and per item that do not
    step_days: int = setting(7, at_least=1)  # days in a step of time
    # lambda of u and b_u, times the user's number of ratings to the power reg_power
    reg_user: float = setting(0.3, above=0)
    reg_item: float = setting(0.03, above=0)  # the same for m and b_i
    reg_power: float = setting(1.0, at_least=0, at_most=1)  # 0: the same for all; 1: per rating
    reg: float = setting(0.003, at_least=0)  # lambda of the LSTMs' weights and W_a, per rating
    # LSTMs learn residuals of stationary factors that have not seen the rating; False: that have
    leave_one_out: bool = setting(True, formerly="left_out")
    init: float = setting(0.1, above=0)  # standard deviation of the items' factors at the start
    pretrain_epochs: int = setting(10, at_least=0)  # of stationary factors alone, before all else
    learning_rate: float = setting(0.0015, above=0)  # of Adam, in the first epoch
    # The learning rate is multiplied by this after each epoch
    decay: float = setting(0.95, above=0, at_most=1)
    batch_size: int = setting(64, at_least=1)  # users or items of a step of Adam
    epochs: int = setting(30, at_least=1)  # at most; an epoch is a turn of users, then of items
    # Validations without a gain before stopping; None: never stop early
    patience: int | None = setting(4, at_least=1)
    validate_every: int = setting(1, at_least=1, formerly="look_every")  # epochs

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(needs=frozenset({"time"}))

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        net = Network(
            n_users,
            n_items,
            self.factors,
            embedding=self.embedding,
            hidden=self.hidden,
            dynamic=self.dynamic,
        )
        # The users' stationary factors may stay 0: they are solved from the items'.
        nn.init.normal_(net.stationary.item, std=self.init)

        return net

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        rows = shape.n_users + shape.n_items
        # With steps of days MovieLens has a slot for every other rating, both sides together.
        n_slots = shape.n_train // 2
        numbers_per_row = self.factors + self.embedding + 1
        need = of_factors(shape, numbers=numbers_per_row * rows)
        n_kept = min(n_slots, 2 * KEPT_SLOTS)
        kept = n_kept * 2 * self.hidden  # h and c, for predictions
        # Inputs, gates and states of the slots that are read together.
        n_read = min(n_slots, SLOTS_AT_ONCE)
        temporary = n_read * (self.embedding + 6 * self.hidden)

        return Memory(
            {
                **need.host,
                "temporaries": 4 * temporary,
                "steps": BYTES_PER_RATING * shape.n_train,
                "states": 4 * (self.dynamic * n_slots + kept),
            }
        )

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        assert isinstance(train, Ratings)
        self.net_.stationary.mu.fill_(train.mean)
        options = SubspaceOptions(
            learning_rate=self.learning_rate,
            decay=self.decay,
            batch_size=self.batch_size,
            batch_slots=BATCH_SLOTS,
            reg=self.reg,
            leave_one_out=self.leave_one_out,
        )

        learner = SubspaceDescent(
            self.net_,
            train,
            self.steps,
            options,
            reg_user=self.stationary_reg("user", train.count("user")),
            reg_item=self.stationary_reg("item", train.count("item")),
        )
        learner.pretrain(self.pretrain_epochs)

        return fit_loop.run_epochs(
            learner,
            run,
            epochs=self.epochs,
            patience=self.patience,
            validate_every=self.validate_every,
            measure=valid_rmse(self, train, valid),
            fit_key=self.fit_key(train, valid),
        )

    def stationary_reg(
        self, side: Side, count: Int[np.ndarray, " rows"]
    ) -> Float32[Tensor, " rows"]:
        """λ of the stationary factors of users or items with these numbers of ratings."""
        reg = self.reg_user if side == "user" else self.reg_item
        by_row = reg_by_count(reg, count, self.reg_power)

        return torch.from_numpy(by_row)

    @override
    def _forget(self) -> None:
        self._steps: Once[dict[Side, TimeSteps]] = Once()

    @property
    def steps(self) -> dict[Side, TimeSteps]:
        """The training ratings by step of time, for each side."""
        return self._steps.get(self._time_steps)

    def _time_steps(self) -> dict[Side, TimeSteps]:
        assert isinstance(self.given_, Ratings)
        mean = float(self.net_.stationary.mu)
        steps = {}
        for side in SIDES:
            steps[side] = TimeSteps.of(self.given_, side, days=self.step_days, mean=mean)

        return steps

    def dynamic_factors(self, side: Side) -> DynamicFactors:
        """ũ of users or m̃ of items at any time, from the training ratings."""
        net: Network = self.net_
        return net.dynamic_factors(side, self.steps[side])

    def _dynamic_factors_of_pairs(
        self, side: Side, row: Int[np.ndarray, " pairs"], step: Int[np.ndarray, " pairs"]
    ) -> tuple[Float32[Tensor, "n k"], Int64[Tensor, " pairs"]]:
        """ũ or m̃ of each different row and step, and which of them is each pair's."""
        first = int(step.min(initial=0))
        last = int(step.max(initial=0))
        n_steps = last - first + 1
        # Row and step as one number; steps before the first rating are negative.
        key = np.asarray(row, np.int64) * n_steps + (step - first)
        unique, index = np.unique(key, return_inverse=True)
        unique_row = unique // n_steps
        unique_step = unique % n_steps + first
        factors = self.dynamic_factors(side).at(unique_row, unique_step)
        of_pair = torch.as_tensor(index, device=factors.device)

        return factors, of_pair

    @override
    @torch.no_grad()
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        steps = self.steps["user"]
        step = steps.last_step(user) if times is None else steps.step_at(times)

        # Many pairs have the same user or item in the same step: those are computed once.
        user_factors, of_user = self._dynamic_factors_of_pairs("user", user, step)
        item_factors, of_item = self._dynamic_factors_of_pairs("item", item, step)
        product = user_factors[of_user] * item_factors[of_item]
        dynamic = product.sum(dim=1)

        users = torch.as_tensor(user, device=user_factors.device)
        items = torch.as_tensor(item, device=user_factors.device)
        stationary = self.net_.stationary(users, items)
        predicted: np.ndarray = (stationary + dynamic).cpu().numpy()

        return predicted

    @override
    @torch.no_grad()
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        last_step = self.steps["user"].last_step(user)
        user_factors = self.dynamic_factors("user").at(user, last_step)
        scores = predict_table(self.net_.stationary, user)

        # Users with the same last step share the items' factors at that step.
        for step in np.unique(last_step):
            at_step = np.flatnonzero(last_step == step)
            item_factors = self._item_factors_at(int(step))
            dynamic = user_factors[at_step] @ item_factors.t()
            scores[at_step] += dynamic.cpu().numpy()

        return scores

    def _item_factors_at(self, step: int) -> Float32[Tensor, "n_items k"]:
        """m̃ of every item at a step."""
        n_items = self.given_.n_items
        items = np.arange(n_items)
        steps = np.full(n_items, step)

        return self.dynamic_factors("item").at(items, steps)

    @override
    @torch.no_grad()
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        # A new user comes at the end of the time with an LSTM that has read nothing. Their u and
        # b_u are the ridge regression on the residuals.
        rows = rows.only_columns(self.known_items())
        net: Factors = self.net_.stationary
        dynamic = self._new_user_dynamic_part()
        offset = net.offset("item")
        assert offset is not None
        reg = self.stationary_reg("user", rows.counts)
        user = fold_in_factors(net, rows, reg=reg, baseline=offset + dynamic)
        scores = net.predict_all(user) + dynamic

        return scores.cpu().numpy()

    def _new_user_dynamic_part(self) -> Float32[Tensor, " n_items"]:
        """ũ · m̃ of every item and a user without ratings, in the last step of time."""
        lstm: RecurrentFactors = self.net_.dynamic["user"]
        steps = self.steps["user"]
        last_step = steps.n_steps - 1
        device = lstm.ratings.device
        no_slot = np.array([-1])
        step = np.array([last_step])
        inputs = steps.inputs(no_slot, step, device)
        gates = lstm.gates(inputs)
        zeros = torch.zeros(1, lstm.hidden, device=device)
        h, _ = lstm.step(gates, zeros, zeros)
        user_factors = lstm.out(h)[0]
        item_factors = self._item_factors_at(last_step)

        return item_factors @ user_factors

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The stationary factors without offsets, less their mean."""
        net: Factors = self.net_.stationary
        factors = net.user if side == "user" else net.item
        without_offsets = factors[:, :-1].cpu().numpy()

        return centered(self, side, without_offsets)


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "factors": 3,
    "hidden": 6,
    "embedding": 6,
    "dynamic": 3,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "epochs": 6,
}
