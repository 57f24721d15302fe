"""A step of stochastic gradient descent on a factor model with offsets, as Koren, Bell and Volinsky
(2009) print it.
"""

from typing import Any

import numpy as np


def step(
    net: Any, u: int, i: int, rating: float, *, rate: float, reg_user: float, reg_item: float
) -> float:
    """Change the factors and offsets of user u and item i in place; returns the error before the
    step.

    Args:
        net: holds the arrays p (users × k), q (items × k), b_user and b_item.
        u: row number of the user.
        i: row number of the item.
        rating: the rating, less the mean.
        rate: the learning rate, γ.
        reg_user: λ of p_u and b_u.
        reg_item: λ of q_i and b_i.
    """
    error = rating - net.b_user[u] - net.b_item[i] - net.q[i] @ net.p[u]
    p = net.p[u].copy()
    net.b_user[u] += rate * (error - reg_user * net.b_user[u])
    net.b_item[i] += rate * (error - reg_item * net.b_item[i])
    net.p[u] += rate * (error * net.q[i] - reg_user * p)
    net.q[i] += rate * (error * p - reg_item * net.q[i])

    return float(error)


def descend(net: Any, order: np.ndarray, **step_size: float) -> float:
    """Take a step on every rating in this order; returns the sum of squared errors, each before its
    step.

    Args:
        net: as `step`; also the arrays user, item and value of the ratings.
        order: row numbers of ratings.
        step_size: rate, reg_user and reg_item.
    """
    squares = 0.0

    for j in order.tolist():
        user = int(net.user[j])
        item = int(net.item[j])
        squares += step(net, user, item, float(net.value[j]), **step_size) ** 2

    return squares
