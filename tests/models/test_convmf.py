"""ConvMF: its network in plain NumPy, items without ratings, resuming and loading."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.text.word_vectors import WordVectors
from recollect.errors import DataError, SettingError
from recollect.kernels.reference import optimizers as reference
from recollect.kernels.reference.convolution import max_pooled_convolution

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"mask": False, "length": 40},
    {"item_weights": True, "refit": True, "optimizer": "rmsprop-keras", "reg_weights": 0.1},
    {"absent_weight": 0.1, "offsets": False},
]

QUICK = {
    "factors": 3,
    "reg_user": 0.3,
    "reg_item": 3.0,
    "reg_power": 0.0,
    "epochs": 8,
    "patience": None,
    "embedding": 8,
    "filters": 8,
    "hidden": 8,
    "windows": (1, 2),
    "text_epochs": 5,
    "learning_rate": 0.01,
    "batch_size": 20,
    "dropout": 0.0,
}


def cnn(net, words):
    """Equations 5 to 10 for one document, in plain NumPy."""
    weights = {name: tensor.detach().numpy() for name, tensor in net.state_dict().items()}
    start = np.array([0, len(words)])
    c = max_pooled_convolution(start, words, weights["words"], weights["filters"], net.windows)[0]
    d_f = np.maximum(c + weights["bias"], 0).ravel()
    hidden = np.tanh(weights["hidden.weight"] @ d_f + weights["hidden.bias"])
    return np.tanh(weights["last.weight"] @ hidden + weights["last.bias"])


def test_the_encoding_is_that_of_the_equations(ratings_with_texts):
    model = rc.make("convmf", **{**QUICK, "epochs": 1}).fit(ratings_with_texts)
    document = ratings_with_texts.text.take([4])
    theta = model.text_factors(document)[0]
    np.testing.assert_allclose(theta, cnn(model.net_.text, document.word), atol=1e-5)


def test_unmasked_padding_is_a_word_before_the_text(ratings_with_texts):
    settings = {**QUICK, "epochs": 1, "mask": False, "length": 70}
    model = rc.make("convmf", **settings).fit(ratings_with_texts)
    document = ratings_with_texts.text.take([4])
    padding = np.full(70 - len(document.word), ratings_with_texts.text.n_words)
    words = np.concatenate([padding, document.word])
    theta = model.text_factors(document)[0]
    np.testing.assert_allclose(theta, cnn(model.net_.text, words), atol=1e-5)


@pytest.fixture(scope="module")
def split(ratings_with_texts):
    """A fifth of the items has no ratings in train."""
    return rc.new_item_split(ratings_with_texts, items=0.2, seed=0)


@pytest.fixture(scope="module")
def model(split):
    return rc.make("convmf", **QUICK).fit(split.train)


def test_unrated_items_are_predicted_from_their_texts(split, model):
    bias = rc.make("bias").fit(split.train)
    scores = rc.new_items(model, split)
    assert scores.about["n_cold"] == 0
    assert scores["rmse"] < 0.85 * rc.new_items(bias, split)["rmse"]
    ranking = rc.new_items_ranking(model, split, n=5)
    assert ranking["ndcg@5"] > 1.2 * ranking.about["random_ndcg@5"]


def test_unrated_items_are_recommended_and_compared(split, model):
    new = split.test.items.at(np.flatnonzero(split.test.count("item") > 0))
    assert len(rc.top_n(model, user_ids=["1"], n=3, items=new)) == 3
    assert rc.similar(model, item_ids=[new[0]], n=5)["similarity"].max() > 0.5


def test_the_prior_mean_of_an_item_without_a_text_is_that_of_the_others(ratings_with_texts):
    texts = dict.fromkeys(ratings_with_texts.items.ids.to_list(), "word soup")
    texts[ratings_with_texts.items.ids[7]] = ""
    ratings = rc.with_texts(ratings_with_texts, texts, tokenizer=rc.Tokenizer(most=1.0))
    model = rc.make("convmf", **{**QUICK, "epochs": 2}).fit(ratings)
    theta = model.text_factors(ratings.text)
    np.testing.assert_allclose(theta[7], np.delete(theta, 7, axis=0).mean(axis=0), atol=1e-5)


def test_a_loaded_model_encodes_new_texts(ratings_with_texts, tmp_path):
    model = rc.make("convmf", **{**QUICK, "epochs": 2}).fit(ratings_with_texts)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    new = ["mucha muchaa muchab littlebc", "littleaa littlebb"]
    theta = model.text_factors(ratings_with_texts.text.read(new))
    np.testing.assert_array_equal(theta, loaded.text_factors(loaded.given_.text.read(new)))


def test_pre_trained_vectors_are_where_the_words_start(ratings_with_texts):
    text = ratings_with_texts.text
    table = np.full((text.n_words, 8), 20, np.float32)
    vectors = WordVectors(table, np.ones(text.n_words, bool), "all 20")
    ratings = replace(ratings_with_texts, text=replace(text, vectors=vectors))
    net = rc.make("convmf", **QUICK).encoder(ratings.text, 3)
    np.testing.assert_allclose(net.words.detach()[:-1], 1)
    assert not net.words.detach()[-1].any()
    with pytest.raises(SettingError, match="set embedding=8"):
        rc.make("convmf", **{**QUICK, "embedding": 9}).fit(ratings)


def test_item_weights_are_roots_of_counts_around_1(ratings_with_texts):
    model = rc.make("convmf", **{**QUICK, "epochs": 1, "item_weights": True}).fit(
        ratings_with_texts
    )
    weight, count = model.weight(ratings_with_texts).numpy(), ratings_with_texts.count("item")
    assert weight[count > 0].mean() == pytest.approx(1)
    np.testing.assert_allclose(weight / weight.max(), np.sqrt(count / count.max()), rtol=1e-5)
    np.testing.assert_allclose(
        model.item_reg(ratings_with_texts)[count > 0], 3 * weight[count > 0], rtol=1e-5
    )


def test_a_resumed_fit_is_equal_to_the_bit(ratings_with_texts, tmp_path):
    settings = {**QUICK, "epochs": 4, "dropout": 0.3}
    whole = rc.make("convmf", **settings).fit(ratings_with_texts)

    def stop(figures):
        if figures["epoch"] == 2:
            raise KeyboardInterrupt

    run = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("convmf", **settings).fit(ratings_with_texts, run=run)
    resume = rc.Run(folder=tmp_path, resume=True)
    resumed = rc.make("convmf", **settings).fit(ratings_with_texts, run=resume)
    np.testing.assert_array_equal(whole.net_.item, resumed.net_.item)


def test_ratings_without_texts_are_refused(few):
    with pytest.raises(DataError, match="needs the items' texts"):
        rc.make("convmf").fit(few)


def test_items_added_later_are_known_by_their_texts(ratings_with_texts, split, model, tmp_path):
    item = int(split.test.item[0])
    item_id = ratings_with_texts.items.ids[item]
    document = ratings_with_texts.text.take([item])
    text = " ".join(document.words.at(document.word))
    extended = model.with_items({"brand new": text, item_id: "known already"})
    loaded = rc.load_model(rc.save(extended, tmp_path / "m"))
    pairs = [("1", "brand new"), ("1", item_id)]
    for other in (extended, loaded):
        predicted = rc.predict(other, pairs)
        assert not predicted["cold"].any()
        assert predicted["prediction"][0] == pytest.approx(predicted["prediction"][1], abs=1e-4)
    assert rc.predict(model, pairs)["cold"].to_list() == [True, False]
    neighbors = rc.similar(extended, item_ids=[item_id], n=1)
    assert "brand new" in neighbors["neighbor_id"].to_list()
    best = rc.top_n(extended, user_ids=["1"], items=["brand new"])
    assert best["item_id"].to_list() == ["brand new"]


def test_adding_no_new_item_is_an_error(ratings_with_texts):
    model = rc.make("convmf", **{**QUICK, "epochs": 1}).fit(ratings_with_texts)
    with pytest.raises(DataError, match="nothing to add"):
        model.with_items({ratings_with_texts.items.ids[0]: "words"})
    with pytest.raises(DataError, match="word that the model knows"):
        model.with_items({"new": "quite unheard of"})


@pytest.mark.parametrize(
    ("name", "epsilon", "inside"), [("rmsprop", 1e-7, False), ("rmsprop-keras", 1e-6, True)]
)
def test_the_network_steps_by_the_rmsprop_that_is_named(name, epsilon, inside, ratings_with_texts):
    """Gradients of word vectors are about 1e-6, where the place of epsilon decides."""
    settings = QUICK | {"epochs": 1, "text_epochs": 1, "optimizer": name}
    model = rc.make("convmf", **settings).fit(ratings_with_texts)
    prior = model.prior(ratings_with_texts)
    words = prior.encoder.words
    gradient = 1e-6 * np.random.default_rng(0).normal(size=words.shape)
    expected, _ = reference.rmsprop(
        words.detach().double().numpy(),
        gradient,
        np.zeros_like(gradient),
        learning_rate=0.01,
        epsilon=epsilon,
        inside=inside,
    )
    words.grad = torch.tensor(gradient, dtype=torch.float32)
    prior.optimizer.step()
    np.testing.assert_allclose(words.detach(), expected, atol=2e-8)  # 32 bits, numbers below 0.1


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        # Of 3 words of 40 numbers and 25 filters, and of 5 words.
        ("glorot", lambda h: (6 / (h * 40 + h * 25)) ** 0.5),
        ("keras", lambda h: (6 / (h * 40 + 25)) ** 0.5),
    ],
)
def test_filters_start_within_the_bound_of_their_fans(name, bound, ratings_with_texts):
    settings = QUICK | {"windows": (3, 5), "embedding": 40, "filters": 25, "filter_init": name}
    torch.manual_seed(0)
    filters = rc.make("convmf", **settings).encoder(ratings_with_texts.text, 3).filters.detach()
    parts = filters.split([3 * 25, 5 * 25])
    for h, part in zip((3, 5), parts, strict=True):
        # Of 3,000 uniform numbers the largest is within a hundredth of the bound.
        assert 0.99 * bound(h) < float(part.abs().max()) <= bound(h)


def test_an_epochs_loss_is_that_of_the_paper_with_a_penalty_on_all_weights(ratings_with_texts):
    """E(W) = lambda_V / 2 * sum of squared errors + lambda_W / 2 * |W|^2, section 3.3, by hand."""
    settings = QUICK | {"epochs": 1, "text_epochs": 1, "reg_item": 3.0, "reg_weights": 0.7}
    model = rc.make("convmf", **settings).fit(ratings_with_texts)
    prior = model.prior(ratings_with_texts)
    net = prior.encoder
    text = ratings_with_texts.text
    item = model.net_.item.numpy()
    theta = np.stack([cnn(net, text.take([j]).word) for j in range(len(text))])
    errors = np.square(item - theta).sum()
    norm = sum(np.square(x.detach().numpy()).sum() for x in net.parameters())
    expected = 3.0 / 2 * errors + 0.7 / 2 * norm

    everything = torch.ones(len(text))
    rows = np.arange(len(text))
    total = 0.0
    for batch in (rows[:7], rows[7:]):
        loss, n = net.loss(text.take(batch), model.net_.item[batch], everything[batch])
        assert n == len(batch)
        total += float(loss.detach())
    # The network's loss is a mean over factors, for lambda_V = 1, without the half.
    assert total * item.shape[1] * 3.0 / 2 == pytest.approx(expected, rel=1e-4)


def test_a_penalty_shrinks_the_network(ratings_with_texts):
    settings = QUICK | {"optimizer": "adam"}
    nets = [
        rc.make("convmf", **settings, reg_weights=reg).fit(ratings_with_texts).net_.text
        for reg in (0.0, 3.0)
    ]
    free, shrunk = (torch.nn.utils.parameters_to_vector(net.parameters()) for net in nets)
    assert shrunk.norm() < 0.8 * free.norm()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "lbfgs"}, "rmsprop-keras"),
        ({"filter_init": "kers"}, "Did you mean 'keras'"),
        ({"reg_weights": -1.0}, "reg_weights must be at least 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        rc.make("convmf", **settings)
