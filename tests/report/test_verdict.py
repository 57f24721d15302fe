"""Verdicts on claims and checks, by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from recollect.evaluation.significance import Interval, paired_bootstrap
from recollect.experiment.carried import CarriedCheck, CarriedRow
from recollect.experiment.results import Job, Results, UserSums
from recollect.experiment.spec import Check, Claim, RunSpec
from recollect.report.outcome import Outcome, compare_users
from recollect.report.verdict import judge_check, judge_claim, judge_claim_of_fold

NONE = float("nan")


# --- claims ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "low", "high", "word", "text"),
    [
        (0.8300, 0.8290, 0.8305, "better", "better by 0.0010"),  # whole interval below 0.831
        (0.8300, 0.8280, 0.8320, "confirmed", "confirmed"),  # below, but the interval holds it
        (0.8330, 0.8320, 0.8340, "confirmed", "confirmed"),  # above by less than 0.003
        (0.8350, 0.8300, 0.8400, "confirmed", "confirmed"),  # above by more, interval reaches it
        (0.8350, 0.8345, 0.8355, "missed", "missed by 0.0040"),
        (0.8340, NONE, NONE, "confirmed", "confirmed"),  # without an interval `within` decides
        (0.8341, NONE, NONE, "missed", "missed by 0.0031"),
        (0.8281, NONE, NONE, "confirmed", "confirmed"),  # 0.0029 below is not better, 0.0031 is
        (0.8279, NONE, NONE, "better", "better by 0.0031"),
    ],
)
def test_a_claim_is_better_confirmed_or_missed(mean, low, high, word, text):
    claim = Claim(0.831, "Table 1a", within=0.003)
    assert judge_claim(claim, Interval(mean, low, high)) == (word, text)


@pytest.mark.parametrize(
    ("figure", "word", "text"),
    [
        (0.9075, "missed", "missed by 0.0185: fold 1 has 0.9075"),
        (0.8891, "confirmed", "confirmed: fold 1 has 0.8891"),
        (0.8889, "better", "better by 0.0001: fold 1 has 0.8889"),
        (None, "open", "no figure of fold 1"),
    ],
)
def test_a_claim_about_a_fold_is_compared_with_that_fold(figure, word, text):
    claim = Claim(0.889, "u1", within=0.0001 if figure == 0.8891 else 0.0, fold=1)
    assert judge_claim_of_fold(claim, figure) == (word, text)


# --- checks ---------------------------------------------------------------------------------------


def outcome(name, values, *, sums=None, curve=(), train=(), carried=None, **swept):
    """What was measured of a run with these figures, one per split."""
    curves = {"valid_rmse": [*enumerate(curve)], "train_rmse": [*enumerate(train)]}
    records = [
        None if value is None else {"test": {"rmse": value}, "curve": curves} for value in values
    ]
    run = RunSpec(name, "bias", series=name.partition(",")[0], swept=swept)
    return Outcome(run, records, "rmse", 0.2, lambda split: sums and sums[split], carried)


def printed(name, mean):
    """A run of which only the mean is known, as an earlier release printed it."""
    row = CarriedRow(Interval(mean, NONE, NONE), "rmse", 3, 1.0, 100.0, [])
    return outcome(name, [None] * 3, carried=row)


def check_of(kind, *groups, within=0.0):
    names = tuple((group,) if isinstance(group, str) else group for group in groups)
    return Check("so it is", "Table 1", kind, names, within)


def squared_errors(low, high, *, seed, n=400, n_users=50):
    """A user and a squared error for each of n test ratings."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.integers(n_users, size=n)), rng.uniform(low, high, n)


def sums_of(user, squared):
    return UserSums.of(user, {"rmse": squared, "mae": np.sqrt(squared)})


def test_below_with_enough_splits_is_a_corrected_t_test():
    a, b = [0.90, 0.91, 0.92], [0.93, 0.93, 0.96]
    d = np.subtract(a, b)
    t = d.mean() / math.sqrt((1 / 3 + 0.2 / 0.8) * d.var(ddof=1))
    p = 2 * stats.t.sf(abs(t), 2)
    verdict = judge_check(check_of("below", "a", "b"), [outcome("a", a), outcome("b", b)])
    assert verdict.word == ("confirmed" if p < 0.05 else "not confirmed")
    assert f"{-d.mean():.4f}" in verdict.text
    assert f"p = {p:.2g}, corrected t-test over 3 splits" in verdict.text


