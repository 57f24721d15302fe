"""What every model promises, tested once over all models."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.cases import QUICK, VARIANTS, label, made

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.sources.planted import planted_texts
from recollect.data.text.tokenizer import Tokenizer
from recollect.data.vocab import Vocab
from recollect.errors import DataError, LeakError, NotFittedError, SettingError
from recollect.registry import find, make, model_names, name_of, settings
from recollect.run import Run

EVERY = Tokenizer(stop_words=None, most=1.0)  # word, of documents too short to lose one
WITHOUT_TASTE = {"bias", "popularity"}
ROWS_OF_ITEMS = {"glocalk"}


@pytest.fixture(params=VARIANTS, ids=label)
def model(request):
    """Every model."""
    return made(request.param)


@pytest.fixture(params=[v for v in VARIANTS if made(v).output == "ratings"], ids=label)
def rating_model(request):
    return made(request.param)


@pytest.fixture(params=[v for v in VARIANTS if made(v).output == "scores"], ids=label)
def score_model(request):
    return made(request.param)


@pytest.fixture(scope="module")
def planted_small(planted_small):
    """With texts that tell what the items are like, for the models that read."""
    texts = planted_texts(planted_small.truth, planted_small.ratings.items)
    return dataclasses.replace(planted_small, ratings=rc.with_texts(planted_small.ratings, texts))


@pytest.fixture(scope="module")
def checkerboard(checkerboard):
    dated = dataclasses.replace(checkerboard, time=np.arange(len(checkerboard)))
    return rc.with_texts(
        dated, {f"i{j}": ("even number", "odd one")[j % 2] for j in range(40)}, tokenizer=EVERY
    )


@pytest.fixture
def few(few):
    return rc.with_texts(
        few,
        {"w": "west wind", "x": "the unknown", "y": "yes or no", "z": "the end"},
        tokenizer=EVERY,
    )


@pytest.fixture(scope="module")
def of_ratings(planted_small):
    return rc.random_split(planted_small.ratings, test=0.2, valid=0.1, seed=0)


@pytest.fixture(scope="module")
def of_events(planted_small):
    """The higher half of the ratings as events."""
    return rc.random_split(
        planted_small.ratings.events(from_=planted_small.ratings.mean), test=0.2, valid=0.1, seed=0
    )


@pytest.fixture
def parts(model, of_ratings, of_events):
    """Of what the model learns from."""
    return of_events if "events" in model.capabilities.needs else of_ratings


def rmse(model, test, **more) -> float:
    return float(np.sqrt(np.mean((model.predict(test.user, test.item, **more) - test.value) ** 2)))


def test_predictions_are_in_the_scale_and_one_per_pair(rating_model, of_ratings):
    model, parts = rating_model, of_ratings
    model.fit(parts.train, parts.valid)
    predicted = model.predict(parts.test.user, parts.test.item)
    assert predicted.shape == parts.test.user.shape
    assert predicted.dtype == np.float32
    assert predicted.min() >= parts.train.scale[0]
    assert predicted.max() <= parts.train.scale[1]


def test_scores_are_finite_and_one_per_pair(score_model, of_events):
    predicted = score_model.fit(of_events.train).predict(of_events.test.user, of_events.test.item)
    assert predicted.shape == of_events.test.user.shape
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()


def test_the_same_seed_gives_the_same_numbers(model, parts):
    first = model.fit(parts.train, parts.valid, Run(seed=4, threads=1)).predict(
        parts.test.user, parts.test.item
    )
    again = dataclasses.replace(model).fit(parts.train, parts.valid, Run(seed=4, threads=1))
    np.testing.assert_array_equal(first, again.predict(parts.test.user, parts.test.item))


def test_threads_change_nothing_but_rounding(model, parts):
    """Few epochs: over many, a deep network makes much of a little rounding."""
    few, before, found = (
        {"epochs": 5} if "epochs" in settings(model) else {},
        torch.get_num_threads(),
        [],
    )
    try:
        for threads in (1, 2):
            fitted = dataclasses.replace(model, **few).fit(parts.train, run=Run(threads=threads))
            found.append(fitted.predict(parts.test.user, parts.test.item))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(*found, atol=1e-3)


def test_a_loaded_model_is_the_saved_one(model, parts, tmp_path):
    model.fit(parts.train, parts.valid)
    rc.save(model, tmp_path / "m")
    loaded = rc.load_model(tmp_path / "m")
    np.testing.assert_array_equal(
        model.predict(parts.test.user, parts.test.item),
        loaded.predict(parts.test.user, parts.test.item),
    )
    assert settings(loaded) == settings(model)
    assert loaded.given_.fingerprint == model.given_.fingerprint


def test_an_unfitted_model_says_so(model):
    with pytest.raises(NotFittedError, match="not fitted"):
        model.predict(np.array([0]), np.array([0]))


def test_an_unknown_id_gets_the_cold_value(model, parts):
    model.fit(parts.train)
    predicted = model.predict(np.array([-1, 0, -1]), np.array([0, -1, -1]))
    np.testing.assert_allclose(predicted, model.cold_value)
    assert model.is_cold(np.array([-1, 0]), np.array([0, 0])).tolist() == [True, False]


def test_scores_and_pairs_agree(model, parts):
    model.fit(parts.train)
    user = np.arange(7)
    table = model.within_scale(model.scores(user, model.given_))
    item = np.flatnonzero(parts.train.count("item") > 0)[:9]
    one_by_one = model.predict(np.repeat(user, len(item)), np.tile(item, len(user)))
    np.testing.assert_allclose(table[:, item].reshape(-1), one_by_one, atol=1e-4)


def test_the_order_of_pairs_does_not_matter_and_a_pair_may_be_asked_twice(model, parts):
    model.fit(parts.train)
    user, item = np.array([3, 1, 3, 0, 1]), np.array([2, 5, 2, 7, 4])
    keep = parts.train.count("item")[item] > 0
    user, item = user[keep], item[keep]
    forward, backward = (
        model.predict(user, item),
        model.predict(user[::-1].copy(), item[::-1].copy()),
    )
    np.testing.assert_allclose(forward, backward[::-1], atol=1e-5)


def test_test_ratings_cannot_reach_a_prediction(rating_model, of_ratings):
    """Other test values, same predictions: fit and predict never see them."""
    model, parts = rating_model, of_ratings
    shuffled = dataclasses.replace(
        parts.test, value=np.random.default_rng(0).permutation(parts.test.value)
    )
    model.fit(parts.train, parts.valid)
    honest = rc.held_out(model, parts.test)
    assert rc.held_out(model, shuffled)["rmse"] > honest["rmse"] + 0.1
    with pytest.raises(LeakError, match="shares"):
        rc.held_out(model, parts.train)
    with pytest.raises(LeakError, match="given"):
        rc.held_out(model, parts.test, given=parts.train.union(parts.test))


def test_test_events_cannot_reach_a_ranking(score_model, of_events):
    """Other test items, worse lists: fit and ranking never see them."""
    model, parts = score_model, of_events
    model.fit(parts.train, parts.valid)
    known = np.isin(
        np.arange(parts.train.n_users * parts.train.n_items), parts.train.union(parts.valid).pair
    )
    user, item = np.divmod(
        np.random.default_rng(0).permutation(np.flatnonzero(~known))[: len(parts.test)],
        parts.train.n_items,
    )
    other = dataclasses.replace(parts.test, user=user.astype(np.int32), item=item.astype(np.int32))
    assert (
        rc.full_ranking(model, other)["ndcg@10"]
        < 0.8 * rc.full_ranking(model, parts.test)["ndcg@10"]
    )
    with pytest.raises(LeakError, match="shares"):
        rc.full_ranking(model, parts.train)
    with pytest.raises(LeakError, match="given"):
        rc.full_ranking(model, parts.test, given=parts.train.union(parts.test))
    with pytest.raises(DataError, match="without a unit"):
        rc.held_out(model, parts.test)


def test_train_and_valid_may_not_share_pairs(model, parts):
    with pytest.raises(LeakError, match="valid shares"):
        model.fit(parts.train, parts.train)


def test_someone_new_is_folded_in_better_than_the_mean(rating_model, planted_small):
    split = rc.new_user_split(planted_small.ratings, users=0.2, given=0.7, seed=1)
    model = rating_model.fit(split.train)
    scores = rc.new_users(model, split)
    spread = float(np.std(split.test.value))
    assert scores["rmse"] < 0.95 * spread
    given = split.train.union(split.given)
    assert scores.about["n_cold"] == int(
        model.is_cold(split.test.user, split.test.item, given=given).sum()
    )


def test_someone_new_is_ranked_for_better_than_by_chance(score_model, planted_small):
    """Most of what is to be found is in the better half of what they do not have."""
    split = rc.new_user_split(
        planted_small.ratings.events(from_=planted_small.ratings.mean), users=0.2, given=0.7, seed=1
    )
    scores = score_model.fit(split.train).fold_in(split.given.by_user)
    good, never = np.zeros(scores.shape, bool), np.zeros(scores.shape, bool)
    good[split.test.user, split.test.item] = never[split.given.user, split.given.item] = True
    people = good.any(axis=1)
    middle = np.nanmedian(np.where(never, np.nan, scores)[people], axis=1, keepdims=True)
    assert (scores[people] > middle)[good[people]].mean() > 0.6


def test_folding_in_a_fitted_user_resembles_their_predictions(model, parts):
    model.fit(parts.train)
    user = np.argsort(-parts.train.count("user"))[:5]
    items = parts.train.count("item") > 5
    folded = model.fold_in(parts.train.by_user.take(user))[:, items]
    fitted = model.scores(user, model.given_)[:, items]
    assert np.abs(folded - fitted).mean() < 0.25


def test_one_user_only_is_an_error(model):
    alone = Ratings(
        np.zeros(3, np.int32),
        np.arange(3, dtype=np.int32),
        np.ones(3, np.float32),
        Vocab(["a"]),
        Vocab(["x", "y", "z"]),
        time=np.arange(3),
        implicit="events" in model.capabilities.needs,
    )
    alone = rc.with_texts(alone, {"x": "alone", "y": "again"}, tokenizer=EVERY)
    with pytest.raises(DataError, match="at least 2 users, found 1"):
        model.fit(alone)


def test_ratings_and_events_are_not_taken_for_each_other(model, of_ratings, of_events):
    other = of_ratings if "events" in model.capabilities.needs else of_events
    with pytest.raises(
        DataError, match=r"are ratings; take the high ones|are events; use popularity"
    ):
        model.fit(other.train)


def test_a_rating_of_zero_survives(rating_model, few):
    model = rating_model.fit(few)
    assert np.isfinite(model.predict(few.user, few.item)).all()
    assert len(model.given_) == 7


def test_beats_the_bias_model_on_planted_tastes(of_ratings):
    """Offsets cannot see the rank-2 part; every other model must."""
    parts = of_ratings
    bias = rmse(find("bias")().fit(parts.train), parts.test)
    for name in set(model_names()) - WITHOUT_TASTE:
        sides = "side" in settings(find(name)) and name not in ROWS_OF_ITEMS
        ways = [{"side": "item"}, {"side": "user", "center": name != "rbm"}] if sides else [{}]
        for way in ways:
            model = make(name, **{**way, **QUICK[name]}).fit(parts.train, parts.valid)
            assert rmse(model, parts.test) < 0.9 * bias, (name, way)


def test_sees_two_tastes(checkerboard):
    """The diagonal, which is held out, is liked by everyone."""
    user = np.arange(40)
    for name in set(model_names()) - WITHOUT_TASTE:
        model = make(name, **QUICK[name]).fit(checkerboard)
        assert model.predict(user, user).min() > 4, name


def test_settings_are_checked_and_the_nearest_is_named():
    with pytest.raises(SettingError, match="Did you mean 'hidden'"):
        make("autorec", hiden=5)
    with pytest.raises(SettingError, match="Did you mean 'autorec'"):
        make("autorek")
    with pytest.raises(SettingError, match="hidden takes"):
        make("autorec", hidden="many")
    with pytest.raises(SettingError, match="cold policy"):
        make("bias", cold="guess")


def test_a_model_from_elsewhere_is_found_by_its_dotted_name():
    assert name_of(find("recollect.models.bias:Bias")) == "bias"
    with pytest.raises(SettingError, match="no_such"):
        find("no_such.module:Model")
