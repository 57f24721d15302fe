"""PMF: a few numbers per user and per item, whose product is the rating.

Source: Mnih, Salakhutdinov. "Probabilistic Matrix Factorization." NIPS 2007.
Differs: solved exactly, users and items in turn, as in the comparisons of Kim et al. 2016 (the paper descends along gradients, in
batches); factors that are not drawn through a logistic function; λ is that of Σ (r − U · V)² + λ_U ‖U‖² + λ_V ‖V‖². The paper
takes the mean off (`center`); `offsets` and `reg_power` are what makes it as good as it can be. With `absent` above 0 it learns
from events: Hu, Koren, Volinsky, ICDM 2008, with the weights of Wang and Blei, KDD 2011.
"""

from __future__ import annotations

from dataclasses import dataclass

from recollect.factormodel import FactorModel


@dataclass(kw_only=True, eq=False)
class PMF(FactorModel):
    """U_u · V_i with a λ on each; the maximum of the posterior, section 2."""
