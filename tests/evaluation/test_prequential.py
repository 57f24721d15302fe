"""Prequential evaluation beside loops by hand, and on planted changes."""

import dataclasses

import numpy as np
import polars as pl
import pytest

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.errors import DataError, NotUpdatableError, SettingError
from recollect.evaluation.prequential.protocol import seconds_of
from recollect.evaluation.prequential.result import Prequential, Timing
from recollect.evaluation.prequential.scoring import discounted_gains

DAY = 86_400
RUN = rc.Run(threads=1)


@pytest.fixture(scope="module")
def ratings(planted_small) -> Ratings:
    """Planted ratings, 60 an hour, in random order."""
    ratings = planted_small.ratings
    order = np.random.default_rng(2).permutation(len(ratings))
    return dataclasses.replace(ratings, time=1_000_000_000 + 60 * order)


def test_every_way_is_the_loop_by_hand(ratings):
    """The bias model on 200 ratings, 50 at a time, fitted again after each batch."""
    ratings = ratings.where(np.argsort(ratings.time)[:1000])
    result = rc.prequential(
        rc.make("bias"), ratings, start=0.8, batch=50, refit_every="1s", valid=0, run=RUN
    )
    order = np.argsort(ratings.time)
    first = rc.make("bias").fit(ratings.where(np.sort(order[:800])))
    updated = rc.make("bias").fit(ratings.where(np.sort(order[:800])))
    expected = {way: [] for way in result.value}
    for start in range(800, 1000, 50):
        batch = ratings.where(order[start : start + 50])
        past = ratings.where(np.sort(order[:start]))
        refitted = rc.make("bias").fit(past)
        pairs = (batch.user, batch.item)
        predicted = {
            "frozen": first.predict(*pairs),
            "fold_in": first.predict(*pairs, given=past),
            "update": updated.predict(*pairs),
            "refit": refitted.predict(*pairs),
        }
        for way, values in predicted.items():
            expected[way] += ((values - batch.value.astype(np.float64)) ** 2).tolist()
        updated.update(batch)
    for way, values in result.value.items():
        np.testing.assert_allclose(values, expected[way], rtol=1e-5, err_msg=way)
    assert result.timing["refit"].n_fits == 4
    np.testing.assert_array_equal(result.time, np.sort(ratings.time)[800:])


def test_the_order_of_the_file_does_not_matter(ratings):
    shuffled = ratings.where(np.random.default_rng(3).permutation(len(ratings)))
    how = {"start": 0.7, "ways": ("frozen", "update"), "batch": 200, "valid": 0}
    results = [rc.prequential(rc.make("bias"), data, **how) for data in (ratings, shuffled)]
    for way in ("frozen", "update"):
        np.testing.assert_allclose(*[result.value[way] for result in results], rtol=1e-5)


def test_later_ratings_cannot_reach_an_earlier_prediction(ratings):
    """Other values in the last batch: the errors of all batches before it stay."""
    order = np.argsort(ratings.time)
    value = ratings.value.copy()
    value[order[-100:]] = 1.0
    other = dataclasses.replace(ratings, value=value)
    how = {"start": 0.8, "batch": 100, "refit_every": "1s", "valid": 0, "run": RUN}
    model = rc.make("pmf", factors=2, epochs=3)
    results = [rc.prequential(model, data, **how) for data in (ratings, other)]
    for way in results[0].value:
        honest, changed = (result.value[way] for result in results)
        np.testing.assert_allclose(honest[:-100], changed[:-100], rtol=1e-5)
        assert not np.allclose(honest[-100:], changed[-100:])


def test_updates_keep_up_with_users_who_come_later(ratings):
    """Users are there one after the other: a frozen model knows none of the later ones."""
    by_user = dataclasses.replace(ratings, time=ratings.user.astype(np.int64) * DAY)
    result = rc.prequential(
        rc.make("pmf", factors=2, reg_user=0.3, reg_item=0.3, reg_power=0.0, epochs=15),
        by_user,
        batch=5,
        refit_every="20d",
        run=RUN,
    )
    assert result.figure("update") < 0.85 * result.figure("frozen")
    assert result.figure("update") < 0.85 * result.figure("refit")
    table = result.table()
    assert table["way"].to_list() == ["frozen", "fold_in", "update", "refit"]
    assert table["fits"].to_list() == [0, 0, 0, 2]
    assert (table["learn_ms"].to_numpy()[2:] > 0).all()


