"""docs/tour.md names functions in the order in which they are called; here they are called."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import recollect as rc
from recollect.data.sources.planted import planted
from recollect.run import Run

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "recollect"
STOP = re.compile(r"^\d+\. `([\w/]+\.py)`, `([\w.]+)`", re.MULTILINE)


def named_in(heading: str) -> list[tuple[str, str]]:
    """(file, function) of each stop between a bold or second-level heading and the next."""
    text = (ROOT / "docs" / "tour.md").read_text()
    section = text.partition(heading)[2]
    section = re.split(r"\n## |\n\*\*Fitting\*\*", section)[0]
    return STOP.findall(section)


def calls_of(function: Callable[[], object]) -> list[tuple[str, str]]:
    """Every function of the package in the order of all calls."""
    calls: list[tuple[str, str]] = []

    def note(frame, event, argument):
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(SOURCE):
            file = path.relative_to(SOURCE).as_posix()
            calls.append((file, frame.f_code.co_qualname))

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


def assert_in_order(names: list[tuple[str, str]], calls: list[tuple[str, str]]) -> None:
    """Each name is called, after the one before it."""
    assert names
    place = 0
    for name in names:
        assert name in calls, f"{name} is not called"
        assert name in calls[place:], f"{name} is not called after the stop before it"
        place = calls.index(name, place)


@pytest.fixture(scope="module")
def ratings() -> rc.Ratings:
    return planted(60, 40, 800, seed=1).ratings


@pytest.fixture(scope="module")
def model(ratings) -> rc.Model:
    return rc.make("autorec", hidden=5, epochs=3).fit(ratings)


def test_reading_goes_where_the_tour_goes(ratings, tmp_path):
    path = tmp_path / "ratings.csv"
    ratings.frame().write_csv(path)
    assert_in_order(named_in("**Reading.**"), calls_of(lambda: rc.read(path)))


def test_predicting_goes_where_the_tour_goes(model):
    calls = calls_of(lambda: rc.predict(model, [("3", "5")]))
    assert_in_order(named_in("**Predicting**"), calls)


def test_a_step_of_autorec_goes_where_the_tour_goes(ratings):
    train, valid, _ = rc.random_split(ratings, test=0.1, valid=0.1, seed=0)
    model = rc.make("autorec", hidden=5, epochs=2)
    calls = calls_of(lambda: model.fit(train, valid, Run(threads=1)))
    assert_in_order(named_in("## One step of I-AutoRec"), calls)


def test_the_model_of_the_evening_is_slope_one():
    """Against a plain loop over users and items; a pair's own rating is not used."""
    data = planted(20, 8, 90, seed=3).ratings
    model = rc.make("examples.slope_one:SlopeOne", min_common=2).fit(data)
    table = np.full((20, 8), np.nan)
    table[data.user, data.item] = data.value
    expected = np.full((20, 8), data.mean)
    for u in range(20):
        for i in range(8):
            total = weight = 0.0
            for j in np.flatnonzero(~np.isnan(table[u])):
                both = ~np.isnan(table[:, i]) & ~np.isnan(table[:, j])
                if j != i and both.sum() >= 2:
                    deviation = (table[both, i] - table[both, j]).mean()
                    total += both.sum() * (table[u, j] + deviation)
                    weight += both.sum()
            if weight:
                expected[u, i] = total / weight
    np.testing.assert_allclose(model.scores(np.arange(20), data), expected, rtol=1e-4)


def test_the_model_of_the_evening_keeps_the_contract(ratings, tmp_path):
    train, _, test = rc.random_split(ratings, test=0.2, seed=0)
    model = rc.make("examples.slope_one:SlopeOne").fit(train)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"), trusted=[type(model)])
    pairs = (test.user, test.item)
    np.testing.assert_array_equal(loaded.predict(*pairs), model.predict(*pairs))
    mu, offset = model.cold_offsets().mu, model.cold_offsets().b_item[0]
    np.testing.assert_allclose(model.predict(np.array([-1]), np.array([0])), mu + offset, rtol=1e-6)
    constant = np.sqrt(np.mean((test.value - train.mean) ** 2))
    assert rc.held_out(model, test)["rmse"] < constant
