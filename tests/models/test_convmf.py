"""ConvMF: the network by hand, items that nobody rated, and what resuming and loading keep."""

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.sources.planted import planted, planted_texts
from recollect.data.text.word_vectors import WordVectors
from recollect.errors import DataError, SettingError

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"mask": False, "length": 40},
    {"item_weights": True, "refit": True},
    {"absent_weight": 0.1, "offsets": False},
]

QUICK = {
    "factors": 3,
    "reg_user": 0.3,
    "reg_item": 3.0,
    "reg_power": 0.0,
    "epochs": 20,
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


@pytest.fixture(scope="module")
def told():
    """150 items whose texts tell what they are like."""
    made = planted(200, 150, 6000, rank=2, noise=0.2, seed=1, popularity=0.6, activity=0.4)
    return rc.with_texts(made.ratings, planted_texts(made.truth, made.ratings.items, length=60))


def plainly(net, words, windows):
    """Equations 5 to 10 for one document, place by place."""
    table, filters = net.words.detach().numpy(), net.filters.detach().numpy()
    n, row, strongest = len(net.bias[0]), 0, []
    for h, bias in zip(windows, net.bias.detach().numpy(), strict=True):
        w = filters[row : row + h * n].reshape(h, n, -1)
        answers = [
            np.maximum(sum(w[o] @ table[words[t + o]] for o in range(h)) + bias, 0)
            for t in range(len(words) - h + 1)
        ]
        strongest.append(np.max(answers, axis=0))
        row += h * n
    hidden = np.tanh(
        net.hidden.weight.detach().numpy() @ np.concatenate(strongest)
        + net.hidden.bias.detach().numpy()
    )
    return np.tanh(net.last.weight.detach().numpy() @ hidden + net.last.bias.detach().numpy())


def test_the_network_says_what_the_equations_say(told):
    model = rc.make("convmf", **{**QUICK, "epochs": 1}).fit(told)
    document = told.text.take([4])
    np.testing.assert_allclose(
        model.text_factors(document)[0], plainly(model.net_.text, document.word, (1, 2)), atol=1e-5
    )


def test_unmasked_padding_is_read_as_a_word_before_the_text(told):
    model = rc.make("convmf", **{**QUICK, "epochs": 1, "mask": False, "length": 70}).fit(told)
    document, padding = told.text.take([4]), told.text.n_words
    words = [padding] * (70 - len(document.word)) + document.word.tolist()
    assert len(words) == 70
    np.testing.assert_allclose(
        model.text_factors(document)[0], plainly(model.net_.text, words, (1, 2)), atol=1e-5
    )


def test_items_that_nobody_rated_are_predicted_from_their_texts(told):
    split = rc.new_item_split(told, items=0.2, seed=0)
    model, bias = rc.make("convmf", **QUICK).fit(split.train), rc.make("bias").fit(split.train)
    text, mean = rc.new_items(model, split), rc.new_items(bias, split)
    assert text.about["n_cold"] == 0
    assert text["rmse"] < 0.85 * mean["rmse"]
    ranked = rc.new_items_ranking(model, split, n=5)
    assert ranked["ndcg@5"] > 1.2 * ranked.about["random_ndcg@5"]


def test_items_that_nobody_rated_are_recommended_and_compared(told):
    split = rc.new_item_split(told, items=0.2, seed=0)
    model = rc.make("convmf", **QUICK).fit(split.train)
    new = split.test.items.at(np.flatnonzero(split.test.count("item") > 0))
    shown = rc.top_n(model, user_ids=["1"], n=3, items=new)
    assert len(shown) == 3
    assert rc.similar(model, item_ids=[new[0]], n=5)["similarity"].max() > 0.5


def test_an_item_without_a_text_is_like_the_mean_of_the_others(told):
    texts = dict.fromkeys(told.items.ids.to_list(), "word soup")
    texts[told.items.ids[7]] = ""
    ratings = rc.with_texts(told, texts, tokenizer=rc.Tokenizer(most=1.0))
    model = rc.make("convmf", **{**QUICK, "epochs": 2}).fit(ratings)
    said = model.text_factors(ratings.text)
    np.testing.assert_allclose(said[7], np.delete(said, 7, axis=0).mean(axis=0), atol=1e-5)


def test_a_loaded_model_reads_new_texts(told, tmp_path):
    model = rc.make("convmf", **{**QUICK, "epochs": 2}).fit(told)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    new = ["mucha muchaa muchab littlebc", "littleaa littlebb"]
    np.testing.assert_array_equal(
        model.text_factors(told.text.read(new)), loaded.text_factors(loaded.given_.text.read(new))
    )


def test_pre_trained_vectors_are_where_the_words_start(told):
    vectors = WordVectors(
        np.full((told.text.n_words, 8), 20, np.float32), np.ones(told.text.n_words, bool), "all 20"
    )
    from dataclasses import replace

    ratings = replace(told, text=replace(told.text, vectors=vectors))
    net = rc.make("convmf", **QUICK).encoder(ratings.text, 3)
    np.testing.assert_allclose(net.words.detach()[:-1], 1)
    assert not net.words.detach()[-1].any()
    with pytest.raises(SettingError, match="set embedding=8"):
        rc.make("convmf", **{**QUICK, "embedding": 9}).fit(ratings)


def test_item_weights_are_roots_of_counts_around_1(told):
    model = rc.make("convmf", **{**QUICK, "epochs": 1, "item_weights": True}).fit(told)
    weight, count = model.weight(told).numpy(), told.count("item")
    assert weight[count > 0].mean() == pytest.approx(1)
    np.testing.assert_allclose(weight / weight.max(), np.sqrt(count / count.max()), rtol=1e-5)
    np.testing.assert_allclose(model.item_reg(told)[count > 0], 3 * weight[count > 0], rtol=1e-5)


def test_an_interrupted_fit_goes_on_to_the_bit(told, tmp_path):
    settings = {**QUICK, "epochs": 4, "dropout": 0.3}
    whole = rc.make("convmf", **settings).fit(told)

    def stop(figures):
        if figures["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rc.make("convmf", **settings).fit(
            told, run=rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
        )
    again = rc.make("convmf", **settings).fit(told, run=rc.Run(folder=tmp_path, resume=True))
    np.testing.assert_array_equal(whole.net_.item, again.net_.item)


def test_ratings_without_texts_are_refused(few):
    with pytest.raises(DataError, match="needs the items' texts"):
        rc.make("convmf").fit(few)


def test_rmsprop_is_torchs():
    from recollect.training.optimizers import make

    found = []
    for maker in (
        lambda p: make("rmsprop", p, learning_rate=0.01),
        lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-7),
    ):
        x = torch.nn.Parameter(torch.linspace(-1, 1, 40))
        optimizer = maker([x])
        for _ in range(20):
            optimizer.zero_grad()
            (x * torch.arange(40) - 3).square().sum().backward()
            optimizer.step()
        found.append(x.detach())
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