def test_the_gain_of_an_event_is_that_of_its_rank():
    """User a has x; of the others y is the most popular, then z, then w. v is nobody's."""
    rows = [("a", "x"), ("b", "y"), ("b", "z"), ("c", "y"), ("c", "z"), ("d", "y"), ("d", "w")]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row")
    whole = rc.from_frame(
        pl.concat([frame, pl.DataFrame([("e", "v")], frame.columns, orient="row")]), implicit=True
    )
    model = rc.make("popularity").fit(whole.where(np.arange(len(rows))))
    asked = rc.from_frame(
        pl.DataFrame([("a", "z"), ("a", "w"), ("e", "y"), ("a", "v")], frame.columns, orient="row"),
        implicit=True,
    )
    users = whole.users.rows(asked.users.ids)[asked.user].astype(np.int32)
    items = whole.items.rows(asked.items.ids)[asked.item].astype(np.int32)
    batch = dataclasses.replace(asked, user=users, item=items, users=whole.users, items=whole.items)
    gains = dict(
        zip(
            asked.frame().select("user_id", "item_id").rows(),
            discounted_gains(model, batch, model.given_, n=2),
            strict=True,
        )
    )
    assert gains["a", "z"] == pytest.approx(1 / np.log2(3))
    assert gains["a", "w"] == 0  # third of two
    assert gains["e", "y"] == 1  # everyone's list
    assert gains["a", "v"] == 0  # the model does not know it


def result_of(**values) -> Prequential:
    """A result with these squared errors."""
    value = {way: np.array(errors, float) for way, errors in values.items()}
    timing = {way: Timing() for way in values}
    return Prequential(metric="rmse", time=np.arange(2), value=value, timing=timing)


def test_a_share_of_the_gain_is_that_of_the_figures():
    result = result_of(frozen=[4, 4], update=[2.25, 2.25], refit=[1, 1])
    assert result.gain_share("update") == pytest.approx(0.5)
    assert result.gain_share("frozen") == 0
    assert result_of(frozen=[1, 1], update=[2, 2], refit=[1, 1]).gain_share("update") is None


def test_windows_are_means_of_the_last_events():
    value = np.array([4.0, 0.0, 1.0, 9.0])
    result = Prequential(
        metric="rmse", time=np.arange(4), value={"update": value}, timing={"update": Timing()}
    )
    windows = result.windows(2)
    assert windows["event"].to_list() == [2, 3, 4]
    np.testing.assert_allclose(windows["rmse"], np.sqrt([2.0, 0.5, 5.0]))
    assert result.windows(10)["event"].to_list() == [4]
    assert result.gain_share("update") is None
    with pytest.raises(SettingError, match="1 or more"):
        result.windows(0)


def test_times_between_fits_are_read():
    assert [seconds_of(text) for text in ("1d", "12h", "30m", "90s", "2w", 7)] == [
        DAY,
        43_200,
        1_800,
        90,
        14 * DAY,
        7,
    ]
    for wrong in ("", "0d", "d", "1y", -3, "1.5h"):
        with pytest.raises(SettingError, match="written like 1d"):
            seconds_of(wrong)


def test_impossible_requests_are_refused_before_the_work(ratings):
    bias = rc.make("bias")
    with pytest.raises(DataError, match="has no times"):
        rc.prequential(bias, dataclasses.replace(ratings, time=None))
    with pytest.raises(SettingError, match=r"no way 'updat'\. Did you mean 'update'"):
        rc.prequential(bias, ratings, ways=("updat",))
    with pytest.raises(SettingError, match="at least one of frozen"):
        rc.prequential(bias, ratings, ways=())
    with pytest.raises(DataError, match="leaves none on one side"):
        rc.prequential(bias, ratings, start=0.00001)
    with pytest.raises(SettingError, match=r"start is the share .* found 1"):
        rc.prequential(bias, ratings, start=1.0)
    with pytest.raises(SettingError, match="batch is the number of events"):
        rc.prequential(bias, ratings, batch=0)
    with pytest.raises(NotUpdatableError, match="cannot be updated"):
        rc.prequential(rc.make("llorma"), ratings, ways=("update",))


def test_the_picture_has_a_line_for_each_way(ratings, tmp_path):
    from recollect.report.prequential_curve import draw

    result = rc.prequential(rc.make("bias"), ratings, batch=300, ways=("frozen", "update"))
    path = draw(result, tmp_path / "p.svg", window=500, title="bias, planted")
    text = path.read_text()
    assert "bias, planted" in text or len(text) > 5000
