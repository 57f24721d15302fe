"""Splits: what lands where, and what a split refuses."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import recollect as rc
from recollect.cli import app
from recollect.data import splitting as splits
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError

DAY = 86_400


def ratings_of(pairs, times=None, n_users=None, n_items=None):
    user, item = np.array(pairs, np.int32).reshape(-1, 2).T
    n_users = n_users or int(user.max()) + 1
    n_items = n_items or int(item.max()) + 1
    return Ratings(
        user=user,
        item=item,
        value=(1 + (user + item) % 5).astype(np.float32),
        users=Vocab([f"u{j}" for j in range(n_users)]),
        items=Vocab([f"i{j}" for j in range(n_items)]),
        time=None if times is None else np.array(times, np.int64),
        name="toy",
    )


def random_ratings(seed=0, n_users=40, n_items=25, density=0.3):
    """Random ratings in which every user and item has one, with times that contain ties."""
    rng = np.random.default_rng(seed)
    rated = rng.random((n_users, n_items)) < density
    rated[np.arange(n_users), np.arange(n_users) % n_items] = True
    pairs = np.argwhere(rated)
    return ratings_of(pairs, rng.integers(0, 200, len(pairs)) * DAY, n_users, n_items)


def reversed_rows(ratings):
    return ratings.where(np.arange(len(ratings))[::-1])


def pairs(part):
    return set() if part is None else set(part.pair.tolist())


def part_pairs(split):
    """The pairs of each part, by its name."""
    return {name: pairs(part) for name, part in split.parts.items()}


SPLITS = {
    "random": lambda ratings, seed: splits.random_split(ratings, test=0.2, valid=0.1, seed=seed),
    "covering": lambda ratings, seed: splits.covering_split(
        ratings, test=0.1, valid=0.1, seed=seed
    ),
    "time": lambda ratings, seed: splits.time_split(ratings, test=0.2, valid=0.1),
    "per user": lambda ratings, seed: splits.per_user_split(
        ratings, test=0.3, valid=0.2, seed=seed
    ),
    "one of each user": lambda ratings, seed: splits.per_user_split(
        ratings, test=1, valid=1, seed=seed
    ),
    "latest of each user": lambda ratings, seed: splits.per_user_split(
        ratings, test=0.3, valid=0.2, by="time", seed=seed
    ),
    "last": lambda ratings, seed: splits.leave_last_split(ratings, n=2, valid=1),
    "fold": lambda ratings, seed: next(splits.k_folds(ratings, k=4, valid=0.1, seed=seed)),
    "density": lambda ratings, seed: splits.density_sweep(ratings, shares=(0.5,), seed=seed)[0.5],
    "new users": lambda ratings, seed: splits.new_user_split(
        ratings, users=0.2, valid_users=0.1, seed=seed
    ),
    "new items": lambda ratings, seed: splits.new_item_split(
        ratings, items=0.2, valid_items=0.1, seed=seed
    ),
    "windows": lambda ratings, seed: splits.window_split(
        ratings, train=("1970-01-01", "1970-05-31"), test=("1970-06-01", "1970-12-31"), seed=seed
    ),
}
every_split = pytest.mark.parametrize("how", SPLITS)


@every_split
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_parts_are_disjoint_and_cover_all_ratings(how, seed):
    ratings = random_ratings(seed)
    split = SPLITS[how](ratings, seed)
    split_pairs = [pair for part in split.parts.values() for pair in part.pair.tolist()]
    assert len(split_pairs) == len(set(split_pairs))
    assert len(split_pairs) == len(ratings) - sum(split.dropped.values())
    assert set(split_pairs) <= pairs(ratings)


@every_split
def test_same_seed_gives_same_split_whatever_the_order_of_the_rows(how):
    ratings = random_ratings(3)
    split = SPLITS[how](ratings, 7)
    split_of_reversed = SPLITS[how](reversed_rows(ratings), 7)
    assert part_pairs(split) == part_pairs(split_of_reversed)


@every_split
def test_parts_keep_vocabularies_and_values(how):
    ratings = random_ratings(1)
    test = SPLITS[how](ratings, 0).test
    assert test.users is ratings.users
    assert test.items is ratings.items
    assert np.array_equal(test.value, 1 + (test.user + test.item) % 5)


def test_another_seed_gives_another_split():
    ratings = random_ratings()
    assert pairs(splits.random_split(ratings, seed=0).test) != pairs(
        splits.random_split(ratings, seed=1).test
    )


def test_split_unpacks_as_train_valid_test():
    split = splits.random_split(random_ratings(), seed=0)
    train, valid, test = split
    assert (train, valid, test) == (split.train, None, split.test)


def test_random_valid_is_a_share_of_what_test_leaves():
    ratings = random_ratings(n_users=100, n_items=20, density=2)
    train, valid, test = splits.random_split(ratings, test=0.1, valid=0.05, seed=0)
    assert (len(test), len(valid), len(train)) == (200, 90, 1710)


def test_random_test_is_the_same_with_and_without_valid():
    ratings = random_ratings()
    without = splits.random_split(ratings, seed=4)
    with_valid = splits.random_split(ratings, valid=0.3, seed=4)
    assert pairs(without.test) == pairs(with_valid.test)


def test_every_rating_is_as_likely_to_be_in_test():
    ratings = random_ratings(n_users=5, n_items=8, density=2)
    times = np.zeros(40)
    for seed in range(1000):
        times[splits.random_split(ratings, test=0.25, seed=seed).test.pair] += 1
    # Each count is binomial(1000, 1/4), with a standard deviation of 13.7. All 40 counts stay
    # within 4 of them in 99.7% of seeds.
    assert np.abs(times - 250).max() < 4 * 13.7


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_covering_train_has_every_user_and_item(seed):
    split = splits.covering_split(random_ratings(seed), test=0.2, valid=0.2, seed=seed)
    assert (split.train.count("user") > 0).all()
    assert (split.train.count("item") > 0).all()
    assert split.table()["cold_ratings"].sum() == 0


def test_covering_shares_are_of_all_ratings():
    ratings = random_ratings(n_users=100, n_items=20, density=2)
    train, valid, test = splits.covering_split(ratings, test=0.1, valid=0.1, seed=0)
    assert (len(test), len(valid), len(train)) == (200, 200, 1600)


def test_covering_says_how_many_ratings_the_cover_takes():
    with pytest.raises(DataError, match=r"takes 4 ratings, but train would have 2 of 4"):
        splits.covering_split(
            ratings_of([(0, 0), (1, 1), (2, 2), (3, 3)]), test=0.25, valid=0.25, seed=0
        )


def test_time_split_puts_the_latest_in_test():
    ratings = ratings_of([(0, j) for j in range(10)], times=[5, 1, 9, 0, 3, 8, 2, 7, 4, 6])
    train, valid, test = splits.time_split(ratings, test=0.2, valid=0.25)
    assert sorted(test.time) == [8, 9]
    assert sorted(valid.time) == [6, 7]
    assert train.time.max() == 5


def test_time_split_does_not_cut_through_a_moment():
    ratings = ratings_of([(0, j) for j in range(10)], times=[0, 1, 2, 3, 4, 5, 6, 7, 7, 7])
    test = splits.time_split(ratings, test=0.1, valid=0).test
    assert test.time.tolist() == [7, 7, 7]


def test_time_split_by_dates_is_in_utc_and_includes_the_moment():
    ratings = ratings_of([(0, j) for j in range(4)], times=[0, DAY - 1, DAY, 2 * DAY])
    train, valid, test = splits.time_split(ratings, valid_from="1970-01-02", test_from=2 * DAY)
    assert train.time.tolist() == [0, DAY - 1]
    assert valid.time.tolist() == [DAY]
    assert test.time.tolist() == [2 * DAY]


def test_time_split_of_ratings_of_one_moment_is_refused():
    with pytest.raises(DataError, match=r"train part .* would be empty"):
        splits.time_split(ratings_of([(0, j) for j in range(10)], times=[3] * 10), valid=0)


@pytest.mark.parametrize(
    "cut",
    [
        lambda r: splits.time_split(r),
        lambda r: splits.leave_last_split(r),
        lambda r: splits.per_user_split(r, by="time"),
        lambda r: splits.window_split(
            r, train=("2005-09-01", "2005-11-30"), test=("2005-12-01", "2005-12-31")
        ),
        lambda r: splits.new_user_split(r, users=1, by="time"),
    ],
)
def test_a_split_by_time_needs_times(cut):
    with pytest.raises(DataError, match="'toy' has no times"):
        cut(ratings_of([(0, j) for j in range(10)]))


def test_valid_must_start_before_test():
    with pytest.raises(SettingError, match="not before the start of test, 1970-01-02 00:00:00"):
        splits.time_split(random_ratings(), test_from="1970-01-02", valid_from="1970-01-03")


def test_a_date_that_is_none_is_refused():
    with pytest.raises(SettingError, match="'last week' is not a date"):
        splits.time_split(random_ratings(), test_from="last week")


def test_windows_include_their_last_day_and_drop_unseen():
    ratings = ratings_of(
        [(0, 0), (1, 1), (0, 1), (1, 0), (2, 0), (0, 2), (1, 2)],
        times=[0, 2 * DAY - 1, 2 * DAY, 3 * DAY - 1, 2 * DAY, 2 * DAY, 3 * DAY],
    )
    split = splits.window_split(
        ratings, train=("1970-01-01", "1970-01-02"), test=("1970-01-03", "1970-01-03"), seed=0
    )
    assert pairs(split.train) == {0, 4}
    assert pairs(split.valid) | pairs(split.test) == {1, 3}
    assert (len(split.valid), len(split.test)) == (1, 1)
    assert split.dropped == {"outside both windows": 1, "user or item not in train": 2}


def test_windows_keep_unseen_on_request():
    ratings = ratings_of([(0, 0), (1, 1), (0, 1)], times=[0, DAY, DAY])
    split = splits.window_split(
        ratings,
        train=("1970-01-01", "1970-01-01"),
        test=("1970-01-02", "1970-01-02"),
        valid_share=0,
        drop_unseen=False,
    )
    assert len(split.test) == 2
    assert split.valid is None


def test_overlapping_windows_are_refused():
    with pytest.raises(SettingError, match="overlap"):
        splits.window_split(
            random_ratings(), train=("1970-01-01", "1970-02-01"), test=("1970-02-01", "1970-03-01")
        )


def test_a_window_that_ends_before_it_begins_is_refused():
    with pytest.raises(SettingError, match="not a first day and a last day"):
        splits.window_split(
            random_ratings(), train=("1970-02-01", "1970-01-01"), test=("1970-02-01", "1970-03-01")
        )


@pytest.mark.parametrize(
    ("train", "test", "name"),
    [
        (
            ("1969-01-01", "1969-12-31"),
            ("1970-01-01", "1970-12-31"),
            "train, 1969-01-01 to 1969-12-31",
        ),
        (
            ("1970-01-01", "1970-05-31"),
            ("1971-01-01", "1971-12-31"),
            "test, 1971-01-01 to 1971-12-31",
        ),
    ],
)
def test_a_window_without_ratings_is_refused_with_the_days_that_have_ratings(train, test, name):
    ratings = ratings_of([(0, 0), (1, 1), (0, 1)], times=[0, DAY, 3 * DAY])
    with pytest.raises(
        DataError,
        match=f"No rating lies in the window {name}; the ratings run from 1970-01-01 to 1970-01-04",
    ):
        splits.window_split(ratings, train=train, test=test)


def test_the_halves_of_a_window_do_not_depend_on_ratings_outside():
    inside = ratings_of(
        [(u, i) for u in range(20) for i in range(10)],
        times=[(i + u) % 10 * DAY for u in range(20) for i in range(10)],
    )
    more = ratings_of(
        [(u, i) for u in range(20) for i in range(11)],
        times=[((i + u) % 10 if i < 10 else 99) * DAY for u in range(20) for i in range(11)],
    )
    days = {"train": ("1970-01-01", "1970-01-06"), "test": ("1970-01-07", "1970-01-10")}
    split = splits.window_split(inside, **days, seed=5)
    split_of_more = splits.window_split(more, **days, seed=5)
    assert split.test.frame().rows() == split_of_more.test.frame().rows()


@pytest.mark.parametrize(
    ("months", "train", "test"),
    [
        (1, ("2005-11-01", "2005-11-30"), ("2005-12-01", "2005-12-31")),
        (3, ("2005-09-01", "2005-11-30"), ("2005-12-01", "2005-12-31")),
        (12, ("2004-12-01", "2005-11-30"), ("2005-12-01", "2005-12-31")),
        (22, ("2004-02-01", "2005-11-30"), ("2005-12-01", "2005-12-31")),
    ],
)
def test_last_months_are_calendar_months_before_the_last(months, train, test):
    ratings = ratings_of([(0, 0), (0, 1)], times=[0, 1134000000])  # 2005-12-08
    assert splits.last_months(ratings, months) == (train, test)


def test_last_months_know_leap_years():
    assert splits.last_months(ratings_of([(0, 0)], times=[1078099200]), 1)[0] == (
        "2004-02-01",
        "2004-02-29",
    )  # 2004-03-01


@pytest.mark.parametrize("months", [0, -1, 1201])
def test_a_number_of_months_that_cannot_be_is_refused(months):
    with pytest.raises(SettingError, match="expected 1 to 1,200"):
        splits.last_months(random_ratings(), months)


def test_last_months_need_times():
    with pytest.raises(DataError, match="'toy' has no times"):
        splits.last_months(ratings_of([(0, 0)]), 3)


def test_leave_last_takes_each_users_latest():
    ratings = ratings_of(
        [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)], times=[3, 1, 2, 7, 7, 7, 9]
    )
    train, valid, test = splits.leave_last_split(ratings, n=1, valid=1)
    assert pairs(test) == {0, 5}  # user 0's latest; of user 1's equal times the last item row
    assert pairs(valid) == {2, 4}
    assert pairs(train) == {1, 3, 6}  # user 2 has too few and stays whole


def test_a_fifth_of_every_users_ratings_is_test():
    ratings = ratings_of([(u, j) for u in range(5) for j in range(10 * (u + 1))])
    split = splits.per_user_split(ratings, test=0.2, valid=0.25, seed=0)
    assert split.test.count("user").tolist() == [2, 4, 6, 8, 10]
    assert split.valid.count("user").tolist() == [2, 4, 6, 8, 10]
    assert split.train.count("user").tolist() == [6, 12, 18, 24, 30]


def test_a_users_share_is_one_rating_at_least_and_leaves_one_in_train():
    ratings = ratings_of([(u, j) for u in range(4) for j in range(u + 1)])
    small, large = (splits.per_user_split(ratings, test=share, seed=0) for share in (0.1, 0.9))
    assert small.test.count("user").tolist() == [0, 1, 1, 1]  # user 0 has one, which is train
    assert large.test.count("user").tolist() == [0, 1, 2, 3]
    assert large.train.count("user").tolist() == [1, 1, 1, 1]


def test_one_rating_of_each_user_is_left_out():
    ratings = random_ratings()
    split = splits.per_user_split(ratings, test=1, valid=2, min_train=3, seed=0)
    is_tested = ratings.count("user") >= 6
    assert is_tested.any()
    assert not is_tested.all()
    assert np.array_equal(split.test.count("user"), is_tested)
    assert np.array_equal(split.valid.count("user"), 2 * is_tested)


def test_every_rating_of_a_user_is_as_likely_to_be_left_out():
    ratings = ratings_of([(u, j) for u in range(4) for j in range(5)])
    times = np.zeros(20)
    for seed in range(500):
        times[splits.per_user_split(ratings, test=1, seed=seed).test.pair] += 1
    # Binomial(500, 1/5), standard deviation 8.9.
    assert np.abs(times - 100).max() < 4 * 9


def test_a_users_latest_share_is_later_than_the_rest_of_the_user():
    ratings = random_ratings(5)
    split = splits.per_user_split(ratings, test=0.3, by="time")
    latest = np.full(ratings.n_users, -1)
    np.maximum.at(latest, split.train.user, split.train.time)
    assert (split.test.time >= latest[split.test.user]).all()
    assert split.seed is None


@pytest.mark.parametrize("valid", [0, 2])
def test_the_latest_of_each_user_are_those_of_leave_last(valid):
    ratings = random_ratings(2)
    split = splits.per_user_split(ratings, test=2, valid=valid, by="time")
    assert part_pairs(split) == part_pairs(splits.leave_last_split(ratings, n=2, valid=valid))


def test_the_test_part_is_the_same_with_and_without_a_valid_share():
    ratings = random_ratings()
    without = splits.per_user_split(ratings, test=0.2, seed=4)
    with_valid = splits.per_user_split(ratings, test=0.2, valid=0.3, seed=4)
    assert pairs(without.test) == pairs(with_valid.test)


def test_another_seed_leaves_others_out():
    ratings = random_ratings()
    first, second = (splits.per_user_split(ratings, test=1, seed=seed) for seed in (0, 1))
    assert pairs(first.test) != pairs(second.test)


@settings(max_examples=15, deadline=None)
@given(k=st.integers(2, 7), seed=st.integers(0, 1000))
def test_each_rating_is_in_one_folds_test(k, seed):
    ratings = random_ratings(seed)
    tests = np.concatenate(
        [split.test.pair for split in splits.k_folds(ratings, k=k, valid=0.1, seed=seed)]
    )
    assert np.array_equal(np.sort(tests), np.sort(ratings.pair))


def test_fewer_ratings_than_folds_are_refused():
    with pytest.raises(DataError, match="3 ratings cannot make 5 folds"):
        splits.k_folds(ratings_of([(0, 0), (0, 1), (1, 0)]), k=5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), covering=st.booleans())
def test_smaller_trains_are_part_of_larger_ones(seed, covering):
    sweep = splits.density_sweep(
        random_ratings(seed, density=0.6), shares=(0.3, 0.6, 0.8), seed=seed, covering=covering
    )
    assert pairs(sweep[0.3].train) < pairs(sweep[0.6].train) < pairs(sweep[0.8].train)
    assert pairs(sweep[0.3].test) > pairs(sweep[0.6].test) > pairs(sweep[0.8].test)


def test_density_halves_what_remains():
    sweep = splits.density_sweep(
        random_ratings(n_users=50, n_items=20, density=2), shares=(0.2, 0.8), seed=0
    )
    assert [len(part) for part in sweep[0.2]] == [200, 400, 400]
    assert [len(part) for part in sweep[0.8]] == [800, 100, 100]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_new_users_are_not_in_train_and_have_given_and_test(seed):
    split = splits.new_user_split(
        random_ratings(seed), users=4, given=0.5, valid_users=2, seed=seed
    )
    held_out = np.unique(split.given.user)
    assert np.array_equal(held_out, np.union1d(split.test.user, split.valid.user))
    assert (len(np.unique(split.test.user)), len(np.unique(split.valid.user))) == (4, 2)
    assert not np.isin(split.train.user, held_out).any()
    assert splits.shared_pairs(split.given, split.test) == 0


def test_given_share_is_of_each_users_ratings():
    ratings = ratings_of([(u, j) for u in range(4) for j in range(5 * (u + 1))])
    split = splits.new_user_split(ratings, users=3, given=0.8, seed=0)
    held_out = split.given.count("user") > 0
    assert split.given.count("user")[held_out].tolist() == [
        4 * (u + 1) for u in np.flatnonzero(held_out)
    ]


def test_given_count_keeps_only_users_with_more_ratings():
    ratings = ratings_of([(u, j) for u in range(4) for j in range(5 * (u + 1))])
    split = splits.new_user_split(ratings, users=2, given=10, seed=0)
    assert split.given.count("user").tolist() == [0, 0, 10, 10]


def test_given_by_time_are_the_earliest():
    ratings = ratings_of(
        [(u, j) for u in range(2) for j in range(6)], times=[5, 4, 3, 2, 1, 0, 9, 0, 8, 1, 7, 2]
    )
    split = splits.new_user_split(ratings, users=1, given=3, by="time", seed=0)
    assert split.given.time.max() < split.test.time.min()
    assert sorted(split.given.time) == [0, 1, 2]


def test_more_new_users_than_there_are_is_refused():
    with pytest.raises(
        DataError, match=r"asks for 9 users .* but 2 users have the 5 ratings or more"
    ):
        splits.new_user_split(ratings_of([(u, j) for u in range(2) for j in range(6)]), users=9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000))
def test_new_items_have_all_their_ratings_in_one_part_and_none_in_train(seed):
    ratings = random_ratings(seed)
    split = splits.new_item_split(ratings, items=4, valid_items=2, seed=seed)
    in_test, in_valid = split.test.count("item") > 0, split.valid.count("item") > 0
    assert (in_test.sum(), in_valid.sum()) == (4, 2)
    assert np.array_equal(split.test.count("item")[in_test], ratings.count("item")[in_test])
    assert np.array_equal(split.valid.count("item")[in_valid], ratings.count("item")[in_valid])
    assert not split.train.count("item")[in_test | in_valid].any()


def test_new_items_are_a_share_of_the_items_with_enough_ratings():
    ratings = ratings_of([(u, i) for i in range(20) for u in range(1 + 4 * (i >= 10))])
    test = splits.new_item_split(ratings, items=0.3, min_ratings=5, seed=0).test
    assert len(np.unique(test.item)) == 3
    assert test.item.min() >= 10


def test_users_of_new_items_only_are_counted():
    ratings = ratings_of([(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)], n_items=2)
    test_item = splits.new_item_split(ratings, items=1, seed=0).test.item[0]
    row = splits.new_item_split(ratings, items=1, seed=0).table().row(1, named=True)
    assert row["cold_items"] == 1
    assert row["cold_users"] == (1 if test_item == 0 else 0)  # user 1 has rated item 0 only
    assert row["cold_ratings"] == row["ratings"]


def test_every_item_is_as_likely_to_be_new():
    ratings, times = ratings_of([(u, i) for i in range(10) for u in range(1 + i)]), np.zeros(10)
    for seed in range(500):
        times += splits.new_item_split(ratings, items=0.2, seed=seed).test.count("item") > 0
    assert np.abs(times - 100).max() < 4 * 9  # binomial(500, 1/5), standard deviation 8.9


def test_more_new_items_than_there_are_is_refused():
    with pytest.raises(
        DataError,
        match=r"valid_items=3 asks for 3 items besides 4, but 6 items have the 2 ratings or more",
    ):
        splits.new_item_split(
            ratings_of([(u, j) for u in range(2) for j in range(6)]),
            items=4,
            valid_items=3,
            min_ratings=2,
        )
    with pytest.raises(DataError, match=r"train part of 12 ratings .* would be empty"):
        splits.new_item_split(ratings_of([(u, j) for u in range(2) for j in range(6)]), items=6)


@pytest.mark.parametrize(
    "cut",
    [
        lambda r: splits.random_split(r, test=0),
        lambda r: splits.random_split(r, test=1.2),
        lambda r: splits.random_split(r, valid=-0.1),
        lambda r: splits.covering_split(r, test=0.5, valid=0.5),
        lambda r: splits.k_folds(r, k=1),
        lambda r: splits.density_sweep(r, shares=(0.5, 1.5)),
        lambda r: splits.leave_last_split(r, n=0),
        lambda r: splits.per_user_split(r, test=0),
        lambda r: splits.per_user_split(r, test=1.0),
        lambda r: splits.per_user_split(r, valid=-0.1),
        lambda r: splits.per_user_split(r, by="item"),
        lambda r: splits.per_user_split(r, min_train=-1),
        lambda r: splits.per_user_split(r, test=0.5, min_train=0),
        lambda r: splits.per_user_split(r, seed=-1),
        lambda r: splits.new_user_split(r, users=1.5),
        lambda r: splits.new_user_split(r, users=0),
        lambda r: splits.new_user_split(r, given=0),
        lambda r: splits.new_item_split(r, items=1.0),
        lambda r: splits.new_item_split(r, items=0),
        lambda r: splits.new_item_split(r, valid_items=-1),
    ],
)
def test_impossible_shares_and_counts_are_refused(cut):
    with pytest.raises(SettingError):
        cut(random_ratings())


def test_a_part_that_was_asked_for_is_never_empty():
    with pytest.raises(DataError, match=r"valid part of 5 ratings .* would be empty"):
        splits.random_split(ratings_of([(0, j) for j in range(5)]), test=0.2, valid=0.01)


def test_table_counts_cold_users_items_and_ratings():
    ratings = ratings_of([(0, 0), (1, 0), (0, 1), (2, 2)], times=[0, 1, 2, 3])
    table = splits.time_split(ratings, test=0.5, valid=0).table()
    assert table.row(1, named=True) == {
        "part": "test",
        "ratings": 2,
        "users": 2,
        "items": 2,
        "cold_users": 1,
        "cold_items": 2,
        "cold_ratings": 2,
    }


def test_a_split_reads_as_text():
    ratings = ratings_of([(0, 0), (1, 0), (0, 1), (2, 2)], times=[0, 1, 2, 3])
    assert str(splits.time_split(ratings, test=0.5, valid=0)).splitlines() == [
        "split by time (test=0.5, valid=0)",
        "  train            2 ratings         2 users         1 items",
        "  test             2 ratings         2 users         2 items   not in train: 1 users, 2 "
        "items, 2 ratings",
    ]


def test_a_split_logs_its_sizes(caplog):
    with caplog.at_level(logging.INFO, logger="recollect"):
        splits.random_split(ratings_of([(0, j) for j in range(10)]), test=0.2)
    assert caplog.messages == ["toy: Split(random split, seed 0: train 8, test 2)"]


def test_large_counts_stand_apart_from_words():
    split = splits.random_split(random_ratings())
    text = str(replace(split, dropped={"outside": 84_305_339}))
    assert text.splitlines()[-1] == "  left out 84,305,339 ratings: outside"


def test_shared_pairs_counts_pairs_in_both():
    ratings = ratings_of([(0, 0), (0, 1), (1, 0), (1, 1)])
    assert (
        splits.shared_pairs(ratings.where(np.array([0, 1, 2])), ratings.where(np.array([3, 2, 1])))
        == 2
    )


def test_pairs_of_other_vocabularies_cannot_be_compared():
    with pytest.raises(DataError, match="different vocabularies"):
        splits.shared_pairs(ratings_of([(0, 0)]), ratings_of([(0, 0), (1, 1)]))


def test_find_gives_the_split_of_that_name():
    assert splits.find("leave_last") is splits.leave_last_split
    assert splits.find("per_user") is splits.per_user_split
    assert splits.find("new_item") is splits.new_item_split


def test_find_names_the_nearest():
    with pytest.raises(SettingError, match=r"no split 'randm'.*Did you mean 'random'"):
        splits.find("randm")


def test_a_validation_part_alone_is_cut_from_a_training_file(planted_small):
    ratings = planted_small.ratings
    split = rc.random_split(ratings, test=0, valid=0.1, seed=3)
    train, valid, test = split
    assert test is None
    assert (len(train), len(valid)) == (3240, 360)
    assert "test" not in split.parts
    assert list(split.table()["part"]) == ["train", "valid"]
    same_draw = rc.hold_out_validation(ratings, valid=0.1, seed=3)
    assert [part.fingerprint for part in same_draw] == [train.fingerprint, valid.fingerprint]


def test_nothing_to_split_is_an_error(planted_small):
    with pytest.raises(
        SettingError, match="Shares of 0 for test and validation leave nothing to split"
    ):
        rc.random_split(planted_small.ratings, test=0)


def test_a_folder_without_a_test_part_trains_and_says_what_it_has(planted_small, tmp_path):
    data = tmp_path / "r.parquet"
    planted_small.ratings.frame().write_parquet(data)
    folder = tmp_path / "split"
    runner = CliRunner()
    said = runner.invoke(
        app, ["split", str(data), "--test", "0", "--valid", "0.1", "--out", str(folder)]
    )
    assert said.exit_code == 0, said.output
    assert sorted(path.name for path in folder.glob("*.parquet")) == [
        "train.parquet",
        "valid.parquet",
    ]
    out = tmp_path / "run"
    said = runner.invoke(app, ["train", str(folder), "--model", "bias", "--out", str(out)])
    assert said.exit_code == 0, said.output
