"""Local models: factorizations of the same ratings, each with weights of its own.

`LocalFactors` is the network, `LocalSGD` a Learner of it (see `epochs`), `solve_rows` what gives someone new their factors.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from recollect.data.ratings import Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.kernels import Block, times_dense
from recollect.kernels.llorma import Board, Descent, Weights, turn
from recollect.nn import Factors
from recollect.training.sgd import CompiledSGD, factor_pairs

AT_ONCE = 1 << 16  # pairs
TINY = 1e-30  # less than any sum of weights


class LocalFactors(nn.Module):
    """Local models, each mu + U_t · V_t of its own, and one global_factors, which predicts where no local model reaches.

    With offsets the last column of U_t and V_t is that of an offset. Not trained by gradients: buffers.
    """

    def __init__(self, global_factors: Factors, models: int, k: int, *, offsets: bool) -> None:
        super().__init__()
        n_users, n_items = len(global_factors.user), len(global_factors.item)
        self.global_factors, self.offsets = global_factors, offsets
        self.scale = nn.Buffer(
            torch.ones(models)
        )  # brings the mean weight of a model's ratings to 1
        self.anchor = nn.Buffer(torch.zeros(models, 2, dtype=torch.int64))  # a user and an item
        self.weight_user, self.weight_item = (
            nn.Buffer(torch.zeros(models, n)) for n in (n_users, n_items)
        )
        self.user, self.item = (
            nn.Buffer(torch.zeros(models, n, k + offsets)) for n in (n_users, n_items)
        )

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """The rating of each pair."""
        parts = [
            self._mean(*self.sums(u, i), self.global_factors(u, i))
            for u, i in zip(user.split(AT_ONCE), item.split(AT_ONCE), strict=True)
        ]
        return torch.cat(parts)

    def weights(self, side: Side) -> Float[Tensor, "models rows"]:
        """How near users or items are to the anchors."""
        return self.weight_user if side == "user" else self.weight_item

    def sums(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """Of each pair: the sum of what the local models say, less mu, times their weights; and the sum of these."""
        said, total = (torch.zeros(len(user), device=self.user.device) for _ in range(2))
        for t in range(len(self.user)):
            weight = self.weight_user[t, user] * self.weight_item[t, item]
            near = weight.nonzero()[:, 0]
            left, right = self.user[t, user[near]], self.item[t, item[near]]
            product = left * right
            one = (
                product[:, :-1].sum(dim=1) + left[:, -1] + right[:, -1]
                if self.offsets
                else product.sum(dim=1)
            )
            said[near] += weight[near] * one
            total += weight
        return said, total

    def table(
        self,
        everywhere: Float[Tensor, "users k"],
        local: Float[Tensor, "models users r"],
        weight: Float[Tensor, "models users"],
    ) -> Float[Tensor, "users items"]:
        """The rating of every item by users with these factors."""
        said = torch.zeros(len(everywhere), self.item.shape[1], device=self.item.device)
        for one, w, item, other in zip(local, weight, self.item, self.weight_item, strict=True):
            left = torch.cat([self.features(one)[0], one[:, -1:]], dim=1) if self.offsets else one
            right = nn.functional.pad(item, (0, 1), value=1.0) if self.offsets else item
            said.addmm_(w[:, None] * left, (other[:, None] * right).t())
        return self._mean(
            said, weight.t() @ self.weight_item, self.global_factors.predict_all(everywhere)
        )

    def _mean(self, said: Tensor, total: Tensor, everywhere: Tensor) -> Tensor:
        return torch.where(
            total > 0, self.global_factors.mu + said / total.clamp(min=TINY), everywhere
        )

    def features(self, factors: Float[Tensor, "rows k"]) -> tuple[Tensor, Tensor]:
        """What the other side's factors are multiplied with, and what is added: the offsets."""
        if not self.offsets:
            return factors, factors.new_zeros(len(factors))
        return nn.functional.pad(factors[:, :-1], (0, 1), value=1.0), factors[:, -1]


class LocalSGD(CompiledSGD):
    """Descent. Each local model by itself minimizes Σ w (r − r̂_t)² and its penalty; `together`, they minimize the squared error
    of their weighted mean and the penalties of all."""

    def __init__(
        self,
        net: LocalFactors,
        train: Ratings,
        target: Float32[np.ndarray, " ratings"],
        weights: Weights,
        *,
        learning_rate: float,
        decay: float,
        together: bool,
    ) -> None:
        self.k = net.user.shape[2] - net.offsets
        self.descent = Descent(
            train.user, train.item, target, weights, factors=self.k, together=together
        )
        super().__init__(net, learning_rate=learning_rate, decay=decay)

    def descend(self, shrink: float, seed: int) -> tuple[float, float]:
        """See CompiledSGD."""
        return self.descent.epoch(
            rate=self.learning_rate * shrink, seed=seed, offsets=self.net.offsets
        )

    def pairs(self) -> list[tuple[np.ndarray, Tensor]]:
        """See CompiledSGD."""
        ours, net = self.descent, self.net
        return factor_pairs(ours.user, ours.b_user, net.user, self.k) + factor_pairs(
            ours.item, ours.b_item, net.item, self.k
        )


def counts(
    rows: Rows,
    weight_row: Float32[np.ndarray, "models rows"],
    weight_column: Float32[np.ndarray, "models columns"],
) -> Float32[np.ndarray, "models rows"]:
    """The sum of the weights of each row's cells, in every local model."""
    block = Block(rows.start, rows.column, None, n_columns=rows.n_columns)
    columns = torch.from_numpy(np.ascontiguousarray(weight_column.T))
    return weight_row * times_dense(block, columns, torch.ones(block.n_cells)).numpy().T


def solve_rows(
    net: LocalFactors,
    rows: Rows,
    target: Float32[np.ndarray, " cells"],
    *,
    weight: Float32[np.ndarray, "models rows"],
    reg: Float32[np.ndarray, "models rows"],
    turns: int | None,
) -> Float32[Tensor, "models rows k"]:
    """The local factors of rows that were not there in fitting, given the items': each model alone, or so many turns of all of
    them together. `reg` is the λ that a weight of 1 brings with it."""
    column = on_host(net.weight_item)
    offers = [tuple(on_host(x) for x in net.features(item)) for item in net.item]
    total, said = np.zeros((2, len(target)), np.float32)
    for one, other, (_, offset) in zip(weight, column, offers, strict=True):
        cell = one[rows.row] * other[rows.column]
        total += cell
        said += cell * offset[rows.column]  # all that is said before anything is known of the rows
    share = np.divide(1, total, out=np.zeros_like(total), where=total > 0)
    board = Board(
        rows.start, rows.column, np.ascontiguousarray(target, np.float32), share, said * share
    )
    out = np.zeros((len(weight), len(rows), net.user.shape[2]), np.float32)
    for _ in range(turns or 1):
        for t, (features, offset) in enumerate(offers):
            out[t] = turn(
                board,
                weight[t],
                column[t],
                features=features,
                offset=offset,
                factors=out[t],
                reg=reg[t],
                together=turns is not None,
            )
    return torch.from_numpy(out)


def on_host(x: Tensor) -> np.ndarray:
    """The numbers of a tensor, in a row."""
    found: np.ndarray = x.detach().cpu().contiguous().numpy()
    return found
