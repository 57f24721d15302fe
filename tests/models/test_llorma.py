"""LLORMA: each local model learns its neighborhood, and the mean of those that reach a pair
predicts it."""

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import SettingError

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"joint": True, "kernel": "triangular"},
    {"offsets": False, "kernel": "uniform", "width_user": 1.0, "width_item": 1.0, "refit": True},
]

SETTINGS = {
    "anchors": 5,
    "factors": 3,
    "pre_factors": 3,
    "pre_reg": 0.01,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "init": 0.1,
    "decay": 1.0,
    "epochs": 20,
    "width_user": 2.0,
    "width_item": 2.0,
}
ROUNDING = 1e-3  # of the arc cosine, which is steep near 1


def fitted(ratings, **changes):
    return rc.make("llorma", **SETTINGS | changes).fit(ratings)


def rmse(model, ratings):
    return rc.held_out(model, ratings)["rmse"]


@pytest.fixture(scope="module")
def regions() -> Ratings:
    """Two groups of users and two of items. In each of the four blocks the ratings are a product of
    other numbers, so that rank 1 holds in each block and not in all of them together.
    """
    random = np.random.default_rng(3)
    user_factor = random.choice([-1.0, 1.0], (2, 2, 120))
    item_factor = random.choice([-1.0, 1.0], (2, 2, 80))
    user, item = np.divmod(random.permutation(120 * 80)[:6000], 80)
    a = user % 2
    b = item % 2
    mean = np.where(a == b, 4.0, 2.0)  # the global factorization tells the blocks apart by it
    value = mean + 0.8 * user_factor[b, a, user] * item_factor[a, b, item]
    return Ratings(
        user.astype(np.int32),
        item.astype(np.int32),
        value.astype(np.float32),
        Vocab([f"u{j}" for j in range(120)]),
        Vocab([f"i{j}" for j in range(80)]),
        scale=(1.0, 5.0),
    )


def expected_weights(net, side, *, width, kernel):
    """K(d / h) of the first 40 rows in each local model."""
    global_factors = net.global_factors.user if side == "user" else net.global_factors.item
    rows = global_factors[:, :-1].double().numpy()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    anchors = rows[net.anchor[:, 0 if side == "user" else 1].numpy()]
    cosine = anchors @ rows[:40].T
    distance = np.arccos(np.minimum(cosine, 1)) / width
    return np.where(distance < 1, kernel(distance), 0)


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("epanechnikov", lambda x: 1 - x**2),
        ("epanechnikov-paper", lambda x: 1 - (0.9 * x) ** 2),  # 1 - d^2 of the angle itself
        ("triangular", lambda x: 1 - x),
        ("uniform", np.ones_like),
    ],
)
def test_a_weight_is_the_kernel_of_the_angle(name, kernel, planted_small):
    settings = {"kernel": name, "width_user": 0.9, "width_item": 0.9, "epochs": 1}
    net = fitted(planted_small.ratings, **settings).net_
    for side in ("user", "item"):
        expected = expected_weights(net, side, width=0.9, kernel=kernel)
        assert 0 < (expected > 0).mean() < 1
        np.testing.assert_allclose(net.weights(side)[:, :40], expected, atol=ROUNDING)


def test_an_anchor_is_a_rating_and_has_weight_1(planted_small):
    train = planted_small.ratings
    net = fitted(train).net_
    user, item = net.anchor.T.numpy()
    assert np.isin(user * train.n_items + item, train.pair).all()
    np.testing.assert_allclose(net.weight_user[np.arange(5), user], 1, atol=ROUNDING)


def test_a_prediction_is_the_weighted_mean_of_local_ones(planted_small):
    net = fitted(planted_small.ratings).net_
    user, item = 7, 11
    w = (net.weight_user[:, user] * net.weight_item[:, item]).numpy()
    U = net.user[:, user].numpy()
    V = net.item[:, item].numpy()
    local = (U * V)[:, :-1].sum(axis=1) + U[:, -1] + V[:, -1]
    assert 0 < (w > 0).sum() < 5
    expected = float(net.global_factors.mu) + w @ local / w.sum()
    predicted = net(torch.tensor([user]), torch.tensor([item]))
    np.testing.assert_allclose(predicted.numpy(), expected, rtol=1e-5)


def test_uniform_kernels_that_reach_everything_give_the_plain_mean_of_the_models(planted_small):
    """The control for "many are better than one": an ensemble that is not local."""
    net = fitted(planted_small.ratings, kernel="uniform", width_user=3.2, width_item=3.2).net_
    assert (net.weight_user == 1).all()
    assert (net.weight_item == 1).all()
    user, item = 7, 11
    U = net.user[:, user].numpy()
    V = net.item[:, item].numpy()
    local = (U * V)[:, :-1].sum(axis=1) + U[:, -1] + V[:, -1]
    predicted = net(torch.tensor([user]), torch.tensor([item]))
    np.testing.assert_allclose(predicted, float(net.global_factors.mu) + local.mean(), rtol=1e-5)


