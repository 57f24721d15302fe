"""PMF: a few numbers per user and per item, whose product is the rating.

Source: Mnih, Salakhutdinov. "Probabilistic Matrix Factorization." NIPS 2007.
Differs: by default solved exactly, users and items in turn, as in the comparisons of Kim et al. 2016; solver="sgd" descends along
gradients as the paper does, but a rating at a time and without momentum. Factors are not drawn through a logistic function. λ is
that of Σ (r − U · V)² + λ_U ‖U‖² + λ_V ‖V‖². The paper takes the mean off (`center`); `offsets` of users and items, and a λ that
grows with a row's ratings (`reg_power`), are on by default: without them it is much worse. With `absent` above 0 it learns from
events: Hu, Koren, Volinsky, ICDM 2008, with the weights of Wang and Blei, KDD 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from recollect.data.ratings import Ratings
from recollect.errors import SettingError, unknown
from recollect.factormodel import FactorModel
from recollect.training.epochs import Learner
from recollect.training.sgd import Descend

SOLVERS = ("als", "sgd")


@dataclass(kw_only=True, eq=False)
class PMF(FactorModel):
    """U_u · V_i with a λ on each: the maximum of the posterior, equation 4."""

    reg_user: float = 0.5
    reg_item: float = 0.4
    reg_power: float = 0.7
    offsets: bool = True
    solver: str = "als"              # exact turns; or "sgd"
    learning_rate: float = 0.01      # SGD only
    decay: float = 1.0               # SGD only: what the learning rate is multiplied by after each epoch

    def check(self) -> None:
        """Refuse settings that cannot work."""
        super().check()
        if self.solver not in SOLVERS:
            raise unknown("solver", self.solver, SOLVERS)
        if self.solver == "sgd" and self.absent:
            raise SettingError("SGD visits ratings one by one, and with absent above 0 every pair counts; use solver=\"als\".")
        if self.learning_rate <= 0 or not 0 < self.decay <= 1:
            raise SettingError(f"learning_rate is above 0 and decay above 0 and at most 1, found {self.learning_rate} and "
                               f"{self.decay}.")

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """See FactorModel; gradients need users' factors to begin with."""
        net: Any = super().build(n_users, n_items)
        if self.solver == "sgd":
            nn.init.normal_(net.user, std=self.init)
            net.user[:, self.factors:] = net.item[:, self.factors:] = 0
        return net

    def learner(self, train: Ratings) -> Learner:
        """See FactorModel."""
        if self.solver == "als":
            return super().learner(train)
        return Descend(self.net_, train, reg_user=self.reg("user", train.count("user")), reg_item=self.item_reg(train),
                       learning_rate=self.learning_rate, decay=self.decay)
