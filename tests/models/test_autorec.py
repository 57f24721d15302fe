"""AutoRec: its equations by hand and against plain NumPy, its options, its special cases."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.dense import rating_matrix, sigmoid

from recollect.data.splitting import random_split
from recollect.errors import SettingError
from recollect.kernels import BACKENDS, Block
from recollect.models.autorec import AutoRec
from recollect.models.autorec.network import Network
from recollect.models.autorec.pretraining import train_to_give_back
from recollect.models.bias import Bias
from recollect.nn import ScaledActivation, dense_layer
from recollect.run import Run
from recollect.training.losses import add_ridge

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"side": "user", "center": True},
    {"center": True},
    {"hidden": (12, 6, 12), "pretrain_epochs": 30, "epochs": 30},
    {"output_activation": "sigmoid"},
    {
        "optimizer": "adam",
        "batch_size": 40,
        "learning_rate": 0.02,
        "epochs": 40,
        "input_dropout": 0.1,
    },
    {"optimizer": "rprop", "refit": True},
]


def unfitted(ratings, **settings) -> AutoRec:
    """A model with its network built and nothing learned."""
    model = AutoRec(**{"hidden": 3, "init": 0.5, **settings})
    model.given_ = ratings
    torch.manual_seed(0)
    model.net_ = model.build(ratings.n_users, ratings.n_items)
    return model


def row_offsets(net, r, known):
    """mu + b of each row, written out: b is the shrunken mean of what mu and the columns leave."""
    mu = float(net.offsets.mu)
    residual = np.where(known, r - mu - net.offsets.column.numpy(), 0)
    return mu + residual.sum(axis=1) / (known.sum(axis=1) + net.offsets.reg)


@pytest.mark.parametrize("offsets", [False, True])
@pytest.mark.parametrize("side", ["item", "user"])
def test_loss_and_gradients_equal_the_dense_statement(few, side, offsets):
    """Equation 2 with its gradients, written out in NumPy on the users × items matrix.

    With offsets, each row's is added to the network's output.
    """
    model = unfitted(few, side=side, reg=0.7, reg_input=0.7, offsets=offsets)
    net, rows = model.net_, model.block(few.rows(side))
    offset = 0.0
    if offsets:
        net.offsets.set(2.5, torch.linspace(-1, 1, rows.n_columns))
        offset = row_offsets(net, *rating_matrix(few, side))[:, None]

    total, count = model.loss(net, rows)
    total.backward()
    penalty = sum(add_ridge(weight, reg) for weight, reg in model.penalty(net))

    r, known = rating_matrix(few, side)
    V, mu, W, b = (
        p.detach().double().numpy()
        for p in (net.input.weight, net.input.bias, net.output.weight, net.output.bias)
    )
    h = sigmoid(r @ V + mu)
    error = np.where(known, offset + h @ W.T + b - r, 0)
    back = (2 * error @ W) * h * (1 - h)

    assert count == len(few)
    assert float(total.detach()) == pytest.approx((error**2).sum(), rel=1e-5)
    assert penalty == pytest.approx(0.35 * ((V**2).sum() + (W**2).sum()), rel=1e-5)
    near = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(net.output.weight.grad, 2 * error.T @ h + 0.7 * W, **near)
    np.testing.assert_allclose(net.output.bias.grad, 2 * error.sum(axis=0), **near)
    np.testing.assert_allclose(net.input.weight.grad, r.T @ back + 0.7 * V, **near)
    np.testing.assert_allclose(net.input.bias.grad, back.sum(axis=0), **near)


@pytest.mark.parametrize("side", ["item", "user"])
def test_without_the_mask_every_cell_counts_and_the_unknown_are_0(few, side):
    """Loss and gradients against the dense sum in NumPy; λ weighs as much as with the mask."""
    model = unfitted(few, side=side, reg=0.7, mask=False)
    net, rows = model.net_, model.block(few.rows(side))
    total, count = model.loss(net, rows)
    total.backward()

    r, _ = rating_matrix(few, side)
    V, mu, W, b = (
        p.detach().double().numpy()
        for p in (net.input.weight, net.input.bias, net.output.weight, net.output.bias)
    )
    h = sigmoid(r @ V + mu)
    error = h @ W.T + b - r
    back = (2 * error @ W) * h * (1 - h)

    assert count == r.size == 12
    assert float(total.detach()) == pytest.approx((error**2).sum(), rel=1e-5)
    near = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(net.output.weight.grad, 2 * error.T @ h, **near)
    np.testing.assert_allclose(net.output.bias.grad, 2 * error.sum(axis=0), **near)
    np.testing.assert_allclose(net.input.weight.grad, r.T @ back, **near)
    assert [reg / len(few) for _, reg in model.penalty(net)] == pytest.approx([0.7 / count] * 2)


@pytest.mark.parametrize(
    "settings",
    [{"output_activation": "sigmoid"}, {"lazy": True, "optimizer": "adam", "batch_size": 2}],
)
def test_without_the_mask_the_output_is_linear_and_gradients_are_dense(settings):
    with pytest.raises(SettingError, match="mask=False needs"):
        AutoRec(mask=False, **settings)


def test_the_input_weights_may_have_a_lambda_of_their_own(few):
    model = unfitted(few, reg=2.0, reg_input=6.0, reg_between=4.0, hidden=(3, 2))
    V, middle, W = model.net_.weights()
    assert [
        (weight is which, reg)
        for (weight, reg), which in zip(model.penalty(model.net_), (V, middle, W), strict=True)
    ] == [(True, 6.0), (True, 4.0), (True, 2.0)]


def test_the_lambda_of_v_goes_with_the_ratings_of_a_row(few):
    model = unfitted(few, side="user", reg=7.0)
    (_, of_input), (_, of_output) = model.penalty(model.net_)
    assert (of_input, of_output) == (pytest.approx(4 * 7 / 3), 7.0)
    paper = unfitted(few, side="user", reg=7.0, offsets=False)
    assert [reg for _, reg in paper.penalty(paper.net_)] == [7.0, 7.0]


@pytest.mark.parametrize("side", ["item", "user"])
@pytest.mark.parametrize("refit", [False, True])
def test_a_fit_begins_with_the_predictions_of_the_bias_model(planted_small, side, refit):
    """Where no epoch is better, as with a huge λ, they stay."""
    parts = random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    model = AutoRec(hidden=4, side=side, reg=1e9, reg_input=1e9, epochs=3, refit=refit, clip=False)
    model.fit(parts.train, parts.valid, Run(threads=1))
    fitted_on = parts.train.union(parts.valid) if refit else parts.train
    bias = Bias(clip=False).fit(fitted_on, run=Run(threads=1))
    user, item = parts.test.user, parts.test.item
    np.testing.assert_allclose(model.predict(user, item), bias.predict(user, item), atol=0.02)


def test_a_fit_that_never_beats_the_bias_model_is_the_bias_model(planted_small):
    """Validation ratings that follow the offsets exactly cannot be predicted better."""
    parts = random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    bias = Bias(clip=False).fit(parts.train, run=Run(threads=1))
    exact = bias.predict(parts.valid.user, parts.valid.item)
    low, high = parts.valid.scale
    valid = dataclasses.replace(parts.valid, value=np.clip(exact, low, high))
    model = AutoRec(hidden=4, reg=0.1, epochs=10, validate_every=1, refit=False)
    model.fit(parts.train, valid, Run(threads=1))
    assert model.history_.best_epoch == 0
    user, item = parts.test.user, parts.test.item
    clipped = np.clip(bias.predict(user, item), low, high)
    np.testing.assert_allclose(model.predict(user, item), clipped, atol=0.02)


def test_new_users_of_user_rows_get_their_own_offset(few):
    model = unfitted(few, side="user")
    with torch.no_grad():
        for p in model.net_.parameters():
            p.zero_()
    model.net_.offsets.set(3.0, torch.tensor([1.0, 0.0, -1.0, 0.0]))
    new = few.by_user.take(np.array([0]))  # 4, 1 and 2 of the first three items
    offset = ((4 - 3 - 1) + (1 - 3) + (2 - 3 + 1)) / (3 + 5)
    np.testing.assert_allclose(model.complete(new), np.full((1, 4), 3 + offset), atol=1e-6)


@pytest.mark.parametrize(
    "settings", [{"center": True}, {"mask": False}, {"output_activation": "sigmoid"}]
)
def test_offsets_are_added_to_linear_outputs_only(settings):
    with pytest.raises(SettingError, match="offsets=True needs"):
        AutoRec(offsets=True, **settings)
    assert not AutoRec(**settings).has_offsets


def test_middle_layers_learn_to_give_back_codes():
    """Codes of rank 3 pass through a layer of 4 units nearly unchanged."""
    torch.manual_seed(0)
    codes = torch.sigmoid(torch.randn(200, 3) @ torch.randn(3, 12))
    layers = [dense_layer(12, 4, gain=4.0), dense_layer(4, 12, gain=4.0)]
    assert train_to_give_back(codes, layers, torch.nn.Sigmoid()) < 0.2


def test_a_deep_network_learns_no_worse_than_a_shallow_one(planted_small):
    """From the shallow one's codes; without that start it is much worse, at the same λ."""
    parts = random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    shared = {"reg": 2.0, "reg_input": 2.0, "reg_between": 0.3, "epochs": 80, "refit": False}

    def error(hidden):
        model = AutoRec(hidden=hidden, **shared).fit(parts.train, parts.valid, Run(threads=1))
        return model.history_.best_valid_rmse

    assert error((12, 6, 12)) < 1.02 * error(12)


