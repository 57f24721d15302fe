"""CDL: bags, code and loss by hand, items that nobody rated, and what loading keeps."""

import dataclasses

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.sources.planted import planted, planted_texts
from recollect.data.text.corpus import corpus_of
from recollect.data.text.tokenizer import Tokenizer
from recollect.errors import SettingError
from recollect.families.text_prior import TextPrior
from recollect.models.cdl import bags, dense
from recollect.run import Run

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"absent_weight": 0.1, "offsets": False, "pretrain_epochs": 2},
]

CPU = torch.device("cpu")
QUICK = {
    "factors": 4,
    "reg_user": 0.3,
    "reg_item": 10.0,
    "reg_power": 0.0,
    "epochs": 20,
    "patience": None,
    "hidden": (16,),
    "dropout": 0.0,
    "text_epochs": 5,
    "learning_rate": 0.01,
    "batch_size": 20,
}
TINY = {
    "factors": 2,
    "hidden": (3,),
    "noise": 0.0,
    "dropout": 0.0,
    "reconstruction": 7.0,
    "reg_weights": 0.3,
}


@pytest.fixture(scope="module")
def told():
    """150 items whose texts tell what they are like."""
    made = planted(200, 150, 6000, rank=2, noise=0.2, seed=1, popularity=0.6, activity=0.4)
    return rc.with_texts(made.ratings, planted_texts(made.truth, made.ratings.items, length=60))


@pytest.fixture
def two():
    return corpus_of(["a b b d", "c"], Tokenizer(stop_words=None, most=1.0))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layers(net):
    """Weights, outputs × inputs, and biases, from the words to the words."""
    first = (net.first.weight.detach().numpy().T, net.first.bias.detach().numpy())
    return [
        first,
        *(
            (x.weight.detach().numpy(), x.bias.detach().numpy())
            for x in (*net.encoding, *net.decoding)
        ),
    ]


def test_bags_are_counts_over_the_largest_count(two):
    np.testing.assert_allclose(dense(bags(two, CPU)), [[0.5, 1, 0, 0.5], [0, 0, 1, 0]])


def test_the_code_and_the_loss_are_those_of_the_equations(two):
    torch.manual_seed(0)
    net = rc.make("cdl", **TINY).encoder(two, 3)
    X, x, through = np.array([[0.5, 1, 0, 0.5], [0, 0, 1, 0]]), None, []
    for W, b in layers(net):
        x = sigmoid((X if x is None else x) @ W.T + b)
        through.append(x)
    assert [x.shape[1] for x in through] == [3, 2, 3, 4]
    code, decoded = through[1], through[3]
    np.testing.assert_allclose(
        net(two).detach(), np.column_stack([code, [0, 0]]), atol=1e-6
    )  # nothing of the offset
    V, reg_item = np.array([[0.3, -0.2, 9.0], [0.1, 0.4, 9.0]]), np.array([5.0, 0.0])
    expected = (
        reg_item @ np.square(V[:, :2] - code).sum(axis=1)
        + 7 * np.square(X - decoded).sum()
        + 0.3 * sum(np.square(W).sum() + np.square(b).sum() for W, b in layers(net))
    )
    loss, n = net.loss(two, *(torch.tensor(x, dtype=torch.float32) for x in (V, reg_item)))
    assert n == 2
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_in_training_a_share_of_the_words_is_masked_and_the_others_stay(two):
    torch.manual_seed(0)
    net = rc.make("cdl", **{**TINY, "noise": 0.5}).encoder(two, 2)
    seen, real = [], net.first.forward
    net.first.forward = lambda block, *, value: (seen.append(value), real(block, value=value))[1]
    many = two.take([0] * 1000)
    net.train().code(bags(many, CPU))
    net.eval().code(bags(many, CPU))
    noisy, clean = (x.numpy().reshape(1000, 3) for x in seen)
    np.testing.assert_allclose(clean, np.tile([0.5, 1, 0.5], (1000, 1)))
    assert set(np.unique(noisy[:, 1])) == {0, 1}
    np.testing.assert_allclose((noisy == 0).mean(axis=0), 0.5, atol=0.06)  # 4 standard deviations


