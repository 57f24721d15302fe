"""Free of the scale: ratings a·r + b give predictions a·p + b, for every model as it comes.

Models learn from ratings in a unit of their own (`data/rating_unit.py`), so what is left is
rounding. It grows from epoch to epoch, hence the short fits.
"""

import dataclasses
import json

import numpy as np
import pytest
from tests.cases import VARIANTS, label, made

import recollect as rc
from recollect import explain
from recollect.data.in_unit import in_unit
from recollect.data.rating_unit import RatingUnit
from recollect.data.ratings import Ratings
from recollect.data.sources.planted import planted, planted_texts
from recollect.registry import make, settings
from recollect.run import Run
from recollect.system.atomic_files import checksum

SCALES = [(-10.0, 10.0), (0.0, 100.0), (0.0, 1.0), (0.0, 1e6)]
EXTREME = (-1e38, 1e38)
ROUNDING = 1e-3  # of the spread of a rating
SHORT = {"epochs": 3, "pretrain_epochs": 2, "text_epochs": 1, "burn_in": 1, "n_samples": 2}
RUN = Run(seed=4, threads=1)
OF_RATINGS = [variant for variant in VARIANTS if made(variant).output == "ratings"]


def short(name: str, **changes):
    """A model with quick settings and few epochs, stopped early."""
    model = made((name, changes))
    known = settings(model)
    fewer = {key: value for key, value in SHORT.items() if key in known}
    return dataclasses.replace(model, **fewer)


def on_scale(ratings: Ratings, scale: tuple[float, float]) -> Ratings:
    """The same ratings with their scale, 1 to 5, stretched onto another."""
    low, high = scale
    stretched = low + (ratings.value.astype(np.float64) - 1) / 4 * (high - low)
    value = np.clip(stretched, low, high).astype(np.float32)
    return dataclasses.replace(ratings, value=value, scale=scale)


