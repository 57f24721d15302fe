"""LLORMA: each local model sees its neighborhood, and the mean of those that reach a pair predicts it."""

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


@pytest.fixture(scope="module")
def regions() -> Ratings:
    """Two crowds of users, two shelves of items; in each of the four blocks the ratings are a product of other numbers, so that
    rank 1 holds in a block and not in all."""
    random = np.random.default_rng(3)
    taste, kind = random.choice([-1.0, 1.0], (2, 2, 120)), random.choice([-1.0, 1.0], (2, 2, 80))
    user, item = np.divmod(random.permutation(120 * 80)[:6000], 80)
    a, b = user % 2, item % 2
    level = np.where(a == b, 4.0, 2.0)  # what tells the blocks apart
    value = level + 0.8 * taste[b, a, user] * kind[a, b, item]
    return Ratings(
        user.astype(np.int32),
        item.astype(np.int32),
        value.astype(np.float32),
        Vocab([f"u{j}" for j in range(120)]),
        Vocab([f"i{j}" for j in range(80)]),
        scale=(1.0, 5.0),
    )


def weight(net, side: str, t: int, row: int, *, width: float, kernel) -> float:
    """K(d / h), in plain words."""
    factors = (
        (net.global_factors.user if side == "user" else net.global_factors.item)[:, :-1]
        .double()
        .numpy()
    )
    anchor, own = factors[int(net.anchor[t, 0 if side == "user" else 1])], factors[row]
    apart = np.arccos(min(1.0, anchor @ own / np.linalg.norm(anchor) / np.linalg.norm(own))) / width
    return kernel(apart) if apart < 1 else 0.0


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("epanechnikov", lambda x: 1 - x**2),
        ("triangular", lambda x: 1 - x),
        ("uniform", lambda x: 1.0),
    ],
)
def test_a_weight_is_the_kernel_of_the_angle(name, kernel, planted_small):
    net = (
        rc.make("llorma", **SETTINGS | {"kernel": name, "width_user": 1.5, "epochs": 1})
        .fit(planted_small.ratings)
        .net_
    )
    for side, width in (("user", 1.5), ("item", 2.0)):
        by_hand = [
            [weight(net, side, t, row, width=width, kernel=kernel) for row in range(40)]
            for t in range(5)
        ]
        np.testing.assert_allclose(
            net.weights(side)[:, :40], by_hand, atol=1e-3
        )  # arccos near 1 is steep


def test_an_anchor_is_a_rating_and_weighs_itself_fully(planted_small):
    train = planted_small.ratings
    net = rc.make("llorma", **SETTINGS).fit(train).net_
    user, item = net.anchor.T.numpy()
    assert np.isin(user * train.n_items + item, train.pair).all()
    np.testing.assert_allclose(
        net.weight_user[np.arange(5), user], 1, atol=1e-3
    )  # arccos near 1 is steep


def test_a_prediction_is_the_weighted_mean_of_local_ones(planted_small):
    net = rc.make("llorma", **SETTINGS).fit(planted_small.ratings).net_
    user, item = 7, 11
    w = (net.weight_user[:, user] * net.weight_item[:, item]).numpy()
    local = [
        net.user[t, user, :-1] @ net.item[t, item, :-1]
        + net.user[t, user, -1]
        + net.item[t, item, -1]
        for t in range(5)
    ]
    assert 0 < (w > 0).sum() < 5
    by_hand = float(net.global_factors.mu) + w @ np.array(local) / w.sum()
    np.testing.assert_allclose(
        net(torch.tensor([user]), torch.tensor([item])).numpy(), by_hand, rtol=1e-5
    )


def test_where_no_local_model_reaches_the_global_one_predicts(planted_small):
    model = rc.make("llorma", **SETTINGS | {"anchors": 1, "width_user": 0.3}, clip=False).fit(
        planted_small.ratings
    )
    net, user, item = model.net_, *np.divmod(np.arange(9600), 80)
    far = (net.weight_user[0, user] * net.weight_item[0, item] == 0).numpy()
    assert 0.5 < far.mean() < 1
    global_factors = net.global_factors(torch.from_numpy(user), torch.from_numpy(item)).numpy()
    np.testing.assert_allclose(model.predict(user, item)[far], global_factors[far], rtol=1e-5)
    assert np.abs(model.predict(user, item) - global_factors)[~far].mean() > 0.01


