"""The loops of `kernels.item_pairs`, compiled by Numba: which items share users, and ridge
regressions between them.

Events are given twice, by item (`item_start`, `user`) and by user (`user_start`, `item`). What two
items share, the users with events of both, is counted for one item at a time or for the items of a
block; all pairs are never held at once. A matrix has `width` rows and columns, a multiple of 32, is
kept row after row in one array, and only its upper triangle counts.
"""

from typing import no_type_check

import numpy as np
from numba import njit, prange

from recollect.kernels.compiled.cholesky import clear_below, factor, solve
from recollect.kernels.compiled.inlined import inlined

PANEL = (
    64  # rows that are factored before the rows below are reduced by all of them; of 4 rows each
)


@inlined
@no_type_check
def _count_shared(i, item_start, user, user_start, item, shared):
    """shared[j] = the users with events of both i and j."""
    shared[:] = 0

    for c in range(item_start[i], item_start[i + 1]):
        u = user[c]

        for d in range(user_start[u], user_start[u + 1]):
            shared[item[d]] += 1


@inlined
@no_type_check
def _largest(n, most, index, cosine):
    """Move the `most` largest of n entries to the front, ties by their order; returns how many."""
    if n <= most:
        return n

    least = np.partition(cosine[:n], n - most)[n - most]
    ties = most

    for e in range(n):
        ties -= cosine[e] > least

    kept = 0

    for e in range(n):
        is_kept = cosine[e] > least
        if cosine[e] == least and ties > 0:
            ties -= 1
            is_kept = True

        if is_kept:
            index[kept] = index[e]
            cosine[kept] = cosine[e]
            kept += 1

    return kept


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def most_similar(item_start, user, user_start, item, shares, neighbor, similarity):
    """Fill in the items that share most users with each item, by the cosine, largest first.

    Args:
        item_start: items + 1, the first event of each item.
        user: of each event, item by item.
        user_start: users + 1, the first event of each user.
        item: of each event, user by user.
        shares: the first item of each share of a thread, and the number of items.
        neighbor: items × most; -1 where fewer items share a user.
        similarity: items × most; 0 where fewer items share a user.
    """
    n_items = len(item_start) - 1
    most = neighbor.shape[1]

    for t in prange(len(shares) - 1):
        shared = np.empty(n_items, np.int32)
        index = np.empty(n_items, np.int32)
        cosine = np.empty(n_items, np.float32)

        for i in range(shares[t], shares[t + 1]):
            _count_shared(i, item_start, user, user_start, item, shared)
            own = np.float32(item_start[i + 1] - item_start[i])
            n = 0

            for j in range(n_items):
                if shared[j] > 0 and j != i:
                    its = np.float32(item_start[j + 1] - item_start[j])
                    index[n] = j
                    cosine[n] = np.float32(shared[j]) / np.sqrt(own * its)
                    n += 1

            n = _largest(n, most, index, cosine)
            # A stable sort, so that ties stay in the order of the items.
            order = np.argsort(-cosine[:n], kind="mergesort")
            neighbor[i, n:] = -1
            similarity[i, n:] = 0

            for e in range(n):
                neighbor[i, e] = index[order[e]]
                similarity[i, e] = cosine[order[e]]


@njit(cache=True, nogil=True)
@no_type_check
def cover(start, neighbor, order, share, center, solved_in):
    """Choose blocks, each an item and its neighbors, in which every item is solved once.

    Args:
        start: items + 1, the first neighbor of each item.
        neighbor: of each item, the most similar first.
        order: in which the items become centers of blocks, unless they are solved already.
        share: of a block, its center first, the part that is solved in it at most.
        center: the item at the center of each block; overwritten.
        solved_in: the block in which each item is solved; overwritten.

    Returns: how many blocks.
    """
    solved_in[:] = -1
    n_blocks = 0

    for i in order:
        if solved_in[i] >= 0:
            continue

        solved_in[i] = n_blocks
        size = 1 + start[i + 1] - start[i]
        stop = start[i] + np.int64(share * size) - 1

        for c in range(start[i], min(stop, start[i + 1])):
            if solved_in[neighbor[c]] < 0:
                solved_in[neighbor[c]] = n_blocks

        center[n_blocks] = i
        n_blocks += 1

    return n_blocks


