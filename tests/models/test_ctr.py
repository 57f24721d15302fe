"""CTR: its objective by hand and never higher, items that nobody rated, and what loading keeps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.sources.planted import planted, planted_texts
from recollect.errors import SettingError
from recollect.models.ctr.topics import SMOOTH_WORDS, TopicPrior, Topics
from recollect.nn import Factors
from recollect.run import Run
from recollect.training.als import ALS

# Settings worth a run of their own in the tests that every model passes (tests/test_contract.py).
VARIANTS = [
    {"absent_weight": 0.1, "offsets": False},
    {"refine": False, "refit": True},
]

QUICK = {
    "factors": 6,
    "reg_user": 0.3,
    "reg_item": 10.0,
    "reg_power": 0.0,
    "epochs": 20,
    "patience": None,
    "smooth": 0.1,
}


@pytest.fixture(scope="module")
def told():
    """150 items whose texts tell what they are like."""
    made = planted(200, 150, 6000, rank=2, noise=0.2, seed=1, popularity=0.6, activity=0.4)
    return rc.with_texts(made.ratings, planted_texts(made.truth, made.ratings.items, length=60))


def objective(learner, ratings, *, reg_user, reg_item, smooth, absent):
    """Minus the paper's complete log likelihood, and the pseudo-counts', in plain NumPy."""
    net, topics = learner.net, learner.prior.topics
    U, V, theta, beta = (
        x.double().numpy() for x in (net.user, net.item, learner.theta, topics.beta)
    )
    R, C = np.zeros((len(U), len(V))), np.full((len(U), len(V)), absent)
    R[ratings.user, ratings.item], C[ratings.user, ratings.item] = ratings.value, 1
    words = (ratings.text.counts().toarray() * np.log(theta @ beta.T)).sum() + smooth * np.log(
        theta
    ).sum()
    return (
        (C * np.square(R - U @ V.T)).sum() / 2
        + reg_user / 2 * np.square(U).sum()
        + reg_item / 2 * np.square(V - theta).sum()
        - words
        - SMOOTH_WORDS * np.log(beta).sum()
    )


@pytest.mark.parametrize(
    ("absent", "reg_user", "reg_item"), [(0.0, 5.0, 1.0), (0.0, 0.3, 50.0), (0.1, 0.1, 100.0)]
)
@torch.no_grad()
def test_no_turn_makes_the_objective_higher(told, absent, reg_user, reg_item):
    torch.manual_seed(0)
    topics = Topics(told.text.n_words, 6, k=6, smooth=0.1)
    reg = torch.full((told.n_items,), reg_item)
    assert (told.count("item") > 0).all()
    learner = ALS(
        Factors(told.n_users, told.n_items, 6, text=topics),
        told,
        reg_item=reg,
        absent_weight=absent,
        reg_user=torch.full((told.n_users,), reg_user),
        prior=TopicPrior(topics, told.text, reg=reg, passes=20, refine=True),
    )
    found = []
    for turn in range(15):
        learner.epoch(turn + 1)
        found.append(
            objective(
                learner, told, reg_user=reg_user, reg_item=reg_item, smooth=0.1, absent=absent
            )
        )
    assert (np.diff(found) < 1e-6 * np.abs(found[1:])).all()
    assert found[-1] < found[0]


def test_without_refining_the_topics_stay_as_they_were_found(told):
    after = [
        rc.make("ctr", **{**QUICK, "refine": False, "epochs": n}).fit(told, run=Run(seed=3))
        for n in (1, 4)
    ]
    np.testing.assert_array_equal(*(m.net_.text.beta for m in after))
    refined = rc.make("ctr", **{**QUICK, "epochs": 4}).fit(told, run=Run(seed=3))
    assert (refined.net_.text.beta - after[0].net_.text.beta).abs().max() > 1e-4


def test_shares_sum_to_1_and_say_nothing_of_the_offset(told):
    says = rc.make("ctr", **{**QUICK, "epochs": 2}).fit(told).text_factors(told.text)
    assert says.shape == (150, 7)
    np.testing.assert_allclose(says[:, :6].sum(axis=1), 1, atol=1e-5)
    assert (says[:, 6] == 0).all()


@pytest.mark.parametrize("refine", [True, False])
def test_items_that_nobody_rated_are_predicted_from_their_texts(told, refine):
    split = rc.new_item_split(told, items=0.2, seed=0)
    model, bias = (
        rc.make("ctr", **{**QUICK, "refine": refine}).fit(split.train),
        rc.make("bias").fit(split.train),
    )
    text, mean = rc.new_items(model, split), rc.new_items(bias, split)
    assert text.about["n_cold"] == 0
    assert text["rmse"] < 0.85 * mean["rmse"]
    ranked = rc.new_items_ranking(model, split, n=5)
    assert ranked["ndcg@5"] > 1.2 * ranked.about["random_ndcg@5"]


def test_an_item_without_a_text_is_like_the_mean_of_the_others(told):
    texts = planted_texts(planted(200, 150, 6000, rank=2, noise=0.2, seed=1).truth, told.items)
    texts[told.items.ids[7]] = ""
    ratings = rc.with_texts(told, texts)
    model = rc.make("ctr", **{**QUICK, "epochs": 2}).fit(ratings)
    said = model.text_factors(ratings.text)
    np.testing.assert_allclose(said[7], np.delete(said, 7, axis=0).mean(axis=0), atol=1e-5)


def test_a_loaded_model_reads_new_texts(told, tmp_path):
    model = rc.make("ctr", **{**QUICK, "epochs": 3}).fit(told)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    new = ["mucha muchaa muchab littlebc", "littleaa littlebb"]
    np.testing.assert_array_equal(
        model.text_factors(told.text.read(new)), loaded.text_factors(loaded.given_.text.read(new))
    )


def test_a_fit_that_was_stopped_goes_on_where_it_was(told, tmp_path):
    run = Run(seed=2, threads=1)
    whole = rc.make("ctr", **{**QUICK, "epochs": 6}).fit(told, run=run)
    stopped, seen = Run(seed=2, threads=1, folder=tmp_path), []

    def stop(figures):
        seen.append(figures)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rc.make("ctr", **{**QUICK, "epochs": 6}).fit(
            told, run=replace(stopped, watchers=(stop,), snapshot_seconds=0)
        )
    again = rc.make("ctr", **{**QUICK, "epochs": 6}).fit(told, run=replace(stopped, resume=True))
    np.testing.assert_array_equal(
        whole.predict(told.user, told.item), again.predict(told.user, told.item)
    )


@pytest.mark.parametrize("settings", [{"passes": 0}, {"smooth": -0.1}])
def test_what_cannot_work_is_refused(settings):
    with pytest.raises(SettingError, match="passes is 1 or more"):
        rc.make("ctr", **settings)
