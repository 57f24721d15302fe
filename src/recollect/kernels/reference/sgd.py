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
    product = net.q[i] @ net.p[u]
    error = rating - net.b_user[u] - net.b_item[i] - product
    descent_b_user = error - reg_user * net.b_user[u]
    descent_b_item = error - reg_item * net.b_item[i]
    # Both gradients are those at the old factors.
    descent_p = error * net.q[i] - reg_user * net.p[u]
    descent_q = error * net.p[u] - reg_item * net.q[i]

    net.b_user[u] += rate * descent_b_user
    net.b_item[i] += rate * descent_b_item
    net.p[u] += rate * descent_p
    net.q[i] += rate * descent_q

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
        rating = float(net.value[j])
        error = step(net, user, item, rating, **step_size)
        squares += error**2

    return squares
