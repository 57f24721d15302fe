"""DeepRec for events: losses, input, stopping by NDCG, fold-in, refused settings."""

import dataclasses

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.errors import DataError, SettingError
from recollect.models.deeprec import DeepRec
from recollect.run import Run

LOSSES = ("weighted", "logistic", "multinomial")
QUICK = {
    "hidden": 16,
    "activation": "tanh",
    "dropout": 0.0,
    "input_dropout": 0.3,
    "optimizer": "adam",
    "learning_rate": 0.02,
    "batch_size": 20,
    "epochs": 40,
}


@pytest.fixture(scope="module")
def tastes(checkerboard) -> rc.Split:
    """Two tastes, all items equally popular; three tenths of the events are for the test."""
    return rc.random_split(
        checkerboard.events(from_=5, remember=False), test=0.3, valid=0.1, seed=0
    )


@pytest.fixture(scope="module", params=LOSSES)
def model(request, tastes) -> DeepRec:
    return DeepRec(loss=request.param, **QUICK).fit(tastes.train, tastes.valid, Run(threads=1))


def unfitted(events: Ratings, **settings) -> DeepRec:
    model = DeepRec(**{"hidden": 3, "activation": "tanh", "input_dropout": 0.0, **settings})
    model.given_ = events
    torch.manual_seed(1)
    model.net_ = model.build(events.n_users, events.n_items)
    return model


@pytest.fixture
def counted() -> Ratings:
    """Three users, four items; counts of 1 to 4."""
    return Ratings(
        np.array([0, 0, 1, 1, 2], np.int32),
        np.array([0, 2, 1, 2, 3], np.int32),
        np.array([1, 4, 2, 1, 3], np.float32),
        rc.Vocab(["a", "b", "c"]),
        rc.Vocab(["w", "x", "y", "z"]),
        scale=(0.0, 4.0),
        implicit=True,
    )


