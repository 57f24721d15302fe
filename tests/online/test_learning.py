"""What models learn from a change, beside the closed form of that part."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from tests.cases import QUICK
from tests.events import as_matrix, events_in_groups

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.sources.planted import planted
from recollect.errors import NotUpdatableError
from recollect.interest import interest_of
from recollect.models.ease import dynamic
from recollect.models.item_knn import ItemKNN
from recollect.online.columns import recursive_least_squares
from recollect.online.factors import due_items, is_due
from recollect.online.merge import merge
from recollect.online.networks import sharing
from recollect.training.offsets import RidgeOffsets

RUN = rc.Run(threads=1)


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return planted(120, 80, 3600, rank=2, noise=0.2, seed=1, popularity=0.6, activity=0.4).ratings


@pytest.fixture(scope="module")
def groups() -> Ratings:
    return events_in_groups()


def in_two(ratings: Ratings, n: int, seed: int = 0) -> tuple[Ratings, Ratings]:
    """All but n, and n of them, drawn."""
    order = np.random.default_rng(seed).permutation(len(ratings))
    return ratings.where(np.sort(order[n:])), ratings.where(np.sort(order[:n]))


def test_a_row_is_due_when_its_ratings_have_grown_by_5_percent():
    before = np.array([0, 5, 19, 111, 1010, 1000, 1000])
    after = np.array([1, 6, 20, 112, 1011, 1051, 2000])
    assert is_due(before, after).tolist() == [True, True, True, False, False, True, True]


def test_every_row_is_due_once_for_each_5_percent():
    count = np.arange(20, 2000)
    n_due = is_due(count, count + 1).sum()
    assert n_due == int(np.log(2000 / 20) / np.log(1.05))


def ridge_by_hand(f: np.ndarray, value: np.ndarray, reg: float) -> np.ndarray:
    return np.linalg.solve(f.T @ f + reg * np.eye(f.shape[1]), f.T @ value)


@pytest.mark.parametrize("name", ["pmf", "biased_mf"])
def test_the_factors_of_touched_rows_are_ridge_regressions_on_the_others(name, ratings):
    first, later = in_two(ratings, 40)
    model = rc.make(name, **QUICK[name]).fit(first, run=RUN)
    before = copy.deepcopy(model.net_)
    change = merge(model.given_, later)
    model.update(later)
    net, given = model.net_, model.given_
    user = int(later.user[0])
    cells = given.user == user
    item = net.item.numpy().astype(np.float64)[given.item[cells]]
    features = np.column_stack([item[:, :-1], np.ones(len(item))])
    value = given.value[cells] - net.mu.item() - item[:, -1]
    np.testing.assert_allclose(
        net.user[user].numpy(), ridge_by_hand(features, value, 0.3), atol=1e-4
    )
    untouched = np.setdiff1d(np.arange(80), due_items(change))
    assert len(untouched) > 10
    torch.testing.assert_close(net.item[untouched], before.item[untouched], rtol=0, atol=0)
    assert net.mu == before.mu


def test_offsets_solved_again_are_the_minimum_over_the_touched_ones(ratings):
    """The normal equations of two users' and three items' offsets, all others held."""
    offsets = RidgeOffsets.fit(ratings.where(np.arange(3000)))
    users, items = np.array([3, 7]), np.array([1, 2, 30])
    solved = offsets.solved_again(ratings, users=users, items=items, reg_item=2.0, epochs=500)
    is_held = np.setdiff1d(np.arange(120), users)
    np.testing.assert_array_equal(solved.b_user[is_held], offsets.b_user[is_held])
    # Where the minimum is, the gradient is 0.
    residual = ratings.value - solved.mu
    residual = residual - solved.b_user[ratings.user] - solved.b_item[ratings.item]
    for row in users:
        gradient = residual[ratings.user == row].sum() - offsets.reg_user * solved.b_user[row]
        assert abs(gradient) < 1e-3
    for row in items:
        gradient = residual[ratings.item == row].sum() - 2.0 * solved.b_item[row]
        assert abs(gradient) < 1e-3


def test_recursive_least_squares_is_ridge_regression_on_all():
    random = np.random.default_rng(0)
    for n in (5, 40):
        features = random.normal(size=(n, 12))
        value = random.normal(size=n)
        old = np.arange(n) < n - 3
        x = ridge_by_hand(features[old], value[old], 0.7)
        error = torch.from_numpy((value - features @ x) * ~old)
        followed = recursive_least_squares(
            torch.from_numpy(x), torch.from_numpy(features), error, reg=0.7
        )
        np.testing.assert_allclose(followed, ridge_by_hand(features, value, 0.7), atol=1e-10)


def test_a_network_that_shares_tensors_is_another_network():
    layer = torch.nn.Linear(2, 2)
    copied = sharing(layer)
    assert copied is not layer
    assert copied.weight is layer.weight
    copied.weight = torch.nn.Parameter(torch.zeros(2, 2))
    assert layer.weight.abs().sum() > 0


@pytest.mark.parametrize("settings", [{"activity": 0.0, "dropout": 0.0}, {"activity": 0.0}])
def test_ease_after_updates_is_ease_of_all_events(settings, monkeypatch):
    """Batches of few users and items, so that no inverse is computed anew after the first."""
    events = events_in_groups(n_users=60, n_items=240)
    is_late = (events.item >= 236) | (events.user >= 57)
    early, late = events.where(~is_late), events.where(is_late)
    early = rc.from_frame(early.frame(), implicit=True)
    model = rc.make("ease", reg=5.0, refit=False, **settings).fit(early, run=RUN)
    model.update(late.where(np.arange(2)))

    def refuse(self, events):
        raise AssertionError("the inverse is updated")

    monkeypatch.setattr(dynamic.Inverse, "_anew", refuse)
    monkeypatch.setattr(dynamic, "MOST_RANK", 1.0)
    for first in range(2, len(late), 7):
        model.update(late.where(np.arange(first, min(first + 7, len(late)))))
    model.retract(late.where(np.arange(3)))
    again = rc.make("ease", reg=5.0, refit=False, **settings).fit(model.given_, run=RUN)
    assert model.given_.n_items == 240
    np.testing.assert_allclose(model.net_.weight, again.net_.weight, atol=1e-5)


def test_ease_of_too_many_items_for_an_inverse_is_solved_anew(groups, monkeypatch):
    monkeypatch.setattr(dynamic, "MOST_NUMBERS", 100)
    first, later = in_two(groups, 60)
    model = rc.make("ease", reg=5.0, refit=False, activity=0.0).fit(first, run=RUN)
    model.update(later)
    again = dataclasses.replace(model).fit(model.given_, run=RUN)
    np.testing.assert_array_equal(model.net_.weight, again.net_.weight)


def test_ease_with_weights_of_users_keeps_their_mean_until_the_next_fit(groups, monkeypatch):
    """A mean that is held is a λ that is multiplied: B of c G and λ is that of G and λ / c."""
    monkeypatch.setattr(dynamic, "MOST_RANK", 100.0)
    first, later = in_two(groups, 60)
    model = rc.make("ease", reg=5.0, refit=False).fit(first, run=RUN)
    model.update(later.where(np.arange(30)))
    held = model._inverse.mean_weight
    model.update(later.where(np.arange(30, 60)))
    count = groups.count("user")
    now = (count[count > 0] ** -0.5).mean()
    expected = rc.make("ease", reg=5.0 * held / now, refit=False).fit(model.given_, run=RUN)
    np.testing.assert_allclose(model.net_.weight, expected.net_.weight, atol=1e-5)


def test_neighbors_after_updates_are_those_of_all_events(monkeypatch):
    """One user a time, with few items: most neighbors are kept, and none is missed."""
    events = events_in_groups(n_users=90, n_items=150)
    order = np.random.default_rng(3).permutation(len(events))
    model = rc.make("item_knn", neighbors=8, shrinkage=2.0, refit=False)
    model.fit(events.where(np.sort(order[60:])), run=RUN)
    n_compared = []
    find = ItemKNN._find_neighbors
    monkeypatch.setattr(
        ItemKNN,
        "_find_neighbors",
        lambda self, net, x, items: (n_compared.append(len(items)), find(self, net, x, items)),
    )
    for first in range(0, 60, 6):
        model.update(events.where(order[first : first + 6]))
    assert max(n_compared) < 100
    model.retract(events.where(order[:6]))
    again = dataclasses.replace(model).fit(model.given_, run=RUN)
    np.testing.assert_allclose(
        np.sort(model.net_.similarity, axis=1), np.sort(again.net_.similarity, axis=1), atol=1e-6
    )
    everyone = dataclasses.replace(model, neighbors=149).fit(model.given_, run=RUN)
    of_pairs = everyone.net_.matrix().toarray()
    item = np.repeat(np.arange(model.given_.n_items), 8)
    neighbor = model.net_.neighbor.numpy().ravel()
    similarity = model.net_.similarity.numpy().ravel()
    kept = similarity > 0
    np.testing.assert_allclose(similarity[kept], of_pairs[neighbor, item][kept], atol=1e-6)


def new_item_of_group_0(groups: Ratings) -> tuple[Ratings, Ratings, np.ndarray, np.ndarray]:
    """Events without item 0; five events with it, of users of its group; those of the group who
    also chose it, and everyone of other groups."""
    x = as_matrix(groups)
    choosers = np.flatnonzero(x[:, 0] * (np.arange(len(x)) % 3 == 0))
    without = groups.where(groups.item != 0)
    five = groups.where((groups.item == 0) & np.isin(groups.user, choosers[:5]))
    others = np.flatnonzero(np.arange(len(x)) % 3 != 0)
    return without, five, choosers[5:], others


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ials", {}),
        ("ease", {}),
        ("item_knn", {}),
        ("multvae", {}),
        ("deeprec", {"loss": "multinomial", "batch_size": 20, "epochs": 40}),
        ("deeprec", {"loss": "logistic", "batch_size": 20, "epochs": 40}),
    ],
)
def test_a_new_item_is_ranked_high_for_those_who_resemble_its_five_choosers(name, settings, groups):
    without, five, fitting, others = new_item_of_group_0(groups)
    model = rc.make(name, **{**QUICK[name], **settings}).fit(without, run=RUN)
    model.update(five)
    scores = model.scores(np.arange(groups.n_users), model.given_)[:, :60]
    rank = (scores > scores[:, :1]).mean(axis=1)
    assert np.median(rank[fitting]) < 0.4
    assert np.median(rank[others]) > np.median(rank[fitting]) + 0.2


def test_popularity_decays_and_stays_what_a_fit_gives(groups):
    times = np.arange(len(groups)) * 3600
    events = dataclasses.replace(groups, time=times)
    first, later = events.where(np.arange(500)), events.where(np.arange(500, len(events)))
    model = rc.make("popularity", half_life=2.0).fit(first)
    model.update(later)
    weight = 0.5 ** ((times.max() - times) / 86_400 / 2)
    newest = np.zeros(events.n_users)
    np.maximum.at(newest, events.user, weight)
    expected = np.bincount(events.item, weight, minlength=events.n_items) / newest.sum()
    np.testing.assert_allclose(model.net_.share, expected, rtol=1e-5)


@pytest.mark.parametrize("side", ["item", "user"])
def test_autorec_learns_a_new_column_from_the_codes_of_its_rows(side, ratings):
    """A new user (or item), whose ratings it never saw, is predicted better than by offsets."""
    settings = {**QUICK["autorec"], "side": side}
    row = ratings.item if side == "user" else ratings.user
    new = row >= row.max() - 9
    seen_later = new & (np.random.default_rng(0).random(len(ratings)) < 0.7)
    model = rc.make("autorec", **settings).fit(ratings.where(~new), run=RUN)
    model.update(ratings.where(seen_later))
    test = ratings.where(new & ~seen_later)
    error = model.predict(test.user, test.item) - test.value
    bias = rc.make("bias").fit(ratings.where(~new | seen_later))
    bias_error = bias.predict(test.user, test.item) - test.value
    assert np.sqrt(np.mean(error**2)) < 0.9 * np.sqrt(np.mean(bias_error**2))


def test_an_update_that_fails_changes_nothing(ratings, monkeypatch):
    model = rc.make("pmf", **QUICK["pmf"]).fit(ratings.where(np.arange(3000)), run=RUN)
    before = dict(vars(model))

    def fail(self, change, before):
        raise MemoryError

    monkeypatch.setattr(type(model), "learn_change", fail)
    with pytest.raises(MemoryError):
        model.update(ratings.where(np.arange(3000, 3600)))
    assert vars(model) == before


def test_an_update_counts_and_says_what_waits(ratings):
    first, later = in_two(ratings, 50)
    model = rc.make("pmf", **QUICK["pmf"]).fit(first, run=RUN)
    done = model.update(later)
    assert done.ratings == 50
    assert done.users_new + done.users_changed == len(np.unique(later.user))
    assert done.items_new + done.items_changed == len(np.unique(later.item))
    assert "all other users" in done.waits
    assert done.seconds > 0
    assert "50 ratings" in str(done)


def test_what_cannot_be_updated_says_what_to_do(ratings, tmp_path):
    with pytest.raises(NotUpdatableError, match="fit it again with the further ratings"):
        rc.make("llorma").updatable  # noqa: B018
    stored = rc.store(ratings, tmp_path / "s")
    how = {"hidden": 4, "epochs": 2, "optimizer": "adam", "batch_size": 40}
    model = rc.make("autorec", **how).fit(stored, run=RUN)
    with pytest.raises(NotUpdatableError, match="ratings on disk"):
        model.update(ratings)


def test_a_new_kind_of_rating_needs_a_fit_of_bayes_mf(ratings):
    whole = dataclasses.replace(ratings, value=np.rint(ratings.value), time=None)
    model = rc.make("bayes_mf", factors=2, epochs=6, burn_in=2, n_samples=3, bags=False)
    model.fit(whole.where(np.arange(3000)), run=RUN)
    half = dataclasses.replace(whole.where(np.arange(3000, 3010)), value=np.full(10, 2.5, "f4"))
    with pytest.raises(NotUpdatableError, match="values that the fit did not have"):
        model.update(half)


def test_lists_after_an_update_go_by_the_interest_learned_before_until_much_has_come(ratings):
    """A new item joins the lists when five people have rated it."""
    model = rc.make("pmf", **QUICK["pmf"]).fit(ratings, run=RUN)
    rc.top_n(model, user_ids=["1"], n=3)
    choices = interest_of(model).choices
    ids = ratings.users.ids
    value = float(ratings.value.max())
    scale = {"scale": ratings.scale}
    model.update(rc.from_tuples([(ids[row], "new", value) for row in range(4)], **scale))
    kept = interest_of(model).choices
    n_items = ratings.n_items
    torch.testing.assert_close(kept.net_.weight[:n_items, :n_items], choices.net_.weight)
    assert len(rc.top_n(model, user_ids=["1"], n=3)) == 3
    model.update(rc.from_tuples([(ids[4], "new", value)], **scale))
    assert interest_of(model).choices.net_.weight[:, n_items].abs().sum() > 0


@pytest.mark.parametrize("settings", [("item_knn", {}), ("ease", {"keep": 0.3}), ("elsa", {})])
def test_weights_for_more_items_give_the_same_scores_of_known_ones(settings, groups):
    name, changes = settings
    model = rc.make(name, **{**QUICK[name], **changes}).fit(groups, run=RUN)
    rows = groups.by_user.take(np.arange(9))
    wider = dataclasses.replace(rows, n_columns=rows.n_columns + 3)
    longer = model.with_items(rows.n_columns + 3).sums(wider)
    np.testing.assert_allclose(longer[:, :-3], model.sums(rows), atol=1e-6)
    assert (longer[:, -3:] == 0).all()
