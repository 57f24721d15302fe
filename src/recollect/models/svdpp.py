"""SVD++: biased matrix factorization in which the items that a user rated add to their factors.

With the error e = r_ui − r̂_ui and N = N(u), each rating takes a step of

    b_u += γ (e − λ₆ b_u)                 p_u += γ (e q_i − λ₇ p_u)
    b_i += γ (e − λ₆ b_i)                 q_i += γ (e (p_u + |N|^-1/2 Σ y_j) − λ₇ q_i)
                                          y_j += γ (e |N|^-1/2 q_i − λ₇ y_j)   for every j in N

which `kernels.reference.svdpp.step` states in NumPy and `kernels.svdpp` computes.

Source: Koren. "Factorization Meets the Neighborhood: a Multifaceted Collaborative Filtering Model."
KDD 2008, section 4.
Differs: a user's ratings are visited together, the users in random order; the steps are the
paper's, but the y_j are written once, after the user's last rating. p, q and y have a λ each, and
those of p and q grow slower than the ratings (`reg_power`). N(u) are the items rated in train. The
paper's steps (gamma .007, lambda_6 .005, lambda_7 .015) are `SVDpp(learning_rate=0.007, decay=0.9,
reg_offset=0.005, reg_user=0.015, reg_item=0.015, reg_y=0.015, reg_power=1.0)`.
"""

from __future__ import annotations

from dataclasses import dataclass

from recollect.families.svdpp import SVDppModel


@dataclass(kw_only=True, eq=False)
class SVDpp(SVDppModel):
    """mu + b_u + b_i + q_i · (p_u + |N(u)|^-1/2 Σ y_j), equation 15."""


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