@pytest.mark.parametrize("joint", [False, True])
def test_local_structure_is_learned_that_one_model_of_the_rank_cannot(joint, regions):
    split = rc.random_split(regions, test=0.1, seed=0)
    plain = rc.make("pmf", factors=1, reg_user=0.3, reg_item=0.3, reg_power=0.0).fit(split.train)
    local = rc.make(
        "llorma",
        **SETTINGS
        | {
            "factors": 1,
            "anchors": 20,
            "pre_factors": 2,
            "width_user": 1.2,
            "width_item": 1.2,
            "epochs": 60,
            "joint": joint,
        },
    ).fit(split.train)
    assert rc.held_out(local, split.test)["rmse"] < 0.8 * rc.held_out(plain, split.test)["rmse"]


def test_one_anchor_with_equal_weights_is_one_factorization_alone_and_joint(planted_small):
    """A kernel that reaches everything: both objectives are that of plain matrix factorization."""
    split = rc.random_split(planted_small.ratings, test=0.2, seed=0)
    one = SETTINGS | {
        "anchors": 1,
        "kernel": "uniform",
        "width_user": 4.0,
        "width_item": 4.0,
        "epochs": 150,
    }
    errors = [
        rc.held_out(rc.make("llorma", **one, joint=joint).fit(split.train), split.test)["rmse"]
        for joint in (False, True)
    ]
    plain = rc.make(
        "biased_mf",
        factors=3,
        reg_user=0.3,
        reg_item=0.3,
        reg_power=0.0,
        init=0.1,
        decay=1.0,
        epochs=150,
    )
    np.testing.assert_allclose(
        errors, rc.held_out(plain.fit(split.train), split.test)["rmse"], rtol=0.05
    )


@pytest.mark.parametrize("joint", [False, True])
def test_threads_do_not_change_the_numbers(joint, planted_small):
    split, before, found = (
        rc.random_split(planted_small.ratings, test=0.1, seed=0),
        torch.get_num_threads(),
        [],
    )
    try:
        for threads in (1, 2):
            net = (
                rc.make("llorma", **SETTINGS | {"joint": joint})
                .fit(split.train, run=rc.Run(threads=threads))
                .net_
            )
            found.append(net.user.numpy().copy())
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("joint", [False, True])
def test_an_interrupted_fit_goes_on_to_the_bit(joint, planted_small, tmp_path):
    split = rc.random_split(planted_small.ratings, test=0.1, valid=0.1, seed=0)
    settings = SETTINGS | {"epochs": 8, "patience": None, "joint": joint}
    whole = rc.make("llorma", **settings).fit(split.train, split.valid)

    def stop(figures):
        if figures["epoch"] == 4:
            raise KeyboardInterrupt

    keep = rc.Run(folder=tmp_path, snapshot_seconds=0, watchers=(stop,))
    with pytest.raises(KeyboardInterrupt):
        rc.make("llorma", **settings).fit(split.train, split.valid, keep)
    again = rc.make("llorma", **settings).fit(
        split.train, split.valid, rc.Run(folder=tmp_path, resume=True)
    )
    np.testing.assert_array_equal(whole.net_.user, again.net_.user)


@pytest.mark.parametrize("joint", [False, True])
def test_someone_new_with_the_ratings_of_a_fitted_user_gets_about_their_predictions(
    joint, planted_small
):
    train = planted_small.ratings
    model = rc.make("llorma", **SETTINGS | {"epochs": 200, "joint": joint}).fit(train)
    fitted, folded = (
        model.scores(np.arange(20), train),
        model.fold_in(train.by_user.take(np.arange(20))),
    )
    assert np.abs(fitted - folded).mean() < 0.15 * fitted.std()


def test_someone_new_without_ratings_gets_items_everywhere(planted_small):
    """No factors, so no angle: no local model reaches them."""
    train = planted_small.ratings
    model = rc.make("llorma", **SETTINGS).fit(train)
    net, nobody = model.net_, train.by_user.take(np.array([-1]))
    np.testing.assert_allclose(
        model.fold_in(nobody)[0], net.global_factors.mu + net.global_factors.item[:, -1], rtol=1e-5
    )


def test_settings_that_cannot_work_are_refused():
    for bad, told in (
        ({"anchors": 0}, "anchors is 1 or more"),
        ({"width_user": 0.0}, "width_user is above 0"),
        ({"kernel": "epanechnikow"}, "Did you mean 'epanechnikov'"),
        ({"reg_power": 2.0}, "reg_power is 0 to 1"),
        ({"decay": 0.0}, "decay above 0"),
    ):
        with pytest.raises(SettingError, match=told):
            rc.make("llorma", **bad)


def test_too_large_a_step_says_so(planted_small):
    with pytest.raises(rc.RecollectError, match="lower learning_rate"):
        rc.make("llorma", **SETTINGS | {"learning_rate": 50.0}).fit(planted_small.ratings)
