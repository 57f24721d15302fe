"""What every model promises, tested once over all models and variants.

`fitted` is fitted once per model and asked by many tests, none of which changes it. Variants run
with `make test-all`; `make test` has each model with its quick settings.
"""

import copy
import dataclasses

import numpy as np
import polars as pl
import pytest
import torch
from tests.cases import QUICK, VARIANTS, label, made

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.sources.planted import planted_texts
from recollect.data.sparse_rows import Rows
from recollect.data.text.tokenizer import Tokenizer
from recollect.data.vocab import Vocab
from recollect.errors import (
    DataError,
    LeakError,
    NotFittedError,
    NotUpdatableError,
    SettingError,
)
from recollect.influences import Influences
from recollect.model import Model
from recollect.online.result import Update
from recollect.registry import find, make, model_names, name_of, settings
from recollect.run import Run

EVERY_WORD = Tokenizer(stop_words=None, most=1.0)  # documents are too short to lose one
ITEM_ROWS_ONLY = {"glocalk"}
RUN = Run(seed=4, threads=1)


def params(output: str | None = None) -> list:
    """The variants as parameters: those that predict ratings or scores, if stated.

    The tests of one variant run in one process, so that it is fitted once.
    """
    chosen = [v for v in VARIANTS if output is None or made(v).output == output]
    parameters = []
    for variant in chosen:
        marks = [pytest.mark.xdist_group(label(variant))]
        if variant[1]:
            marks.append(pytest.mark.slow)
        parameters.append(pytest.param(variant, id=label(variant), marks=marks))
    return parameters


@pytest.fixture(scope="module")
def planted_small(planted_small):
    """With texts that describe the items, for the models that read."""
    texts = planted_texts(planted_small.truth, planted_small.ratings.items)
    return dataclasses.replace(planted_small, ratings=rc.with_texts(planted_small.ratings, texts))


@pytest.fixture(scope="module")
def checkerboard(checkerboard):
    """With times, and texts that say of which parity an item is."""
    dated = dataclasses.replace(checkerboard, time=np.arange(len(checkerboard)))
    texts = {f"i{j}": ("even number", "odd one")[j % 2] for j in range(40)}
    return rc.with_texts(dated, texts, tokenizer=EVERY_WORD)


@pytest.fixture
def few(few):
    """With texts."""
    texts = {"w": "west wind", "x": "the unknown", "y": "yes or no", "z": "the end"}
    return rc.with_texts(few, texts, tokenizer=EVERY_WORD)


@pytest.fixture(scope="module")
def of_ratings(planted_small):
    """A split of the planted ratings."""
    return rc.random_split(planted_small.ratings, test=0.2, valid=0.1, seed=0)


@pytest.fixture(scope="module")
def events(planted_small):
    """The higher half of the planted ratings as events."""
    return planted_small.ratings.events(from_=planted_small.ratings.mean)


@pytest.fixture(scope="module")
def of_events(events):
    """A split of the events."""
    return rc.random_split(events, test=0.2, valid=0.1, seed=0)


def parts_for(model, of_ratings, of_events):
    """The split that a model learns from."""
    return of_events if "events" in model.capabilities.needs else of_ratings


@pytest.fixture(scope="module", params=params())
def variant(request):
    """A model's name and changes of its quick settings."""
    return request.param


@pytest.fixture
def model(variant):
    """An unfitted model."""
    return made(variant)


@pytest.fixture(scope="module")
def parts(variant, of_ratings, of_events):
    """The split that the variant learns from."""
    return parts_for(made(variant), of_ratings, of_events)


@pytest.fixture(scope="module")
def fitted(variant, parts):
    """The variant, fitted on train with early stopping on valid."""
    return made(variant).fit(parts.train, parts.valid, RUN)


def rmse(model, test, **more) -> float:
    predicted = model.predict(test.user, test.item, **more)
    return float(np.sqrt(np.mean((predicted - test.value) ** 2)))


def only_ratings(model):
    if model.output != "ratings":
        pytest.skip("of models that predict ratings")


def only_scores(model):
    if model.output != "scores":
        pytest.skip("of models that predict scores")


