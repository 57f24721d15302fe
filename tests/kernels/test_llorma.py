"""Steps and ridge regressions of local models against their plain statements."""

import numpy as np
import pytest

from recollect.kernels.llorma import LocalCells, LocalDescent, LocalWeights, solve_rows
from recollect.kernels.reference import llorma as reference

N_ROWS, N_COLUMNS, K = 9, 14, 3


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


def normal(random, *shape):
    return random.normal(size=shape).astype(np.float32)


def uniform(random, *shape):
    return random.random(shape).astype(np.float32)


def sparse_cells(random, *, share=None, predicted=None):
    """Half of the cells of a table, none in its third row; and the row of each cell."""
    present = random.random((N_ROWS, N_COLUMNS)) < 0.5
    present[2] = False
    row, column = np.nonzero(present)
    start = np.searchsorted(row, np.arange(N_ROWS + 1)).astype(np.int64)
    n = len(row)
    cells = LocalCells(
        start=start,
        column=column.astype(np.int32),
        value=normal(random, n),
        share=np.zeros(n, np.float32) if share is None else share(random, n),
        predicted=np.zeros(n, np.float32) if predicted is None else predicted(random, n),
    )
    return cells, row


def test_factors_of_a_model_alone_are_a_weighted_ridge_regression(random):
    cells, row = sparse_cells(random)
    features = normal(random, N_COLUMNS, K)
    offset = normal(random, N_COLUMNS)
    weight_row = uniform(random, N_ROWS)
    weight_column = uniform(random, N_COLUMNS)
    weight_row[4] = 0
    weight_column[6] = 0
    reg = np.linspace(0.1, 0.5, N_ROWS).astype(np.float32)
    before = normal(random, N_ROWS, K)
    solved = solve_rows(
        cells,
        weight_row,
        weight_column,
        features=features,
        offset=offset,
        factors=before,
        reg=reg,
        joint=False,
    )
    for j in range(N_ROWS):
        of_row = row == j
        column = cells.column[of_row]
        weight = weight_row[j] * weight_column[column]
        if not weight.any():
            np.testing.assert_array_equal(solved[j], before[j])
            continue
        target = cells.value[of_row] - offset[column]
        expected = reference.solve_row(weight, features[column], target, float(reg[j]))
        np.testing.assert_allclose(solved[j], expected, rtol=1e-3, atol=1e-4)  # 32 bits


def test_factors_of_joint_models_explain_what_the_others_leave_over(random):
    cells, row = sparse_cells(random, share=uniform, predicted=normal)
    features = normal(random, N_COLUMNS, K)
    before = normal(random, N_ROWS, K)
    weight_row = uniform(random, N_ROWS)
    weight_column = uniform(random, N_COLUMNS)
    predicted = cells.predicted.copy()
    solved = solve_rows(
        cells,
        weight_row,
        weight_column,
        features=features,
        offset=np.zeros(N_COLUMNS, np.float32),
        factors=before,
        reg=np.full(N_ROWS, 0.2, np.float32),
        joint=True,
    )
    a = weight_row[row] * weight_column[cells.column] * cells.share
    residual = cells.value - predicted
    for j in (0, 5, 8):
        of_row = row == j
        f = features[cells.column[of_row]]
        expected = reference.solve_row_jointly(a[of_row], f, residual[of_row], before[j], 0.2)
        np.testing.assert_allclose(solved[j], expected, rtol=1e-3, atol=1e-4)
    change = ((solved - before)[row] * features[cells.column]).sum(axis=1)
    np.testing.assert_allclose(cells.predicted, predicted + a * change, atol=1e-5)


def local_descent(random, user, item, value, *, joint):
    """Two models of 3 factors, 2 users and 2 items; offsets and factors that are not 0."""
    weights = LocalWeights(
        user=uniform(random, 2, 2),
        item=uniform(random, 2, 2),
        scale=uniform(random, 2),
        reg_user=uniform(random, 2, 2),
        reg_item=uniform(random, 2, 2),
    )
    descent = LocalDescent(user, item, value, weights, factors=K, joint=joint)
    for factors in (descent.user, descent.item):
        factors[:, :, :K] = normal(random, *factors.shape[:2], K)
    for offsets in (descent.b_user, descent.b_item):
        offsets[:] = normal(random, *offsets.shape)
    return descent, weights