def test_below_with_few_splits_is_a_bootstrap_over_users():
    user, small = squared_errors(0.5, 0.7, seed=0)
    large = squared_errors(0.9, 1.1, seed=1)[1]
    rmse = [float(np.sqrt(squared.mean())) for squared in (small, large)]
    a = outcome("a", rmse[:1], sums=[sums_of(user, small)])
    b = outcome("b", rmse[1:], sums=[sums_of(user, large)])
    verdict = judge_check(check_of("below", "a", "b"), [a, b])
    assert verdict.word == "confirmed"
    assert f"by {rmse[1] - rmse[0]:.4f}, more than chance" in verdict.text
    assert "bootstrap over users, 1 split" in verdict.text
    turned = judge_check(check_of("below", "b", "a"), [a, b])
    assert turned.word == "not confirmed"
    assert f"above by {rmse[1] - rmse[0]:.4f}" in turned.text


@pytest.mark.parametrize(("metric", "statistic"), [("rmse", "root_mean"), ("mae", "mean")])
@pytest.mark.parametrize("n_splits", [1, 2])
def test_sums_by_user_give_the_bootstrap_of_single_errors(metric, statistic, n_splits, tmp_path):
    """Also through the file, which has them in single precision."""
    first = [squared_errors(0.4, 0.8, seed=10 + j) for j in range(n_splits)]
    # The same test ratings with other errors: close enough for a p that is neither 0 nor 1.
    noise = np.random.default_rng(5)
    second = [(user, squared + noise.normal(0.004, 0.05, len(user))) for user, squared in first]
    user = np.concatenate([user for user, _ in first])
    a, b = (np.concatenate([squared for _, squared in run]) for run in (first, second))
    if metric == "mae":
        a, b = np.sqrt(a), np.sqrt(b)
    single = paired_bootstrap(a, b, statistic=statistic, group=user)
    assert 0.01 < single.p < 0.99
    sums = [[sums_of(*split) for split in run] for run in (first, second)]
    assert compare_users(*sums, metric) == pytest.approx(single, rel=1e-9)
    kept = [[through_file(each, tmp_path) for each in run] for run in sums]
    from_files = compare_users(*kept, metric)
    assert from_files == pytest.approx(single, rel=1e-4, abs=1e-7)
    assert from_files.p == single.p


def through_file(sums, folder):
    job = Job("f00", {}, "bias", {}, 0)
    results = Results(folder)
    results.write(job, {}, sums)
    return results.user_sums(job)


def test_below_without_errors_by_user_is_open():
    verdict = judge_check(check_of("below", "a", "b"), [outcome("a", [0.9]), outcome("b", [0.95])])
    assert verdict.word == "open"
    assert "--fresh" in verdict.text


def test_a_difference_that_may_be_chance_confirms_nothing():
    outcomes = [outcome("a", [0.90, 0.95, 0.91]), outcome("b", [0.93, 0.92, 0.94])]
    verdict = judge_check(check_of("below", "a", "b"), outcomes)
    assert verdict.word == "not confirmed"
    assert "which may be chance" in verdict.text


def test_below_for_groups_holds_for_every_pair():
    values = {"a": [0.90, 0.91, 0.92], "b": [0.99, 1.0, 1.01], "c": [0.89, 0.90, 0.91]}
    outcomes = [outcome(name, figures) for name, figures in values.items()]
    assert judge_check(check_of("below", "a", ("b",)), outcomes).word == "confirmed"
    verdict = judge_check(check_of("below", "a", ("b", "c")), outcomes)
    assert verdict.word == "not confirmed"
    assert "above by 0.0100" in verdict.text


@pytest.mark.parametrize(
    ("means", "within", "word", "text"),
    [
        ([0.95, 0.92, 0.91], 0.0, "confirmed", "from 0.9500 to 0.9100"),
        ([0.95, 0.91, 0.92], 0.0, "not confirmed", "rises by 0.0100 from m, k = 2 to m, k = 3"),
        (
            [0.95, 0.91, 0.92],
            0.02,
            "confirmed",
            "from 0.9500 to 0.9200; steps up of 0.02 are allowed",
        ),
    ],
)
def test_falls_means_no_step_up(means, within, word, text):
    outcomes = [outcome(f"m, k = {k}", [mean], k=k) for k, mean in enumerate(means, start=1)]
    assert judge_check(check_of("falls", "m", within=within), outcomes) == (word, text)


def test_lowest_near_and_overfits():
    a = outcome("a", [0.90], curve=[1.0, 0.90, 0.99])
    b = outcome("b", [0.93], curve=[1.0, 0.93, 0.935])

    def judge(*about, within=0.0):
        return judge_check(check_of(*about, within=within), [a, b])

    assert judge("lowest", "a") == ("confirmed", "0.0300 below b")
    assert judge("lowest", "b") == ("not confirmed", "0.0300 above a")
    assert judge("near", "a", "b", within=0.04).word == "confirmed"
    assert judge("near", "a", "b", within=0.02).word == "not confirmed"
    assert judge("overfits", "a", within=0.05).word == "confirmed"
    least = "validation error at the end 0.0050 above its best (b)"
    assert judge("overfits", ("a", "b"), within=0.05) == ("not confirmed", least)


