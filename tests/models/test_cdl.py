"""CDL: bags, code and loss in plain NumPy, items without ratings, resuming and loading."""

import dataclasses

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.text.corpus import corpus_of
from recollect.data.text.tokenizer import Tokenizer
from recollect.errors import SettingError
from recollect.families.text_prior import TextPrior
from recollect.models.cdl import bags_of_words
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
    "epochs": 8,
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
    np.testing.assert_allclose(bags_of_words(two, CPU).dense(), [[0.5, 1, 0, 0.5], [0, 0, 1, 0]])


def test_the_code_and_the_loss_are_those_of_the_equations(two):
    torch.manual_seed(0)
    net = rc.make("cdl", **TINY).encoder(two, 3)
    X_c = np.array([[0.5, 1, 0, 0.5], [0, 0, 1, 0]])
    X = [X_c]
    for W, b in layers(net):
        X.append(sigmoid(X[-1] @ W.T + b))
    assert [x.shape[1] for x in X] == [4, 3, 2, 3, 4]
    code = X[2]
    # The prior mean of the offset is 0.
    np.testing.assert_allclose(net(two).detach(), np.column_stack([code, [0, 0]]), atol=1e-6)
    V = np.array([[0.3, -0.2, 9.0], [0.1, 0.4, 9.0]])
    reg_item = np.array([5.0, 0.0])
    factor_error = reg_item @ np.square(V[:, :2] - code).sum(axis=1)
    word_error = np.square(X_c - X[4]).sum()
    norm = sum(np.square(W).sum() + np.square(b).sum() for W, b in layers(net))
    loss, n = net.loss(two, torch.tensor(V).float(), torch.tensor(reg_item).float())
    assert n == 2
    expected = factor_error + 7 * word_error + 0.3 * norm
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)


def test_while_training_a_share_of_the_words_is_masked(two):
    torch.manual_seed(0)
    net = rc.make("cdl", **{**TINY, "noise": 0.5}).encoder(two, 2)
    inputs = []
    net.first.register_forward_pre_hook(
        lambda layer, arguments, named: inputs.append(named["value"].numpy().reshape(1000, 3)),
        with_kwargs=True,
    )
    bags = bags_of_words(two.take([0] * 1000), CPU)
    net.train().code(bags)
    net.eval().code(bags)
    noisy, clean = inputs
    np.testing.assert_allclose(clean, np.tile([0.5, 1, 0.5], (1000, 1)))
    assert set(np.unique(noisy[:, 1])) == {0, 1}
    np.testing.assert_allclose((noisy == 0).mean(axis=0), 0.5, atol=0.06)  # 4 standard deviations


def test_the_last_biases_start_at_the_means_of_words(two):
    net = rc.make("cdl", **TINY).encoder(two, 2)
    np.testing.assert_allclose(
        sigmoid(net.decoding[-1].bias.detach().numpy()), [0.25, 0.5, 0.5, 0.25], atol=1e-6
    )


def test_pretraining_learns_the_words(ratings_with_texts):
    def text_loss(pretrain_epochs):
        settings = {**QUICK, "epochs": 1, "text_epochs": 1, "noise": 0.0, "reg_item": 0.3}
        model = rc.make("cdl", **settings, pretrain_epochs=pretrain_epochs)
        model.fit(ratings_with_texts)
        return model.history_.epochs[0]["text_loss"]

    assert text_loss(15) < 0.95 * text_loss(0)


def test_texts_of_unrated_items_are_learned_too(two):
    torch.manual_seed(0)
    net = rc.make("cdl", **{**TINY, "reg_weights": 0.0}).encoder(two, 2)
    prior = TextPrior(
        net,
        two,
        device=CPU,
        optimizer="adam",
        learning_rate=0.1,
        batch_size=2,
        epochs=150,
        include_unrated=True,
    )
    prior.learn(torch.zeros(2, 2), torch.zeros(2))
    with torch.no_grad():
        decoded = net.eval().decode(net.code(bags_of_words(two, CPU)))
    np.testing.assert_allclose(decoded, [[0.5, 1, 0, 0.5], [0, 0, 1, 0]], atol=0.05)