def test_items_that_come_later_are_known_by_their_texts(told, tmp_path):
    split = rc.new_item_split(told, items=0.2, seed=0)
    model = rc.make("convmf", **{**QUICK, "epochs": 10}).fit(split.train)
    item_id = told.items.ids[int(split.test.item[0])]
    (document,) = [" ".join(told.text.words.at(told.text.take([int(split.test.item[0])]).word))]
    more = model.with_items({"brand new": document, item_id: "known already"})
    loaded = rc.load_model(rc.save(more, tmp_path / "m"))
    pairs = [("1", "brand new"), ("1", item_id)]
    for each in (more, loaded):
        found = rc.predict(each, pairs)
        assert not found["cold"].any()
        assert found["prediction"][0] == pytest.approx(found["prediction"][1], abs=1e-4)
    assert rc.predict(model, pairs)["cold"].to_list() == [True, False]
    assert "brand new" in rc.similar(more, item_ids=[item_id], n=1)["neighbor_id"].to_list()
    assert rc.top_n(more, user_ids=["1"], items=["brand new"])["item_id"].to_list() == ["brand new"]


def test_adding_nothing_new_says_so(told):
    model = rc.make("convmf", **{**QUICK, "epochs": 1}).fit(told)
    with pytest.raises(DataError, match="nothing to add"):
        model.with_items({told.items.ids[0]: "words"})
    with pytest.raises(DataError, match="word that the model knows"):
        model.with_items({"new": "quite unheard of"})
