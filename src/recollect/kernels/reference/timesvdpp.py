"""timeSVD++: the prediction (Koren 2009, equations 10 to 14) and a step of its stochastic gradient
descent.

`net` holds the arrays of `reference.svdpp` and those of `kernels.svdpp.TIME_PARAMETERS`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from recollect.kernels.reference import svdpp


@dataclass(frozen=True)
class Moment:
    """A user on a day."""

    slot: int  # row of b_user_day, c_user_day and p_day
    deviation: float  # dev_u(t)
    bin: int  # Bin(t)
    frequency: int  # f_ui: how many ratings the user gave on the day, on a logarithmic scale


def user_offset(net: Any, u: int, t: Moment) -> float:
    """b_u(t) = b_u + alpha_u dev_u(t) + b_u,t, of net, user u, moment t: equation 9."""
    drift = net.alpha_user[u] * t.deviation
    of_day = net.b_user_day[t.slot]
    return float(net.b_user[u] + drift + of_day)


def user_scale(net: Any, u: int, t: Moment) -> float:
    """c_u(t) = c_u + c_u,t, of net, user u, moment t."""
    of_day = net.c_user_day[t.slot]
    return float(net.c_user[u] + of_day)


def item_offset(net: Any, i: int, t: Moment) -> float:
    """b_i(t) = b_i + b_i,Bin(t), of net, item i, moment t."""
    of_bin = net.b_item_bin[i, t.bin]
    return float(net.b_item[i] + of_bin)


def user_factors(net: Any, u: int, N: np.ndarray, t: Moment) -> np.ndarray:
    """p_u(t) + |N|^-1/2 Σ y_j, where p_u(t) = p_u + alpha_uk dev_u(t) + p_u,t, equation 13.

    Args:
        net: the arrays; without factors of days `p_day` is empty.
        u: row number of the user.
        N: items that the user rated.
        t: when.
    """
    static = svdpp.user_factors(net, u, N)
    drift = t.deviation * net.alpha_p[u]
    factors: np.ndarray = static + drift
    # p_u,t has a vector for each user and day: the largest parameter, and optional.
    if len(net.p_day):
        factors = factors + net.p_day[t.slot]

    return factors


def predict(net: Any, u: int, i: int, N: np.ndarray, t: Moment) -> float:
    """b_u(t) + b_i(t) c_u(t) + b_i,f + q_i · (p_u(t) + |N|^-1/2 Σ y_j): the rating less the mean.

    Args:
        net: the arrays.
        u: row number of the user.
        i: row number of the item.
        N: items that the user rated.
        t: when.
    """
    # c_u(t) scales what the item adds: on some days a user rates on a wider scale.
    scaled_item_offset = item_offset(net, i, t) * user_scale(net, u, t)
    offsets = user_offset(net, u, t) + scaled_item_offset
    of_frequency = net.b_item_frequency[i, t.frequency]
    product = net.q[i] @ user_factors(net, u, N, t)

    return float(offsets + of_frequency + product)


def step(
    net: Any,
    u: int,
    i: int,
    rating: float,
    N: np.ndarray,
    t: Moment,
    steps: Any,
    time_steps: dict[str, tuple[float, float]],
) -> float:
    """Change the parameters in place by one rating; returns the error before the step.

    Args:
        net: the arrays.
        u: row number of the user.
        i: row number of the item.
        rating: the rating, less the mean.
        N: items that the user rated.
        t: when.
        steps: a `kernels.svdpp.StepSizes`.
        time_steps: learning rate and λ of each of TIME_PARAMETERS.
    """
    error = rating - predict(net, u, i, N, t)
    # All gradients are those at the old parameters.
    factors = user_factors(net, u, N, t)
    b = item_offset(net, i, t)
    c = user_scale(net, u, t)
    q = net.q[i].copy()

    def descend(name: str, where: Any, gradient: Any, towards: float = 0.0) -> None:
        rate, reg = time_steps[name]
        array = getattr(net, name)
        penalty = reg * (array[where] - towards)
        array[where] += rate * (gradient - penalty)

    descent_b_user = error - steps.reg_offset * net.b_user[u]
    # The item's offset is multiplied by c, so its gradient is, too.
    descent_b_item = error * c - steps.reg_offset * net.b_item[i]
    net.b_user[u] += steps.rate * descent_b_user
    net.b_item[i] += steps.rate * descent_b_item

    scale = len(N) ** -0.5
    descent_q = error * factors - steps.reg_item[i] * q
    descent_p = error * q - steps.reg_user[u] * net.p[u]
    descent_y = error * scale * q - steps.reg_y * net.y[N]
    net.q[i] += steps.rate * descent_q
    net.p[u] += steps.rate * descent_p
    net.y[N] += steps.rate * descent_y

    descend("alpha_user", u, error * t.deviation)
    descend("b_user_day", t.slot, error)
    descend("b_item_bin", (i, t.bin), error * c)
    # Towards 1, not 0: c_u multiplies.
    descend("c_user", u, error * b, towards=1.0)
    descend("c_user_day", t.slot, error * b)
    descend("b_item_frequency", (i, t.frequency), error)
    descend("alpha_p", u, error * t.deviation * q)
    if len(net.p_day):
        descend("p_day", t.slot, error * q)

    return error
