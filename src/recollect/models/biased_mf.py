"""BiasedMF: the mean, offsets of user and item, and the product of a few factors of each.

Source: Koren, Bell, Volinsky. "Matrix Factorization Techniques for Recommender Systems." Computer 42 (8), 2009.
Differs: users and items have a λ each, which grows slower than their ratings (`reg_power`); the steps get smaller (`decay`);
ratings are visited in blocks of users and items (see `kernels.descent`).
"""

from __future__ import annotations

from dataclasses import dataclass

from recollect.errors import SettingError
from recollect.families.matrix_factorization import PlainFactorModel
from recollect.settings import setting


@dataclass(kw_only=True, eq=False)
class BiasedMF(PlainFactorModel):
    """mu + b_u + b_i + q_i · p_u (equation 4), a λ on each rating's share of all of them (equation 5)."""

    factors: int = 128
    reg_user: float = 0.2
    reg_item: float = 0.15
    reg_power: float = 0.8
    offsets: bool = True
    init: float = 0.03
    solver: str = "sgd"
    learning_rate: float = 0.025
    decay: float = 0.93
    epochs: int = 60
    patience: int | None = 2
    validate_every: int = setting(5, at_least=1, formerly="look_every")

    def check(self) -> None:
        """Refuse settings that cannot work."""
        super().check()
        if not self.offsets:
            raise SettingError(
                "The offsets are what BiasedMF adds to PMF; leave offsets=True, or use pmf."
            )


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "factors": 3,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "init": 0.1,
    "decay": 1.0,
    "epochs": 60,
}
