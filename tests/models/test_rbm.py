"""RBM: contrastive divergence and mean field, against NumPy and an enumerated machine."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from tests.dense import sigmoid

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import Vocab
from recollect.errors import SettingError
from recollect.kernels import Block
from recollect.models.rbm import RBM
from recollect.models.rbm.network import Network

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"side": "user"},
    {"conditional": True, "side": "user", "refit": True},
    {"ordered": False, "optimizer": "sgd", "learning_rate": 0.1, "sample": False},
    {"visible": "sigmoid", "threshold": True, "sample": False},
]

VALUES = np.array([1, 2, 4], np.float32)
SMALL = {
    "hidden": 6,
    "reg": 0.01,
    "learning_rate": 0.05,
    "batch_size": 5,
    "steps": (1,),
    "steps_from": (),
    "epochs": 30,
}


@pytest.fixture
def rows() -> Rows:
    """Three rows of four columns; the last row has rated nothing."""
    return Rows(
        np.array([0, 2, 5, 5]),
        np.array([0, 3, 0, 1, 2], np.int32),
        np.array([1, 4, 2, 2, 4], np.float32),
        4,
    )


def random_network(**changes) -> Network:
    torch.manual_seed(0)
    net = Network(4, 2, VALUES, ordered=False, conditional=True, std=0.7, **changes)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return net


@pytest.fixture
def net() -> Network:
    return random_network()


@pytest.fixture
def thresholded() -> Network:
    """The machine of the AutoRec paper's comparison."""
    return random_network(visible="sigmoid", threshold=True)


def block(rows):
    return Block.of(rows)


def parameters_of(net):
    """W as columns × categories × hidden, b, the hidden bias and D."""
    return (x.detach().double().numpy() for x in (*net.by_column(), net.hidden_bias, net.D))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def step(x):
    """1 where σ(x) > 1/2, else 0."""
    return np.where(x > 0, 1.0, 0.0)


def by_hand(net, rows, *, steps, visible=softmax, hidden=sigmoid):
    """<v h>_data − <v h>_T of W, and likewise of the biases and D, with probabilities all along."""
    W, b, hidden_bias, D = parameters_of(net)
    gradient = [np.zeros_like(x) for x in (W, b, hidden_bias, D)]
    for j in range(len(rows)):
        cells = slice(rows.start[j], rows.start[j + 1])
        at, data = rows.column[cells], (rows.value[cells, None] == VALUES).astype(float)
        offset = hidden_bias + D[at].sum(axis=0)
        first = hidden(np.einsum("ck,ckh->h", data, W[at]) + offset)
        h = first
        for _ in range(steps):
            v = visible(W[at] @ h + b[at])
            h = hidden(np.einsum("ck,ckh->h", v, W[at]) + offset)
        gradient[0][at] += data[:, :, None] * first - v[:, :, None] * h
        gradient[1][at] += data - v
        gradient[2] += first - h
        gradient[3][at] += first - h
    return gradient


def gradients_of(net, rows, steps):
    """The gradients of W, b, the hidden bias and D."""
    contrast, _ = net.contrastive_loss(rows, steps=steps, sample=False)
    contrast.backward()
    return (
        net.weight.grad.view(4, 3, 2),
        net.bias.grad.view(4, 3),
        net.hidden_bias.grad,
        net.D.grad,
    )


@pytest.mark.parametrize("steps", [1, 3])
def test_the_gradient_is_that_of_contrastive_divergence(net, rows, steps):
    gradients = gradients_of(net, rows, steps)
    for gradient, expected in zip(gradients, by_hand(net, rows, steps=steps), strict=True):
        np.testing.assert_allclose(-gradient.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 3])
def test_thresholded_units_and_sigmoids_have_the_same_gradient_with_their_own_units(
    thresholded, rows, steps
):
    gradients = gradients_of(thresholded, rows, steps)
    by_numpy = by_hand(thresholded, rows, steps=steps, visible=sigmoid, hidden=step)
    for gradient, expected in zip(gradients, by_numpy, strict=True):
        np.testing.assert_allclose(-gradient.numpy(), expected, atol=1e-5)