def test_predictions_are_in_the_scale_and_one_per_pair(fitted, parts):
    only_ratings(fitted)
    predicted = fitted.predict(parts.test.user, parts.test.item)
    assert predicted.shape == parts.test.user.shape
    assert predicted.dtype == np.float32
    assert predicted.min() >= parts.train.scale[0]
    assert predicted.max() <= parts.train.scale[1]


def test_scores_are_finite_and_one_per_pair(fitted, parts):
    only_scores(fitted)
    predicted = fitted.predict(parts.test.user, parts.test.item)
    assert predicted.shape == parts.test.user.shape
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()


def test_the_same_seed_gives_the_same_numbers(fitted, model, parts):
    first = fitted.predict(parts.test.user, parts.test.item)
    again = model.fit(parts.train, parts.valid, RUN)
    np.testing.assert_array_equal(first, again.predict(parts.test.user, parts.test.item))


@pytest.mark.slow
def test_threads_change_nothing_but_rounding(model, parts):
    """Few epochs: over many, a deep network amplifies a little rounding."""
    few_epochs = {"epochs": 5} if "epochs" in settings(model) else {}
    before = torch.get_num_threads()
    predictions = []
    try:
        for threads in (1, 2):
            short = dataclasses.replace(model, **few_epochs)
            short.fit(parts.train, run=Run(threads=threads))
            predictions.append(short.predict(parts.test.user, parts.test.item))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(*predictions, atol=1e-3)


def test_a_loaded_model_is_the_saved_one(fitted, parts, tmp_path):
    rc.save(fitted, tmp_path / "m")
    loaded = rc.load_model(tmp_path / "m")
    pairs = (parts.test.user, parts.test.item)
    np.testing.assert_array_equal(fitted.predict(*pairs), loaded.predict(*pairs))
    assert settings(loaded) == settings(fitted)
    assert loaded.given_.fingerprint == fitted.given_.fingerprint


@pytest.fixture(scope="module")
def further(parts):
    """Ratings that come later: of known users and items, and of a new user and a new item.

    The vocabulary is another one. Known users rate items of the test part and of the new item.
    """
    frame = parts.test.where(np.arange(20)).frame()
    value = frame.columns[2]
    high = frame[value].max()
    user_ids = parts.train.users.ids
    item_ids = parts.train.items.ids
    rows = {
        "user_id": ["new user"] * 6 + user_ids[:5].to_list(),
        "item_id": item_ids[:6].to_list() + ["new item"] * 5,
        value: [high, 2.0, high, high, 2.0, high] + [high] * 5,
    }
    if "timestamp" in frame.columns:
        rows["timestamp"] = [int(frame["timestamp"].max())] * 11

    both = pl.concat([frame, pl.DataFrame(rows, schema=frame.schema)])
    implicit = parts.train.implicit
    return rc.from_frame(both, scale=None if implicit else parts.train.scale, implicit=implicit)


def updated(fitted, ratings) -> tuple[Model, Update]:
    """A copy of the model after an update, and what was done; skips a model without updates."""
    model = copy.copy(fitted)
    if is_updatable(model):
        return model, model.update(ratings)

    with pytest.raises(NotUpdatableError, match="fit it again"):
        model.update(ratings)
    pytest.skip("of models that can be updated")


def is_updatable(model) -> bool:
    try:
        return bool(str(model.updatable))
    except NotUpdatableError:
        return False


def test_an_update_takes_in_new_users_and_items(fitted, parts, further):
    model, done = updated(fitted, further)
    assert (done.ratings, done.users_new, done.items_new) == (31, 1, 1)
    given = model.given_
    n_known = (fitted.given_.n_users, fitted.given_.n_items)
    assert (given.n_users, given.n_items) == (n_known[0] + 1, n_known[1] + 1)
    # The fit may have had the validation ratings, and nothing of these.
    assert len(given) == len(fitted.given_) + 31
    table = model.scores(np.arange(given.n_users), given)
    assert table.shape == (given.n_users, given.n_items)
    assert np.isfinite(table).all()
    pairs = np.array([[3, given.n_items - 1], [given.n_users - 1, 7], [given.n_users - 1, 9]]).T
    assert not model.is_cold(*pairs).any()
    assert np.isfinite(model.predict(*pairs)).all()


