"""The order in which the compiled loops of stochastic gradient descent visit the ratings."""

import numpy as np

from recollect.kernels.compiled.sgd import random_state, shuffle
from recollect.kernels.sgd import GROUPS, FactorArrays


def visiting_order(arrays: FactorArrays, seed: int) -> np.ndarray:
    """The ratings as the loops visit them: diagonal after diagonal of cells, each cell shuffled."""
    order = []
    for diagonal in range(GROUPS):
        for group in range(GROUPS):
            cell = group * GROUPS + (group + diagonal) % GROUPS
            first = arrays.cells[cell]
            within = np.empty(arrays.cells[cell + 1] - first, np.int32)
            shuffle(within, np.uint64(random_state(seed, cell + 1)))
            order.append(first + within)
    return np.concatenate(order)