def back(values: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Predictions on a scale as predictions on 1 to 5."""
    low, high = scale
    return (np.asarray(values, np.float64) - low) / (high - low) * 4 + 1


@pytest.fixture(scope="module")
def parts():
    """Planted ratings in half steps with times and texts, in parts."""
    drawn = planted(90, 60, 2000, rank=2, noise=0.3, seed=2, popularity=0.6, activity=0.4, step=0.5)
    texts = planted_texts(drawn.truth, drawn.ratings.items)
    ratings = rc.with_texts(drawn.ratings, texts)
    return rc.random_split(ratings, test=0.2, valid=0.1, seed=0)


def answers(model, test: Ratings, scale: tuple[float, float]) -> dict[str, np.ndarray]:
    """Everything a model says of ratings, as on a scale of 1 to 5."""
    user = np.arange(5)
    size = (scale[1] - scale[0]) / 4
    rows = model.given_.by_user.take(user)
    item_ids = model.given_.items.ids[:3].to_list()
    low, high = scale
    new = dict(zip(item_ids, (low, high, (low + high) / 2), strict=True))
    out = {
        "predictions": model.predict(test.user, test.item, times=test.time),
        "raw": model.pairs(test.user[:50], test.item[:50], model.given_, test.time[:50]),
        "cold": model.predict(np.array([-1, 0]), np.array([0, -1])),
        "scores": model.scores(user, model.given_),
        "fold-in": model.fold_in(rows),
        "someone new": rc.fold_in(model, new)["prediction"].to_numpy(),
        "a list": rc.top_n(model, user_ids=model.given_.users.ids[:2])["prediction"].to_numpy(),
    }
    if type(model).__name__ == "BayesMF":
        interval = model.predict_interval(test.user, test.item)
        out["low"], out["high"] = interval

    on_five = {key: back(value, scale) for key, value in out.items()}
    if type(model).__name__ == "BayesMF":
        on_five["std"] = model.predict_std(test.user, test.item) / size

    for name in ("train_rmse", "valid_rmse"):
        curve = model.history_.column(name)
        on_five[name] = np.array([figure for _, figure in curve]) / size

    return on_five


def variants() -> list:
    """Each model as a parameter; its variants run with `make test-all`."""
    parameters = []
    for variant in OF_RATINGS:
        marks = [pytest.mark.xdist_group(f"scale {label(variant)}")]
        if variant[1]:
            marks.append(pytest.mark.slow)
        parameters.append(pytest.param(variant, id=label(variant), marks=marks))

    return parameters


@pytest.fixture(scope="module", params=variants())
def variant(request):
    """A model's name and changes of its quick settings."""
    return request.param


@pytest.fixture(scope="module")
def expected(variant, parts):
    """The model's answers on a scale of 1 to 5."""
    name, changes = variant
    model = short(name, **changes).fit(parts.train, parts.valid, RUN)
    return answers(model, parts.test, (1.0, 5.0)), model.history_.best_epoch


@pytest.mark.parametrize(
    "scale",
    [SCALES[0], *(pytest.param(scale, marks=pytest.mark.slow) for scale in SCALES[1:])],
    ids=str,
)
def test_ratings_on_another_scale_give_the_same_predictions_on_it(variant, parts, expected, scale):
    name, changes = variant
    if changes and scale != SCALES[0]:
        pytest.skip("variants are compared on one scale; every model on all")

    train, valid, test = (on_scale(part, scale) for part in parts)
    model = short(name, **changes).fit(train, valid, RUN)
    expected_answers, best_epoch = expected

    assert model.given_.scale == scale
    assert model.history_.best_epoch == best_epoch

    for key, values in answers(model, test, scale).items():
        np.testing.assert_allclose(values, expected_answers[key], atol=ROUNDING, err_msg=key)


def outlying(ratings: Ratings) -> Ratings:
    """Ratings from 1 to 5, and one of a million."""
    value = ratings.value.copy()
    value[7] = 1e6
    return dataclasses.replace(ratings, value=value, scale=(1.0, 1e6))


def one_rating_each(ratings: Ratings) -> Ratings:
    """A part in which every user and every item has one rating."""
    users: set[int] = set()
    items: set[int] = set()
    kept = []
    for entry, (user, item) in enumerate(zip(ratings.user, ratings.item, strict=True)):
        if user not in users and item not in items:
            users.add(user)
            items.add(item)
            kept.append(entry)

    return ratings.where(np.array(kept))


NASTY = {
    "largest numbers": lambda ratings: on_scale(ratings, EXTREME),
    "one outlier": outlying,
    "narrow and far from 0": lambda ratings: on_scale(ratings, (1e6, 1e6 + 1)),
    "tiny": lambda ratings: on_scale(ratings, (0.0, 1e-6)),
    "all equal": lambda ratings: dataclasses.replace(ratings, value=np.full_like(ratings.value, 4)),
    "all equal, a scale of one point": lambda ratings: dataclasses.replace(
        ratings, value=np.full_like(ratings.value, 7), scale=(7.0, 7.0)
    ),
    "one rating each": one_rating_each,
    "all 0": lambda ratings: dataclasses.replace(
        ratings, value=np.zeros_like(ratings.value), scale=(0.0, 1.0)
    ),
}


@pytest.mark.parametrize(
    "table",
    [*list(NASTY)[:2], *(pytest.param(table, marks=pytest.mark.slow) for table in list(NASTY)[2:])],
)
def test_whatever_the_ratings_the_answers_are_ratings(variant, parts, table):
    """No warning of NumPy either: pytest turns one into an error."""
    name, changes = variant
    ratings = NASTY[table](parts.train)
    low, high = ratings.scale
    model = short(name, **changes).fit(ratings, None, RUN)
    predicted = model.predict(parts.test.user, parts.test.item, times=parts.test.time)
    folded = rc.fold_in(model, {"3": high, "5": low})["prediction"].to_numpy()
    listed = rc.top_n(model, user_ids=["2"], n=3)["prediction"].to_numpy()

    for values in (predicted, folded, listed):
        assert np.isfinite(values).all()
        assert (values >= np.float32(low)).all()
        assert (values <= np.float32(high)).all()


SCALE = (-10.0, 10.0)


@pytest.fixture(scope="module")
def wide(parts):
    """The parts on a scale of -10 to 10."""
    return tuple(on_scale(part, SCALE) for part in parts)


def test_a_saved_model_answers_in_the_same_unit(variant, wide, tmp_path):
    name, changes = variant
    train, valid, test = wide
    model = short(name, **changes).fit(train, valid, RUN)
    rc.save(model, tmp_path / "m")
    loaded = rc.load_model(tmp_path / "m")

    assert loaded.unit_ == model.unit_ == RatingUnit(-10.0, 5.0)
    expected_answers = answers(model, test, SCALE)
    for key, values in answers(loaded, test, SCALE).items():
        np.testing.assert_array_equal(values, expected_answers[key], err_msg=key)


class FittedInPoints:
    """A fit as in releases before the unit: the model learns from ratings as they are."""

    def __enter__(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(RatingUnit, "of", classmethod(lambda cls, scale: RatingUnit()))

    def __exit__(self, *problem: object) -> None:
        self.patch.undo()


@pytest.mark.parametrize("name", ["bias", "pmf", "autorec"])
def test_a_folder_of_an_earlier_release_answers_as_before(name, wide, tmp_path):
    train, _, test = wide
    with FittedInPoints():
        model = short(name).fit(train, None, RUN)

    rc.save(model, tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    about = json.loads(path.read_text())
    del about["unit"], about["checksum"]
    about["format"] = 3
    path.write_text(json.dumps({**about, "checksum": checksum(about)}))
    loaded = rc.load_model(tmp_path / "m")

    assert loaded.unit_.is_identity
    predicted = loaded.predict(test.user, test.item)
    np.testing.assert_array_equal(predicted, model.predict(test.user, test.item))


@pytest.mark.parametrize("center", [False, True])
def test_ratings_on_disk_give_the_same_as_in_memory(center, wide, tmp_path):
    train, valid, test = wide
    untimed = dataclasses.replace(train, time=None, text=None)
    stored = rc.store(untimed, tmp_path / "s", group_size=300)
    predicted = {}
    for ratings in (untimed, stored):
        model = short("autorec", optimizer="adam", batch_size=20, center=center, refit=False)
        # The order of batches differs on disk; with all rows in one batch there is none.
        model = dataclasses.replace(model, batch_size=500)
        model.fit(ratings, dataclasses.replace(valid, time=None, text=None), RUN)
        predicted[ratings.in_memory] = model.predict(test.user, test.item)
        assert model.given_ is ratings

    np.testing.assert_allclose(predicted[True], predicted[False], atol=1e-3)


def test_stored_ratings_know_their_mean_totals_and_values_in_a_unit(wide, tmp_path):
    train = dataclasses.replace(wide[0], time=None, text=None)
    unit = RatingUnit.of(train.scale)
    stored = in_unit(rc.store(train, tmp_path / "s", group_size=300), unit)
    memory = in_unit(train, unit)

    assert stored.scale == memory.scale == (1.0, 5.0)
    assert stored.mean == pytest.approx(memory.mean)
    assert stored.variance == pytest.approx(memory.variance, rel=1e-5)
    values = np.concatenate(list(stored.values()))
    assert sorted(values) == sorted(memory.value)
    for side in ("user", "item"):
        np.testing.assert_allclose(stored.total(side), memory.total(side), atol=1e-3)
        rows = stored.rows(side).take(np.arange(5))
        np.testing.assert_array_equal(rows.value, memory.rows(side).take(np.arange(5)).value)


def test_ratings_in_a_unit_share_the_order_of_rows_and_are_made_once(wide):
    train = wide[0]
    unit = RatingUnit.of(train.scale)
    converted = in_unit(train, unit)
    assert converted is in_unit(train, unit)
    assert np.shares_memory(converted.by_user.column, train.by_user.column)
    # A part has rows of its own.
    part = converted.where(np.arange(50))
    assert part.by_user.n_cells == 50
    expected = Ratings(part.user, part.item, part.value, part.users, part.items, scale=(1.0, 5.0))
    np.testing.assert_array_equal(part.by_item.value, expected.by_item.value)


def test_whoever_watches_a_fit_sees_rating_points(wide):
    train, valid, _ = wide
    seen, with_net = [], []
    run = dataclasses.replace(
        RUN,
        watchers=(lambda figures: seen.append(figures["valid_rmse"]),),
        net_watchers=(lambda figures, net: with_net.append(figures["train_rmse"]),),
    )
    history = short("biased_mf", validate_every=1).fit(train, valid, run).history_
    assert seen == [figure for _, figure in history.column("valid_rmse")]
    assert with_net == [figure for _, figure in history.column("train_rmse")]
    # Planted ratings deviate by less than 1 of 5 stars, and these stars are 5 points wide.
    assert 1 < min(seen) < 5


def test_a_fit_is_resumed_in_its_unit(wide, tmp_path):
    train, valid, test = wide
    whole = short("biased_mf").fit(train, valid, RUN)

    def interrupt(figures):
        if figures["epoch"] == 2:
            raise KeyboardInterrupt

    folder = tmp_path / "f"
    stopped = dataclasses.replace(RUN, folder=folder, snapshot_seconds=0, watchers=(interrupt,))
    with pytest.raises(KeyboardInterrupt):
        short("biased_mf").fit(train, valid, stopped)

    resumed = short("biased_mf").fit(
        train, valid, dataclasses.replace(RUN, folder=folder, resume=True)
    )
    np.testing.assert_array_equal(
        resumed.predict(test.user, test.item), whole.predict(test.user, test.item)
    )
    assert resumed.history_.column("train_rmse") == whole.history_.column("train_rmse")


def test_the_parts_of_a_prediction_add_up_on_any_scale(wide):
    model = dataclasses.replace(short("ctr"), clip=False, offsets=True).fit(wide[0], None, RUN)
    [user_id] = model.given_.users.at([0])
    [item_id] = model.given_.items.at([1])
    parts = explain.contributions(model, user_id=user_id, item_id=item_id)
    predicted = rc.predict(model, [(user_id, item_id)])["prediction"][0]
    assert parts.prediction == pytest.approx(predicted, abs=1e-3)
    whole = explain.contributions(model, user_id=user_id, text=" ".join(parts.words)).prediction
    shortened = explain.contributions(model, user_id=user_id, text=" ".join(parts.words[1:]))
    assert parts.changes[0] == pytest.approx(whole - shortened.prediction, abs=1e-3)


@pytest.mark.parametrize("name", ["svdpp", "llorma"])
def test_with_its_defaults_it_beats_bias_on_ten_below_to_ten_above(name, wide):
    train, valid, test = wide
    errors = {}
    for model in (make(name), make("bias")):
        model.fit(train, valid, RUN)
        errors[type(model).__name__] = rc.held_out(model, test)["rmse"]

    assert errors.pop(make(name).__class__.__name__) < errors["Bias"]


@pytest.mark.parametrize(
    ("scale", "unit"),
    [
        ((1.0, 5.0), RatingUnit()),
        ((0.5, 5.0), RatingUnit(0.5, 1.125)),
        ((-10.0, 10.0), RatingUnit(-10.0, 5.0)),
        ((0.0, 100.0), RatingUnit(0.0, 25.0)),
        ((7.0, 7.0), RatingUnit(7.0, 1.0)),
    ],
)
def test_the_unit_makes_a_scale_one_to_five(scale, unit):
    assert RatingUnit.of(scale) == unit
    ends = np.array(scale, np.float32)
    standard = RatingUnit.of(scale).standard(ends)
    if scale[0] < scale[1]:
        assert standard.tolist() == [1, 5]

    np.testing.assert_array_equal(unit.points(standard), ends)


def test_a_value_on_one_to_five_is_the_same_object():
    value = np.array([1, 2.5], np.float32)
    assert RatingUnit().standard(value) is value
    assert RatingUnit().points(value) is value


def test_events_and_scores_have_no_unit(parts):
    events = on_scale(parts.train, (0.0, 10.0)).events(from_=5)
    for model in (make("popularity"), make("deeprec", loss="multinomial", side="user", epochs=1)):
        model.fit(events, None, RUN)
        assert model.unit_.is_identity


def test_a_scale_that_outliers_have_made_is_warned_of(parts, wide, caplog):
    make("bias").fit(wide[0])
    assert not caplog.records
    value = np.where(np.arange(len(parts.train)) == 7, 1e6, parts.train.value)
    outlying_ratings = dataclasses.replace(
        parts.train, value=value.astype(np.float32), scale=(1.0, 1e9)
    )
    make("bias").fit(outlying_ratings)
    assert "hardly differ on their scale from 1 to 1e+09" in caplog.text


def test_the_history_of_a_first_stage_is_in_rating_points(wide, tmp_path):
    train, valid, _ = wide
    model = short("glocalk").fit(train, valid, RUN)
    of_five = [
        dataclasses.replace(part, scale=(1.0, 5.0))
        for part in (in_unit(train, model.unit_), in_unit(valid, model.unit_))
    ]
    expected = short("glocalk").fit(*of_five, RUN).pretrained_.best_valid
    assert model.pretrained_.best_valid == pytest.approx(5 * expected, rel=1e-3)