def test_lists_after_an_update_hide_what_was_seen_and_know_who_is_new(fitted, parts, further):
    model, _ = updated(fitted, further)
    lists = rc.top_n(model, user_ids=["new user", parts.train.users.ids[0]], n=200)
    shown = set(lists.select("user_id", "item_id").rows())
    assert {"new user", parts.train.users.ids[0]} == set(lists["user_id"])
    assert not shown & set(model.given_.frame().select("user_id", "item_id").rows())


def test_an_update_does_not_change_a_copy(fitted, parts, further):
    pairs = (parts.test.user, parts.test.item)
    before = fitted.predict(*pairs)
    weights = {key: tensor.clone() for key, tensor in fitted.net_.state_dict().items()}
    updated(fitted, further)
    np.testing.assert_array_equal(before, fitted.predict(*pairs))
    for key, tensor in fitted.net_.state_dict().items():
        torch.testing.assert_close(tensor, weights[key], rtol=0, atol=0, msg=key)


def test_an_updated_model_is_saved_as_any_other(fitted, parts, further, tmp_path):
    model, _ = updated(fitted, further)
    rc.save(model, tmp_path / "m")
    loaded = rc.load_model(tmp_path / "m")
    user, item = (axis.reshape(-1) for axis in np.indices((model.given_.n_users, 12)))
    np.testing.assert_allclose(
        model.predict(user, item), loaded.predict(user, item), rtol=1e-4, atol=1e-4
    )
    assert loaded.given_.fingerprint == model.given_.fingerprint


def test_an_exact_update_is_a_fit_on_all_ratings(fitted, model, further):
    changed, done = updated(fitted, further)
    if not done.exact:
        pytest.skip("of models whose update is exact")
    again = dataclasses.replace(model).fit(changed.given_)
    everyone = np.arange(changed.given_.n_users)
    np.testing.assert_allclose(
        changed.scores(everyone, changed.given_),
        again.scores(everyone, again.given_),
        rtol=1e-5,
        atol=1e-5,
    )


def test_ratings_taken_back_leave_no_trace(fitted, model, further):
    """The model is the one that a fit on what is left gives; ids keep their rows."""
    changed, _ = updated(fitted, further)
    if not changed.updatable.retracts:
        with pytest.raises(NotUpdatableError, match="cannot take ratings back"):
            changed.retract(further)
        return
    assert changed.retract(further).ratings == 31
    assert len(changed.given_) == len(fitted.given_)
    again = dataclasses.replace(model).fit(changed.given_)
    everyone = np.arange(changed.given_.n_users)
    np.testing.assert_allclose(
        changed.scores(everyone, changed.given_),
        again.scores(everyone, again.given_),
        rtol=1e-5,
        atol=1e-5,
    )


def test_an_unfitted_model_says_so(model):
    with pytest.raises(NotFittedError, match="not fitted"):
        model.predict(np.array([0]), np.array([0]))


def test_an_unknown_id_gets_what_is_known_of_the_other_one(fitted):
    """Of ratings, the offsets of a bias model; of events, the share of users who have the item."""
    user = np.array([-1, 0, -1])
    item = np.array([0, -1, -1])
    predicted = fitted.predict(user, item)
    assert fitted.is_cold(user, item).all()
    assert not fitted.is_cold(np.array([0]), np.array([0])).any()
    if fitted.output == "scores":
        fitted_on = fitted.given_
        share = (fitted_on.item == 0).sum() / len(np.unique(fitted_on.user))
        np.testing.assert_allclose(predicted, [share, 0, 0], rtol=1e-6)
        return

    bias = fitted if name_of(fitted) == "bias" else find("bias")().fit(fitted.given_)
    mu, b_user, b_item = bias.net_.arrays()
    expected = [mu + b_item[0], mu + b_user[0], mu]
    np.testing.assert_allclose(predicted, expected, atol=1e-6)


