"""SparseFC: its objective against plain NumPy, what the kernel does, special cases."""

import numpy as np
import pytest
import torch
from tests.dense import rating_matrix, sigmoid

import recollect as rc
from recollect.errors import SettingError
from recollect.kernels import Block
from recollect.memory_estimate import Shape
from recollect.models.sparsefc import SparseFC
from recollect.run import Run
from recollect.training.losses import add_ridge

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"side": "user", "center": True},
    {"hidden": 12, "init_kernel": 0.1, "refit": True},
]

QUICK = {"hidden": (8, 6), "reg": 2.0, "reg_kernel": 0.02, "epochs": 40}


def unfitted(ratings, **settings) -> SparseFC:
    """A model with an untrained network, whose unit vectors are clearly apart."""
    model = SparseFC(**{"hidden": (3, 2), "init_kernel": 0.3, **settings})
    model.given_ = ratings
    torch.manual_seed(0)
    model.net_ = model.build(ratings.n_users, ratings.n_items)
    return model


@pytest.mark.parametrize("side", ["item", "user"])
def test_the_objective_equals_the_dense_statement(few, side):
    model = unfitted(few, side=side, reg=0.7, reg_kernel=0.4)
    net = model.net_
    total, count = model.loss(net, model.block(few.rows(side)))
    total.backward()
    penalty = sum(add_ridge(weight, reg) for weight, reg in model.penalty(net))

    r, known = rating_matrix(few, side)
    W, u, v, b = zip(
        *(
            (x.detach().double().numpy() for x in (layer.W, layer.u, layer.v, layer.bias))
            for layer in net.layers
        ),
        strict=True,
    )
    K = [np.maximum(0, 1 - ((a[:, None] - c) ** 2).sum(axis=2)) for a, c in zip(u, v, strict=True)]
    first, second, last = (w * k for w, k in zip(W, K, strict=True))
    h = sigmoid(sigmoid(r @ first + b[0]) @ second.T + b[1])
    error = np.where(known, h @ last.T + b[2] - r, 0)
    squares = (error**2).sum() + 0.2 * sum((k**2).sum() for k in K)

    assert count == len(few)
    assert float(total.detach()) == pytest.approx(squares, rel=1e-5)
    assert penalty == pytest.approx(0.35 * sum((w**2).sum() for w in W), rel=1e-5)
    np.testing.assert_allclose(net.output.bias.grad, 2 * error.sum(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        net.output.W.grad, 2 * (error.T @ h) * K[2] + 0.7 * W[2], rtol=1e-4, atol=1e-5
    )


def test_a_weight_between_units_far_apart_is_cut_off(few):
    """The ratings of a user whose vector is far from every hidden unit's change no code."""
    net = unfitted(few, init_kernel=0.01).net_
    with torch.no_grad():
        net.input.u[1] = 5.0
    assert (net.input.weight[1] == 0).all()
    assert (net.input.weight[0] != 0).all()
    for value in (1.0, 5.0):
        row = Block(
            np.array([0, 2]), np.array([0, 1]), np.array([3, value], np.float32), n_columns=3
        )
        alone = Block(np.array([0, 1]), np.array([0]), np.array([3], np.float32), n_columns=3)
        torch.testing.assert_close(net.encode(row), net.encode(alone))


def test_a_penalty_on_kernels_moves_unit_vectors_apart(planted_small):
    """With it K is smaller than without it."""

    def mean_kernel(reg_kernel: float) -> float:
        model = SparseFC(**{**QUICK, "reg_kernel": reg_kernel, "init_kernel": 0.1}).fit(
            planted_small.ratings, run=Run(threads=1)
        )
        _, squares = model.net_.effective_weights()
        return float(squares.detach()) / sum(layer.W.numel() for layer in model.net_.layers)

    assert mean_kernel(5.0) < 0.6 * mean_kernel(0.0)


def test_new_users_are_folded_in_with_the_effective_weights(planted_small):
    model = SparseFC(**{**QUICK, "init_kernel": 0.3}).fit(planted_small.ratings, run=Run(threads=1))
    layer = model.net_.output
    assert not torch.allclose(layer.weight, layer.W)
    columns = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach().double()
    torch.testing.assert_close(model.column_prior().mean, columns.mean(dim=0))


def test_the_residual_variance_is_the_training_error_without_the_penalty(planted_small):
    ratings = planted_small.ratings
    model = SparseFC(**{**QUICK, "reg_kernel": 0.2, "clip": False}).fit(ratings, run=Run(threads=1))
    error = float(np.mean((model.predict(ratings.user, ratings.item) - ratings.value) ** 2))
    assert model.column_prior().variance == pytest.approx(
        max(error, 0.01 * ratings.variance), rel=1e-4
    )
    assert model.history_.epochs[-1]["train_loss"] > error + 0.01


def test_every_layer_has_weights_unit_vectors_and_biases(few):
    model = unfitted(few, hidden=(5, 4), kernel_dim=2)
    n, sizes = few.n_users, [(few.n_users, 5), (5, 4), (4, few.n_users)]
    assert (
        sum(p.numel() for p in model.net_.parameters())
        == sum(a * b + 2 * (a + b) for a, b in sizes) + 5 + 4 + n
    )


def test_one_hidden_layer_and_a_number_are_the_same(planted_small):
    a, b = (
        SparseFC(**{**QUICK, "hidden": hidden}).fit(planted_small.ratings, run=Run(threads=1))
        for hidden in (6, (6,))
    )
    u, i = planted_small.ratings.user, planted_small.ratings.item
    np.testing.assert_array_equal(a.predict(u, i), b.predict(u, i))


@pytest.mark.slow
def test_a_resumed_fit_ends_like_an_uninterrupted_one(planted_small, tmp_path):
    split = rc.random_split(planted_small.ratings, test=0.1, valid=0.2, seed=0)
    straight = SparseFC(**QUICK).fit(split.train, split.valid, Run(threads=1))

    def stop(figures: dict[str, float]) -> None:
        if figures["epoch"] == 15:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        SparseFC(**QUICK).fit(
            split.train,
            split.valid,
            Run(threads=1, folder=tmp_path, snapshot_seconds=0, watchers=(stop,)),
        )
    resumed = SparseFC(**QUICK).fit(
        split.train, split.valid, Run(threads=1, folder=tmp_path, resume=True)
    )
    assert resumed.history_.best_epoch == straight.history_.best_epoch
    test = split.test
    # A resumed fit computes the gradient again, so results differ by rounding.
    np.testing.assert_allclose(
        resumed.predict(test.user, test.item), straight.predict(test.user, test.item), atol=1e-3
    )


def test_the_kernels_are_counted_in_the_memory(few):
    host = SparseFC().memory(Shape.of(few)).host
    assert host["kernels"] == 2 * host["parameters"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": ()}, "hidden is one or more sizes"),
        ({"kernel_dim": 0}, "kernel_dim must be at least 1"),
        ({"reg": -1.0}, "reg must be at least 0"),
        ({"init_kernel": 0.0}, "init_kernel must be above 0"),
        ({"side": "both"}, "no side 'both'"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        SparseFC(**settings)