@pytest.mark.slow
def test_unrated_items_are_predicted_from_their_texts(ratings_with_texts):
    split = rc.new_item_split(ratings_with_texts, items=0.2, seed=0)
    model = rc.make("cdl", **QUICK).fit(split.train)
    bias = rc.make("bias").fit(split.train)
    scores = rc.new_items(model, split)
    assert scores.about["n_cold"] == 0
    assert scores["rmse"] < 0.85 * rc.new_items(bias, split)["rmse"]
    ranking = rc.new_items_ranking(model, split, n=5)
    assert ranking["ndcg@5"] > 1.2 * ranking.about["random_ndcg@5"]


@pytest.fixture(scope="module")
def counts_1_and_4() -> Ratings:
    """Item "a" has 1 rating, "b" has 4, and "c" a text only."""
    pairs = [("1", "a", 5.0), *((str(user), "b", 3.0) for user in range(1, 5))]
    ratings = rc.from_tuples(pairs)
    texts = {"a": "one two", "b": "two three", "c": "one three"}
    tokenizer = Tokenizer(stop_words=None, most=1.0)
    return rc.with_texts(ratings, texts, tokenizer=tokenizer)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"a": 10, "b": 10, "c": 10}),
        # 10 n^0.5; an item without ratings counts as one with a single rating.
        ({"reg_power": 0.5}, {"a": 10, "b": 20, "c": 10}),
        # 10 sqrt(n) / the mean of 1 and 2; 10 itself without ratings.
        ({"item_weights": True}, {"a": 10 / 1.5, "b": 20 / 1.5, "c": 10}),
        ({"item_weights": True, "reg_power": 0.5}, {"a": 10 / 1.5, "b": 40 / 1.5, "c": 10}),
    ],
)
def test_the_weight_of_an_item_is_its_lambda(settings, expected, counts_1_and_4):
    """So that the factors and the autoencoder have one objective."""
    model = rc.make("cdl", **QUICK | settings)
    by_item = [expected[name] for name in counts_1_and_4.items.ids.to_list()]
    np.testing.assert_allclose(model.weight(counts_1_and_4), by_item, rtol=1e-6)
    np.testing.assert_allclose(model.item_reg(counts_1_and_4), by_item, rtol=1e-6)


def test_a_loaded_model_encodes_new_texts(ratings_with_texts, tmp_path):
    model = rc.make("cdl", **{**QUICK, "epochs": 2}).fit(ratings_with_texts)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    new = ["mucha muchaa muchab littlebc", "littleaa littlebb"]
    theta = model.text_factors(ratings_with_texts.text.read(new))
    np.testing.assert_array_equal(theta, loaded.text_factors(loaded.given_.text.read(new)))


def test_a_resumed_fit_is_equal_to_the_bit(ratings_with_texts, tmp_path):
    settings = {**QUICK, "epochs": 4, "pretrain_epochs": 2, "text_epochs": 1, "dropout": 0.1}
    run, seen = Run(seed=2, threads=1, folder=tmp_path, snapshot_seconds=0), []

    def stop(figures):
        seen.append(figures)
        if len(seen) == 3:
            raise KeyboardInterrupt

    whole = rc.make("cdl", **settings).fit(ratings_with_texts, run=Run(seed=2, threads=1))
    with pytest.raises(KeyboardInterrupt):
        rc.make("cdl", **settings).fit(
            ratings_with_texts, run=dataclasses.replace(run, watchers=(stop,))
        )
    resumed = rc.make("cdl", **settings).fit(
        ratings_with_texts, run=dataclasses.replace(run, resume=True)
    )
    np.testing.assert_array_equal(
        whole.predict(ratings_with_texts.user, ratings_with_texts.item),
        resumed.predict(ratings_with_texts.user, ratings_with_texts.item),
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": 1.0}, "noise must be at least 0 and below 1"),
        ({"dropout": -0.1}, "dropout must be at least 0"),
        ({"hidden": ()}, "one width at least"),
        ({"hidden": (8, 0)}, "hidden must be at least 1"),
        ({"text_epochs": 0}, "text_epochs must be at least 1"),
        ({"reconstruction": -1.0}, "reconstruction must be at least 0"),
        ({"activation": "sigmod"}, "sigmoid"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        rc.make("cdl", **settings)