def test_below_train_compares_the_last_training_errors_and_no_test_errors():
    """Figure 2 of DeepRec shows training errors: there test errors may stand the other way."""
    a = outcome("a", [0.99], train=[1.0, 0.80])
    b = outcome("b", [0.90], train=[1.0, 0.70, 0.85])
    c = outcome("c", [0.90])

    def judge(first, second, within=0.0):
        return judge_check(check_of("below_train", first, second, within=within), [a, b, c])

    assert judge("a", "b") == ("confirmed", "training error of a 0.0500 below that of b")
    assert judge("b", "a") == ("not confirmed", "training error of b 0.0500 above that of a")
    assert judge("a", "b", within=0.06).word == "not confirmed"
    assert judge("a", ("b", "c")) == ("open", "c has no training errors by epoch")
    carried = printed("d", 0.9)
    verdict = judge_check(check_of("below_train", "a", "d"), [a, carried])
    assert verdict == ("open", "d has no training errors by epoch")


def test_gains_little_looks_at_the_best_of_a_sweep():
    """Not at two sides of a U, which are as high as each other around any gain."""
    none, low, best, high = (
        outcome(f"m, reg = {reg}", [rmse]) for reg, rmse in enumerate((0.910, 0.909, 0.904, 0.909))
    )
    names = tuple(each.run.name for each in (none, low, best, high))

    def judge(within):
        check = check_of("gains_little", names, names[0], within=within)
        return judge_check(check, [none, low, best, high])

    assert judge(0.002) == (
        "not confirmed",
        "the best, m, reg = 2, is 0.0060 below m, reg = 0; a gain of 0.002 counts as little",
    )
    assert judge(0.01).word == "confirmed"


@pytest.mark.parametrize(
    ("percent", "within", "word"),
    [(3.9, 0.0, "confirmed"), (4.2, 0.0, "not confirmed"), (4.2, 0.3, "confirmed")],
)
def test_improves_is_over_the_best_of_the_others(percent, within, word):
    outcomes = [outcome("a", [0.96]), outcome("b", [1.2]), outcome("c", [1.0])]
    check = Check("so", "Table 3", "improves", (("a",), ("b", "c")), within, by={"1m": percent})
    assert judge_check(check, outcomes) == (word, f"4.00% over c, the paper {percent:.2f}%")


def test_without_a_result_a_check_is_open():
    outcomes = [outcome("a", [0.9]), outcome("b", [None])]
    assert judge_check(check_of("lowest", "a"), outcomes) == ("open", "no result of b")


# --- metrics of which more is better --------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "low", "high", "word", "text"),
    [
        (0.4200, 0.4195, 0.4205, "better", "better by 0.0010"),  # whole interval above 0.419
        (0.4200, 0.4180, 0.4220, "confirmed", "confirmed"),  # above, but the interval holds it
        (0.4170, 0.4165, 0.4175, "confirmed", "confirmed"),  # below by less than 0.003
        (0.4140, 0.4090, 0.4195, "confirmed", "confirmed"),  # below by more, interval reaches it
        (0.4140, 0.4135, 0.4145, "missed", "missed by 0.0050"),
        (0.4160, NONE, NONE, "confirmed", "confirmed"),
        (0.4159, NONE, NONE, "missed", "missed by 0.0031"),
        (0.4221, NONE, NONE, "better", "better by 0.0031"),
        (0.4219, NONE, NONE, "confirmed", "confirmed"),
    ],
)
def test_a_claim_of_a_metric_of_lists_is_reached_from_below(mean, low, high, word, text):
    claim = Claim(0.419, "Table 2", within=0.003)
    assert judge_claim(claim, Interval(mean, low, high), "ndcg@100") == (word, text)


def of_lists(name, values, *, curve=(), sums=None, **others):
    """What was measured of a run of events, with other metrics by name and split."""
    records = [
        {
            "test": {"ndcg@10": value, **{f"{key}@10": v[j] for key, v in others.items()}},
            "curve": {"train_loss": [], "valid_ndcg@100": [*enumerate(curve)]},
        }
        for j, value in enumerate(values)
    ]
    run = RunSpec(name, "ease", series=name)
    return Outcome(run, records, "ndcg@10", 0.2, lambda split: sums and sums[split])


