"""Which items share users, and weights between items, where there are too many items for a matrix
of all pairs.

`compiled.item_pairs` does the work; the tests of EASE state each in plain NumPy. Events are given
as sparse rows of ones, by item and by user.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from scipy.sparse import csc_array, csr_array

from recollect.data.sparse_rows import Rows
from recollect.errors import TrainingError
from recollect.kernels.compiled import item_pairs as loops
from recollect.kernels.compiled.threads import SHARES_PER_THREAD, equal_shares, one_at_a_time

Pattern = tuple[Int64[np.ndarray, " items_and_one"], Int32[np.ndarray, " pairs"]]


def most_similar(
    by_item: Rows, by_user: Rows, most: int
) -> tuple[Int32[np.ndarray, "items most"], Float32[np.ndarray, "items most"]]:
    """The items that share most users with each item, by the cosine of their columns.

    Args:
        by_item: the users of each item.
        by_user: the items of each user.
        most: how many at most.

    Returns: the items, the most similar first and -1 where fewer share a user, and the cosines.
    """
    n_items = len(by_item)
    neighbor = np.empty((n_items, most), np.int32)
    similarity = np.empty((n_items, most), np.float32)

    with one_at_a_time() as n_threads:
        loops.most_similar(
            by_item.start,
            by_item.column,
            by_user.start,
            by_user.column,
            equal_shares(work_of_pairs(by_user), SHARES_PER_THREAD * n_threads),
            neighbor,
            similarity,
        )

    return neighbor, similarity


def work_of_pairs(by_user: Rows) -> Float64[np.ndarray, " items_and_one"]:
    """The work of comparing all items before each with every other, and of all.

    What two items share costs the cells of an item's users, choosing the nearest about as much as
    there are items.

    Args:
        by_user: the items of each user.
    """
    n_items = by_user.n_columns
    cost = np.repeat(by_user.counts, by_user.counts)
    per_item = np.bincount(by_user.column, weights=cost, minlength=n_items) + n_items

    return np.concatenate([[0.0], np.cumsum(per_item)])


def largest_pairs(
    neighbor: Int32[np.ndarray, "items most"],
    similarity: Float32[np.ndarray, "items most"],
    n_pairs: int,
) -> Pattern:
    """The most similar pairs of all, as the neighbors of each item, the most similar first.

    Args:
        neighbor: of each item.
        similarity: of each item to it; 0 pads.
        n_pairs: how many pairs; those that tie with the last of them are kept, too.
    """
    least = np.float32(0)
    if n_pairs < similarity.size:
        place = similarity.size - n_pairs
        least = np.partition(similarity, place, axis=None)[place]

    is_kept = (similarity >= least) & (neighbor >= 0)
    counts = np.count_nonzero(is_kept, axis=1)
    start = np.concatenate([[0], np.cumsum(counts)])

    return start, neighbor[is_kept]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Items whose weights are found together: an item, the center, and its neighbors.

    Blocks come from large to small.
    """

    first: Int64[np.ndarray, " blocks_and_one"]  # the first member of each block
    member: Int32[np.ndarray, " members"]  # the center first, then the most similar
    solved_in: Int64[np.ndarray, " items"]  # the block in which each item's weights are found

    @classmethod
    def of(cls, pattern: Pattern, share: float) -> Blocks:
        """Blocks in which every item is solved once.

        Args:
            pattern: the neighbors of each item, the most similar first.
            share: r; of a block, the center and its nearest, the part that is solved in it.
        """
        start, neighbor = pattern
        counts = np.diff(start)
        order = np.argsort(-counts, kind="stable")
        center = np.empty(len(counts), np.int64)
        solved_in = np.empty(len(counts), np.int64)
        n_blocks = loops.cover(start, neighbor, order, share, center, solved_in)
        center = center[:n_blocks]

        first = np.concatenate([[0], np.cumsum(counts[center] + 1)])
        member = np.empty(first[-1], np.int32)
        is_center = np.zeros(first[-1], bool)
        is_center[first[:-1]] = True
        member[is_center] = center
        # A neighbor lies as far from the first of its block as it does in the pattern.
        begins = first[:-1] - np.arange(n_blocks)
        shift = np.repeat(start[center] - begins, counts[center])
        member[~is_center] = neighbor[np.arange(len(shift)) + shift]

        return cls(first, member, solved_in)

    @property
    def sizes(self) -> Int64[np.ndarray, " blocks"]:
        """How many members each block has."""
        return np.diff(self.first)


def weights_within(
    by_item: Rows,
    pattern: Pattern,
    user_weight: Float32[np.ndarray, " users"],
    *,
    reg: float,
    noise: float,
    share: float,
) -> csr_array:
    """Weights between items, where an item's have to do with its neighbors alone.

    With C an item and its neighbors, G = X_Cᵀ W X_C and P = (G + λ I + noise diag(G))⁻¹, the
    weights of an item i of C are B[j, i] = −P[j, i] / P[i, i] for every j in C but i, and 0 for any
    other j. W has the users' weights.

    Args:
        by_item: the users of each item.
        pattern: the neighbors of each item, the most similar first.
        user_weight: of each user.
        reg: λ.
        noise: p / (1 − p), where p is the share of events that noise drops.
        share: r; of a block C, the item and its nearest, the part whose weights are found in it. 0:
            each item's are found in its own block.

    Raises:
        TrainingError: if a block is too close to a singular one for 32 bits.
    """
    blocks = Blocks.of(pattern, share)
    n_items = len(by_item)
    n_solved = np.bincount(blocks.solved_in, minlength=len(blocks.sizes))
    at = np.concatenate([[0], np.cumsum(blocks.sizes[blocks.solved_in])])
    row = np.empty(at[-1], np.int32)
    weight = np.empty(at[-1], np.float32)

    with one_at_a_time() as n_threads:
        n_singular = loops.solve_blocks(
            by_item.start,
            by_item.column,
            user_weight,
            np.float32(reg),
            np.float32(noise),
            blocks.first,
            blocks.member,
            np.concatenate([[0], np.cumsum(n_solved)]),
            np.argsort(blocks.solved_in, kind="stable"),
            at,
            n_threads * SHARES_PER_THREAD,
            row,
            weight,
        )

    if n_singular:
        raise TrainingError(
            "The weights between items cannot be computed in 32 bits: raise reg (--set reg=…)."
        )

    return csc_array((weight, row, at), shape=(n_items, n_items)).tocsr()


def sum_rows(rows: Rows, matrix: csr_array) -> Float32[np.ndarray, "rows columns"]:
    """The product of sparse rows and a sparse matrix, as a dense one.

    Args:
        rows: a row for each of the result.
        matrix: as many rows as those have columns.
    """
    n_rows = len(rows)
    out = np.empty((n_rows, matrix.shape[1]), np.float32)

    with one_at_a_time() as n_threads:
        shares = equal_shares(np.arange(n_rows + 1), SHARES_PER_THREAD * n_threads)
        loops.sum_rows(
            rows.start,
            rows.column,
            rows.value,
            matrix.indptr,
            matrix.indices,
            matrix.data,
            shares,
            out,
        )

    return out