def test_the_error_of_a_reconstruction_is_that_of_the_expected_ratings(thresholded, rows):
    W, b, hidden_bias, D = parameters_of(thresholded)
    squares = 0.0
    for j in range(len(rows)):
        cells = slice(rows.start[j], rows.start[j + 1])
        at = rows.column[cells]
        data = (rows.value[cells, None] == VALUES).astype(float)
        h = step(np.einsum("ck,ckh->h", data, W[at]) + hidden_bias + D[at].sum(axis=0))
        v = sigmoid(W[at] @ h + b[at])
        squares += np.square(v @ VALUES / v.sum(axis=1) - rows.value[cells]).sum()
    _, error = thresholded.contrastive_loss(rows, steps=1, sample=False)
    assert error == pytest.approx(squares, rel=1e-5)


def test_drawn_hidden_units_of_sigmoids_give_the_direction_of_the_likelihood(rows):
    """Two columns of three categories that are 0 or 1 by themselves: v has 64 states."""
    net = random_network(visible="sigmoid")
    row = rows.take(np.array([0]))
    W, b, hidden_bias, D = parameters_of(net)
    W, b = W[row.column], b[row.column]
    offset = hidden_bias + D[row.column].sum(axis=0)

    def hidden_input(v):
        return np.einsum("ck,ckh->h", v, W) + offset

    states = [np.reshape(s, (2, 3)) for s in itertools.product([0.0, 1.0], repeat=6)]
    weight = np.array(
        [np.exp((v * b).sum()) * np.prod(1 + np.exp(hidden_input(v))) for v in states]
    )
    probability = weight / weight.sum()

    def visible_and_hidden(v):
        return v[:, :, None] * sigmoid(hidden_input(v))

    data = (row.value[:, None] == VALUES).astype(float)
    exact = visible_and_hidden(data) - sum(
        p * visible_and_hidden(v) for p, v in zip(probability, states, strict=True)
    )
    torch.manual_seed(1)
    many = row.take(np.zeros(2000, int))
    net.contrastive_loss(many, steps=9, sample=True)[0].backward()
    drawn = -net.weight.grad.view(4, 3, 2).numpy()[row.column]
    assert (drawn * exact).sum() / np.linalg.norm(drawn) / np.linalg.norm(exact) > 0.9


def test_drawn_hidden_units_give_the_direction_of_the_likelihood(net, rows):
    """With two columns of three categories, the likelihood sums over nine states of v."""
    row = rows.take(np.array([0]))
    W, b, hidden_bias, D = parameters_of(net)
    offset = hidden_bias + D[row.column].sum(axis=0)

    def unnormalized(categories):  # Σ over h of exp(−energy)
        at = (row.column, np.array(categories))
        return np.exp(b[at].sum()) * np.prod(1 + np.exp(W[at].sum(axis=0) + offset))

    states = list(itertools.product(range(3), repeat=2))
    probability = np.array([unnormalized(s) for s in states])
    probability /= probability.sum()

    def visible_and_hidden(categories):  # ∂ log of the above / ∂ W
        out = np.zeros_like(W)
        out[row.column, np.array(categories)] = sigmoid(
            W[row.column, np.array(categories)].sum(axis=0) + offset
        )
        return out

    data = tuple(np.searchsorted(VALUES, row.value))
    exact = visible_and_hidden(data) - sum(
        p * visible_and_hidden(s) for p, s in zip(probability, states, strict=True)
    )
    torch.manual_seed(1)
    many = row.take(np.zeros(2000, int))
    net.contrastive_loss(many, steps=9, sample=True)[0].backward()
    drawn = -net.weight.grad.view(4, 3, 2).numpy()
    assert (drawn * exact).sum() / np.linalg.norm(drawn) / np.linalg.norm(exact) > 0.9


def test_the_probabilities_of_a_columns_categories_add_up_to_1(net, rows):
    seen = block(rows)
    probabilities = net.probabilities(net.all_categories(seen), net.encode(seen), net.W)
    assert probabilities.shape == (5, 3)
    np.testing.assert_allclose(probabilities.sum(dim=1).detach(), 1, atol=1e-6)