def test_equation_1_by_hand():
    """One row with ratings 2 and 4 of columns 0 and 2; one hidden unit."""
    identity = ScaledActivation("identity", (1.0, 5.0))
    network = Network(3, (1,), g="sigmoid", f=identity, std=0.01)
    with torch.no_grad():
        network.input.weight.copy_(torch.tensor([[0.5], [9.0], [-0.25]]))
        network.input.bias.fill_(0.0)
        network.output.weight.copy_(torch.tensor([[2.0], [4.0], [6.0]]))
        network.output.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
    row = Block(np.array([0, 2]), np.array([0, 2]), np.array([2, 4], np.float32), n_columns=3)
    # V r + mu = 2 · 0.5 − 4 · 0.25 = 0, so h = 1/2: outputs 1, 3, 3
    np.testing.assert_allclose(
        network.decode(network.encode(row)).detach(), [[1.0, 3.0, 3.0]], atol=1e-6
    )


@pytest.mark.parametrize(("side", "n_columns"), [("item", 3), ("user", 4)])
def test_has_2mk_m_k_parameters(few, side, n_columns):
    model = unfitted(few, side=side, hidden=5)
    assert sum(p.numel() for p in model.net_.parameters()) == 2 * n_columns * 5 + n_columns + 5


def test_deep_layers_are_applied_in_order(few):
    model = unfitted(few, side="user", hidden=(4, 2), hidden_activation="tanh")
    r, _ = rating_matrix(few, "user")
    net = model.net_
    (middle,) = net.between
    h = np.tanh(r @ net.input.weight.detach().numpy() + net.input.bias.detach().numpy())
    h = np.tanh(h @ middle.weight.detach().numpy().T + middle.bias.detach().numpy())
    expected = h @ net.output.weight.detach().numpy().T + net.output.bias.detach().numpy()
    np.testing.assert_allclose(
        net.decode(net.encode(model.block(few.by_user))).detach(), expected, atol=1e-5
    )


