"""ELSA: a linear autoencoder on events whose weights between items are products of their vectors.

    score(x) = x (A Aᵀ − I)                                 rows of A have length 1, so diag = 0
    minimizing  Σ over users ‖ x / ‖x‖ − score(x) / ‖score(x)‖ ‖²

x has 1 for each item that the user has an event with. With z = x A and n = ‖x‖², a user's term is

    2 − 2 (z · z − n) / √( n (zᵀ (Aᵀ A) z − 2 z · z + n) )

so that no row of all items is ever made: a step costs the events of its users and one k × k matrix.

Source: Vančura, Alves, Kasalický, Kordík. "Scalable Linear Shallow Autoencoder for Collaborative
    Filtering." RecSys 2022.
Differs: an event counts as 1 however often it was; Adam and a tenth of the rate, where the authors'
    program has Nadam; A starts from normal numbers, theirs from uniform ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from typing_extensions import override

from recollect.capabilities import Capabilities
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.families.item_weights import WAITING_WEIGHTS, ItemWeights, as_events
from recollect.kernels import Block, times_dense
from recollect.memory_estimate import Memory, Shape, of_rows
from recollect.online.change import Change
from recollect.online.networks import sharing, with_rows
from recollect.online.result import Updatable
from recollect.ranking import mean_ndcg
from recollect.run import Run
from recollect.settings import setting
from recollect.training import gradient
from recollect.training.early_stopping import ValidationMetric
from recollect.training.gradient_options import GradientOptions
from recollect.training.history import History
from recollect.unseen import BLOCK_CELLS

SHORTEST = 1e-6  # squared length of a user's scores, at least: of one event they may all be 0
BLOCK_ROWS = 8_192  # users whose vectors are computed at once


class ItemVectors(nn.Module):
    """The network: A, whose rows are divided by their length when they are used."""

    def __init__(self, n_items: int, factors: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_items, factors) / factors**0.5)

    def unit(self) -> Float[Tensor, "items k"]:
        """A, with rows of length 1."""
        return nn.functional.normalize(self.weight, dim=1)


def cosine_loss(net: ItemVectors, rows: Block) -> tuple[Tensor, int]:
    """Σ over users ‖ x / ‖x‖ − s / ‖s‖ ‖², s = x (A Aᵀ − I), and the number of users.

    Args:
        net: has A.
        rows: a row of ones for each user, none without events.
    """
    A = net.unit()
    z = times_dense(rows, A)
    n = rows.rows.start.diff().to(z.dtype)
    square = z.square().sum(dim=1)
    # ‖z Aᵀ‖² = zᵀ (Aᵀ A) z
    of_products = ((z @ (A.t() @ A)) * z).sum(dim=1)
    length = (of_products - 2 * square + n).clamp(min=SHORTEST).sqrt()
    cosine = (square - n) / (n.sqrt() * length)

    return (2 - 2 * cosine).sum(), len(n)


@dataclass(kw_only=True, eq=False)
class ELSA(ItemWeights):
    """A linear autoencoder for many items: weights between items are products of unit vectors."""

    refit: bool = True
    factors: int = setting(256, at_least=1)  # numbers per item; columns of A
    learning_rate: float = setting(0.01, above=0)
    batch_size: int = setting(256, at_least=1)  # users
    epochs: int = setting(50, at_least=0)  # at most
    # Validations without a gain before stopping; None: never stop early
    patience: int | None = setting(5, at_least=1)
    validate_every: int = setting(1, at_least=1)  # epochs
    valid_n: int = setting(100, at_least=1)  # length of the lists that validation ranks

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(
            output="scores",
            needs=frozenset({"events"}),
            smaller=({"factors": 64},),
        )

    def options(self) -> GradientOptions:
        """How it is trained: by Adam."""
        return GradientOptions.of(self, optimizer="adam")

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        # One matrix, where `of_rows` counts a first and a last layer: the other half is A divided
        # by its lengths, and its gradient.
        return of_rows(
            shape,
            run,
            side="user",
            hidden=(self.factors,),
            options=self.options(),
            block_rows=BLOCK_ROWS,
            block_ratings=BLOCK_CELLS,
            ranked=BLOCK_CELLS,
        )

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        return ItemVectors(n_items, self.factors)

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        assert isinstance(train, Ratings)

        return gradient.fit(
            self.net_,
            as_events(train.by_user),
            cosine_loss,
            run,
            self.options(),
            measure=self.validation(train, valid),
            figure="train_loss",
            fit_key=self.fit_key(train, valid),
        )

    @property
    @override
    def updatable(self) -> Updatable:
        return WAITING_WEIGHTS

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        return self.grown(change.after.n_items)

    @override
    def grown(self, n_items: int) -> nn.Module:
        net = sharing(self.net_)
        net.weight = nn.Parameter(with_rows(net.weight, n_items))
        return net

    def validation(self, train: Ratings, valid: Ratings | None) -> ValidationMetric | None:
        """NDCG of the validation events; None without any."""
        if valid is None or not len(valid):
            return None

        ndcg = partial(mean_ndcg, self, valid, train, n=self.valid_n)

        return ValidationMetric(f"valid_ndcg@{self.valid_n}", ndcg, better="higher")

    @override
    @torch.no_grad()
    def sums(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        A = self.net_.unit()
        z = times_dense(Block.of(rows, A.device), A)
        scores: np.ndarray = (z @ A.t()).cpu().numpy()
        # − x I
        scores[rows.row, rows.column] -= rows.value

        return scores

    @override
    @torch.no_grad()
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The rows of A; of a user the sum of those of their items."""
        A = self.net_.unit()
        if side == "item":
            of_items: np.ndarray = A.cpu().numpy()
            return of_items

        given = self.given_
        assert isinstance(given, Ratings)
        block = Block.of(as_events(given.by_user), A.device)
        of_users: np.ndarray = times_dense(block, A).cpu().numpy()

        return of_users


# Settings with which it learns planted events in a moment, for the tests that every model passes.
QUICK: dict[str, Any] = {
    "factors": 8,
    "learning_rate": 0.05,
    "batch_size": 32,
    "epochs": 20,
    "refit": False,
}