@pytest.fixture
def one_rating(random):
    """A function that makes a descent on one rating, 2.5 of user 1 and item 0."""

    def make(joint):
        user = np.array([1], np.int32)
        item = np.array([0], np.int32)
        return local_descent(random, user, item, np.array([2.5], np.float32), joint=joint)

    return make


def of_rating(descent):
    """p, q, b_user and b_item of user 1 and item 0 in every model."""
    return (
        descent.user[:, 1].copy(),
        descent.item[:, 0].copy(),
        descent.b_user[:, 1].copy(),
        descent.b_item[:, 0].copy(),
    )


def check_step(before, after, *, error, length, reg_user, reg_item):
    p, q, b_user, b_item = before
    new_p, new_q, new_b_user, new_b_item = after
    expected_p = reference.step(p, q, error=error, length=length, reg=reg_user)
    expected_q = reference.step(q, p, error=error, length=length, reg=reg_item)
    np.testing.assert_allclose(new_p, expected_p, atol=1e-5)
    np.testing.assert_allclose(new_q, expected_q, atol=1e-5)
    expected_b_user = b_user + length * (error - reg_user * b_user)
    expected_b_item = b_item + length * (error - reg_item * b_item)
    np.testing.assert_allclose(new_b_user, expected_b_user, atol=1e-5)
    np.testing.assert_allclose(new_b_item, expected_b_item, atol=1e-5)


def test_a_rating_moves_each_model_alone_along_its_gradient(one_rating):
    descent, weights = one_rating(joint=False)
    before = p, q, b_user, b_item = of_rating(descent)
    total, total_weight = descent.epoch(rate=0.1, seed=3, offsets=True)
    weight = weights.user[:, 1] * weights.item[:, 0]
    error = 2.5 - ((p * q).sum(axis=1) + b_user + b_item)
    length = reference.lengths_alone(weight, weights.scale, 0.1)
    check_step(
        before,
        of_rating(descent),
        error=error,
        length=length,
        reg_user=weights.reg_user[:, 1],
        reg_item=weights.reg_item[:, 0],
    )
    assert total == pytest.approx(10 * length @ error**2, rel=1e-5)
    assert total_weight == pytest.approx(10 * length.sum(), rel=1e-5)


def test_a_rating_moves_joint_models_along_the_gradient_of_their_mean(one_rating):
    descent, weights = one_rating(joint=True)
    before = p, q, b_user, b_item = of_rating(descent)
    total, n = descent.epoch(rate=0.1, seed=3, offsets=True)
    weight = weights.user[:, 1] * weights.item[:, 0]
    predicted = (p * q).sum(axis=1) + b_user + b_item
    error = 2.5 - weight @ predicted / weight.sum()
    check_step(
        before,
        of_rating(descent),
        error=np.full(2, error),
        length=reference.lengths_jointly(weight, 0.1),
        reg_user=weights.reg_user[:, 1],
        reg_item=weights.reg_item[:, 0],
    )
    assert (total, n) == pytest.approx((error**2, 1), rel=1e-5)


@pytest.mark.parametrize("joint", [False, True])
def test_the_order_of_the_ratings_does_not_matter(joint, random):
    user, item = (x.astype(np.int32) for x in np.divmod(np.arange(4), 2))
    value = normal(random, 4)
    learned = []
    for order in (np.arange(4), np.array([2, 0, 3, 1])):
        same_start = np.random.default_rng(1)
        descent, _ = local_descent(same_start, user[order], item[order], value[order], joint=joint)
        descent.epoch(rate=0.1, seed=3, offsets=True)
        learned.append(descent.user)
    np.testing.assert_array_equal(*learned)
