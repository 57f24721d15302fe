"""Dense NumPy forms that tests of several row models compare with."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rating_matrix(ratings, side="user") -> tuple[np.ndarray, np.ndarray]:
    """The rating matrix with 0 where unknown, and where it is known; rows are users or items."""
    shape = (ratings.n_users, ratings.n_items)
    values = np.zeros(shape)
    known = np.zeros(shape, bool)
    values[ratings.user, ratings.item] = ratings.value
    known[ratings.user, ratings.item] = True
    return (values, known) if side == "user" else (values.T, known.T)
