"""RRN: factors of users and items that two LSTMs carry through time, beside factors that stand still.

Source: Wu, Ahmed, Beutel, Smola, Jing. "Recurrent Recommender Networks." WSDM 2017.
Differs: what an LSTM reads at a step are the ratings of the row's step before, and the clock of this one: a prediction never sees
its own step. x are ratings less the mean, τ shares of the time of train. Factors that stand still, and the offsets beside them,
are not steps of gradients: they are solved for exactly, in turns of their own at the start and then in every turn of a side, and
with `left_out` the LSTMs learn what they would leave over without the rating itself. Weights bear a λ. Lists, and predictions
without times, are of a user's last step in train; someone new comes at the end of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.families.matrix_factorization import valid_rmse
from recollect.kernels import Block
from recollect.kernels.ridge import ridge
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import Capabilities, PairModel
from recollect.models.rrn.recurrent import KEPT, SLOTS, Reader, Recurrent, TimeSteps
from recollect.models.rrn.subspace_descent import SIDES, SubspaceDescent, SubspaceOptions
from recollect.nn import Factors
from recollect.run import Run
from recollect.settings import setting
from recollect.training import fit_loop
from recollect.training.history import History

BATCH_SLOTS = 1 << 15  # slots of a batch at most, or one row
STEPS = 112  # bytes per rating: what slots there are, and whose, of either side


class Network(nn.Module):
    """Still factors with offsets, and what moves of each side."""

    def __init__(
        self, n_users: int, n_items: int, k: int, *, embedding: int, hidden: int, moving: int
    ) -> None:
        super().__init__()
        self.still = Factors(n_users, n_items, k, offsets=True)
        self.moving = nn.ModuleDict(
            {
                side: Recurrent(n, embedding=embedding, hidden=hidden, factors=moving)
                for side, n in zip(SIDES, (n_items, n_users), strict=True)
            }
        )
        self.kept: dict[str, Any] = {}  # states since it last learned

    def train(self, mode: bool = True) -> Network:
        """See Module; states are of weights that are about to change, or have."""
        self.kept.clear()
        return super().train(mode)


@dataclass(kw_only=True, eq=False)
class RRN(PairModel):
    """mu + b_u + b_i + u · m + ũ_t · m̃_t, ũ_t and m̃_t affine in the states of LSTMs."""

    hidden: int = setting(40, at_least=1)  # units of each LSTM
    embedding: int = setting(
        40, at_least=1
    )  # numbers that a step's ratings become before the LSTM reads them
    dynamic: int = setting(20, at_least=1)  # numbers per user and per item that change with time
    factors: int = setting(20, at_least=1)  # numbers per user and per item that do not
    step_days: int = setting(7, at_least=1)  # days in a step of time
    reg_user: float = setting(
        0.3, above=0
    )  # lambda of u and b_u, times the user's number of ratings to the power reg_power
    reg_item: float = setting(0.03, above=0)  # the same of m and b_i
    reg_power: float = 1.0  # 0: the same for all; 1: with each rating
    reg: float = 0.003  # lambda of the LSTMs' weights and W_a, with each rating
    left_out: bool = True  # the LSTMs learn what factors leave over that have not seen the rating; False: that have
    init: float = setting(0.1, above=0)  # standard deviation of the items' factors at the start
    pretrain_epochs: int = 10  # turns of users and items without LSTMs, before all else
    learning_rate: float = setting(0.0015, above=0)  # of Adam, in the first epoch
    decay: float = 0.95  # what it is multiplied by after each epoch
    batch_size: int = setting(64, at_least=1)  # users or items of a step of Adam
    epochs: int = setting(30, at_least=1)  # turns at most: users, then items
    patience: int | None = setting(
        4, at_least=1
    )  # looks at the validation figure without a gain before stopping
    validate_every: int = setting(1, at_least=1, formerly="look_every")  # epochs between looks

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(needs=frozenset({"time"}))

    def check(self) -> None:
        """Refuse settings that cannot work."""
        if (
            min(self.reg, self.pretrain_epochs) < 0
            or not 0 <= self.reg_power <= 1
            or not 0 < self.decay <= 1
        ):
            raise SettingError(
                "reg and pretrain_epochs are 0 or more, reg_power is 0 to 1, and decay is above 0 and at most 1; "
                f"found {self.reg}, {self.pretrain_epochs}, {self.reg_power} and {self.decay}."
            )

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """Item factors and weights drawn at random."""
        net = Network(
            n_users,
            n_items,
            self.factors,
            embedding=self.embedding,
            hidden=self.hidden,
            moving=self.dynamic,
        )
        nn.init.normal_(net.still.item, std=self.init)
        return net

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model. With steps of days MovieLens has a slot for every other rating, of users and items together."""
        rows, slots = shape.n_users + shape.n_items, shape.n_train // 2
        need = of_factors(shape, numbers=(self.factors + self.embedding + 1) * rows)
        kept = min(slots, 2 * KEPT) * 2 * self.hidden  # h and c, for predictions
        passing = min(slots, SLOTS) * (self.embedding + 6 * self.hidden)  # gates and states
        return Memory(
            {
                **need.host,
                "temporaries": 4 * passing,
                "steps": STEPS * shape.n_train,
                "states": 4 * (self.dynamic * slots + kept),
            }
        )

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Factors in turn without time; then users and items in turn."""
        assert isinstance(train, Ratings)
        self.net_.still.mu.fill_(train.mean)
        plan = SubspaceOptions(
            learning_rate=self.learning_rate,
            decay=self.decay,
            batch_size=self.batch_size,
            batch_slots=BATCH_SLOTS,
            reg=self.reg,
            left_out=self.left_out,
        )
        learner = SubspaceDescent(
            self.net_,
            train,
            self.steps,
            plan,
            reg_user=self.lambdas("user", train.count("user")),
            reg_item=self.lambdas("item", train.count("item")),
        )
        learner.begin(self.pretrain_epochs)
        return fit_loop.run_epochs(
            learner,
            run,
            epochs=self.epochs,
            patience=self.patience,
            validate_every=self.validate_every,
            measure=valid_rmse(self, train, valid),
            fit_key=self.fit_key(train, valid),
        )

    def lambdas(self, side: Side, count: Int[np.ndarray, " rows"]) -> Float32[Tensor, " rows"]:
        """The λ of rows with so many ratings."""
        reg = self.reg_user if side == "user" else self.reg_item
        return torch.as_tensor(reg * np.maximum(count, 1.0) ** self.reg_power, dtype=torch.float32)

    @property
    def steps(self) -> dict[Side, TimeSteps]:
        """The steps of the ratings it was fitted on."""
        if not hasattr(self, "steps_"):
            assert isinstance(self.given_, Ratings)
            mean = float(self.net_.still.mu)
            self.steps_ = {
                side: TimeSteps.of(self.given_, side, days=self.step_days, mean=mean)
                for side in SIDES
            }
        return self.steps_

    def _forget(self) -> None:
        self.__dict__.pop("steps_", None)

    # --- predicting -----------------------------------------------------------------------------------------------

    def reader(self, side: Side) -> Reader:
        """What reads a side's ratings; it keeps the states until the network learns on."""
        kept: dict[str, Any] = self.net_.kept
        if side not in kept:
            kept[side] = Reader(self.net_.moving[side], self.steps[side])
        reader: Reader = kept[side]
        return reader

    def states(
        self, side: Side, row: Int[np.ndarray, " pairs"], step: Int[np.ndarray, " pairs"]
    ) -> tuple[Float32[Tensor, "some k"], Int64[Tensor, " pairs"]]:
        """ũ or m̃ of each row at each step, each once; and which one is whose."""
        low, reach = (int(step.min()), int(step.max() - step.min()) + 1) if len(step) else (0, 1)
        key, which = np.unique(
            np.asarray(row, np.int64) * reach + (step - low), return_inverse=True
        )
        found = self.reader(side).at(key // reach, key % reach + low)
        return found, torch.as_tensor(which, device=found.device)

    def latest(self, user: Int[np.ndarray, " users"]) -> Int64[np.ndarray, " users"]:
        """The last step of each user; of someone without ratings, of all."""
        steps = self.steps["user"]
        end = steps.start[np.asarray(user) + 1]
        return np.where(end > steps.start[user], steps.step[end - 1], steps.n_steps - 1)

    @override
    @torch.no_grad()
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        step = self.latest(user) if times is None else self.steps["user"].step_at(times)
        user_factors, of_user = self.states("user", user, step)
        item_factors, of_item = self.states("item", item, step)
        stationary = self.net_.still(
            *(torch.as_tensor(x, device=user_factors.device) for x in (user, item))
        )
        dynamic = (user_factors[of_user] * item_factors[of_item]).sum(dim=1)
        predicted: np.ndarray = (stationary + dynamic).cpu().numpy()
        return predicted

    @override
    @torch.no_grad()
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        step = self.latest(user)
        user_factors, still = self.reader("user").at(user, step), self.net_.still
        scores: np.ndarray = (
            still.predict_all(still.user[torch.as_tensor(user, device=still.user.device)])
            .cpu()
            .numpy()
        )
        for one_step in np.unique(step):
            at_step = np.flatnonzero(step == one_step)
            scores[at_step] += (
                (user_factors[at_step] @ self.items_at(int(one_step)).t()).cpu().numpy()
            )
        return scores

    def items_at(self, step: int) -> Float32[Tensor, "n_items k"]:
        """m̃ of every item at a step."""
        n_items = self.given_.n_items
        return self.reader("item").at(np.arange(n_items), np.full(n_items, step))

    @torch.no_grad()
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """See Model. They come at the end of the time, their LSTM having read nothing; u and b_u are the ridge regression on what
        that leaves over."""
        net, rows = self.net_, rows.only_columns(self.known_items())
        still, steps = net.still, self.steps["user"]
        block = Block.of(rows, still.item.device)
        fresh = net.moving["user"]
        nothing = torch.zeros(1, fresh.hidden, device=still.item.device)
        gates = fresh.gates(
            steps.input(np.array([-1]), np.array([steps.n_steps - 1]), still.item.device)
        )
        moving = (
            self.items_at(steps.n_steps - 1) @ fresh.out(fresh.move(gates, nothing, nothing)[0])[0]
        )
        value = block.value - still.mu - (still.offset("item") + moving)[block.column.long()]
        user = ridge(
            block,
            still.features("item"),
            reg=self.lambdas("user", rows.counts).to(still.item.device),
            value=value,
        )
        return (still.predict_all(user) + moving).cpu().numpy()

    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """Factors that do not change, less their mean."""
        still = self.net_.still
        factors: np.ndarray = (still.user if side == "user" else still.item)[:, :-1].cpu().numpy()
        known = self.known_items() if side == "item" else self.given_.count("user") > 0
        return factors - factors[known].mean(axis=0)


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