@inlined
@no_type_check
def _add_gramian(members, item_start, user, user_weight, count, end, width, a):
    """A += the weight of the users that each two members of a block share, in the upper triangle.

    Args:
        members: the block's items.
        item_start: the first event of each item.
        user: of each event, item by item.
        user_weight: a number per user.
        count: a 0 per user, and zeros again afterwards.
        end: a number per user, overwritten.
        width: of the matrix.
        a: the matrix.
    """
    n_events = 0

    for i in members:
        n_events += item_start[i + 1] - item_start[i]

    people = np.empty(min(n_events, len(count)), np.int32)
    place = np.empty(n_events, np.int32)
    n_people = 0

    for i in members:
        for c in range(item_start[i], item_start[i + 1]):
            u = user[c]
            if count[u] == 0:
                people[n_people] = u
                n_people += 1

            count[u] += 1

    at = 0

    for u in people[:n_people]:
        end[u] = at
        at += count[u]

    # The members that each user has events with, in ascending order.
    for k in range(len(members)):
        i = members[k]

        for c in range(item_start[i], item_start[i + 1]):
            u = user[c]
            place[end[u]] = k
            end[u] += 1

    for u in people[:n_people]:
        of_user = user_weight[u]

        for c in range(end[u] - count[u], end[u]):
            row = np.int64(place[c]) * width

            for d in range(c, end[u]):
                a[row + place[d]] += of_user

        count[u] = 0


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def solve_blocks(
    item_start,
    user,
    user_weight,
    reg,
    noise,
    first,
    member,
    solved_start,
    solved,
    at,
    n_shares,
    row,
    weight,
):
    """The weights of items in blocks: B[j, i] = −P[j, i] / P[i, i] in each block.

    P = (G + reg I + noise diag(G))⁻¹, G the weight of the users that each two items share.

    Args:
        item_start: items + 1, the first event of each item.
        user: of each event, item by item.
        user_weight: a number per user.
        reg: λ.
        noise: p / (1 − p).
        first: blocks + 1, the first member of each block.
        member: the items of the blocks, one block after the other.
        solved_start: blocks + 1, the first item that is solved for in each block.
        solved: these items, members of their blocks.
        at: items, where the weights of each begin.
        n_shares: how many blocks are solved at once.
        row: overwritten, j of each weight: the block's members.
        weight: overwritten, B[j, i].

    Returns: how many blocks 32 bits could not solve.
    """
    n_blocks = len(first) - 1
    n_singular = 0

    for t in prange(n_shares):
        count = np.zeros(len(user_weight), np.int32)
        end = np.empty(len(user_weight), np.int64)
        memory = np.empty(0, np.float32)

        # Blocks come from large to small: every share has some of each size.
        for b in range(t, n_blocks, n_shares):
            members = member[first[b] : first[b + 1]]
            k = len(members)
            width = (k + 31) // 32 * 32
            size = width * width
            if len(memory) < size + 2 * width:
                memory = np.empty(size + 2 * width, np.float32)

            a = memory[:size]
            x = memory[size : size + width]
            least = memory[size + width : size + 2 * width]
            least[:] = 0
            a[:] = 0
            _add_gramian(members, item_start, user, user_weight, count, end, width, a)

            for j in range(k):
                a[j * width + j] += noise * a[j * width + j] + reg

            if not factor(a, width, k, least):
                n_singular += 1
                continue

            clear_below(a, width, k)

            for s in range(solved_start[b], solved_start[b + 1]):
                i = solved[s]
                d = 0
                while members[d] != i:
                    d += 1

                # The column d of P.
                x[:] = 0
                x[d] = 1
                solve(a, width, k, x)
                scale = np.float32(-1) / x[d]
                x[d] = 0

                for j in range(k):
                    row[at[i] + j] = members[j]
                    weight[at[i] + j] = scale * x[j]

    return n_singular


@njit(
    parallel=True,
    cache=True,
    nogil=True,
)
@no_type_check
def sum_rows(start, column, value, matrix_start, matrix_column, matrix_value, shares, out):
    """out[j] = Σ value · the matrix's row `column` over the cells of j, one cell after the other.

    Args:
        start: rows + 1, the first cell of each row.
        column: of each cell, a row of the matrix.
        value: of each cell.
        matrix_start: rows of the matrix + 1, the first number of each.
        matrix_column: the column of each number.
        matrix_value: the numbers.
        shares: the first row of each share of a thread, and the number of rows.
        out: rows × columns of the matrix, overwritten.
    """
    for t in prange(len(shares) - 1):
        for j in range(shares[t], shares[t + 1]):
            sums = out[j]
            sums[:] = 0

            for c in range(start[j], start[j + 1]):
                times = value[c]

                for d in range(matrix_start[column[c]], matrix_start[column[c] + 1]):
                    sums[matrix_column[d]] += times * matrix_value[d]
