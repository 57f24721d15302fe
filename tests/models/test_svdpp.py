"""SVDpp: what a user rated says something about their taste, also for new users."""

from types import SimpleNamespace

import numpy as np
import pytest

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import SettingError
from recollect.kernels.reference import svdpp as reference

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"refit": True},
]

SETTINGS = {
    "factors": 4,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "init": 0.1,
    "epochs": 40,
    "decay": 1.0,
}


def numpy_arrays(model):
    """The network's parameters under the names of the reference."""
    return SimpleNamespace(**{name: x.numpy() for name, x in model.net_.arrays().items()})


@pytest.fixture(scope="module")
def chosen() -> Ratings:
    """Two tastes that show in what users rate alone.

    Users of even number rate 12 even items, which they like, and 3 odd ones, so that all items can
    be compared; users of odd number the other way round. Nobody rated item 40.
    """
    random = np.random.default_rng(0)
    users, items, values = [], [], []
    for user in range(60):
        liked = random.choice(np.arange(user % 2, 40, 2), 12, replace=False)
        disliked = random.choice(np.arange(1 - user % 2, 40, 2), 3, replace=False)
        for item in np.sort(np.concatenate([liked, disliked])):
            users.append(user)
            items.append(item)
            values.append(5.0 if item % 2 == user % 2 else 1.0)
    return Ratings(
        np.array(users, np.int32),
        np.array(items, np.int32),
        np.array(values, np.float32),
        Vocab([f"u{j}" for j in range(60)]),
        Vocab([f"i{j}" for j in range(41)]),
    )


def test_a_rating_is_what_equation_15_says(few):
    model = rc.make("svdpp", **SETTINGS, clip=False).fit(few)
    rated = few.item[few.user == 1]
    expected = few.mean + reference.predict(numpy_arrays(model), 1, 2, rated)
    np.testing.assert_allclose(model.predict(np.array([1]), np.array([2])), expected, rtol=1e-5)


def test_a_user_with_one_rating_has_the_whole_y_of_its_item(few):
    """|N(u)|^-1/2 = 1: user 2 rated item 1 alone."""
    net = rc.make("svdpp", **SETTINGS).fit(few).net_
    np.testing.assert_allclose(net.user[2, :-1], net.p[2] + net.y[1], rtol=1e-5)


def test_what_a_new_user_rated_tells_their_taste_whatever_the_ratings(chosen):
    """A new user gave nothing but threes, to even items: predictions of other even items are
    higher.
    """
    model = rc.make("svdpp", **SETTINGS).fit(chosen)
    item = np.arange(0, 12, 2, dtype=np.int32)
    threes = np.full(6, 3, np.float32)
    new = Ratings(np.zeros(6, np.int32), item, threes, Vocab(["new"]), chosen.items)
    scores = model.fold_in(new.by_user)[0]
    assert scores[20:40:2].mean() > scores[21:40:2].mean() + 0.3


def test_a_large_lambda_of_y_leaves_plain_matrix_factorization(chosen):
    model = rc.make("svdpp", **SETTINGS | {"reg_y": 1 / 0.015}).fit(chosen)
    assert float(model.net_.y.abs().max()) < 0.05


def test_a_new_user_with_the_ratings_of_a_fitted_one_gets_about_their_scores(planted_small):
    train = planted_small.ratings
    model = rc.make("svdpp", **SETTINGS | {"reg_offset": 0.01, "epochs": 200}).fit(train)
    users = np.arange(20)
    fitted = model.scores(users, train)
    folded = model.fold_in(train.by_user.take(users))
    assert np.abs(fitted - folded).mean() < 0.1 * fitted.std()


def test_an_interrupted_fit_resumes_to_the_bit(planted_small, tmp_path):
    split = rc.random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    settings = SETTINGS | {"epochs": 8, "patience": None}
    whole = rc.make("svdpp", **settings).fit(split.train, split.valid)

    def interrupt(figures):
        if figures["epoch"] == 4:
            raise KeyboardInterrupt

    run = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(interrupt,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("svdpp", **settings).fit(split.train, split.valid, run)
    resumed = rc.make("svdpp", **settings).fit(
        split.train, split.valid, rc.Run(folder=tmp_path, resume=True)
    )
    np.testing.assert_array_equal(whole.net_.user, resumed.net_.user)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"factors": 0}, "factors must be at least 1"),
        ({"reg_user": 0.0}, "reg_user must be above 0"),
        ({"reg_y": -1.0}, "reg_y must be at least 0"),
        ({"reg_power": 2.0}, "reg_power must be at least 0 and at most 1"),
        ({"decay": 0.0}, "decay must be above 0"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(setting, message):
    with pytest.raises(SettingError, match=message):
        rc.make("svdpp", **setting)


def test_a_fit_that_diverges_says_to_lower_the_learning_rate(planted_small):
    with pytest.raises(rc.RecollectError, match="lower learning_rate"):
        rc.make("svdpp", learning_rate=5.0).fit(planted_small.ratings)
