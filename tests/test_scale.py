"""Free of the scale: ratings a·r + b give predictions a·p + b, for every model as it comes.

Models learn from ratings in a unit of their own (`data/rating_unit.py`), so what is left is
rounding. It grows from epoch to epoch, hence the short fits.
"""

import dataclasses
import json

import numpy as np
import pytest
from tests.cases import QUICK, VARIANTS, label, made

import recollect as rc
from recollect.data.rating_unit import RatingUnit
from recollect.data.ratings import Ratings
from recollect.data.sources.planted import planted, planted_texts
from recollect.registry import make, model_names, settings
from recollect.run import Run

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
    drawn = planted(
        90, 60, 2000, rank=2, noise=0.3, seed=2, popularity=0.6, activity=0.4, step=0.5
    )
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


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_ratings_on_another_scale_give_the_same_predictions_on_it(variant, parts, expected, scale):
    name, changes = variant
    train, valid, test = (on_scale(part, scale) for part in parts)
    model = short(name, **changes).fit(train, valid, RUN)
    expected_answers, best_epoch = expected

    assert model.given_ is train
    assert model.history_.best_epoch == best_epoch

    for key, values in answers(model, test, scale).items():
        np.testing.assert_allclose(values, expected_answers[key], atol=ROUNDING, err_msg=key)