@pytest.mark.parametrize("cold", ["mean", "middle", 2.0])
def test_a_stated_default_is_that_of_all_cold_pairs(fitted, cold):
    """But a known user keeps their offset in the bias model."""
    only_ratings(fitted)
    model = copy.copy(fitted)
    model.cold = cold
    expected = {"mean": fitted.given_.mean, "middle": 3.0}.get(cold, cold)
    user = np.array([-1, -1] if name_of(fitted) == "bias" else [-1, -1, 0])
    predicted = model.predict(user, np.array([-1, 0, -1])[: len(user)])
    np.testing.assert_allclose(predicted, expected, rtol=1e-6)


def test_scores_and_pairs_agree(fitted, parts):
    user = np.arange(7)
    table = fitted.within_scale(fitted.scores(user, fitted.given_))
    item = np.flatnonzero(parts.train.count("item") > 0)[:9]
    one_by_one = fitted.predict(np.repeat(user, len(item)), np.tile(item, len(user)))
    np.testing.assert_allclose(table[:, item].reshape(-1), one_by_one, atol=1e-4)


def test_the_order_of_pairs_does_not_matter_and_a_pair_may_be_asked_twice(fitted, parts):
    user = np.array([3, 1, 3, 0, 1])
    item = np.array([2, 5, 2, 7, 4])
    known = parts.train.count("item")[item] > 0
    user, item = user[known], item[known]
    forward = fitted.predict(user, item)
    backward = fitted.predict(user[::-1].copy(), item[::-1].copy())
    np.testing.assert_allclose(forward, backward[::-1], atol=1e-5)


def test_test_ratings_cannot_reach_a_prediction(fitted, parts):
    """Other test values, same predictions: fit and predict never see them."""
    only_ratings(fitted)
    values = np.random.default_rng(0).permutation(parts.test.value)
    shuffled = dataclasses.replace(parts.test, value=values)
    honest = rc.held_out(fitted, parts.test)
    assert rc.held_out(fitted, shuffled)["rmse"] > honest["rmse"] + 0.1
    with pytest.raises(LeakError, match="shares"):
        rc.held_out(fitted, parts.train)
    with pytest.raises(LeakError, match="given"):
        rc.held_out(fitted, parts.test, given=parts.train.union(parts.test))


def test_test_events_cannot_reach_a_ranking(fitted, parts):
    """Other test items, worse lists: fit and ranking never see them."""
    only_scores(fitted)
    n_pairs = parts.train.n_users * parts.train.n_items
    known = np.isin(np.arange(n_pairs), parts.train.union(parts.valid).pair)
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(~known))[: len(parts.test)]
    user, item = np.divmod(drawn, parts.train.n_items)
    other = dataclasses.replace(parts.test, user=user.astype(np.int32), item=item.astype(np.int32))
    honest = rc.full_ranking(fitted, parts.test)["ndcg@10"]
    assert rc.full_ranking(fitted, other)["ndcg@10"] < 0.8 * honest
    with pytest.raises(LeakError, match="shares"):
        rc.full_ranking(fitted, parts.train)
    with pytest.raises(LeakError, match="given"):
        rc.full_ranking(fitted, parts.test, given=parts.train.union(parts.test))
    with pytest.raises(DataError, match="without a unit"):
        rc.held_out(fitted, parts.test)


def test_train_and_valid_may_not_share_pairs(model, parts):
    with pytest.raises(LeakError, match="valid shares"):
        model.fit(parts.train, parts.train)


def test_new_users_are_folded_in_better_than_the_mean(model, planted_small):
    only_ratings(model)
    split = rc.new_user_split(planted_small.ratings, users=0.2, given=0.7, seed=1)
    model.fit(split.train)
    scores = rc.new_users(model, split)
    assert scores["rmse"] < 0.95 * float(np.std(split.test.value))
    given = split.train.union(split.given)
    cold = model.is_cold(split.test.user, split.test.item, given=given)
    assert scores.about["n_cold"] == int(cold.sum())


