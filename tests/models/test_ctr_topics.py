"""CTR's topics: proportions by hand, two planted topics, and a likelihood that never falls."""

import numpy as np
import pytest
import torch

from recollect.data.text.corpus import corpus_of
from recollect.data.text.tokenizer import Tokenizer
from recollect.models.ctr.topics import (
    WORD_PSEUDO_COUNT,
    TopicPrior,
    Topics,
    proportions,
    word_counts,
)

EVERY_WORD = Tokenizer(stop_words=None, most=1.0)


@pytest.fixture
def two_topics():
    """60 documents of 20 words: even ones have words of topic a only, odd ones of topic b."""
    random = np.random.default_rng(0)
    texts = []
    for document in range(60):
        letter = "ab"[document % 2]
        texts.append(" ".join(f"{letter}{number}" for number in random.integers(0, 10, 20)))
    return corpus_of(texts, EVERY_WORD)


def prior_of(corpus, n_topics, *, k=None, smooth=0.1, reg=1.0, passes=100):
    torch.manual_seed(0)
    topics = Topics(corpus.n_words, n_topics, k=k or n_topics, smooth=smooth)
    return TopicPrior(
        topics, corpus, reg=torch.full((len(corpus),), reg), passes=passes, refine=True
    )


def one_row(gamma, factors, reg):
    """θ of a single document."""
    theta = proportions(torch.tensor([gamma]), torch.tensor([factors]), torch.tensor([reg]))
    return theta[0].numpy()


@pytest.mark.parametrize(
    ("factors", "projected"),
    [
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        ([1.0, 1.0], [0.5, 0.5]),
        ([2.0, 0.0], [1.0, 0.0]),
        ([0.9, 0.5, -3.0], [0.7, 0.3, 0.0]),
        ([0.0, 0.0, 0.0, 0.0], [0.25] * 4),
        ([-5.0, -4.5], [0.25, 0.75]),
    ],
)
def test_without_words_proportions_are_the_projection_onto_the_simplex(factors, projected):
    theta = one_row([0.0] * len(factors), factors, 3.0)
    np.testing.assert_allclose(theta, projected, atol=1e-6)


def test_without_regularization_proportions_are_those_of_the_words():
    theta = one_row([1.0, 3.0, 0.0], [9.0, -9.0, 0.0], 0.0)
    np.testing.assert_allclose(theta, [0.25, 0.75, 0.0], atol=1e-6)


@pytest.mark.parametrize("reg", [0.0, 1e-3, 1.0, 100.0, 1e6])
def test_no_other_proportions_have_a_larger_objective(reg):
    random = np.random.default_rng(1)
    gamma = random.gamma(0.5, 20, (30, 40)) + 1e-2
    V = random.normal(0, 0.3, (30, 40))
    regs = torch.full((30,), reg, dtype=torch.float64)
    theta = proportions(torch.tensor(gamma), torch.tensor(V), regs).double().numpy()
    assert theta.min() >= 0
    np.testing.assert_allclose(theta.sum(axis=1), 1, atol=1e-6)

    def objective(x):
        return (gamma * np.log(x)).sum(axis=1) - reg / 2 * np.square(x - V).sum(axis=1)

    largest = objective(theta)
    for _ in range(20):
        other = 0.99 * theta + 0.01 * random.dirichlet(np.ones(40), 30)
        assert (objective(other) <= largest + 1e-6 * np.abs(largest)).all()


def test_expected_counts_are_those_of_the_equation(two_topics):
    """φ of documents × topics × words, which the code never makes."""
    torch.manual_seed(0)
    topics = Topics(two_topics.n_words, 3, k=3, smooth=1.0)
    theta = np.random.default_rng(0).dirichlet(np.ones(3), 60).astype(np.float32)
    of_documents, of_words, likelihood = topics.expected_counts(
        word_counts(two_topics, torch.device("cpu")), torch.from_numpy(theta)
    )
    counts = two_topics.counts().toarray()
    joint = theta[:, :, None] * topics.beta.numpy().T[None]
    phi = joint / joint.sum(axis=1, keepdims=True)
    expected = counts[:, None, :] * phi
    np.testing.assert_allclose(of_documents, expected.sum(axis=2), rtol=1e-4)
    np.testing.assert_allclose(of_words, expected.sum(axis=0).T, rtol=1e-4, atol=1e-6)
    assert likelihood == pytest.approx((counts * np.log(joint.sum(axis=1))).sum(), rel=1e-5)


def test_two_planted_topics_are_recovered(two_topics):
    prior = prior_of(two_topics, 2, k=3)
    theta = prior.mean().numpy()
    np.testing.assert_allclose(theta[:, :2].sum(axis=1), 1, atol=1e-5)
    assert (theta[:, 2] == 0).all()  # a factor beyond the topics
    topic_a = int(theta[0].argmax())
    assert theta[::2, topic_a].min() > 0.95
    assert theta[1::2, topic_a].max() < 0.05
    new = two_topics.read(["a1 a2 a3 a4 a5 a6", "b1 b7 b7 b2 b3 b3"])
    theta = prior.topics(new).numpy()
    assert theta[0, topic_a] > 0.95
    assert theta[1, topic_a] < 0.05


def test_a_known_document_has_the_same_proportions_if_it_is_new(two_topics):
    """With the final topics and nothing else pulling; what is left has not converged."""
    prior = prior_of(two_topics, 2, smooth=1.0, passes=200)
    np.testing.assert_allclose(prior.topics(two_topics), prior.mean(), atol=1e-3)


def test_no_pass_makes_the_posterior_smaller(two_topics):
    prior = prior_of(two_topics, 4, smooth=0.5, reg=30.0, passes=1)
    item = torch.randn(60, 4)
    counts = two_topics.counts().toarray()
    posterior = []
    for _ in range(30):
        theta = prior.theta.double().numpy()
        beta = prior.topics.beta.double().numpy()
        likelihood = (counts * np.log(theta @ beta.T)).sum()
        pseudo_counts = 0.5 * np.log(theta).sum() + WORD_PSEUDO_COUNT * np.log(beta).sum()
        pull = 30 / 2 * np.square(theta - item.numpy()).sum()
        posterior.append(likelihood + pseudo_counts - pull)
        prior.learn(item, torch.ones(60))
    # Of some thousands, in 32 bits; the pass before the first had no pull.
    assert (np.diff(posterior)[1:] > -1e-2).all()
    assert posterior[-1] > posterior[1] + 1


def test_documents_of_items_without_ratings_are_not_pulled(two_topics):
    prior = prior_of(two_topics, 2, reg=1e4)
    weight = torch.ones(60)
    weight[0] = 0
    prior.learn(torch.full((60, 2), 0.5), weight)
    assert prior.mean()[0].max() > 0.95
    np.testing.assert_allclose(prior.mean()[2], [0.5, 0.5], atol=0.01)
