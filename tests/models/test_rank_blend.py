"""RankBlend: standardized scores of models of events, with weights that make the best lists."""

import itertools

import numpy as np
import pytest
from tests.events import as_matrix, events_in_groups, from_matrix, ndcg

import recollect as rc
from recollect.errors import SettingError
from recollect.models.rank_blend import RankBlend
from recollect.models.rank_blend import weights as choice

VARIANTS = [{"members": ("popularity", "item_knn neighbors=10", "ease reg=5.0")}]
MEMBERS = ("ease reg=5.0", "popularity", "ials factors=3 epochs=5")


@pytest.fixture(scope="module")
def split():
    return rc.random_split(events_in_groups(n_users=150), test=0.2, valid=0.2, seed=2)


@pytest.fixture(scope="module")
def model(split):
    return RankBlend(members=MEMBERS, valid_n=5, refit=False).fit(split.train, split.valid)


def test_scores_are_weighted_sums_of_standardized_ones(split, model):
    users = np.arange(7)
    known = split.train.count("item") > 0
    expected = np.zeros((7, split.train.n_items))

    for text, weight in zip(MEMBERS, model.net_.weight.tolist(), strict=True):
        member = rc.make(text.partition(" ")[0], **_settings(text), refit=False)
        own = member.fit(split.train, split.valid).scores(users, split.train).astype(np.float64)
        mean = own[:, known].mean(axis=1, keepdims=True)
        expected += weight * (own - mean) / own[:, known].std(axis=1, keepdims=True)

    np.testing.assert_allclose(model.scores(users, split.train), expected, atol=1e-4)
    pairs = model.predict(np.array([3, 5, 3]), np.array([2, 9, 11]))
    np.testing.assert_allclose(pairs, expected[[3, 5, 3], [2, 9, 11]], atol=1e-4)


def _settings(text):
    pairs = [part.split("=") for part in text.split()[1:]]
    return {name: float(value) if "." in value else int(value) for name, value in pairs}


def test_weights_are_shares_and_the_history_has_them(model):
    weight = model.net_.weight.numpy()
    assert weight.min() >= 0
    assert weight.sum() == pytest.approx(1)
    assert [figures["weight"] for figures in model.history_.epochs] == weight.tolist()
    assert model.history_.baseline_name == "popularity"
    assert model.history_.best_valid > model.history_.baseline


def test_the_chosen_weights_are_nearly_the_best_of_all_shares():
    random = np.random.default_rng(0)
    good = from_matrix((random.random((60, 40)) < 0.1).astype(float)).by_user
    truth = np.zeros((60, 40))
    truth[good.row, good.column] = 1
    scores = [
        (truth + random.normal(0, noise, truth.shape)).astype(np.float32)
        for noise in (0.8, 1.0, 3.0)
    ]
    hidden = random.random((60, 40)) < 0.1
    hidden[good.row, good.column] = False
    people = good.counts > 0
    good = good.take(np.flatnonzero(people))
    scores = [own[people] for own in scores]
    hidden = hidden[people]
    weight, figure = choice.choose_weights(scores, good, hidden, n=5)

    def of(shares):
        total = sum(share * own for share, own in zip(shares, scores, strict=True))
        return choice.ndcg(total.astype(np.float32), good, hidden, n=5)

    grid = np.arange(11) / 10
    shares = [s for s in itertools.product(grid, repeat=3) if abs(sum(s) - 1) < 1e-9]
    assert figure == pytest.approx(of(weight), abs=1e-6)
    assert figure > max(of(row) for row in np.eye(3))
    assert figure > max(map(of, shares)) - 0.02


def test_the_ndcg_is_that_of_full_ranking(split):
    member = rc.make("ease", reg=5.0, refit=False).fit(split.train)
    people = np.flatnonzero(split.valid.count("user") > 0)
    hidden = as_matrix(split.train)[people] > 0
    hidden |= split.train.count("item") == 0
    scores = member.scores(people, split.train)
    found = choice.ndcg(scores, split.valid.by_user.take(people), hidden, n=5)
    assert found == pytest.approx(ndcg(member, split.valid))


def test_members_that_know_different_things_are_better_together():
    """Items come in pairs, which one neighbor tells; which pairs come at all, popularity."""
    random = np.random.default_rng(3)
    chance = np.geomspace(0.3, 0.02, 30)
    chosen = random.random((400, 30)) < random.permutation(chance)
    events = from_matrix(np.repeat(chosen, 2, axis=1).astype(float))
    split = rc.random_split(events, test=0.4, valid=0.2, seed=1)
    members = ("item_knn neighbors=1", "popularity")
    both = RankBlend(members=members, valid_n=5).fit(split.train, split.valid)
    train = split.train.union(split.valid)
    alone = [rc.make("item_knn", neighbors=1).fit(train), rc.make("popularity").fit(train)]
    assert min(both.net_.weight) > 0
    assert ndcg(both, split.test) > max(ndcg(member, split.test) for member in alone)


def test_without_validation_events_some_are_held_out(split):
    model = RankBlend(members=MEMBERS, held_out=0.3, valid_n=5).fit(split.train)
    assert model.history_.best_valid > 0
    assert model.net_.weight.sum() == pytest.approx(1)
    # The members have learned from all events, those held out too.
    alone = rc.make("ease", reg=5.0).fit(split.train).net_.weight
    np.testing.assert_allclose(model.net_.members[0].weight, alone, atol=1e-6)


def test_what_cannot_be_a_member_is_refused():
    with pytest.raises(SettingError, match="predicts ratings"):
        RankBlend(members=("ease", "biased_mf"))
    with pytest.raises(SettingError, match="other models of events"):
        RankBlend(members=("rank_blend",))
    with pytest.raises(SettingError, match="list of models of events"):
        RankBlend(members=())


def test_a_damaged_weight_is_a_fault(model):
    net = model.net_
    before = net.weight.clone()
    net.weight[0] = -1
    assert "not shares" in net.fault()
    net.weight.copy_(before)
    assert net.fault() == ""
