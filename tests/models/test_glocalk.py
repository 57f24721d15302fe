"""GLocalK: its two stages and the convolution against plain NumPy, special cases."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.dense import rating_matrix, sigmoid

import recollect as rc
from recollect.errors import SettingError, SizeError
from recollect.memory_estimate import Shape
from recollect.memory_limits import refuse_too_large
from recollect.models.glocalk import GLocalK
from recollect.models.sparsefc import SparseFC
from recollect.run import Run

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"refit": True},
]

QUICK = {
    "hidden": 8,
    "reg": 1.0,
    "reg_kernel": 0.01,
    "pretrain_epochs": 20,
    "epochs": 20,
    "dot_scale": 0.05,
}


def unfitted(ratings, **settings) -> GLocalK:
    """A model with an untrained network, whose unit vectors are clearly apart."""
    model = GLocalK(**{"hidden": (3, 2), "init_kernel": 0.3, **settings})
    model.given_ = ratings
    torch.manual_seed(0)
    model.net_ = model.build(ratings.n_users, ratings.n_items)
    return model


def convolved(r: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Σ over a 3 × 3 neighborhood, cells outside being 0; what is below 0 cut off."""
    wide = np.pad(r, 1)
    parts = [
        kernel[a, b] * wide[a : a + len(r), b : b + r.shape[1]] for a in range(3) for b in range(3)
    ]
    return np.maximum(0, sum(parts))


def plain(net):
    """The autoencoder in NumPy: a completed matrix of rows."""
    weight = [x.detach().double().numpy() for x in net.effective_weights()[0]]
    bias = [layer.bias.detach().double().numpy() for layer in net.layers]
    return lambda r: (
        sigmoid(sigmoid(r @ weight[0] + bias[0]) @ weight[1].T + bias[1]) @ weight[2].T + bias[2]
    )


def test_the_second_stage_equals_the_dense_statement(few):
    """Complete, average over users, weigh the kernels, convolve, complete; in NumPy."""
    model = unfitted(few, dot_scale=0.5, reg_kernel=0.0)
    net, block = model.net_, model.block(few.by_item)
    (r, known), complete = rating_matrix(few, "item"), plain(model.net_)
    kernel = 0.5 * (complete(r).mean(axis=1) @ net.kernels.detach().double().numpy()).reshape(3, 3)
    expected = complete(convolved(r, kernel))

    weights, _ = net.effective_weights()
    np.testing.assert_allclose(
        net.global_kernel(block, weights).detach(), kernel, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        net.convolution(block, weights).detach(), convolved(r, kernel), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        net.decode(net.encode(block)).detach(), expected, rtol=1e-4, atol=1e-5
    )
    total, count = model.loss(net, block)
    assert count == len(few)
    assert float(total.detach()) == pytest.approx(((expected - r)[known] ** 2).sum(), rel=1e-4)


def test_the_gradient_of_every_parameter_is_that_of_finite_differences(few):
    model = unfitted(few, dot_scale=0.5, reg_kernel=0.3)
    net, block = model.net_, model.block(few.by_item)
    model.loss(net, block)[0].backward()
    torch.manual_seed(1)
    for name, p in net.named_parameters():
        direction = torch.randn_like(p)
        losses = []
        step = 1e-2
        for sign in (1, -1):
            with torch.no_grad():
                p.add_(direction, alpha=sign * step)
                losses.append(float(model.loss(net, block)[0]))
                p.sub_(direction, alpha=sign * step)
        slope = (losses[0] - losses[1]) / (2 * step)
        assert float((p.grad * direction).sum()) == pytest.approx(slope, rel=0.03, abs=0.02), (
            name
        )  # 32 bits


def test_with_a_kernel_of_only_a_center_it_is_the_autoencoder(few):
    model = unfitted(few, dot_scale=1.0)
    net, block = model.net_, model.block(few.by_item)
    with torch.no_grad():
        net.output.bias.fill_(1000.0)  # next to it, what the network says does not count
        net.kernels.zero_()
        net.kernels[0, 4] = 0.001
        torch.testing.assert_close(
            net.global_kernel(block, net.effective_weights()[0]),
            torch.eye(3)[1].outer(torch.eye(3)[1]),
            rtol=0,
            atol=0.01,
        )
        torch.testing.assert_close(net.encode(block), net.local.encode(block), rtol=0, atol=0.02)


def test_the_convolution_depends_on_the_order_of_items(planted_small):
    """The paper's convolution goes by row numbers, so another order is another input."""
    model = GLocalK(**QUICK).fit(planted_small.ratings, run=Run(threads=1))
    rows = planted_small.ratings.by_item
    weights = model.net_.effective_weights()[0]
    with torch.no_grad():
        usual = model.net_.convolution(model.block(rows), weights)
        turned = model.net_.convolution(
            model.block(rows.take(np.arange(len(rows))[::-1])), weights
        ).flip(0)
    assert not torch.allclose(usual, turned, atol=0.01)


def test_the_first_stage_is_sparsefc(planted_small):
    """The same draws, the same steps: the same history."""
    alike = {key: QUICK[key] for key in ("hidden", "reg", "reg_kernel")}
    model = GLocalK(**QUICK).fit(planted_small.ratings, run=Run(threads=1))
    other = SparseFC(**alike, epochs=20).fit(planted_small.ratings, run=Run(threads=1))
    assert [e["objective"] for e in model.pretrained_.epochs] == [
        e["objective"] for e in other.history_.epochs
    ]
    assert len(model.history_) == 20


def test_predictions_of_a_few_pairs_are_those_of_all(planted_small):
    """A row is never encoded without its neighbors."""
    ratings = planted_small.ratings
    model = GLocalK(**QUICK).fit(ratings, run=Run(threads=1))
    table = model.predict(ratings.user, ratings.item)
    for pair in (0, 17, 1000):
        alone = model.predict(ratings.user[pair : pair + 1], ratings.item[pair : pair + 1])
        np.testing.assert_allclose(alone, table[pair : pair + 1], atol=1e-5)


@pytest.mark.slow
def test_a_second_fit_takes_the_best_number_of_epochs_of_both_stages(planted_small):
    split = rc.random_split(planted_small.ratings, test=0.1, valid=0.2, seed=0)
    model = GLocalK(**{**QUICK, "refit": True, "validate_every": 3}).fit(
        split.train, split.valid, Run(threads=1)
    )
    best = {"pretrain_epochs": model.pretrained_.best_epoch, "epochs": model.history_.best_epoch}
    whole = GLocalK(**{**QUICK, **best}).fit(split.train.union(split.valid), run=Run(threads=1))
    test = split.test
    np.testing.assert_array_equal(
        model.predict(test.user, test.item), whole.predict(test.user, test.item)
    )


def test_a_matrix_too_large_to_be_dense_is_refused():
    """Six items × users matrices of 32 bits are counted."""
    shape = Shape(n_users=70_000, n_items=10_000, n_train=10_000_000)
    assert GLocalK().memory(shape).host["temporaries"] > 4 * 6 * 70_000 * 10_000
    with pytest.raises(SizeError, match="would need"):
        refuse_too_large(GLocalK(), dataclasses.replace(shape, n_users=10_000_000), Run())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"side": "user"}, "convolves items × users"),
        ({"reg_kernel": -1.0}, "reg_kernel must be at least 0"),
        ({"dot_scale": 0.0}, "dot_scale must be above 0"),
        ({"pretrain_epochs": 0}, "pretrain_epochs must be at least 1"),
        ({"epochs": 0}, "epochs must be at least 1"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        GLocalK(**settings)
