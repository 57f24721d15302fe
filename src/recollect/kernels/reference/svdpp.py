"""SVD++: the prediction (Koren 2008, equation 15) and a step of its stochastic gradient descent
(section 4).

`net` holds the arrays p (users × k), q and y (items × k), b_user and b_item; N are the row numbers
of the items that u rated.
"""

from typing import Any

import numpy as np


def user_factors(net: Any, u: int, N: np.ndarray) -> np.ndarray:
    """p_u + |N|^-1/2 Σ y_j over N.

    Args:
        net: the arrays.
        u: row number of the user.
        N: items that the user rated.
    """
    # The root keeps users with many ratings from having longer vectors.
    scale = len(N) ** -0.5
    implicit = scale * net.y[N].sum(axis=0)
    factors: np.ndarray = net.p[u] + implicit

    return factors


def predict(net: Any, u: int, i: int, N: np.ndarray) -> float:
    """b_u + b_i + q_i · (p_u + |N|^-1/2 Σ y_j): the rating less the mean.

    Args:
        net: the arrays.
        u: row number of the user.
        i: row number of the item.
        N: items that the user rated.
    """
    offsets = net.b_user[u] + net.b_item[i]
    product = net.q[i] @ user_factors(net, u, N)
    return float(offsets + product)


def step(net: Any, u: int, i: int, rating: float, N: np.ndarray, steps: Any) -> float:
    """Change the parameters in place by one rating; returns the error before the step.

    Args:
        net: the arrays.
        u: row number of the user.
        i: row number of the item.
        rating: the rating, less the mean.
        N: items that the user rated.
        steps: a `kernels.svdpp.StepSizes`.
    """
    rate = steps.rate
    scale = len(N) ** -0.5
    error = rating - predict(net, u, i, N)
    # All gradients are those at the old parameters.
    factors = user_factors(net, u, N)
    q = net.q[i].copy()

    descent_b_user = error - steps.reg_offset * net.b_user[u]
    descent_b_item = error - steps.reg_offset * net.b_item[i]
    net.b_user[u] += rate * descent_b_user
    net.b_item[i] += rate * descent_b_item

    descent_q = error * factors - steps.reg_item[i] * q
    descent_p = error * q - steps.reg_user[u] * net.p[u]
    # Every y_j of N(u) has the same gradient, but each its own penalty.
    descent_y = error * scale * q - steps.reg_y * net.y[N]
    net.q[i] += rate * descent_q
    net.p[u] += rate * descent_p
    net.y[N] += rate * descent_y

    return error