def test_a_prediction_is_the_mean_fields_expected_rating(net, rows):
    W, b, hidden_bias, D = parameters_of(net)
    h = sigmoid(
        W[0, 0] + W[3, 2] + hidden_bias + D[0] + D[3]
    )  # row 0: a 1 in column 0 and a 4 in column 3
    expected = softmax(W @ h + b) @ VALUES
    code = net.encode(block(rows))
    np.testing.assert_allclose(net.decode(code)[0].detach(), expected, atol=1e-5)
    np.testing.assert_allclose(
        net.decode(code, columns=torch.tensor([2, 1]))[0].detach(), expected[[2, 1]], atol=1e-5
    )
    np.testing.assert_allclose(
        net.decode(code, block(rows))[:2].detach(), expected[[0, 3]], atol=1e-5
    )


def test_a_prediction_of_sigmoids_is_their_normalized_mean(thresholded, rows):
    """The hidden units of row 0 are thresholded; each category has a sigmoid of its own."""
    net = thresholded
    W, b, hidden_bias, D = parameters_of(net)
    h = step(W[0, 0] + W[3, 2] + hidden_bias + D[0] + D[3])
    units = sigmoid(W @ h + b)
    expected = units @ VALUES / units.sum(axis=1)
    code = net.encode(block(rows))
    np.testing.assert_array_equal(code[0].detach(), h)
    np.testing.assert_allclose(net.decode(code)[0].detach(), expected, atol=1e-5)
    at = net.decode(code, block(rows)).detach()
    np.testing.assert_allclose(at[:2], expected[[0, 3]], atol=1e-5)
    columns = net.decode(code, columns=torch.tensor([2, 1])).detach()
    np.testing.assert_allclose(columns[0], expected[[2, 1]], atol=1e-5)


@pytest.mark.parametrize("visible", ["softmax", "sigmoid"])
def test_a_slope_is_the_change_of_the_expected_rating(visible):
    net = Network(4, 2, VALUES, ordered=False, conditional=False, std=0.7, visible=visible)
    net.double()
    unit_input = torch.tensor([[0.3, -1.0, 0.8], [-2.0, 0.1, 1.5]], dtype=torch.float64)
    _, slope = net.expected_and_slope(unit_input)
    for k in range(3):
        more = unit_input.clone()
        more[:, k] += 1e-6
        change = net.expected_and_slope(more)[0] - net.expected_and_slope(unit_input)[0]
        np.testing.assert_allclose(slope[:, k], change / 1e-6, atol=1e-5)


def test_sigmoids_that_are_all_0_in_32_bits_still_have_an_expectation():
    net = Network(4, 2, VALUES, ordered=False, conditional=False, std=0.7, visible="sigmoid")
    expected, _ = net.expected_and_slope(torch.tensor([[-200.0, -200.0, -300.0]]))
    assert float(expected) == pytest.approx(1.5)


def test_d_depends_on_what_is_rated_and_not_on_the_rating(net, rows):
    with torch.no_grad():
        net.weight.zero_()
    other = Rows(rows.start, rows.column, np.array([2, 1, 4, 4, 1], np.float32), 4)
    np.testing.assert_array_equal(
        net.encode(block(rows)).detach(), net.encode(block(other)).detach()
    )
    _, _, hidden_bias, D = parameters_of(net)
    np.testing.assert_allclose(net.encode(block(rows))[2].detach(), sigmoid(hidden_bias), atol=1e-6)
    np.testing.assert_allclose(
        net.encode(block(rows))[0].detach(), sigmoid(hidden_bias + D[0] + D[3]), atol=1e-6
    )


def test_ordered_categories_share_a_slope():
    net = Network(2, 3, VALUES, ordered=True, conditional=False, std=1.0)
    W, _ = net.by_column()
    steps = (W[:, 1:] - W[:, :-1]) / torch.tensor([1.0, 2.0])[:, None]  # from 1 to 2, from 2 to 4
    np.testing.assert_allclose(steps[:, 0].detach(), steps[:, 1].detach(), atol=1e-5)
    np.testing.assert_allclose(W.sum(dim=1).detach(), 0, atol=1e-5)
    assert len(net.weights()) == 2


def test_biases_start_at_the_logarithms_of_the_categories_shares(net, rows):
    net.init_biases(block(rows))
    shares = net.bias.detach().view(4, 3).exp().numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(
        shares[0], (np.array([1, 1, 0]) + np.array([0.2, 0.4, 0.4])) / 3, atol=1e-6
    )


