"""Every weight between items after a change of the events, from the inverse before it.

    P = A⁻¹,   A = Xᵀ W X + λ I + p/(1−p) diag(Xᵀ W X)
    A' = A + U D Uᵀ   gives   P' = P − P U (D⁻¹ + Uᵀ P U)⁻¹ Uᵀ P

A user whose events change takes two columns of U: the row of before, with D = −w, and that of now,
with D = w. An item whose weighted count changes by δ takes one, a unit vector, with D = δ p/(1−p).
Of an item without events A has λ alone, so a new one is one more row of P with 1/λ. An update of
rank r costs O(r n²) for n items, where a fit costs O(n³).

The users' weights w are divided by their mean over the users; with `activity` above 0 that mean is
the one of the first update, as all weights would change with it otherwise.

Source: Jeunen, Van Balen, Goethals. "Embarrassingly Shallow Auto-Encoders for Dynamic Collaborative
    Filtering." User Modeling and User-Adapted Interaction 32, 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64
from scipy.linalg import blas, lapack
from scipy.sparse import csr_array, eye_array, vstack

from recollect.data.ratings import Ratings
from recollect.data.sparse_rows import Rows
from recollect.errors import TrainingError
from recollect.models.ease.exact import add_gramian, mirror
from recollect.online.change import Change

MOST_NUMBERS = 1 << 27  # of an inverse that is kept between updates: 1 GB
MOST_RANK = 0.25  # of the items: above, a new inverse takes less time


@dataclass(frozen=True, eq=False)
class Inverse:
    """P in 64 bits, and what it was computed with.

    Args:
        matrix: P, never written into.
        reg: λ.
        noise: p / (1 − p).
        activity: a, of the users' weights.
        mean_weight: what n_u^−a is divided by.
    """

    matrix: Float64[np.ndarray, "n_items n_items"]
    reg: float
    noise: float
    activity: float
    mean_weight: float

    @classmethod
    def of(cls, events: Ratings, *, reg: float, noise: float, activity: float) -> Inverse:
        """The inverse for these events.

        Args:
            events: to learn from.
            reg: λ.
            noise: p / (1 − p).
            activity: a.

        Raises:
            TrainingError: if it is too close to singular.
        """
        count = events.count("user")
        has_events = count > 0
        mean = float((count[has_events] ** -activity).mean()) if has_events.any() else 1.0
        empty = cls(np.empty((0, 0)), reg, noise, activity, mean)
        gramian = np.zeros((events.n_items, events.n_items))
        add_gramian(empty._weighted(events.by_user), gramian)
        diagonal = gramian.diagonal().copy()
        np.fill_diagonal(gramian, diagonal + noise * diagonal + reg)

        return replace(empty, matrix=_inverted(gramian))

    def after(self, change: Change) -> Inverse:
        """The inverse after a change of the events.

        Args:
            change: of the events that it was computed for.
        """
        users = change.touched("user")
        rows_after = change.after.by_user.take(users)
        is_known = users < change.before.n_users
        rows_before = change.before.by_user.take(np.where(is_known, users, -1))
        n_items = change.after.n_items
        before = self._weighted(replace(rows_before, n_columns=n_items)).as_csr().astype(np.float64)
        after = self._weighted(rows_after).as_csr().astype(np.float64)
        moved = np.asarray((after.power(2) - before.power(2)).sum(axis=0)).ravel()
        items = np.flatnonzero(moved) if self.noise else np.empty(0, np.int64)
        rank = 2 * len(users) + len(items)
        if rank > MOST_RANK * n_items:
            return self._anew(change.after)

        units = eye_array(n_items, format="csr")[items]
        columns = vstack([after, before, units]).tocsr()
        sign = np.concatenate(
            [np.ones(len(users)), -np.ones(len(users)), self.noise * moved[items]]
        )
        is_used = np.diff(columns.indptr) > 0  # a new user has no row before

        return replace(self, matrix=self._updated(n_items, columns[is_used], sign[is_used]))

    def weights(self) -> Float32[np.ndarray, "n_items n_items"]:
        """B[j, i] = −P[j, i] / P[i, i], and 0 on the diagonal."""
        weight = np.empty(self.matrix.shape, np.float32)
        np.divide(self.matrix, -self.matrix.diagonal(), out=weight, casting="same_kind")
        np.fill_diagonal(weight, 0)

        return weight

    def _updated(
        self, n_items: int, columns: csr_array, d: Float64[np.ndarray, " rank"]
    ) -> Float64[np.ndarray, "n_items n_items"]:
        """P'.

        Args:
            n_items: of P'; items that P lacks have no events yet.
            columns: Uᵀ.
            d: the diagonal of D.
        """
        matrix = self._with_items(n_items)
        product = columns @ matrix  # Uᵀ P
        inner = np.diag(1 / d) + columns @ product.T
        solved = np.linalg.solve(inner, product)
        # BLAS reads columns, which of a symmetric matrix are the rows: P' in the place of P.
        place = {"beta": 1, "c": matrix.T, "overwrite_c": 1}
        return blas.dgemm(-1, product.T, solved.T, trans_b=1, **place).T

    def _with_items(self, n_items: int) -> Float64[np.ndarray, "n_items n_items"]:
        """A copy of P with items that have no events."""
        n_before = len(self.matrix)
        if n_items == n_before:
            return self.matrix.copy()

        matrix = np.zeros((n_items, n_items))
        matrix[:n_before, :n_before] = self.matrix
        new = np.arange(n_before, n_items)
        matrix[new, new] = 1 / self.reg

        return matrix

    def _anew(self, events: Ratings) -> Inverse:
        how = {"reg": self.reg, "noise": self.noise, "activity": self.activity}
        return Inverse.of(events, **how)

    def _weighted(self, rows: Rows) -> Rows:
        """√w x of each user."""
        count = rows.counts
        weight = np.maximum(count, 1) ** -self.activity / self.mean_weight
        root = np.sqrt(weight).astype(np.float32)
        return replace(rows, value=root[rows.row])


def is_kept(n_items: int) -> bool:
    """Whether the inverse for so many items is kept between updates."""
    return n_items**2 <= MOST_NUMBERS


def _inverted(matrix: Float64[np.ndarray, "n n"]) -> Float64[np.ndarray, "n n"]:
    factor, failed = lapack.dpotrf(matrix.T, lower=1, overwrite_a=1, clean=0)
    if not failed:
        inverse, failed = lapack.dpotri(factor, lower=1, overwrite_c=1)

    if failed:
        raise TrainingError(
            "The weights between items cannot be computed: raise reg (--set reg=…)."
        )

    mirror(inverse)

    return inverse