@pytest.mark.parametrize(("f", "low", "high"), [("sigmoid", 1.0, 5.0), ("tanh", 1.0, 5.0)])
def test_a_bounded_output_covers_the_scale(few, f, low, high):
    model = unfitted(few, output_activation=f)
    out = model.net_.f(torch.tensor([-50.0, 0.0, 50.0]))
    np.testing.assert_allclose(out, [low, (low + high) / 2, high], atol=1e-5)


def test_binary_code_is_thresholded_with_a_straight_through_gradient(few):
    model = unfitted(few, binary_code=True)
    code = model.net_.encode(model.block(few.by_item))
    assert set(code.unique().tolist()) <= {0.0, 1.0}
    code.sum().backward()
    assert float(model.net_.input.bias.grad.abs().sum()) > 0


def test_an_absent_rating_is_not_zero(few):
    """The loss of a row counts its cells only; what is absent is no 0."""
    model = unfitted(few, side="user", offsets=False)
    with torch.no_grad():
        for p in model.net_.parameters():
            p.zero_()
        model.net_.output.bias.fill_(1.0)
    total, count = model.loss(model.net_, model.block(few.by_user))
    assert count == 7
    assert float(total.detach()) == pytest.approx(((few.value - 1) ** 2).sum())


def test_centering_subtracts_the_row_mean_and_adds_it_to_predictions(few):
    model = unfitted(few, side="user", center=True)
    with torch.no_grad():
        for p in model.net_.parameters():
            p.zero_()
    predicted = model.predict(np.array([0, 1, 2]), np.array([0, 0, 0]))
    np.testing.assert_allclose(predicted, [7 / 3, 3.0, 2.0], atol=1e-6)


