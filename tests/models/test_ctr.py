"""CTR: its objective falls in every turn; items without ratings, resuming and loading."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import recollect as rc
from recollect.data.sources.planted import planted, planted_texts
from recollect.errors import SettingError
from recollect.models.ctr.topics import WORD_PSEUDO_COUNT, TopicPrior, Topics
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


def objective(learner, ratings, *, reg_user, reg_item, smooth, absent_weight):
    """Minus the paper's complete log likelihood, and the pseudo-counts', in plain NumPy."""
    topics = learner.prior.topics
    U, V, theta, beta = (
        tensor.double().numpy()
        for tensor in (learner.net.user, learner.net.item, learner.theta, topics.beta)
    )
    R = np.zeros((len(U), len(V)))
    R[ratings.user, ratings.item] = ratings.value
    C = np.full((len(U), len(V)), absent_weight)
    C[ratings.user, ratings.item] = 1
    words = (ratings.text.counts().toarray() * np.log(theta @ beta.T)).sum()
    pseudo_counts = smooth * np.log(theta).sum() + WORD_PSEUDO_COUNT * np.log(beta).sum()
    return (
        (C * np.square(R - U @ V.T)).sum() / 2
        + reg_user / 2 * np.square(U).sum()
        + reg_item / 2 * np.square(V - theta).sum()
        - words
        - pseudo_counts
    )


@pytest.mark.parametrize(
    ("absent_weight", "reg_user", "reg_item"),
    [(0.0, 5.0, 1.0), (0.0, 0.3, 50.0), (0.1, 0.1, 100.0)],
)
@torch.no_grad()
def test_no_turn_makes_the_objective_higher(ratings_with_texts, absent_weight, reg_user, reg_item):
    torch.manual_seed(0)
    topics = Topics(ratings_with_texts.text.n_words, 6, k=6, smooth=0.1)
    reg = torch.full((ratings_with_texts.n_items,), reg_item)
    assert (ratings_with_texts.count("item") > 0).all()
    learner = ALS(
        Factors(ratings_with_texts.n_users, ratings_with_texts.n_items, 6, text=topics),
        ratings_with_texts,
        reg_item=reg,
        absent_weight=absent_weight,
        reg_user=torch.full((ratings_with_texts.n_users,), reg_user),
        prior=TopicPrior(topics, ratings_with_texts.text, reg=reg, passes=20, refine=True),
    )
    weights = {"reg_user": reg_user, "reg_item": reg_item, "absent_weight": absent_weight}
    objectives = []
    for turn in range(15):
        learner.epoch(turn + 1)
        objectives.append(objective(learner, ratings_with_texts, smooth=0.1, **weights))
    assert (np.diff(objectives) < 1e-6 * np.abs(objectives[1:])).all()
    assert objectives[-1] < objectives[0]


def test_without_refining_the_topics_do_not_change(ratings_with_texts):
    def topics(**settings):
        model = rc.make("ctr", **{**QUICK, **settings}).fit(ratings_with_texts, run=Run(seed=3))
        return model.net_.text.beta

    fixed = topics(refine=False, epochs=1)
    np.testing.assert_array_equal(fixed, topics(refine=False, epochs=4))
    assert (topics(epochs=4) - fixed).abs().max() > 1e-4


def test_proportions_sum_to_1_and_the_offset_has_a_prior_mean_of_0(ratings_with_texts):
    model = rc.make("ctr", **{**QUICK, "epochs": 2}).fit(ratings_with_texts)
    theta = model.text_factors(ratings_with_texts.text)
    assert theta.shape == (150, 7)
    np.testing.assert_allclose(theta[:, :6].sum(axis=1), 1, atol=1e-5)
    assert (theta[:, 6] == 0).all()


@pytest.mark.parametrize("refine", [True, False])
def test_unrated_items_are_predicted_from_their_texts(ratings_with_texts, refine):
    split = rc.new_item_split(ratings_with_texts, items=0.2, seed=0)
    model = rc.make("ctr", **{**QUICK, "refine": refine}).fit(split.train)
    bias = rc.make("bias").fit(split.train)
    scores = rc.new_items(model, split)
    assert scores.about["n_cold"] == 0
    assert scores["rmse"] < 0.85 * rc.new_items(bias, split)["rmse"]
    ranking = rc.new_items_ranking(model, split, n=5)
    assert ranking["ndcg@5"] > 1.2 * ranking.about["random_ndcg@5"]


def test_the_prior_mean_of_an_item_without_a_text_is_that_of_the_others(ratings_with_texts):
    texts = planted_texts(
        planted(200, 150, 6000, rank=2, noise=0.2, seed=1).truth, ratings_with_texts.items
    )
    texts[ratings_with_texts.items.ids[7]] = ""
    ratings = rc.with_texts(ratings_with_texts, texts)
    model = rc.make("ctr", **{**QUICK, "epochs": 2}).fit(ratings)
    theta = model.text_factors(ratings.text)
    np.testing.assert_allclose(theta[7], np.delete(theta, 7, axis=0).mean(axis=0), atol=1e-5)


def test_a_loaded_model_encodes_new_texts(ratings_with_texts, tmp_path):
    model = rc.make("ctr", **{**QUICK, "epochs": 3}).fit(ratings_with_texts)
    loaded = rc.load_model(rc.save(model, tmp_path / "m"))
    new = ["mucha muchaa muchab littlebc", "littleaa littlebb"]
    theta = model.text_factors(ratings_with_texts.text.read(new))
    np.testing.assert_array_equal(theta, loaded.text_factors(loaded.given_.text.read(new)))


def test_a_resumed_fit_is_equal_to_the_bit(ratings_with_texts, tmp_path):
    run = Run(seed=2, threads=1)
    whole = rc.make("ctr", **{**QUICK, "epochs": 6}).fit(ratings_with_texts, run=run)
    stopped, seen = Run(seed=2, threads=1, folder=tmp_path), []

    def stop(figures):
        seen.append(figures)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rc.make("ctr", **{**QUICK, "epochs": 6}).fit(
            ratings_with_texts, run=replace(stopped, watchers=(stop,), snapshot_seconds=0)
        )
    resumed = rc.make("ctr", **{**QUICK, "epochs": 6}).fit(
        ratings_with_texts, run=replace(stopped, resume=True)
    )
    np.testing.assert_array_equal(
        whole.predict(ratings_with_texts.user, ratings_with_texts.item),
        resumed.predict(ratings_with_texts.user, ratings_with_texts.item),
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"passes": 0}, "passes must be at least 1"), ({"smooth": -0.1}, "smooth must be at least 0")],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        rc.make("ctr", **settings)