def test_new_users_are_ranked_for_better_than_by_chance(model, events):
    """Most of their test items are in the better half of the items that they do not have."""
    only_scores(model)
    split = rc.new_user_split(events, users=0.2, given=0.7, seed=1)
    scores = model.fit(split.train).fold_in(split.given.by_user)
    relevant = np.zeros(scores.shape, bool)
    relevant[split.test.user, split.test.item] = True
    owned = np.zeros(scores.shape, bool)
    owned[split.given.user, split.given.item] = True
    people = relevant.any(axis=1)
    median = np.nanmedian(np.where(owned, np.nan, scores)[people], axis=1, keepdims=True)
    assert (scores[people] > median)[relevant[people]].mean() > 0.6


def test_folding_in_a_fitted_user_resembles_their_predictions(model, parts):
    # Without validation: factors of users who stop learning early are not yet those of a fold-in.
    model.fit(parts.train)
    user = np.argsort(-parts.train.count("user"))[:5]
    items = parts.train.count("item") > 5
    folded = model.fold_in(parts.train.by_user.take(user))[:, items]
    known = model.scores(user, model.given_)[:, items]
    assert np.abs(folded - known).mean() < 0.25


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
    alone = rc.with_texts(alone, {"x": "alone", "y": "again"}, tokenizer=EVERY_WORD)
    with pytest.raises(DataError, match="at least 2 users with ratings, found 1"):
        model.fit(alone)


def test_ratings_and_events_are_not_mistaken_for_each_other(model, of_ratings, of_events):
    other = of_ratings if "events" in model.capabilities.needs else of_events
    with pytest.raises(DataError, match=r"are ratings; take the high ones|are events; use pop"):
        model.fit(other.train)


def test_a_rating_of_zero_survives(model, few):
    only_ratings(model)
    model.fit(few)
    assert np.isfinite(model.predict(few.user, few.item)).all()
    assert len(model.given_) == 7


# Models that see more than offsets: those whose vectors have a similarity.
FACTOR_MODELS = [
    name
    for name in model_names()
    if (can := make(name, **QUICK[name]).capabilities).similarity and can.output == "ratings"
]


@pytest.fixture(scope="module")
def bias_rmse(of_ratings) -> float:
    """The error of the bias model, which cannot see the rank-2 part of the planted ratings."""
    return rmse(find("bias")().fit(of_ratings.train), of_ratings.test)


@pytest.mark.parametrize("name", FACTOR_MODELS)
def test_beats_the_bias_model_on_planted_tastes(name, of_ratings, bias_rmse):
    model = make(name, **QUICK[name]).fit(of_ratings.train, of_ratings.valid)
    assert rmse(model, of_ratings.test) < 0.9 * bias_rmse


@pytest.mark.slow
@pytest.mark.parametrize("side", ["item", "user"])
@pytest.mark.parametrize(
    "name", [n for n in FACTOR_MODELS if "side" in settings(find(n)) and n not in ITEM_ROWS_ONLY]
)
def test_beats_the_bias_model_from_either_side(name, side, of_ratings, bias_rmse):
    center = {"center": True} if side == "user" and name != "rbm" else {}
    model = make(name, **{**QUICK[name], "side": side, **center})
    model.fit(of_ratings.train, of_ratings.valid)
    assert rmse(model, of_ratings.test) < 0.9 * bias_rmse


@pytest.mark.parametrize("name", FACTOR_MODELS)
def test_sees_two_tastes(name, checkerboard):
    """The diagonal, which is held out, is liked by everyone."""
    user = np.arange(40)
    model = make(name, **QUICK[name]).fit(checkerboard)
    assert model.predict(user, user).min() > 4


def test_settings_are_checked_and_the_nearest_is_named():
    with pytest.raises(SettingError, match="Did you mean 'hidden'"):
        make("autorec", hiden=5)
    with pytest.raises(SettingError, match="Did you mean 'autorec'"):
        make("autorek")
    with pytest.raises(SettingError, match="hidden takes"):
        make("autorec", hidden="many")


@pytest.mark.parametrize("cold", ["guess", True, float("nan"), float("inf"), None, [3]])
def test_an_impossible_default_prediction_is_refused(cold):
    with pytest.raises(SettingError, match=r"cold (must be one of bias, mean|takes str)"):
        make("bias", cold=cold)


