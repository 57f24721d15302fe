"""Steps and turns of local models, beside plain statements of what they are to do."""

import numpy as np
import pytest

from recollect.kernels.llorma import Board, Descent, Weights, turn


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


def rows(random, n_rows=9, n_columns=14, density=0.5):
    """Sparse rows, the third one empty; and who each cell's row is."""
    there = random.random((n_rows, n_columns)) < density
    there[2] = False
    row, column = np.nonzero(there)
    start = np.searchsorted(row, np.arange(n_rows + 1))
    return start.astype(np.int64), row, column.astype(np.int32)


def numbers(random, *shape):
    return random.normal(size=shape).astype(np.float32)


def test_a_turn_alone_is_a_weighted_ridge_regression(random):
    start, row, column = rows(random)
    value, features, offset = numbers(random, len(row)), numbers(random, 14, 3), numbers(random, 14)
    w_row, w_column = (
        random.random((9,)).astype(np.float32),
        random.random((14,)).astype(np.float32),
    )
    w_row[4], w_column[6], reg = 0, 0, np.linspace(0.1, 0.5, 9).astype(np.float32)
    nothing, before = np.zeros_like(value), numbers(random, 9, 3)
    found = turn(
        Board(start, column, value, nothing, nothing.copy()),
        w_row,
        w_column,
        features=features,
        offset=offset,
        factors=before,
        reg=reg,
        together=False,
    )
    for j in range(9):
        here = row == j
        w, f = np.diag(w_row[j] * w_column[column[here]]), features[column[here]].astype(np.float64)
        if not w.any():
            np.testing.assert_array_equal(found[j], before[j])
            continue
        by_hand = np.linalg.solve(
            f.T @ w @ f + reg[j] * w.sum() * np.eye(3),
            f.T @ w @ (value[here] - offset[column[here]]),
        )
        np.testing.assert_allclose(found[j], by_hand, rtol=1e-3, atol=1e-4)  # 32 bits


def test_a_turn_together_explains_what_the_others_leave(random):
    start, row, column = rows(random)
    value, said, share = (
        numbers(random, len(row)),
        numbers(random, len(row)),
        random.random(len(row)).astype(np.float32),
    )
    features, before, zeros = (
        numbers(random, 14, 3),
        numbers(random, 9, 3),
        np.zeros(14, np.float32),
    )
    w_row, w_column = (random.random(n).astype(np.float32) for n in (9, 14))
    board = Board(start, column, value, share, said.copy())
    found = turn(
        board,
        w_row,
        w_column,
        features=features,
        offset=zeros,
        factors=before,
        reg=np.full(9, 0.2, np.float32),
        together=True,
    )
    a = w_row[row] * w_column[column] * share
    own = np.einsum("ck,ck->c", before[row], features[column])
    for j in (0, 5, 8):
        here = row == j
        f = (a[here, None] * features[column[here]]).astype(np.float64)
        rest = value[here] - said[here] + a[here] * own[here]
        by_hand = np.linalg.solve(f.T @ f + 0.2 * a[here].sum() * np.eye(3), f.T @ rest)
        np.testing.assert_allclose(found[j], by_hand, rtol=1e-3, atol=1e-4)
    new = np.einsum("ck,ck->c", found[row], features[column])
    np.testing.assert_allclose(board.said, said + a * (new - own), atol=1e-5)


def descent(random, user, item, value, *, together):
    """Two models of 3 factors, 2 users and 2 items; offsets and factors that are not 0."""
    weights = Weights(
        *(
            random.random(shape).astype(np.float32)
            for shape in ((2, 2), (2, 2), (2,), (2, 2), (2, 2))
        )
    )
    made = Descent(user, item, value, weights, factors=3, together=together)
    for x in (made.user, made.item):
        x[:, :, :3] = numbers(random, *x.shape[:2], 3)
    for x in (made.b_user, made.b_item):
        x[:] = numbers(random, *x.shape)
    return made, weights


@pytest.mark.parametrize("together", [False, True])
def test_one_rating_moves_its_rows_as_the_gradient_says(together, random):
    made, w = descent(
        random,
        np.array([1], np.int32),
        np.array([0], np.int32),
        np.array([2.5], np.float32),
        together=together,
    )
    p, q, b, c = (
        x[:, row].copy()
        for x, row in ((made.user, 1), (made.item, 0), (made.b_user, 1), (made.b_item, 0))
    )
    total, n = made.epoch(rate=0.1, seed=3, offsets=True)
    weight, said = w.user[:, 1] * w.item[:, 0], (p * q).sum(axis=1) + b + c
    if together:
        share = weight / weight.sum()
        error = np.full(2, 2.5 - share @ said)
        step = 0.1 * share / (share @ share)
        np.testing.assert_allclose([total, n], [error[0] ** 2, 1], rtol=1e-5)
    else:
        error, step = 2.5 - said, 0.1 * weight * w.scale
        np.testing.assert_allclose([total, n], [10 * step @ error**2, 10 * step.sum()], rtol=1e-5)
    for new, old, push, reg in (
        (made.user[:, 1], p, q, w.reg_user[:, 1]),
        (made.item[:, 0], q, p, w.reg_item[:, 0]),
    ):
        np.testing.assert_allclose(
            new, old + step[:, None] * (error[:, None] * push - reg[:, None] * old), atol=1e-5
        )
    np.testing.assert_allclose(
        made.b_user[:, 1], b + step * (error - w.reg_user[:, 1] * b), atol=1e-5
    )


@pytest.mark.parametrize("together", [False, True])
def test_the_order_of_the_ratings_does_not_matter(together, random):
    user, item = (x.astype(np.int32) for x in np.divmod(np.arange(4), 2))
    value, found = numbers(random, 4), []
    for order in (np.arange(4), np.array([2, 0, 3, 1])):
        made, _ = descent(
            np.random.default_rng(1), user[order], item[order], value[order], together=together
        )
        made.epoch(rate=0.1, seed=3, offsets=True)
        found.append(made.user)
    np.testing.assert_array_equal(*found)
