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
    return net.p[u] + len(N) ** -0.5 * net.y[N].sum(axis=0)


def predict(net: Any, u: int, i: int, N: np.ndarray) -> float:
    """b_u + b_i + q_i · (p_u + |N|^-1/2 Σ y_j): the rating less the mean.

    Args:
        net: the arrays.
        u: row number of the user.
        i: row number of the item.
        N: items that the user rated.
    """
    return float(net.b_user[u] + net.b_item[i] + net.q[i] @ user_factors(net, u, N))


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
    error = rating - predict(net, u, i, N)
    factors = user_factors(net, u, N)
    q = net.q[i].copy()
    net.b_user[u] += rate * (error - steps.reg_offset * net.b_user[u])
    net.b_item[i] += rate * (error - steps.reg_offset * net.b_item[i])
    # All gradients are those at the old parameters.
    net.q[i] += rate * (error * factors - steps.reg_item[i] * q)
    net.p[u] += rate * (error * q - steps.reg_user[u] * net.p[u])
    net.y[N] += rate * (error * len(N) ** -0.5 * q - steps.reg_y * net.y[N])

    return error
