"""SVDpp: what was rated tells of tastes, also of someone new."""

import numpy as np
import pytest

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import SettingError

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


@pytest.fixture(scope="module")
def chosen() -> Ratings:
    """Two tastes that show in what users rate alone: those of even number rate mostly even items, and like them; each has three
    ratings of the others, so that all can be compared. Item 40 was rated by nobody."""
    random, pairs = np.random.default_rng(0), []
    for user in range(60):
        own = random.choice(np.arange(user % 2, 40, 2), 12, replace=False)
        other = random.choice(np.arange(1 - user % 2, 40, 2), 3, replace=False)
        pairs += [
            (user, item, 5.0 if item % 2 == user % 2 else 1.0)
            for item in np.sort(np.concatenate([own, other]))
        ]
    user, item, value = (np.array(x) for x in zip(*pairs, strict=True))
    return Ratings(
        user.astype(np.int32),
        item.astype(np.int32),
        value.astype(np.float32),
        Vocab([f"u{j}" for j in range(60)]),
        Vocab([f"i{j}" for j in range(41)]),
    )


def test_a_rating_is_what_equation_15_says(few):
    model = rc.make("svdpp", **SETTINGS, clip=False).fit(few)
    net, rated = model.net_, few.item[few.user == 1]
    taste = net.own[1] + net.implied[rated].sum(dim=0) / np.sqrt(len(rated))
    by_hand = few.mean + net.user[1, -1] + net.item[2, -1] + net.item[2, :-1] @ taste
    np.testing.assert_allclose(
        model.predict(np.array([1]), np.array([2])), by_hand.numpy(), rtol=1e-5
    )


def test_a_user_with_one_rating_has_the_whole_of_what_it_implies(few):
    """|N(u)|^-1/2 = 1: user 2 rated item 1 alone."""
    model = rc.make("svdpp", **SETTINGS).fit(few)
    np.testing.assert_allclose(
        model.net_.user[2, :-1], model.net_.own[2] + model.net_.implied[1], rtol=1e-5
    )


def test_what_someone_rated_tells_their_taste_whatever_the_ratings(chosen):
    """Someone new gave nothing but threes, to even items: they are taken to like those."""
    model = rc.make("svdpp", **SETTINGS).fit(chosen)
    item = np.arange(0, 12, 2, dtype=np.int32)
    new = Ratings(
        np.zeros(6, np.int32), item, np.full(6, 3, np.float32), Vocab(["new"]), chosen.items
    )
    found = model.fold_in(new.by_user)[0, :40]
    assert found[20:40:2].mean() > found[21:40:2].mean() + 0.3


def test_without_implied_factors_nothing_is_known_from_what_was_rated_alone(chosen):
    """A λ so large that y stays 0 leaves plain matrix factorization."""
    model = rc.make("svdpp", **SETTINGS | {"reg_y": 1 / 0.015}).fit(chosen)
    assert float(model.net_.implied.abs().max()) < 0.05


def test_someone_new_with_the_ratings_of_a_fitted_user_gets_about_their_tastes(planted_small):
    train = planted_small.ratings
    model = rc.make("svdpp", **SETTINGS | {"reg_offset": 0.01, "epochs": 200}).fit(train)
    fitted, folded = (
        model.scores(np.arange(20), train),
        model.fold_in(train.by_user.take(np.arange(20))),
    )
    assert np.abs(fitted - folded).mean() < 0.1 * fitted.std()


def test_an_interrupted_fit_goes_on_to_the_bit(planted_small, tmp_path):
    split = rc.random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    settings = SETTINGS | {"epochs": 8, "patience": None}
    whole = rc.make("svdpp", **settings).fit(split.train, split.valid)

    def stop(figures):
        if figures["epoch"] == 4:
            raise KeyboardInterrupt

    keep = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("svdpp", **settings).fit(split.train, split.valid, keep)
    again = rc.make("svdpp", **settings).fit(
        split.train, split.valid, rc.Run(folder=tmp_path, resume=True)
    )
    np.testing.assert_array_equal(whole.net_.user, again.net_.user)


def test_settings_that_cannot_work_are_refused():
    for bad, told in (
        ({"factors": 0}, "factors is 1 or more"),
        ({"reg_user": 0.0}, "reg_user is above 0"),
        ({"reg_y": -1.0}, "reg_y is 0 or more"),
        ({"reg_power": 2.0}, "reg_power is 0 to 1"),
        ({"decay": 0.0}, "decay is above 0"),
    ):
        with pytest.raises(SettingError, match=told):
            rc.make("svdpp", **bad)


def test_too_large_a_step_says_so(planted_small):
    with pytest.raises(rc.RecollectError, match="lower learning_rate"):
        rc.make("svdpp", learning_rate=5.0).fit(planted_small.ratings)
