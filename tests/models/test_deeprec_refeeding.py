"""DeepRec: dense re-feeding against steps by hand, its noise and its share of columns."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.dense import rating_matrix
from tests.models.deeprec_by_hand import PLAIN, DeepByHand, dense_forward, unbuilt, unfitted

from recollect.models.deeprec import DeepRec
from recollect.run import Run


def refed_by_hand(rows, known, weights, *, rate, momentum, target, factor):
    """One batch, one linear hidden layer: a step on the ratings, then one on the output."""
    V, mu, W, b = (w.copy() for w in weights)
    speed = [np.zeros_like(w) for w in (V, mu, W, b)]

    def gradients(x, error):
        h = x @ V + mu
        back = error @ W
        return x.T @ back, back.sum(0), error.T @ h, error.sum(0)

    def step(grads):
        for w, s, g in zip((V, mu, W, b), speed, grads, strict=True):
            s[...] = momentum * s + g
            w -= rate * s

    fed = (rows @ V + mu) @ W.T + b
    error = np.where(known, fed - rows, 0)
    step(gradients(rows, 2 * error / known.sum()))
    out = (fed @ V + mu) @ W.T + b
    if target == "output":
        step(gradients(fed, factor * 2 * (out - fed) / fed.size))
    else:
        step(gradients(fed, factor * 2 * np.where(known, out - rows, 0) / known.sum()))
    return V, mu, W, b


@pytest.mark.parametrize("target", ["output", "input"])
@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_refeeding_is_a_second_step_on_the_output(few, target, factor):
    settings = {
        "hidden": 2,
        "activation": "identity",
        "dropout": 0.0,
        "batch_size": 100,
        "optimizer": "sgd",
        "learning_rate": 0.02,
        "momentum": 0.9,
        "epochs": 1,
        "refeed": 1,
        "refeed_target": target,
        "refeed_rate": factor,
    }
    rows, known = rating_matrix(few)
    started = unfitted(few, **settings)
    with torch.random.fork_rng():
        torch.manual_seed(Run().seed)
        net = started.build(few.n_users, few.n_items)
    before = [
        p.detach().double().numpy()
        for p in (net.input.weight, net.input.bias, net.output.weight, net.output.bias)
    ]
    expected = refed_by_hand(
        rows, known, before, rate=0.02, momentum=0.9, target=target, factor=factor
    )
    fitted = DeepRec(**PLAIN | settings).fit(few, run=Run(precision="32")).net_
    after = (fitted.input.weight, fitted.input.bias, fitted.output.weight, fitted.output.bias)
    for x, y in zip(after, expected, strict=True):
        np.testing.assert_allclose(x.detach(), y, rtol=1e-4, atol=1e-6)


def test_refeeding_a_deep_network_twice_is_three_steps(few):
    """Ratings, then the output, then what the network made of the output before that step."""
    settings = {"hidden": (4, 3), "activation": "tanh", "dropout": 0.0, "batch_size": 100}
    settings |= {"learning_rate": 0.02, "epochs": 1, "refeed": 2}
    rows, known = rating_matrix(few)
    with torch.random.fork_rng():
        torch.manual_seed(Run().seed)
        by_hand = DeepByHand(unbuilt(few, **settings).build(few.n_users, few.n_items))

    at_ratings = by_hand.forward(rows)
    fed = at_ratings[-1]
    by_hand.step(at_ratings, 2 * np.where(known, fed - rows, 0) / known.sum(), rate=0.02)
    for _ in range(2):
        at_fed = by_hand.forward(fed)
        by_hand.step(at_fed, 2 * (at_fed[-1] - fed) / fed.size, rate=0.02)
        fed = at_fed[-1]

    fitted = DeepByHand(DeepRec(**PLAIN | settings).fit(few, run=Run(precision="32")).net_)
    assert len(fitted.W) == 4
    for x, y in zip((*fitted.W, *fitted.b), (*by_hand.W, *by_hand.b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def test_refeeding_twice_feeds_the_second_output(few):
    model = unfitted(few, refeed=2, activation="identity", hidden=2)
    steps = model.recipe.steps(model.net_, model.block(few.by_user))
    rows, _ = rating_matrix(few)
    fed = dense_output(model.net_, rows)
    totals = [float(step[0].detach()) for step in steps]
    again = dense_output(model.net_, fed)
    assert len(totals) == 3
    assert totals[1] == pytest.approx(((again - fed) ** 2).sum(), rel=1e-4)
    assert totals[2] == pytest.approx(
        ((dense_output(model.net_, again) - again) ** 2).sum(), rel=1e-4
    )


def dense_output(net, rows):
    p = {k: v.detach().double().numpy() for k, v in net.state_dict().items()}
    return (rows @ p["input.weight"] + p["input.bias"]) @ p["output.weight"].T + p["output.bias"]


def test_a_share_of_the_outputs_is_right_on_average(planted_small):
    model = unfitted(planted_small.ratings, refeed=1, refeed_share=0.25)
    net = model.net_
    rows = torch.randn(30, planted_small.ratings.n_items)
    hidden = net.encode_dense(rows)
    whole_sum, n = dataclasses.replace(model, refeed_share=1.0).recipe.refed_error(
        net, hidden, rows
    )
    drawn = [model.recipe.refed_error(net, hidden, rows) for _ in range(300)]
    assert {count for _, count in drawn} == {30 * 20}
    assert np.mean([float(total.detach()) / count for total, count in drawn]) == pytest.approx(
        float(whole_sum.detach()) / n, rel=0.02
    )


def test_noise_keeps_the_mean_of_what_is_fed_in(few, monkeypatch):
    """What is not dropped is divided by 1 - p, in the input and in the target."""
    model = unfitted(few, refeed=1, refeed_noise=0.2)
    net = model.net_
    with torch.no_grad():
        output = net.decode(net.encode(model.block(few.by_user))).numpy()
    fed = []
    encode_dense = net.encode_dense
    monkeypatch.setattr(net, "encode_dense", lambda rows: fed.append(rows) or encode_dense(rows))

    for _ in range(200):
        loss, count = list(model.recipe.steps(net, model.block(few.by_user)))[1][:2]

    drawn = np.stack([rows.numpy() for rows in fed])
    is_kept = drawn != 0
    np.testing.assert_allclose(drawn, is_kept * output / 0.8, rtol=1e-6)
    # 200 draws of every number: five standard errors.
    assert is_kept.mean() == pytest.approx(0.8, abs=5 * 0.4 / is_kept.size**0.5)
    out = dense_forward(net, drawn[-1], "selu", last=False)
    expected = np.square(out - drawn[-1])[is_kept[-1]].sum()
    assert count == is_kept[-1].sum()
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