def test_where_no_local_model_reaches_the_global_one_predicts(planted_small):
    model = fitted(planted_small.ratings, anchors=1, width_user=0.3, clip=False)
    net = model.net_
    user, item = np.divmod(np.arange(9600), 80)
    far = (net.weight_user[0, user] * net.weight_item[0, item] == 0).numpy()
    assert 0.5 < far.mean() < 1
    global_ratings = net.global_factors(torch.from_numpy(user), torch.from_numpy(item)).numpy()
    predicted = model.predict(user, item)
    np.testing.assert_allclose(predicted[far], global_ratings[far], rtol=1e-5)
    assert np.abs(predicted - global_ratings)[~far].mean() > 0.01


@pytest.mark.parametrize("joint", [False, True])
def test_local_structure_is_learned_that_one_model_of_the_rank_cannot(joint, regions):
    split = rc.random_split(regions, test=0.1, seed=0)
    one = rc.make("pmf", factors=1, reg_user=0.3, reg_item=0.3, reg_power=0.0).fit(split.train)
    local = fitted(
        split.train,
        factors=1,
        anchors=20,
        pre_factors=2,
        width_user=1.2,
        width_item=1.2,
        epochs=60,
        joint=joint,
    )
    assert rmse(local, split.test) < 0.8 * rmse(one, split.test)


@pytest.mark.parametrize("joint", [False, True])
def test_one_anchor_with_equal_weights_is_one_factorization(joint, planted_small):
    """A kernel that reaches everything: both objectives are that of plain matrix factorization."""
    split = rc.random_split(planted_small.ratings, test=0.2, seed=0)
    local = fitted(
        split.train,
        anchors=1,
        kernel="uniform",
        width_user=4.0,
        width_item=4.0,
        epochs=150,
        joint=joint,
    )
    shared = ("factors", "reg_user", "reg_item", "reg_power", "init", "decay")
    one = rc.make("biased_mf", epochs=150, **{name: SETTINGS[name] for name in shared})
    expected = rmse(one.fit(split.train), split.test)
    assert rmse(local, split.test) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("joint", [False, True])
def test_the_number_of_threads_does_not_change_the_numbers(joint, planted_small):
    split = rc.random_split(planted_small.ratings, test=0.1, seed=0)
    before = torch.get_num_threads()
    learned = []
    try:
        for threads in (1, 2):
            model = rc.make("llorma", **SETTINGS, joint=joint)
            model.fit(split.train, run=rc.Run(threads=threads))
            learned.append(model.net_.user.numpy().copy())
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*learned)


@pytest.mark.parametrize("joint", [False, True])
def test_an_interrupted_fit_resumes_to_the_bit(joint, planted_small, tmp_path):
    split = rc.random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    settings = SETTINGS | {"epochs": 8, "patience": None, "joint": joint}
    whole = rc.make("llorma", **settings).fit(split.train, split.valid)

    def stop(figures):
        if figures["epoch"] == 4:
            raise KeyboardInterrupt

    stopping = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("llorma", **settings).fit(split.train, split.valid, stopping)
    resuming = rc.Run(folder=tmp_path, resume=True)
    resumed = rc.make("llorma", **settings).fit(split.train, split.valid, resuming)
    np.testing.assert_array_equal(whole.net_.user, resumed.net_.user)


@pytest.mark.parametrize("joint", [False, True])
def test_a_new_user_with_a_fitted_user_s_ratings_gets_about_their_predictions(joint, planted_small):
    train = planted_small.ratings
    model = fitted(train, epochs=200, joint=joint)
    users = np.arange(20)
    scores = model.scores(users, train)
    folded_in = model.fold_in(train.by_user.take(users))
    assert np.abs(scores - folded_in).mean() < 0.15 * scores.std()


def test_a_new_user_without_ratings_gets_the_items_global_offsets(planted_small):
    """Without factors there is no angle, so that no local model reaches the user."""
    train = planted_small.ratings
    model = fitted(train)
    no_ratings = train.by_user.take(np.array([-1]))
    global_factors = model.net_.global_factors
    expected = global_factors.mu + global_factors.item[:, -1]
    np.testing.assert_allclose(model.fold_in(no_ratings)[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"anchors": 0}, "anchors must be at least 1"),
        ({"width_user": 0.0}, "width_user must be above 0"),
        ({"kernel": "epanechnikow"}, "Did you mean 'epanechnikov'"),
        ({"reg_power": 2.0}, "reg_power must be at least 0 and at most 1"),
        ({"decay": 0.0}, "decay must be above 0 and at most 1"),
        ({"kernel": "epanechnikov-paper"}, "set width_user and width_item to 1 at most"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        rc.make("llorma", **settings)


def test_too_large_a_step_is_reported(planted_small):
    with pytest.raises(rc.RecollectError, match="lower learning_rate"):
        fitted(planted_small.ratings, learning_rate=50.0)
