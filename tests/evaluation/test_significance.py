"""Intervals cover and tests reject as often as they claim; cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recollect.errors import DataError, SettingError
from recollect.evaluation import bootstrap
from recollect.evaluation import significance as sig


def test_mean_interval_by_hand():
    # 1, 2, 3: mean 2, s = 1, standard error 1/sqrt(3); the 97.5% point of t with 2 degrees of
    # freedom is 4.30265.
    assert sig.mean_interval([1, 2, 3]) == pytest.approx(
        (2, 2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), rel=1e-5
    )


def test_a_single_value_has_no_interval():
    assert sig.mean_interval([0.9]) == pytest.approx((0.9, np.nan, np.nan), nan_ok=True)


def test_mean_interval_of_overlapping_splits_is_wider():
    # The variance factor 1/3 becomes 1/3 + 0.25/0.75 = 2/3.
    half = sig.mean_interval([1, 2, 3], test_share=0.25).high - 2
    assert half == pytest.approx(2**0.5 * (sig.mean_interval([1, 2, 3]).high - 2))


def test_mean_interval_holds_the_mean_as_often_as_it_claims():
    rng = np.random.default_rng(0)
    intervals = [sig.mean_interval(rng.normal(3, 2, 5)) for _ in range(4000)]
    held = np.mean([found.low <= 3 <= found.high for found in intervals])
    assert held == pytest.approx(
        0.95, abs=3 * (0.95 * 0.05 / 4000) ** 0.5
    )  # three binomial standard deviations


def test_resampled_t_by_hand():
    # Differences 1, 2, 3, factor 1/3 + 0.1/0.9 = 4/9: t = 2 / (2/3) = 3; with 2 degrees of freedom
    # p = 1 − 3/sqrt(11).
    found = sig.resampled_t([2, 4, 6], [1, 2, 3], test_share=0.1)
    assert found.difference == 2
    assert found.p == pytest.approx(1 - 3 / 11**0.5)
    assert found.low == pytest.approx(2 - 4.30265 * 2 / 3, rel=1e-5)


def test_paired_t_by_hand():
    # t = 2 sqrt(3); with 2 degrees of freedom p = 1 − t / sqrt(2 + t²).
    assert sig.paired_t([2, 4, 6], [1, 2, 3]).p == pytest.approx(1 - 12**0.5 / 14**0.5)


def test_paired_t_rejects_as_often_as_it_claims():
    rng = np.random.default_rng(0)
    found = [sig.paired_t(rng.normal(size=8), rng.normal(size=8)).p for _ in range(4000)]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(
        0.05, abs=3 * (0.95 * 0.05 / 4000) ** 0.5
    )


def test_plain_t_is_optimistic_on_overlapping_splits_and_the_corrected_is_not():
    # Two predictors that are equally good; each "split" draws a tenth of the same 300 rating-wise
    # differences as test.
    rng = np.random.default_rng(0)
    plain, corrected = np.empty(400), np.empty(400)
    for j in range(400):
        population = rng.normal(size=300)
        scores = np.array([rng.choice(population, 30, replace=False).mean() for _ in range(20)])
        plain[j] = sig.paired_t(scores, np.zeros(20)).p
        corrected[j] = sig.resampled_t(scores, np.zeros(20), test_share=0.1).p
    assert (plain < 0.05).mean() > 0.1
    assert (corrected < 0.05).mean() < 0.07  # 5% and two binomial standard deviations


def test_equal_scores_do_not_differ():
    assert sig.paired_t([1, 2], [1, 2]) == (0, 0, 0, 1)
    assert sig.paired_bootstrap(np.array([1.0, 2]), np.array([1.0, 2])) == (0, 0, 0, 1)
    assert sig.wilcoxon([1, 2], [1, 2]) == 1


def test_one_split_cannot_decide():
    assert np.isnan(sig.resampled_t([1], [2]).p)


def test_wilcoxon_by_hand():
    # Five differences of one sign: both extremes of 2^5 sign patterns, 2/32.
    assert sig.wilcoxon([2, 4, 6, 8, 10], [1, 2, 3, 4, 5]) == 2 / 32


def test_bootstrap_of_the_mean_agrees_with_the_normal_interval():
    values = np.random.default_rng(0).normal(5, 2, 4000)
    found = sig.bootstrap_interval(values, seed=1)
    half = 1.96 * values.std() / 4000**0.5
    assert found.mean == pytest.approx(values.mean())
    # A quantile of 2000 resamples has a standard deviation of about 6% of the half width.
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


def test_bootstrap_of_squared_errors_is_the_rmse():
    values = np.array([1.0, 4, 9, 2])
    found = sig.bootstrap_interval(values, statistic="root_mean")
    assert found.mean == 2
    assert 1 <= found.low < 2 < found.high <= 3


@pytest.mark.slow
def test_bootstrap_interval_holds_the_rmse_about_as_often_as_it_claims():
    rng = np.random.default_rng(0)
    held = 0
    for j in range(400):
        found = sig.bootstrap_interval(
            rng.normal(0, 2, 100) ** 2, statistic="root_mean", n=300, seed=j
        )
        held += found.low <= 2 <= found.high
    # The percentile interval of 100 values falls a little short of 95%; three binomial standard
    # deviations are 3.3%.
    assert 0.90 <= held / 400 <= 0.985


def test_bootstrap_over_users_is_wider_when_a_users_ratings_are_alike():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(50), 20)
    values = rng.normal(size=50)[user] + 0.1 * rng.normal(size=1000)
    single, whole = sig.bootstrap_interval(values), sig.bootstrap_interval(values, group=user)
    # With one true value per user the error grows by sqrt(20) = 4.5.
    assert (whole.high - whole.low) / (single.high - single.low) == pytest.approx(20**0.5, rel=0.15)
    assert whole.mean == single.mean


def test_bootstrap_is_the_same_for_the_same_seed():
    values = np.random.default_rng(0).normal(size=50)
    assert sig.bootstrap_interval(values, seed=3) == sig.bootstrap_interval(values, seed=3)
    assert sig.bootstrap_interval(values, seed=3) != sig.bootstrap_interval(values, seed=4)


def test_paired_bootstrap_sees_a_small_difference_under_large_common_noise():
    rng = np.random.default_rng(0)
    a = rng.normal(size=2000) ** 2
    b = a + 0.05 + 0.1 * rng.normal(size=2000)
    found = sig.paired_bootstrap(a, b)
    assert found.low < -0.05 < found.high < 0
    assert found.p == pytest.approx(2 / 2001)


@pytest.mark.slow
def test_paired_bootstrap_rejects_about_as_often_as_it_claims():
    rng = np.random.default_rng(0)
    found = [
        sig.paired_bootstrap(rng.normal(size=80), rng.normal(size=80), n=400, seed=j).p
        for j in range(400)
    ]
    assert (
        0.02 <= np.mean(np.array(found) < 0.05) <= 0.09
    )  # three binomial standard deviations are 3.3%


@pytest.mark.parametrize(
    "test", [sig.paired_t, sig.resampled_t, sig.wilcoxon, sig.paired_bootstrap]
)
def test_other_test_ratings_are_refused(test):
    with pytest.raises(
        DataError, match="3 values and 2 values: these are not the same test ratings"
    ):
        test(np.ones(3), np.ones(2))


def test_values_that_are_nan_are_refused():
    with pytest.raises(DataError, match="1 of them NaN"):
        sig.mean_interval([1, np.nan])


def test_an_impossible_level_is_refused():
    with pytest.raises(SettingError, match="level=95"):
        sig.mean_interval([1, 2], level=95.0)


def test_an_unknown_statistic_is_refused():
    with pytest.raises(SettingError, match="no statistic 'median'"):
        bootstrap._statistic(np.ones(2), "median")


def test_groups_must_name_every_value():
    with pytest.raises(DataError, match="3 values, but 2 groups"):
        sig.bootstrap_interval(np.ones(3), group=np.array([0, 1]))


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 = 0.04, 0.06, 0.06, 0.04; never falling: 0.04,
    # 0.06, 0.06, 0.06.
    assert sig.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_stops_at_1():
    assert sig.holm([0.9, 0.8]).tolist() == [1, 1]


def test_holm_leaves_out_tests_that_were_not_made():
    assert sig.holm([0.01, np.nan, 0.02]) == pytest.approx([0.02, np.nan, 0.02], nan_ok=True)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_raw_and_bonferroni_and_keeps_the_order(p):
    raw, adjusted = np.array(p), sig.holm(p)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(1, len(p) * raw) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= 0).all()


def test_compare_with_a_baseline():
    rng = np.random.default_rng(0)
    errors = rng.normal(size=1000) ** 2
    table = sig.compare(
        {"bias": errors, "same": errors[:], "better": errors * 0.8},
        over="ratings",
        baseline="bias",
        statistic="root_mean",
    )
    assert table["model"].to_list() == ["same", "better"]
    assert table["other"].to_list() == ["bias", "bias"]
    assert table["difference"][1] == pytest.approx((0.8**0.5 - 1) * errors.mean() ** 0.5)
    assert table["significant"].to_list() == [False, True]


def test_compare_without_a_baseline_takes_every_pair_and_corrects_for_it():
    table = sig.compare(
        {"a": [1, 2, 3], "b": [2, 4, 6], "c": [1, 2, 4]}, over="splits", test_share=0.1
    )
    assert table.select("model", "other").rows() == [("a", "b"), ("a", "c"), ("b", "c")]
    assert table["p"][0] == pytest.approx(sig.resampled_t([1, 2, 3], [2, 4, 6], test_share=0.1).p)
    assert table["p_holm"].to_numpy() == pytest.approx(sig.holm(table["p"].to_numpy()))


def test_compare_over_one_split_decides_nothing():
    assert sig.compare({"a": [0.8], "b": [0.9]}, over="splits")["significant"].to_list() == [None]


def test_compare_refuses_an_unknown_baseline():
    with pytest.raises(SettingError, match=r"'bais'.*Did you mean 'bias'"):
        sig.compare({"bias": [1.0], "b": [2.0]}, over="splits", baseline="bais")


def test_one_model_cannot_be_compared():
    with pytest.raises(DataError, match="two models or more"):
        sig.compare({"a": [1.0]}, over="splits")
