"""PMF: a few numbers per user and per item, whose product is the rating.

Source: Mnih, Salakhutdinov. "Probabilistic Matrix Factorization." NIPS 2007.
Differs: by default solved exactly, users and items in turn, as in the comparisons of Kim et al.
    2016; solver="sgd" descends along
gradients as the paper does, but a rating at a time and without momentum. Factors are not drawn
through a logistic function. λ is that of Σ (r − U · V)² + λ_U ‖U‖² + λ_V ‖V‖². The paper takes the
mean off (`center`); `offsets` of users and items, and a λ that grows with a row's ratings
(`reg_power`), are on by default: without them it is much worse. With `absent_weight` above 0 it
learns from
events: Hu, Koren, Volinsky, ICDM 2008, with the weights of Wang and Blei, KDD 2011.
"""

from __future__ import annotations

from dataclasses import dataclass

from recollect.families.matrix_factorization import PlainFactorModel


@dataclass(kw_only=True, eq=False)
class PMF(PlainFactorModel):
    """U_u · V_i with a λ on each: the maximum of the posterior, equation 4."""

    reg_user: float = 0.5
    reg_item: float = 0.4
    reg_power: float = 0.7
    offsets: bool = True


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {"factors": 3, "reg_user": 0.3, "reg_item": 0.3, "reg_power": 0.0, "epochs": 15}