def test_above_is_below_turned_around():
    a, b = [0.33, 0.34, 0.35], [0.29, 0.30, 0.31]
    outcomes = [of_lists("a", a), of_lists("b", b)]
    verdict = judge_check(check_of("above", "a", "b"), outcomes)
    assert verdict.word == "confirmed"
    assert verdict.text.startswith("by 0.0400, more than chance")
    turned = judge_check(check_of("above", "b", "a"), outcomes)
    assert turned.word == "not confirmed"
    assert turned.text.startswith("below by 0.0400")
    by_chance = [of_lists("a", a), of_lists("b", [0.30, 0.36, 0.33])]
    verdict = judge_check(check_of("above", "a", "b"), by_chance)
    assert verdict.text.startswith("above by 0.0100, which may be chance")


def test_above_with_one_split_is_a_bootstrap_of_the_users_figures():
    random = np.random.default_rng(0)
    user = np.arange(200)
    second = random.uniform(0.1, 0.5, 200)
    first = second + random.normal(0.05, 0.02, 200)
    values = [first, second]
    sums = [[UserSums.of(user, {"ndcg@10": each})] for each in values]
    outcomes = [
        of_lists(name, [float(each.mean())], sums=kept)
        for name, each, kept in zip("ab", values, sums, strict=True)
    ]
    verdict = judge_check(check_of("above", "a", "b"), outcomes)
    single = paired_bootstrap(first, second, statistic="mean")
    assert verdict.word == "confirmed"
    assert f"by {single.difference:.4f}" in verdict.text
    assert f"p = {single.p:.2g}, bootstrap over users, 1 split" in verdict.text


def test_highest_rises_and_overfits_of_lists():
    a = of_lists("a", [0.33], curve=[0.30, 0.33, 0.28])
    b = of_lists("b", [0.30], curve=[0.29, 0.30])

    def judge(*about, within=0.0):
        return judge_check(check_of(*about, within=within), [a, b])

    assert judge("highest", "a") == ("confirmed", "0.0300 above b")
    assert judge("highest", "b") == ("not confirmed", "0.0300 below a")
    assert judge("overfits", "a", within=0.04) == (
        "confirmed",
        "validation figure at the end 0.0500 below its best (a)",
    )
    assert judge("gains_little", "a", "b", within=0.02) == (
        "not confirmed",
        "the best, a, is 0.0300 above b; a gain of 0.02 counts as little",
    )


def test_no_run_of_a_group_is_best_in_any_measure():
    net = of_lists("net", [0.30, 0.31], recall=[0.18, 0.17])
    plain = of_lists("plain", [0.32, 0.33], recall=[0.17, 0.16])

    def judge(*measures):
        check = Check("so", "here", "never_best", (("net",),), measures=measures)
        return judge_check(check, [net, plain])

    assert judge("ndcg") == ("confirmed", "plain is best in NDCG@10 (2 splits)")
    assert judge("ndcg", "recall") == (
        "not confirmed",
        "plain is best in NDCG@10; net is best in recall@10 (2 splits)",
    )


# --- rows that were carried over ------------------------------------------------------------------


KEPT = CarriedCheck("confirmed", "by 0.0300, more than chance", {"a": 0.9, "b": 0.93})


def test_a_check_of_carried_rows_keeps_the_verdict_that_was_printed():
    check = check_of("below", "a", "b")
    outcomes = [printed("a", 0.9), printed("b", 0.93)]
    assert judge_check(check, outcomes, KEPT) == ("confirmed", "by 0.0300, more than chance")


def test_it_keeps_the_verdict_if_one_run_is_made_anew_and_comes_out_the_same():
    outcomes = [outcome("a", [0.89998, 0.90001, 0.90003]), printed("b", 0.93)]
    assert judge_check(check_of("below", "a", "b"), outcomes, KEPT).text == KEPT.text


def test_it_does_not_keep_the_verdict_of_other_figures():
    outcomes = [outcome("a", [0.91, 0.91, 0.91]), printed("b", 0.93)]
    verdict = judge_check(check_of("below", "a", "b"), outcomes, KEPT)
    assert verdict == ("open", "of b only the mean is known; run it again")
    near = judge_check(check_of("near", "a", "b", within=0.03), outcomes, KEPT)
    assert near.text == "0.0200 apart, at most 0.03 asked"


def test_with_records_of_all_runs_the_verdict_is_computed():
    outcomes = [outcome("a", [0.9, 0.9, 0.9]), outcome("b", [0.93, 0.93, 0.93])]
    assert "corrected t-test" in judge_check(check_of("below", "a", "b"), outcomes, KEPT).text
