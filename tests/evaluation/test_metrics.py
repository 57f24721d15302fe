"""Metrics: answers worked out by hand, bounds, and the empty case."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import recollect as rc
from recollect.errors import DataError, SettingError
from recollect.evaluation import metrics

# Errors 1, 0, 2.
VALUE = np.array([4.0, 2.0, 5.0])
PREDICTED = np.array([3.0, 2.0, 3.0])

# Four users, lists of four: hits at places 1 and 3 of 2 relevant items; at place 2 of 6; none of 1;
# and nothing relevant at all.
RANKED = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
N_RELEVANT = np.array([2, 6, 1, 0])

RANKING = [metric.name for metric in metrics.metrics_of("lists")]


def test_errors_of_each_rating():
    assert metrics.squared_errors(VALUE, PREDICTED).tolist() == [1, 0, 4]
    assert metrics.absolute_errors(VALUE, PREDICTED).tolist() == [1, 0, 2]


def test_rmse_is_the_root_of_the_mean_of_all_squares():
    assert metrics.rmse(VALUE, PREDICTED) == pytest.approx((5 / 3) ** 0.5)


def test_mae_is_the_mean_of_all_distances():
    assert metrics.mae(VALUE, PREDICTED) == 1


def test_errors_are_summed_in_double_precision():
    value = np.full(3_000_000, 0.1, np.float32)
    assert metrics.mae(value, np.zeros_like(value)) == pytest.approx(
        float(np.float32(0.1)), rel=1e-12
    )


def test_no_ratings_have_no_rmse():
    assert np.isnan(metrics.rmse(np.zeros(0), np.zeros(0)))
    assert np.isnan(metrics.mae(np.zeros(0), np.zeros(0)))


def test_rmse_of_each_user():
    values = metrics.rmse_per_user(VALUE, PREDICTED, np.array([0, 0, 2]), 3)
    assert values == pytest.approx([0.5**0.5, np.nan, 2], nan_ok=True)


def test_mae_of_each_user():
    values = metrics.mae_per_user(VALUE, PREDICTED, np.array([0, 0, 2]), 3)
    assert values == pytest.approx([0.5, np.nan, 2], nan_ok=True)


def test_missing_prediction_is_refused():
    with pytest.raises(DataError, match="3 ratings and 2 predictions"):
        metrics.rmse(VALUE, PREDICTED[:2])


def test_prediction_that_is_nan_is_refused():
    with pytest.raises(DataError, match="1 of 3 ratings or predictions are NaN"):
        metrics.mae(VALUE, np.array([1.0, np.nan, 2.0]))


def test_ndcg_by_hand():
    values = metrics.ndcg_at(4, RANKED, N_RELEVANT)
    ideal_of_two = 1 + 1 / np.log2(3)
    ideal_of_four = ideal_of_two + 1 / 2 + 1 / np.log2(5)
    assert values == pytest.approx(
        [1.5 / ideal_of_two, 1 / np.log2(3) / ideal_of_four, 0, np.nan], nan_ok=True
    )


def test_recall_divides_by_all_relevant_items():
    assert metrics.recall_at(4, RANKED, N_RELEVANT) == pytest.approx(
        [1, 1 / 6, 0, np.nan], nan_ok=True
    )


def test_capped_recall_divides_by_at_most_k():
    assert metrics.capped_recall_at(4, RANKED, N_RELEVANT) == pytest.approx(
        [1, 1 / 4, 0, np.nan], nan_ok=True
    )


def test_precision_divides_by_k():
    assert metrics.precision_at(4, RANKED, N_RELEVANT) == pytest.approx(
        [2 / 4, 1 / 4, 0, np.nan], nan_ok=True
    )


def test_average_precision_by_hand():
    values = metrics.average_precision_at(4, RANKED, N_RELEVANT)
    assert values == pytest.approx([(1 + 2 / 3) / 2, (1 / 2) / 4, 0, np.nan], nan_ok=True)


def test_reciprocal_rank_is_of_the_first_hit():
    assert metrics.reciprocal_rank_at(4, RANKED, N_RELEVANT) == pytest.approx(
        [1, 1 / 2, 0, np.nan], nan_ok=True
    )


def test_hit_is_one_or_none():
    assert metrics.hit_at(4, RANKED, N_RELEVANT) == pytest.approx([1, 1, 0, np.nan], nan_ok=True)


def test_only_the_first_k_count():
    assert metrics.hit_at(1, RANKED, N_RELEVANT) == pytest.approx([1, 0, 0, np.nan], nan_ok=True)
    assert metrics.recall_at(2, RANKED, N_RELEVANT) == pytest.approx(
        [1 / 2, 1 / 6, 0, np.nan], nan_ok=True
    )


@pytest.mark.parametrize("k", [0, 5])
@pytest.mark.parametrize("name", RANKING)
def test_a_cutoff_that_the_lists_do_not_have_is_refused(name, k):
    with pytest.raises(DataError, match=f"A metric at {k} needs lists"):
        metrics.find(name).function(k, RANKED, N_RELEVANT)


@pytest.mark.parametrize("name", RANKING)
@given(
    ranked=arrays(bool, (6, 5)),
    more=arrays(np.int64, 6, elements=st.integers(0, 9)),
    k=st.integers(1, 5),
)
def test_ranking_metrics_lie_between_0_and_1(name, ranked, more, k):
    values = metrics.find(name).function(k, ranked, ranked.sum(axis=1) + more)
    assert np.array_equal(np.isnan(values), ranked.sum(axis=1) + more == 0)
    assert np.nanmin(values, initial=0) >= 0
    assert np.nanmax(values, initial=0) <= 1 + 1e-12


@pytest.mark.parametrize("name", [name for name in RANKING if name not in ("recall", "precision")])
@pytest.mark.parametrize("n_relevant", [2, 3, 8])
def test_the_best_list_scores_1(name, n_relevant):
    best = np.arange(3)[None, :] < n_relevant
    assert metrics.find(name).function(3, best, np.array([n_relevant])) == pytest.approx([1])


def test_coverage_is_the_share_of_items_shown():
    assert metrics.coverage(np.array([[0, 1], [1, 3], [0, -1]]), 6) == 3 / 6


def test_gini_of_equal_shares_is_0():
    assert metrics.gini(np.array([[0, 1], [2, 3]]), 4) == 0


def test_gini_of_one_item_for_all():
    assert metrics.gini(np.array([[2], [2], [2]]), 4) == 3 / 4  # 1 − 1/n


def test_gini_by_hand():
    # Shown 1 and 3 times: half the mean absolute difference over pairs, ((0 + 2 + 2 + 0) / 4) / 2,
    # over the mean, 2.
    assert metrics.gini(np.array([[0], [1], [1], [1]]), 2) == 1 / 4


def test_nothing_recommended_has_no_gini():
    assert np.isnan(metrics.gini(np.array([[-1]]), 3))


def test_an_item_beyond_the_catalogue_is_refused():
    with pytest.raises(DataError, match=r"Item row 6 .* there are 6 items"):
        metrics.coverage(np.array([[6]]), 6)


def test_find_gives_the_metric_of_that_name():
    assert metrics.find("ndcg").function is metrics.ndcg_at


def test_a_decorated_function_is_a_metric_and_protocols_measure_it(monkeypatch, planted_small):
    monkeypatch.setattr(metrics, "METRICS", dict(metrics.METRICS))

    @metrics.metric("misses", of="lists")
    def misses_at(k, ranked, n_relevant):
        return np.where(n_relevant > 0, k - ranked[:, :k].sum(axis=1), np.nan)

    split = rc.random_split(planted_small.ratings, test=0.2, seed=0)
    scores = rc.full_ranking(rc.make("bias").fit(split.train), split.test, n=5)
    assert scores["misses@5"] == pytest.approx(5 * (1 - scores["precision@5"]))


def test_find_names_the_nearest():
    with pytest.raises(SettingError, match=r"no metric 'rsme'.*Did you mean 'rmse'"):
        metrics.find("rsme")
