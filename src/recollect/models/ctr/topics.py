"""Topics of documents, and a prior whose mean is a document's topic proportions θ.

A document's word w is of topic k with probability θ_jk, and topic k emits word w with probability
β_kw (Blei, Ng, Jordan. "Latent Dirichlet Allocation." JMLR 2003). θ and β are maximum a posteriori
estimates, found by expectation maximization:

    φ_jwk ∝ θ_jk β_kw                       share of topic k in word w of document j
    θ_jk  ∝ α + Σ_w n_jw φ_jwk              without a pull towards the factors
    β_kw  ∝ η + Σ_j n_jw φ_jwk
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.text.corpus import Corpus
from recollect.families.text_prior import Encoder
from recollect.kernels import Block, observed
from recollect.training.als import Prior

WORD_PSEUDO_COUNT = 0.01  # η: of each word in each topic, as in the authors' code
NEW_PASSES = 100  # over a new document
TOLERANCE = 1e-6  # of |1 − Σ_k θ_k|
NEWTON_STEPS = 100  # at most


class Topics(Encoder):
    """The word distributions β of the topics. Encodes a document as its topic proportions θ.

    Args:
        n_words: size of the vocabulary.
        n_topics: number of topics.
        k: factors of θ; those beyond the topics (the offset) are 0.
        smooth: α, the pseudo-count of each topic in each document.
    """

    def __init__(self, n_words: int, n_topics: int, *, k: int, smooth: float) -> None:
        super().__init__()
        self.n_zeros = k - n_topics
        self.smooth = smooth
        # words × topics, because the row of a word is read at once.
        # At random, because equal topics would stay equal.
        beta = torch.rand(n_words, n_topics)
        self.beta = nn.Buffer(_normalized(beta, dim=0))

    def expected_counts(
        self, counts: Block, theta: Float[Tensor, "documents topics"]
    ) -> tuple[Float[Tensor, "documents topics"], Float[Tensor, "words topics"], float]:
        """The E step: Σ_w n_jw φ_jwk of each document, Σ_j n_jw φ_jwk of each word, and L.

        With the log likelihood L = Σ_jw n_jw log Σ_k θ_jk β_kw, the sums of φ are its gradients
        times the parameters, θ ∘ ∂L/∂θ and β ∘ ∂L/∂β: φ itself, of documents × words × topics, is
        never made.

        Args:
            counts: n_jw, how often each document has each word.
            theta: the topic proportions of these documents.
        """
        assert counts.value is not None

        with torch.enable_grad():
            theta_leaf = theta.detach().requires_grad_()
            beta_leaf = self.beta.detach().requires_grad_()
            # Only the words that a document has are computed.
            probability = observed(counts, theta_leaf, beta_leaf)
            likelihood = counts.value @ probability.log()
            gradients = torch.autograd.grad(likelihood, (theta_leaf, beta_leaf))

        of_documents = theta * gradients[0]
        of_words = self.beta * gradients[1]

        return of_documents, of_words, float(likelihood.detach())

    @override
    @torch.no_grad()
    def forward(self, documents: Corpus) -> Float[Tensor, "documents k"]:
        counts = word_counts(documents, self.beta.device)
        # The likelihood of θ alone is concave, so the start does not matter.
        theta = self.uniform(len(documents))

        for _ in range(NEW_PASSES):
            of_documents, _, _ = self.expected_counts(counts, theta)
            smoothed = self.smooth + of_documents
            theta = _normalized(smoothed, dim=1)

        return self.padded(theta)

    def uniform(self, n_documents: int) -> Float[Tensor, "documents topics"]:
        """Equal proportions of all topics."""
        n_topics = self.beta.shape[1]
        shape = (n_documents, n_topics)

        return self.beta.new_full(shape, 1 / n_topics)

    def padded(self, theta: Float[Tensor, "documents topics"]) -> Float[Tensor, "documents k"]:
        """θ with columns of 0 for the factors beyond the topics."""
        return nn.functional.pad(theta, (0, self.n_zeros))


class TopicPrior(Prior):
    """The prior mean θ of the items' factors, updated with the topics after each turn of ALS.

    An item without a text has the mean θ of the others.

    Args:
        topics: the network to train.
        corpus: a document for each item.
        reg: λ_v of each item, which draws θ towards the factors.
        passes: of expectation maximization over the texts alone, before the first turn.
        refine: whether θ and β go on learning after each turn.
    """

    def __init__(
        self,
        topics: Topics,
        corpus: Corpus,
        *,
        reg: Float[Tensor, " items"],
        passes: int,
        refine: bool,
    ) -> None:
        device = topics.beta.device
        with_text = np.flatnonzero(corpus.has)
        self.topics = topics
        self.refine = refine
        self.with_text = torch.as_tensor(with_text, device=device)
        self.n_items = len(corpus)
        self.n_tokens = len(corpus.word)
        self.reg = reg.to(device)
        documents = corpus.take(with_text)
        self.counts = word_counts(documents, device)
        self.theta = topics.uniform(len(documents))

        # Before the first turn there are no factors that could draw θ.
        without_reg = torch.zeros_like(self.reg[self.with_text])

        for _ in range(passes):
            self._update(self.theta, without_reg)

    @override
    def mean(self) -> Float[Tensor, "items k"]:
        of_others = self.theta.mean(dim=0)
        theta = of_others.repeat(self.n_items, 1)
        theta[self.with_text] = self.theta

        return self.topics.padded(theta)

    @override
    def learn(
        self, item: Float[Tensor, "items k"], weight: Float[Tensor, " items"]
    ) -> dict[str, float]:
        if not self.refine:
            return {}

        # The factors of an item without ratings are θ itself and must not hold it back.
        reg = torch.where(weight > 0, self.reg, 0.0)
        n_topics = self.theta.shape[1]
        factors = item[self.with_text, :n_topics]
        loss = self._update(factors, reg[self.with_text])

        return {"text_loss": loss}

    def _update(
        self, factors: Float[Tensor, "documents topics"], reg: Float[Tensor, " documents"]
    ) -> float:
        """One pass of expectation maximization; minus the log likelihood per word before it."""
        of_documents, of_words, likelihood = self.topics.expected_counts(self.counts, self.theta)
        gamma = of_documents + self.topics.smooth
        self.theta = proportions(gamma, factors, reg)
        # φ is that of the former θ, as in expectation maximization.
        beta = _normalized(of_words + WORD_PSEUDO_COUNT, dim=0)
        self.topics.beta.copy_(beta)

        return -likelihood / self.n_tokens

    @override
    def state(self) -> dict[str, Any]:
        return {"theta": self.theta}

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        theta = state["theta"]
        self.theta = theta.to(self.theta.device)


def proportions(
    gamma: Float[Tensor, "rows k"], factors: Float[Tensor, "rows k"], reg: Float[Tensor, " rows"]
) -> Float[Tensor, "rows k"]:
    """The θ on the simplex that maximizes Σ_k γ_k log θ_k − λ/2 ‖θ − V‖², for each row.

    At the maximum γ_k / θ_k − λ (θ_k − V_k) = ν for all k, so θ_k is the positive root of
    λ θ² + (ν − λ V_k) θ − γ_k = 0. Σ_k θ_k falls with ν and is convex: from a ν at which it is 1 or
    more, Newton's method approaches 1 from one side. With γ = 0 this is the projection of V onto
    the simplex.

    Args:
        gamma: γ, the expected counts of the topics, 0 or more.
        factors: V, the item factors.
        reg: λ_v of each row; 0: θ ∝ γ.
    """
    gamma = gamma.double()
    factors = factors.double()
    reg = reg.double()[:, None]
    # With this ν the largest of the roots is 1.
    nu_of_topic = gamma - reg * (1 - factors)
    nu = nu_of_topic.amax(dim=1, keepdim=True)

    for _ in range(NEWTON_STEPS):
        x = reg * factors - nu
        root = (x.square() + 4 * reg * gamma).sqrt()
        # Two forms of the same root, of which one loses no digits, whatever the sign of x.
        for_positive_x = (x + root) / (2 * reg)
        for_negative_x = 2 * gamma / (root - x)
        theta = torch.where(x > 0, for_positive_x, for_negative_x)
        # Without words the second form may be 0 / 0.
        is_empty = (x <= 0) & (gamma == 0)
        theta = torch.where(is_empty, 0.0, theta)
        excess = theta.sum(dim=1, keepdim=True) - 1
        if float(excess.abs().max()) < TOLERANCE:
            break

        # dθ_k/dν = −θ_k / root_k
        slope_of_topic = theta / root.clamp(min=1e-300)
        slope = slope_of_topic.sum(dim=1, keepdim=True)
        nu = nu + excess / slope

    return _normalized(theta, dim=1).float()


def word_counts(documents: Corpus, device: torch.device) -> Block:
    """n_jw: how often each document has each word."""
    counts = documents.counts()
    return Block(
        counts.indptr,
        counts.indices,
        counts.data,
        n_columns=documents.n_words,
        device=device,
    )


def _normalized(x: Tensor, *, dim: int) -> Tensor:
    """x divided by its sum along a dimension."""
    total = x.sum(dim=dim, keepdim=True)
    return x / total