def test_unknown_users_and_items_get_the_papers_three_if_asked_for(planted_small):
    ratings = planted_small.ratings
    train = ratings.where((ratings.user != 5) & (ratings.item != 7))
    model = AutoRec(hidden=4, epochs=5, cold="middle").fit(train)
    np.testing.assert_array_equal(model.predict(np.array([5, 0, 5]), np.array([0, 7, 7])), 3.0)


@pytest.mark.parametrize("n", [3, 30])
def test_fold_in_equals_its_normal_equations(planted_small, n):
    """x = m + (CᵀC / σ² + Σ⁻¹)⁻¹ Cᵀ (v − C m) / σ², with fewer and with more ratings than units."""
    model = AutoRec(hidden=6, reg=3.0, epochs=30).fit(planted_small.ratings, run=Run(threads=1))
    codes = model.codes(model.given_)[0]
    seen = torch.arange(n)
    value = torch.tensor(np.random.default_rng(0).integers(1, 6, n), dtype=torch.float32)
    out = model.column_prior().solve(codes[seen], value, codes, f=model.net_.f, linear=True)

    C = np.c_[codes[seen].numpy(), np.ones(n)].astype(np.float64)
    columns = np.c_[
        model.net_.output.weight.detach().numpy(), model.net_.output.bias.detach().numpy()
    ].astype(np.float64)
    noise, mean = model.history_.epochs[-1]["train_rmse"] ** 2, columns.mean(axis=0)
    covariance = np.cov(columns.T) + 0.1 * 2 * noise / 3.0 * np.eye(7)
    x = mean + np.linalg.solve(
        C.T @ C / noise + np.linalg.inv(covariance), C.T @ (value.numpy() - C @ mean) / noise
    )
    np.testing.assert_allclose(
        out, np.c_[codes.numpy(), np.ones(len(codes))] @ x, rtol=1e-3, atol=1e-3
    )


def test_a_bounded_output_is_folded_in_to_its_minimum(planted_small):
    """Gauss-Newton ends where the gradient of the objective is zero."""
    model = AutoRec(hidden=4, reg=3.0, epochs=30, output_activation="sigmoid").fit(
        planted_small.ratings, run=Run(threads=1)
    )
    codes = model.codes(model.given_)[0]
    value = torch.tensor([4.0, 2.0, 5.0, 3.0, 4.0])
    prior = model.column_prior()
    out = prior.solve(codes[:5], value, codes, f=model.net_.f, linear=False)
    mean, root = prior.mean, prior.root
    z = torch.zeros(len(mean), dtype=torch.float64, requires_grad=True)
    C = torch.cat([codes, torch.ones_like(codes[:, :1])], dim=1).double()
    optimizer = torch.optim.LBFGS(
        [z], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-10
    )

    def closure():
        optimizer.zero_grad()
        error = value - model.net_.f(C[:5] @ (mean + root @ z))
        loss = error @ error / prior.variance + z @ z
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(out, model.net_.f(C @ (mean + root @ z)).detach(), atol=0.02)


def test_validation_error_in_the_history_is_the_one_of_predict(planted_small):
    train, valid, _ = random_split(planted_small.ratings, test=0.1, valid=0.2, seed=0)
    model = AutoRec(hidden=5, reg=2.0, epochs=20, validate_every=1, patience=None, refit=False).fit(
        train, valid, Run(threads=1)
    )
    error = np.sqrt(np.mean((model.predict(valid.user, valid.item) - valid.value) ** 2))
    assert model.history_.best_valid_rmse == pytest.approx(float(error), abs=1e-5)