def test_influences_are_summands_of_the_score_or_what_leaving_out_changes(fitted, parts):
    """Of three users, one of whom has a single rating, and two items each."""
    rows = parts.train.by_user.take(np.array([0, 3, 5]))
    single = Rows(np.array([0, 1]), rows.column[:1], rows.value[:1], rows.n_columns)
    rows = Rows.stack([rows, single], n_columns=rows.n_columns)
    items = np.array([[1, 7], [2, 7], [9, 0], [4, 5]])
    scores = np.take_along_axis(fitted.fold_in(rows), items, axis=1)
    influence = fitted.influences(rows, items)
    assert influence.shape == (rows.n_cells, 2)
    assert influence.dtype == np.float32
    if type(fitted).influences is Influences.influences:
        for cell in (0, 1, rows.n_cells - 2, rows.n_cells - 1):
            kept = np.arange(rows.n_cells) != cell
            without, _ = Rows.group(
                rows.row[kept],
                rows.column[kept],
                rows.value[kept],
                n_rows=len(rows),
                n_columns=rows.n_columns,
            )
            person = rows.row[cell]
            changed = fitted.fold_in(without)[person, items[person]]
            np.testing.assert_allclose(influence[cell], scores[person] - changed, atol=1e-4)
        return

    nothing = rows.only_columns(np.zeros(rows.n_columns, bool))
    of_nobody = np.take_along_axis(fitted.fold_in(nothing), items, axis=1)
    sums = np.stack([influence[rows.row == person].sum(axis=0) for person in range(len(rows))])
    np.testing.assert_allclose(of_nobody + sums, scores, rtol=1e-4, atol=1e-4)


def test_every_list_can_be_explained(fitted, parts):
    lists = rc.top_n(fitted, user_ids=parts.train.users.ids[:3], n=2)
    reasons = rc.explain_list(fitted, lists, n=2)
    pairs = set(lists.select("user_id", "item_id").rows())
    # With refit the validation ratings, too.
    rated = set(fitted.given_.frame().select("user_id", "item_id").rows())
    assert set(reasons.select("user_id", "item_id").rows()) <= pairs
    assert set(reasons.select("user_id", "because_id").rows()) <= rated
    assert reasons["reason"].is_in([1, 2]).all()
    assert (reasons["influence"] > 0).all()
    # Popularity alone asks nobody; of another model, somebody's ratings say something.
    assert reasons.is_empty() == (name_of(type(fitted)) == "popularity")


def test_a_default_prediction_outside_the_scale_is_refused(few):
    with pytest.raises(SettingError, match=r"cold=7 is .* lies outside the scale .* 0 to 5"):
        make("bias", cold=7).fit(few)


def test_a_pair_is_cold_whether_or_not_its_id_is_in_the_vocabulary(few):
    """Nobody rated item z, the last one."""
    model = make("bias").fit(few)
    known = few.user[:1]
    asked = model.predict(np.repeat(known, 2), np.array([3, -1]))
    assert asked[0] == asked[1]
    assert model.is_cold(np.repeat(known, 2), np.array([3, -1])).all()


def test_a_setting_by_its_former_name_still_works(caplog):
    with caplog.at_level("INFO", logger="recollect"):
        assert make("svdpp", look_every=7).validate_every == 7
    assert "look_every is now called validate_every" in caplog.text
    with pytest.raises(SettingError, match="both are given"):
        make("svdpp", look_every=7, validate_every=8)


@pytest.mark.parametrize("name", model_names())
def test_the_range_of_a_setting_is_checked_and_stated(name):
    if "epochs" in settings(find(name)):
        with pytest.raises(SettingError, match=r"epochs must be at least [01], found -1"):
            make(name, epochs=-1)


def test_a_model_from_elsewhere_is_found_by_its_dotted_name():
    assert name_of(find("recollect.models.bias:Bias")) == "bias"
    with pytest.raises(SettingError, match="no_such"):
        find("no_such.module:Model")


def test_a_model_prints_its_settings_and_what_it_learned_from(fitted, model):
    text = repr(fitted)
    assert text.startswith(f"{type(fitted).__name__}(")
    assert text.endswith(f"fitted on {fitted.given_!r}")
    assert repr(model).endswith(", not fitted")
    assert "cold=" not in text
