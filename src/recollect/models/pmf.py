"""PMF: a few factors per user and per item, whose inner product is the rating.

It minimizes Σ (r − U_u · V_i)² + λ_U Σ ‖U_u‖² + λ_V Σ ‖V_i‖², the logarithm of the posterior
(equation 4) times −2 σ².

Source: Mnih, Salakhutdinov. "Probabilistic Matrix Factorization." NIPS 2007.
Differs: by default it is solved by alternating least squares, as in the comparisons of Kim et al.
2016; solver="sgd" takes gradient steps as the paper does, but one per rating and without momentum.
Predictions are not passed through a logistic function. The paper subtracts the mean (`center`). By
default users and items have `offsets`, and λ grows with a row's ratings (`reg_power`): without
these it is much worse. With `absent_weight` above 0 it learns from events: Hu, Koren, Volinsky,
ICDM 2008, with the weights of Wang and Blei, KDD 2011.
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
