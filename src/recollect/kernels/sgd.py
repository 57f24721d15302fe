"""Stochastic gradient descent on factors, a rating at a time.

Users and items are divided into groups; the ratings of a user group and an item group are a cell. Cells that share neither can be
descended at once, and give the same numbers whatever the number of threads; and the factors of a cell stay in the core's
cache. Source: Gemulla et al., "Large-Scale Matrix Factorization with Distributed Stochastic Gradient Descent", KDD 2011.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32

from recollect.kernels.compiled import sgd
from recollect.kernels.compiled.threads import one_at_a_time

GROUPS = 8  # of users and of items: fixed, so that the numbers do not depend on the threads


class Cells:
    """Ratings in groups × groups cells, and the factors that are learned from them.

    `user` and `item` are factors with zero columns added to a multiple of 16; `b_user` and `b_item` offsets.
    """

    def __init__(
        self,
        user: Int32[np.ndarray, " ratings"],
        item: Int32[np.ndarray, " ratings"],
        value: Float32[np.ndarray, " ratings"],
        *,
        n_users: int,
        n_items: int,
        factors: int,
    ) -> None:
        cell = _groups(user, n_users)[user].astype(np.int64) * GROUPS + _groups(item, n_items)[item]
        order = np.argsort(
            (cell * n_users + user) * n_items + item
        )  # whatever order the ratings came in
        self.cells = np.searchsorted(cell[order], np.arange(GROUPS * GROUPS + 1))
        self._user, self._item, self._value = (
            user[order],
            item[order],
            value[order].astype(np.float32),
        )
        width = -(-factors // 16) * 16
        self.user, self.item = (
            np.zeros((n_users, width), np.float32),
            np.zeros((n_items, width), np.float32),
        )
        self.b_user, self.b_item = np.zeros(n_users, np.float32), np.zeros(n_items, np.float32)

    def descend(
        self,
        *,
        reg_user: Float32[np.ndarray, " users"],
        reg_item: Float32[np.ndarray, " items"],
        rate: float,
        seed: int,
        offsets: bool,
    ) -> float:
        """A step on every rating, in an order drawn from the seed: p += rate · (error · q − reg_u · p), and so for q and, with
        offsets, for them. The sum of squared errors, each before its step."""
        with one_at_a_time():
            return float(
                sgd.descend(
                    self.cells,
                    self._user,
                    self._item,
                    self._value,
                    self.user,
                    self.item,
                    self.b_user,
                    self.b_item,
                    reg_user,
                    reg_item,
                    np.float32(rate),
                    np.float32(rate if offsets else 0.0),
                    np.uint64(seed),
                    GROUPS,
                )
            )


def _groups(row: np.ndarray, n: int) -> np.ndarray:
    """The group of each row, all groups having about as many ratings: the busiest first, each to the group with the fewest."""
    count, group, load = np.bincount(row, minlength=n), np.zeros(n, np.int64), np.zeros(GROUPS)
    for j in np.argsort(-count, kind="stable")[:2048]:  # what matters for the balance
        group[j] = load.argmin()
        load[group[j]] += count[j]
    rest = np.argsort(-count, kind="stable")[2048:]
    group[rest] = np.arange(len(rest)) % GROUPS
    return group