@pytest.mark.parametrize("counts", ["plain", "log", "binary"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_its_dense_statement(counted, loss, counts, normalize):
    """Transformed counts enter the input, normalized by row, and the loss; absent cells count."""
    more = {"alpha": 3.0} if loss == "weighted" else {}
    model = unfitted(counted, loss=loss, counts=counts, normalize=normalize, **more)
    dense = np.zeros((3, 4))
    dense[counted.user, counted.item] = {
        "plain": counted.value,
        "log": np.log1p(counted.value),
        "binary": 1,
    }[counts]
    rows = dense / np.linalg.norm(dense, axis=1, keepdims=True) if normalize else dense
    p = {name: x.detach().double().numpy() for name, x in model.net_.state_dict().items()}
    out = (
        np.tanh(rows @ p["input.weight"] + p["input.bias"]) @ p["output.weight"].T
        + p["output.bias"]
    )
    yes = dense > 0
    expected = {
        "weighted": np.where(yes, (1 + 3 * dense) * (1 - out) ** 2, out**2),
        "logistic": np.log1p(np.exp(np.where(yes, -out, out))),
        "multinomial": -dense * (out - np.log(np.exp(out).sum(axis=1, keepdims=True))),
    }[loss]
    ((total, n),) = model.recipe.steps(model.net_, model.block(counted.by_user))
    assert n == 5
    assert float(total.detach()) == pytest.approx(expected.sum(), rel=1e-5)


def test_it_beats_popularity_where_users_differ(model, tastes):
    """About a third of a user's kind of items outside train are not in test: those of valid and the
    diagonal. Popularity ranks by train, where items that are often in test are rare."""
    own = rc.full_ranking(model, tastes.test, n=5)
    popular = rc.full_ranking(rc.make("popularity").fit(tastes.train), tastes.test, n=5)
    assert own["ndcg@5"] > 0.65
    assert popular["ndcg@5"] < 0.2
    assert own.versus(popular, "ndcg@5", n=200).low > 0.4


def test_the_fit_is_stopped_by_the_ndcg_of_the_validation_events(tastes):
    """What the history has is what full_ranking measures, and the best of it is kept."""
    model = DeepRec(
        loss="multinomial",
        **{**QUICK, "epochs": 12, "validate_every": 3, "refit": False},
        valid_n=7,
    ).fit(tastes.train, tastes.valid)
    history = model.history_
    seen = history.column("valid_ndcg@7")
    assert [epoch for epoch, _ in seen] == [3, 6, 9, 12]
    assert history.best_valid == max(figure for _, figure in seen)
    assert rc.full_ranking(model, tastes.valid, n=7)["ndcg@7"] == pytest.approx(
        history.best_valid, abs=1e-9
    )
    assert history.train_name == "train_loss"
    assert len(history.column("train_loss")) == 12


def test_predictions_are_scores(model, tastes, tmp_path):
    """Logistic ones are probabilities, an unknown user gets the item's share of the users, an
    unknown item 0; rating errors are refused."""
    test = tastes.test
    predicted = model.predict(test.user, test.item)
    table = model.scores(np.arange(5), model.given_)
    assert model.output == "scores"
    assert predicted.mean() > table.mean()
    if model.loss == "logistic":
        assert 0 < table.min() <= table.max() < 1
    count = model.given_.count("item")[0]
    n_active = (model.given_.count("user") > 0).sum()
    cold = model.predict(np.array([-1, 0]), np.array([0, -1]))
    np.testing.assert_allclose(cold, [count / n_active, 0.0], rtol=1e-6)
    with pytest.raises(DataError, match="scores without a unit"):
        rc.held_out(model, test)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    np.testing.assert_array_equal(loaded.predict(test.user, test.item), predicted)
    assert loaded.given_.implicit
    assert loaded.history_ == model.history_


def test_items_of_one_taste_are_similar(model):
    found = rc.similar(model, item_ids=["i0"], n=10)
    assert sum(int(item[1:]) % 2 == 0 for item in found["neighbor_id"]) >= 9


def test_events_fold_in_at_once(model):
    """A new user with three odd items gets odd ones; with many even ones, even ones."""
    found = rc.top_n(model, events=["i1", "i3", "i5"], n=8)
    assert {int(item[1:]) % 2 for item in found["item_id"]} == {1}
    assert not {"i1", "i3", "i5"} & set(found["item_id"])
    assert found.equals(rc.top_n(model, events={"i1": 1, "i3": 1, "i5": 1}, n=8))
    turned = rc.top_n(model, events={f"i{j}": 5 for j in range(0, 24, 2)} | {"i1": 1}, n=5)
    assert {int(item[1:]) % 2 for item in turned["item_id"]} == {0}
    scores = rc.fold_in(model, events=["i1", "i3", "i5", "i1"])
    assert scores.equals(rc.fold_in(model, events={"i1": 2, "i3": 1, "i5": 1}))


def test_newer_events_of_a_known_user_count_at_once(model):
    known = model.given_.by_user.take(np.array([4]))
    events = dict.fromkeys(model.given_.items.at(known.column), 1)
    new = [item for item in model.given_.items.ids if item not in events][:6]
    found = rc.top_n(model, user_ids=["u4"], events=[*new, *new], n=4)
    expected = rc.top_n(model, events={**events, **dict.fromkeys(new, 2)}, n=4)
    assert found["item_id"].equals(expected["item_id"])
    assert not set(new) & set(found["item_id"])


def test_new_users_are_ranked_for_from_their_given_events(checkerboard):
    split = rc.new_user_split(
        checkerboard.events(from_=5, remember=False), users=0.25, given=0.5, seed=0
    )
    model = DeepRec(loss="multinomial", **QUICK).fit(split.train, run=Run(threads=1))
    scores = rc.new_users_ranking(model, split, n=5)
    assert (
        scores["ndcg@5"] > 0.7
    )  # their diagonal is in train, and so the first of their taste, but no test event
    assert scores.about["n_users"] == 10
    assert scores.about["relevant_from"] == 0.0
    assert rc.new_users_ranking(rc.make("popularity").fit(split.train), split, n=5)["ndcg@5"] < 0.35
    with pytest.raises(DataError, match="new_user_split"):
        rc.new_users_ranking(model, dataclasses.replace(split, given=None))


def test_without_events_items_are_ranked_by_popularity(model):
    """For an unknown id, or no events, a prediction is the item's share of the users."""
    share = model.given_.count("item") / model.given_.n_users
    with pytest.warns(rc.RecollectWarning, match="nobody"):
        of_nobody = rc.top_n(model, user_ids=["nobody"], n=3)

    for found in (of_nobody, rc.top_n(model, events=[], n=3)):
        np.testing.assert_allclose(found["prediction"], np.sort(share)[::-1][:3], rtol=1e-6)


def test_validation_users_without_training_events_are_refused(checkerboard):
    split = rc.new_user_split(
        checkerboard.events(from_=5, remember=False), users=0.2, valid_users=0.2, seed=0
    )
    with pytest.raises(DataError, match="No user in valid has an event in train"):
        DeepRec(loss="logistic", **QUICK).fit(split.train, split.valid)


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ({"events": {"i1": 0}}, "count of item 'i1' is 0"),
        ({"events": {"i1": "often"}}, "'often'"),
        ({"events": {"i1": -1}}, "above 0"),
        ({"events": {1: 1, "1": 2}}, "twice"),
    ],
)
def test_an_invalid_count_is_refused(model, history, message):
    with pytest.raises(DataError, match=message):
        rc.top_n(model, **history)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "multinomal"}, "multinomial"),
        ({"loss": "logistic", "counts": "some"}, "binary"),
        ({"loss": "logistic", "side": "item"}, "side='user'"),
        ({"loss": "weighted", "center": True}, "leave center out"),
        (
            {"loss": "weighted", "refeed": 1, "last_activation": True},
            "last_activation=False, refeed=0",
        ),
        ({"alpha": 40.0}, "loss='weighted' only"),
        ({"loss": "multinomial", "absent_weight": 0.5}, "'weighted' or 'logistic'"),
        ({"counts": "log"}, "found loss='ratings'"),
        ({"normalize": False}, "normalize=False"),
        ({"loss": "weighted", "alpha": -1.0}, "alpha must be at least 0"),
        ({"loss": "logistic", "absent_weight": 0.0}, "above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        DeepRec(**settings)


def test_ratings_for_events_and_events_for_ratings_are_refused(checkerboard):
    with pytest.raises(
        DataError, match=r"are ratings; take the high ones as events: ratings\.events"
    ):
        DeepRec(loss="logistic", **QUICK).fit(checkerboard)
    with pytest.raises(DataError, match="are events; use popularity"):
        DeepRec(**QUICK).fit(checkerboard.events())
