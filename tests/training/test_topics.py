"""Topics: shares by hand, two topics found again, and no pass that makes the words less likely."""

import numpy as np
import pytest
import torch

from recollect.data.text.corpus import corpus_of
from recollect.data.text.tokenizer import Tokenizer
from recollect.models.ctr.topics import SMOOTH_WORDS, TopicPrior, Topics, counted, most_likely

EVERY = Tokenizer(stop_words=None, most=1.0)


@pytest.fixture
def two_topics():
    """60 documents of 20 words, those of even number of one half of the words, the others of the other."""
    random = np.random.default_rng(0)
    return corpus_of(
        [" ".join(f"{'ab'[j % 2]}{n}" for n in random.integers(0, 10, 20)) for j in range(60)],
        EVERY,
    )


def shares(gamma, towards, reg):
    return most_likely(
        *(torch.tensor(x, dtype=torch.float32) for x in ([gamma], [towards], [reg]))
    )[0].numpy()


@pytest.mark.parametrize(
    ("v", "projected"),
    [
        ([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        ([1.0, 1.0], [0.5, 0.5]),
        ([2.0, 0.0], [1.0, 0.0]),
        ([0.9, 0.5, -3.0], [0.7, 0.3, 0.0]),
        ([0.0, 0.0, 0.0, 0.0], [0.25] * 4),
        ([-5.0, -4.5], [0.25, 0.75]),
    ],
)
def test_without_words_the_shares_are_the_projection_onto_the_simplex(v, projected):
    np.testing.assert_allclose(shares([0.0] * len(v), v, 3.0), projected, atol=1e-6)


def test_without_a_pull_the_shares_are_those_of_the_words():
    np.testing.assert_allclose(
        shares([1.0, 3.0, 0.0], [9.0, -9.0, 0.0], 0.0), [0.25, 0.75, 0.0], atol=1e-6
    )


@pytest.mark.parametrize("reg", [0.0, 1e-3, 1.0, 100.0, 1e6])
def test_the_shares_are_where_no_direction_leads_further_up(reg):
    """γ_k / θ_k − reg (θ_k − v_k) is the same for all k."""
    random = np.random.default_rng(1)
    gamma, v = random.gamma(0.5, 20, (30, 40)) + 1e-2, random.normal(0, 0.3, (30, 40))
    theta = (
        most_likely(*(torch.tensor(x, dtype=torch.float64) for x in (gamma, v, np.full(30, reg))))
        .numpy()
        .astype(float)
    )
    assert theta.min() >= 0
    np.testing.assert_allclose(theta.sum(axis=1), 1, atol=1e-6)

    def worth(x):
        return (gamma * np.log(x)).sum(axis=1) - reg / 2 * np.square(x - v).sum(axis=1)

    for _ in range(20):
        other = 0.99 * theta + 0.01 * random.dirichlet(np.ones(40), 30)
        assert (worth(other) <= worth(theta) + 1e-6 * np.abs(worth(theta))).all()


def test_words_are_expected_of_topics_as_the_equation_has_it(two_topics):
    torch.manual_seed(0)
    topics = Topics(two_topics.n_words, 3, k=3, smooth=1.0)
    theta = torch.tensor(np.random.default_rng(0).dirichlet(np.ones(3), 60), dtype=torch.float32)
    of_documents, of_words, likely = topics.expected(
        counted(two_topics, torch.device("cpu")), theta
    )
    phi = theta.numpy()[:, :, None] * topics.beta.numpy().T[None]  # documents × topics × words
    expected = two_topics.counts().toarray()[:, None, :] * phi / phi.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(of_documents, expected.sum(axis=2), rtol=1e-4)
    np.testing.assert_allclose(of_words, expected.sum(axis=0).T, rtol=1e-4, atol=1e-6)
    assert likely == pytest.approx(
        (two_topics.counts().toarray() * np.log(phi.sum(axis=1))).sum(), rel=1e-5
    )


def test_two_topics_are_told_apart(two_topics):
    torch.manual_seed(0)
    topics = Topics(two_topics.n_words, 2, k=3, smooth=0.1)
    says = (
        TopicPrior(topics, two_topics, reg=torch.ones(60), passes=100, refine=True).mean().numpy()
    )
    np.testing.assert_allclose(says[:, :2].sum(axis=1), 1, atol=1e-5)
    assert (says[:, 2] == 0).all()  # topics say nothing of a column beyond them
    even = int(says[0].argmax())
    assert says[::2, even].min() > 0.95
    assert says[1::2, even].max() < 0.05
    new = topics(two_topics.read(["a1 a2 a3 a4 a5 a6", "b1 b7 b7 b2 b3 b3"])).numpy()
    assert new[0, even] > 0.95
    assert new[1, even] < 0.05


def test_a_new_document_is_read_as_one_that_was_there(two_topics):
    """With the topics as they are in the end, and nothing pulling: the same shares, but for those not yet come to rest."""
    torch.manual_seed(0)
    topics = Topics(two_topics.n_words, 2, k=2, smooth=1.0)
    prior = TopicPrior(topics, two_topics, reg=torch.ones(60), passes=200, refine=True)
    np.testing.assert_allclose(topics(two_topics), prior.mean(), atol=1e-3)


def test_no_pass_makes_what_is_seen_less_likely(two_topics):
    torch.manual_seed(0)
    topics = Topics(two_topics.n_words, 4, k=4, smooth=0.5)
    prior, found = (
        TopicPrior(topics, two_topics, reg=torch.full((60,), 30.0), passes=1, refine=True),
        [],
    )
    item = torch.randn(60, 4)
    for _ in range(30):
        theta, beta = prior.theta.double().numpy(), topics.beta.double().numpy()
        found.append(
            (two_topics.counts().toarray() * np.log(theta @ beta.T)).sum()
            + 0.5 * np.log(theta).sum()
            + SMOOTH_WORDS * np.log(beta).sum()
            - 15 * np.square(theta - item.numpy()).sum()
        )
        prior.learn(item, torch.ones(60))
    assert (
        np.diff(found)[1:] > -1e-2
    ).all()  # of some thousands, in 32 bits; the first pass had no pull
    assert found[-1] > found[1] + 1


def test_documents_of_items_without_ratings_are_not_pulled(two_topics):
    torch.manual_seed(0)
    topics = Topics(two_topics.n_words, 2, k=2, smooth=0.1)
    prior, item = (
        TopicPrior(topics, two_topics, reg=torch.full((60,), 1e4), passes=100, refine=True),
        torch.full((60, 2), 0.5),
    )
    weight = torch.ones(60)
    weight[0] = 0
    prior.learn(item, weight)
    assert prior.mean()[0].max() > 0.95
    np.testing.assert_allclose(prior.mean()[2], [0.5, 0.5], atol=0.01)