def test_the_last_biases_say_how_frequent_words_are(two):
    net = rc.make("cdl", **TINY).encoder(two, 2)
    np.testing.assert_allclose(
        sigmoid(net.decoding[-1].bias.detach().numpy()), [0.25, 0.5, 0.5, 0.25], atol=1e-6
    )


def test_pretraining_learns_the_words(told):
    def words_left(**more):
        model = rc.make("cdl", **{**QUICK, "epochs": 1, "noise": 0.0, "reg_item": 0.3, **more}).fit(
            told
        )
        return model.history_.epochs[0]["text_loss"]

    assert words_left(pretrain_epochs=30) < 0.95 * words_left()


def test_texts_of_items_that_nobody_rated_are_learned_too(two):
    torch.manual_seed(0)
    net = rc.make("cdl", **{**TINY, "reg_weights": 0.0}).encoder(two, 2)
    prior = TextPrior(
        net,
        two,
        device=CPU,
        optimizer="adam",
        learning_rate=0.05,
        batch_size=2,
        epochs=400,
        unrated=True,
    )
    prior.learn(torch.zeros(2, 2), torch.zeros(2))
    with torch.no_grad():
        np.testing.assert_allclose(
            net.eval().decoded(net.code(bags(two, CPU))),
            [[0.5, 1, 0, 0.5], [0, 0, 1, 0]],
            atol=0.05,
        )


def test_items_that_nobody_rated_are_predicted_from_their_texts(told):
    split = rc.new_item_split(told, items=0.2, seed=0)
    model, bias = rc.make("cdl", **QUICK).fit(split.train), rc.make("bias").fit(split.train)
    text, mean = rc.new_items(model, split), rc.new_items(bias, split)
    assert text.about["n_cold"] == 0
    assert text["rmse"] < 0.85 * mean["rmse"]
    ranked = rc.new_items_ranking(model, split, n=5)
    assert ranked["ndcg@5"] > 1.2 * ranked.about["random_ndcg@5"]


def test_the_weight_of_an_item_is_its_lambda(told):
    """So that the factors and the autoencoder have one objective."""
    for more in ({}, {"reg_power": 0.5}, {"item_weights": True}):
        model = rc.make("cdl", **{**QUICK, **more})
        np.testing.assert_array_equal(model.weight(told), model.item_reg(told))


def test_a_loaded_model_reads_new_texts(told, tmp_path):
    model = rc.make("cdl", **{**QUICK, "epochs": 2}).fit(told)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    new = ["mucha muchaa muchab littlebc", "littleaa littlebb"]
    np.testing.assert_array_equal(
        model.text_factors(told.text.read(new)), loaded.text_factors(loaded.given_.text.read(new))
    )


def test_a_fit_that_was_stopped_goes_on_where_it_was(told, tmp_path):
    settings = {**QUICK, "epochs": 4, "pretrain_epochs": 2, "dropout": 0.1}
    run, seen = Run(seed=2, threads=1, folder=tmp_path, snapshot_seconds=0), []

    def stop(figures):
        seen.append(figures)
        if len(seen) == 3:
            raise KeyboardInterrupt

    whole = rc.make("cdl", **settings).fit(told, run=Run(seed=2, threads=1))
    with pytest.raises(KeyboardInterrupt):
        rc.make("cdl", **settings).fit(told, run=dataclasses.replace(run, watchers=(stop,)))
    again = rc.make("cdl", **settings).fit(told, run=dataclasses.replace(run, resume=True))
    np.testing.assert_array_equal(
        whole.predict(told.user, told.item), again.predict(told.user, told.item)
    )


@pytest.mark.parametrize(
    ("settings", "told_"),
    [
        ({"noise": 1.0}, "noise is the share"),
        ({"dropout": -0.1}, "dropout is the share"),
        ({"hidden": ()}, "one width at least"),
        ({"text_epochs": 0}, "1 or more"),
        ({"reconstruction": -1.0}, "0 or more"),
        ({"activation": "sigmod"}, "sigmoid"),
    ],
)
def test_what_cannot_work_is_refused(settings, told_):
    with pytest.raises(SettingError, match=told_):
        rc.make("cdl", **settings)