def test_threads_change_nothing_beyond_rounding(planted_small):
    a, b = (
        AutoRec(hidden=5, reg=2.0, epochs=15).fit(planted_small.ratings, run=Run(threads=n))
        for n in (1, 2)
    )
    u, i = planted_small.ratings.user, planted_small.ratings.item
    np.testing.assert_allclose(
        a.predict(u, i), b.predict(u, i), atol=0.02
    )  # 15 steps magnify the last bit


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"reg": -1.0}, "reg must be at least 0"),
        ({"hidden_activation": "sigmoyd"}, "Did you mean 'sigmoid'"),
        ({"optimizer": "lbfgs", "dropout": 0.5}, "dropout draws another"),
        ({"optimizer": "adam", "dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"batch_size": 8}, "batch_size"),
        ({"output_activation": "sigmoid", "center": True}, "center"),
        ({"side": "both"}, "no side 'both'"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        AutoRec(**settings)


@pytest.mark.parametrize("kernels", [name for name in BACKENDS if name != "cpu16"])
def test_any_kernels_fit_the_same_model(planted_small, kernels):
    settings = {"hidden": 20, "reg": 1.0, "epochs": 5}
    usual = AutoRec(**settings).fit(planted_small.ratings, run=Run(threads=1)).net_.output.weight
    run = Run(kernels=kernels, threads=1)
    other = AutoRec(**settings).fit(planted_small.ratings, run=run).net_.output.weight
    assert torch.allclose(usual, other, atol=2e-3)


def test_kernels_in_16_bits_fit_nearly_the_same_model(planted_small):
    settings = {"hidden": 20, "reg": 1.0, "epochs": 8, "optimizer": "adam", "learning_rate": 0.01}
    fits = [
        AutoRec(**settings).fit(planted_small.ratings, run=Run(kernels=kernels, threads=1))
        for kernels in (None, "cpu16")
    ]
    errors = [fit.history_.epochs[-1]["train_rmse"] for fit in fits]
    assert errors[0] != errors[1]
    assert errors[0] == pytest.approx(errors[1], rel=0.01)


def test_a_lazy_fit_updates_only_columns_of_the_batch(planted_small):
    settings = {
        "hidden": 6,
        "reg": 2.0,
        "epochs": 3,
        "optimizer": "adam",
        "learning_rate": 0.01,
        "offsets": False,
    }
    whole = {**settings, "batch_size": planted_small.ratings.n_items}
    usual, lazy = (
        AutoRec(**whole, lazy=lazy)
        .fit(planted_small.ratings, run=Run(threads=1))
        .net_.output.weight
        for lazy in (False, True)
    )
    assert torch.allclose(
        usual, lazy, atol=1e-5
    )  # each batch is everything: each share of λ is all of it

    half = planted_small.ratings.where(planted_small.ratings.user % 2 == 0)
    torch.manual_seed(0)
    start = AutoRec(**settings, batch_size=10, lazy=True)
    start.given_ = half
    before = start.build(half.n_users, half.n_items).output.weight.detach().clone()
    after = start.fit(half, run=Run(threads=1)).net_.output.weight.detach()
    unseen = half.count("user") == 0
    assert torch.equal(before[unseen], after[unseen])
    assert not (before[~unseen] == after[~unseen]).any()


def test_moments_in_16_bits_fit_nearly_the_same_model(planted_small):
    settings = {
        "hidden": 12,
        "reg": 1.0,
        "epochs": 10,
        "optimizer": "adam",
        "learning_rate": 0.01,
        "batch_size": 20,
    }
    fits = [
        AutoRec(**settings, state_bits=bits).fit(planted_small.ratings, run=Run(threads=1))
        for bits in (32, 16)
    ]
    errors = [fit.history_.epochs[-1]["train_rmse"] for fit in fits]
    assert errors[0] != errors[1]
    assert errors[0] == pytest.approx(errors[1], rel=0.02)


@pytest.mark.parametrize(
    "settings",
    [
        {"lazy": True},
        {"lazy": True, "optimizer": "sgd", "batch_size": 5},
        {"state_bits": 16},
        {"state_bits": 8, "optimizer": "adam"},
    ],
)
def test_lazy_and_16_bits_are_for_adam(settings):
    with pytest.raises(SettingError, match=r"lazy=True|state_bits is 32, or 16"):
        AutoRec(**settings)
