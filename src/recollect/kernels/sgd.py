"""Stochastic gradient descent on a factor model, with a step per rating.

Users and items are divided into groups; the ratings of a user group and an item group are a cell.
Cells that share neither group can be visited at once, with the same result whatever the number of
threads, and the factors of a cell stay in the core's cache. `reference.sgd` states a step in NumPy.

Source: Gemulla et al., "Large-Scale Matrix Factorization with Distributed Stochastic Gradient
    Descent", KDD 2011.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32, Int64

from recollect.kernels.compiled import sgd
from recollect.kernels.compiled.threads import one_at_a_time

GROUPS = 8  # of users and of items: fixed, so that the result does not depend on the threads
BALANCED = 2048  # rows with most ratings, which are dealt out one by one


def padded_width(factors: int) -> int:
    """The number of columns that the loops need for so many factors: a multiple of 16."""
    # −(−a // b) is a / b rounded up.
    n_vectors = -(-factors // 16)
    return n_vectors * 16


class FactorArrays:
    """Ratings sorted into cells, and the parameters that are learned from them.

    `p` and `q` are the factors of users and items, with zero columns added (`padded_width`);
    `b_user` and `b_item` are offsets.
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
        """Sort the ratings; all parameters are 0.

        Args:
            user: row number of the user of each rating.
            item: row number of the item.
            value: the rating, less the mean if there is one.
            n_users: number of users.
            n_items: number of items.
            factors: number of factors, k.
        """
        cell = cell_of(user, item, n_users=n_users, n_items=n_items)
        # Within a cell by user, then item: the order in which the ratings come must not matter.
        # One number, in 64 bits as `cell` is, sorts by all three.
        key = (cell * n_users + user) * n_items + item
        order = np.argsort(key)
        self.cells = np.searchsorted(cell[order], np.arange(GROUPS * GROUPS + 1))
        self.user = user[order]
        self.item = item[order]
        self.value = value[order].astype(np.float32)

        width = padded_width(factors)
        self.p = np.zeros((n_users, width), np.float32)
        self.q = np.zeros((n_items, width), np.float32)
        self.b_user = np.zeros(n_users, np.float32)
        self.b_item = np.zeros(n_items, np.float32)

    def descend(
        self,
        *,
        reg_user: Float32[np.ndarray, " users"],
        reg_item: Float32[np.ndarray, " items"],
        rate: float,
        seed: int,
        offsets: bool,
    ) -> float:
        """Take a step on every rating; returns the sum of squared errors, each before its step.

        Args:
            reg_user: λ of each user, as much of it as each of their ratings brings.
            reg_item: λ of each item in the same way.
            rate: the learning rate.
            seed: of the order in which the ratings of each cell are visited.
            offsets: whether offsets are learned; if not, they stay as they are.
        """
        # A rate of 0 leaves the offsets as they are, so that one loop serves both.
        offset_rate = np.float32(rate if offsets else 0.0)

        with one_at_a_time():
            squares = sgd.descend(
                self.cells,
                self.user,
                self.item,
                self.value,
                self.p,
                self.q,
                self.b_user,
                self.b_item,
                reg_user,
                reg_item,
                np.float32(rate),
                offset_rate,
                np.uint64(seed),
                GROUPS,
            )

        return float(squares)


def cell_of(
    user: Int32[np.ndarray, " ratings"],
    item: Int32[np.ndarray, " ratings"],
    *,
    n_users: int,
    n_items: int,
) -> Int64[np.ndarray, " ratings"]:
    """The cell of each rating: GROUPS times the group of its user, plus the group of its item.

    Args:
        user: row number of the user of each rating.
        item: row number of the item.
        n_users: number of users.
        n_items: number of items.
    """
    user_group = balanced_groups(user, n_users)[user]
    item_group = balanced_groups(item, n_items)[item]
    return user_group * GROUPS + item_group


def balanced_groups(row: Int32[np.ndarray, " ratings"], n_rows: int) -> Int64[np.ndarray, " rows"]:
    """The group of each row; every group has about as many ratings.

    Rows with many ratings come first, each put into the group that has the fewest so far; the many
    rows with few ratings are dealt out in turn, as they hardly change the balance.
    """
    count = np.bincount(row, minlength=n_rows)
    # Stable, so that rows of equal count have one order on every machine.
    by_count = np.argsort(-count, kind="stable")
    group = np.zeros(n_rows, np.int64)
    load = np.zeros(GROUPS)

    for j in by_count[:BALANCED]:
        group[j] = load.argmin()
        load[group[j]] += count[j]

    remaining = by_count[BALANCED:]
    group[remaining] = np.arange(len(remaining)) % GROUPS

    return group
