"""The validation error of a fit stands beside that of the simplest model."""

import dataclasses

import numpy as np
import pytest
from tests.cases import made

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.ranking import mean_ndcg
from recollect.run import Run
from recollect.training.baseline import add_baseline, bias_rmse, popularity_ndcg
from recollect.training.history import History

RUN = Run(seed=1, threads=1)


@pytest.fixture(scope="module")
def parts(planted_small):
    """A split of planted ratings."""
    return rc.random_split(planted_small.ratings, test=0.2, valid=0.1, seed=0)


@pytest.fixture(scope="module")
def of_events(planted_small):
    """A split of the higher ratings as events, of some items that nobody has in train."""
    events = planted_small.ratings.events(from_=planted_small.ratings.mean)
    train, valid, _ = rc.random_split(events, test=0.2, valid=0.1, seed=0)
    return train.where(train.item > 3), valid


def test_the_error_of_offsets_is_that_of_the_bias_model(parts):
    train, valid, _ = parts
    bias = rc.make("bias").fit(train)
    predicted = bias.predict(valid.user, valid.item)
    expected = float(np.sqrt(np.mean((predicted.astype(np.float64) - valid.value) ** 2)))
    assert bias_rmse(train, valid, clip=True) == pytest.approx(expected, abs=2e-3)


def test_predictions_are_clipped_if_the_models_are(parts):
    train, valid, _ = parts
    value = np.where(np.arange(len(train)) % 3, 5, 1).astype(np.float32)
    extreme = dataclasses.replace(train, value=value)
    errors = [bias_rmse(extreme, valid, clip=clip) for clip in (True, False)]
    assert errors[0] < errors[1] + 1e-9


@pytest.mark.parametrize("n", [3, 100])
def test_the_ndcg_of_common_lists_is_that_of_the_popularity_model(of_events, n):
    train, valid = of_events
    model = rc.make("popularity").fit(train)
    expected = mean_ndcg(model, valid, train, n=n)
    assert popularity_ndcg(train, valid, n=n) == pytest.approx(expected, abs=1e-6)
    assert 0 < expected < 1


def test_the_history_of_a_fit_has_the_figure_and_a_saved_model_keeps_it(parts, tmp_path):
    model = rc.make("biased_mf", factors=3, epochs=3, reg_user=1.0, reg_item=1.0)
    model.fit(parts.train, parts.valid, RUN)
    history = model.history_
    assert history.baseline_name == "bias"
    assert history.baseline == bias_rmse(parts.train, parts.valid, clip=True)
    rc.save(model, tmp_path / "m")
    assert rc.load_model(tmp_path / "m").history_.baseline == history.baseline


def test_without_validation_or_on_disk_there_is_none(parts, tmp_path):
    assert rc.make("autorec", hidden=3, epochs=1).fit(parts.train).history_.baseline is None
    stored = rc.store(parts.train, tmp_path / "s")
    model = rc.make("autorec", hidden=3, epochs=1, optimizer="adam", batch_size=20)
    assert model.fit(stored, parts.valid, RUN).history_.baseline is None


def test_a_fit_that_is_worse_is_warned_of_with_what_to_try(parts, caplog):
    model = rc.make("pmf", factors=2, epochs=2, reg_user=1e4, reg_item=1e4)
    model.fit(parts.train, parts.valid, RUN)
    [record] = [r for r in caplog.records if "worse than bias" in r.message]
    assert record.levelname == "WARNING"
    assert "PMF is worse than bias on the validation ratings: RMSE " in record.message
    assert "recollect tune" in record.message or "raise epochs" in record.message


def test_a_fit_that_is_better_is_not(parts, caplog):
    made(("biased_mf", {})).fit(parts.train, parts.valid, RUN)
    assert not [record for record in caplog.records if "worse" in record.message]


@pytest.mark.parametrize(
    ("best_epoch", "advice"), [(5, "raise epochs"), (2, "raise the penalties")]
)
def test_the_advice_depends_on_when_the_fit_was_best(parts, caplog, best_epoch, advice):
    epochs = [{"epoch": float(number)} for number in range(1, 6)]
    history = History(epochs, best_epoch=best_epoch, best_valid=9.0)
    add_baseline(history, "PMF", parts.train, parts.valid, clip=True)
    assert advice in caplog.text


def test_events_that_are_ranked_worse_than_by_popularity_are_warned_of(of_events, caplog):
    train, valid = of_events
    history = History(best_valid=0.0, valid_name="valid_ndcg@10")
    add_baseline(history, "DeepRec", train, valid, clip=True)
    assert "worse than popularity" in caplog.text
    assert "NDCG@10 0" in caplog.text


def test_the_figure_is_on_the_scale_of_the_ratings(parts):
    wide = []
    for part in (parts.train, parts.valid):
        value = np.clip(part.value * 5 - 15, -10, 10)
        wide.append(dataclasses.replace(part, value=value, scale=(-10.0, 10.0)))

    assert isinstance(wide[0], Ratings)
    expected = 5 * bias_rmse(parts.train, parts.valid, clip=True)
    assert bias_rmse(*wide, clip=True) == pytest.approx(expected, rel=1e-5)
