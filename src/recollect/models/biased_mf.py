"""BiasedMF: the mean, an offset of the user and of the item, and a product of a few factors.

With the error e = r_ui − r̂_ui, each rating takes a step of

    b_u += γ (e − λ b_u)        p_u += γ (e q_i − λ p_u)
    b_i += γ (e − λ b_i)        q_i += γ (e p_u − λ q_i)

which `kernels.reference.sgd.step` states in NumPy and `kernels.sgd` computes.

Source: Koren, Bell, Volinsky. "Matrix Factorization Techniques for Recommender Systems." Computer
42 (8), 2009.
Differs: users and items have a λ each, which grows slower than their ratings (`reg_power`); the
learning rate decays (`decay`); ratings are visited in cells of users and items (`kernels.sgd`).
"""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from recollect.errors import SettingError
from recollect.families.matrix_factorization import PlainFactorModel


@dataclass(kw_only=True, eq=False)
class BiasedMF(PlainFactorModel):
    """mu + b_u + b_i + q_i · p_u (equation 4), with a λ per rating (equation 5)."""

    factors: int = 128
    reg_user: float = 0.2
    reg_item: float = 0.15
    reg_power: float = 0.8
    offsets: bool = True
    init: float = 0.03
    solver: str = "sgd"  # a step per rating; "als" solves for one side, then for the other
    learning_rate: float = 0.025
    decay: float = 0.93
    epochs: int = 60
    patience: int | None = 2
    validate_every: int = 5

    @override
    def check(self) -> None:
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