def test_sigmoids_start_at_the_logits_of_the_shares(rows):
    net = random_network(visible="sigmoid")
    net.init_biases(block(rows))
    starts = net.bias.detach().view(4, 3).numpy()
    shares = (np.array([1, 1, 0]) + np.array([0.2, 0.4, 0.4])) / 3
    np.testing.assert_allclose(sigmoid(starts[0]), shares, atol=1e-6)


def test_categories_are_the_distinct_ratings(few):
    model = RBM(side="user", hidden=2, epochs=1).fit(few)
    assert model.net_.category_value.tolist() == [1, 2, 3, 4, 5]


def test_a_category_without_ratings_has_finite_biases(few):
    """Four of five evenly spaced categories between 1 and a million have none."""
    value = np.array([4, 1, 2, 5, 1, 3, 1e6], np.float32)
    ratings = dataclasses.replace(few, value=value, scale=(1.0, 1e6))
    model = RBM(side="user", hidden=2, categories=5, epochs=1).fit(ratings)
    assert np.isfinite(model.net_.bias.detach().numpy()).all()
    assert np.isfinite(model.fold_in(ratings.by_user)).all()


def test_a_rating_counts_as_the_nearest_of_few_categories(few):
    net = RBM(side="user", hidden=2, categories=3, epochs=1).fit(few).net_
    assert net.category_value.tolist() == [1, 3, 5]
    # A rating halfway between two counts as the lower one.
    assert (net.one_hot(block(few.by_user)).column % 3).tolist() == [1, 0, 0, 2, 0, 1, 0]


AUTOREC_PAPER = {"visible": "sigmoid", "threshold": True, "sample": False, "ordered": False}


@pytest.mark.slow
@pytest.mark.parametrize("variant", [{}, AUTOREC_PAPER])
@pytest.mark.parametrize("side", ["user", "item"])
def test_missing_ratings_are_predicted_from_similar_rows(side, variant):
    """Users of two kinds agree within their kind; each lacks one rating that the others have."""
    user, item = (x.ravel() for x in np.meshgrid(np.arange(30), np.arange(20), indexing="ij"))
    value = np.where((user + item) % 2 == 0, 5, 2).astype(np.float32)
    keep = user != item
    ratings = Ratings(
        user[keep].astype(np.int32),
        item[keep].astype(np.int32),
        value[keep],
        Vocab(range(30)),
        Vocab(range(20)),
    )
    model = RBM(side=side, **SMALL | variant).fit(ratings)
    missing = np.arange(20)
    np.testing.assert_allclose(model.predict(missing, missing), 5, atol=0.3)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_resumed_fit_equals_an_uninterrupted_one_to_the_bit(planted_small, tmp_path, optimizer):
    split = rc.random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    settings = {
        "hidden": 5,
        "epochs": 6,
        "steps": (1, 2),
        "steps_from": (3,),
        "patience": None,
        "optimizer": optimizer,
        "batch_size": 30,
        "learning_rate": 0.02,
    }
    whole = rc.make("rbm", **settings).fit(split.train, split.valid)

    def stop(figures):
        if figures["epoch"] == 4:
            raise KeyboardInterrupt

    keep = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("rbm", **settings).fit(split.train, split.valid, keep)
    again = rc.make("rbm", **settings).fit(
        split.train, split.valid, rc.Run(folder=tmp_path, resume=True)
    )
    np.testing.assert_array_equal(whole.net_.weight.detach(), again.net_.weight.detach())
    assert [e["steps"] for e in again.history_.epochs] == [1, 1, 2, 2, 2, 2]


def test_settings_that_cannot_work_are_refused():
    for settings, message in (
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"center": True}, "leave center out"),
        ({"steps": (1, 3)}, "one fewer than steps"),
        ({"steps": ()}, "one or more values of T"),
        ({"reg": -1.0}, "reg must be at least 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"optimizer": "lbfgs"}, "adam"),
        ({"visible": "sigmoids"}, "Did you mean 'sigmoid'"),
        ({"threshold": True}, "set sample=False"),
    ):
        with pytest.raises(SettingError, match=message):
            rc.make("rbm", **settings)


def test_columns_with_similar_ratings_have_similar_vectors(checkerboard):
    vectors = RBM(side="user", **SMALL).fit(checkerboard).vectors("item")
    cosine = vectors @ vectors[0] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[0])
    assert cosine[2::2].min() > 0.5 > -0.5 > cosine[1::2].max()
