"""Topics: every document a mixture of them, every topic a distribution over words; and a prior that says an item's mixture.

The topics are those of Blei, Ng, Jordan, "Latent Dirichlet Allocation", JMLR 2003. The most likely mixtures theta and topics
beta are found by expectation and maximization; what is expected of all words takes two sparse products and their gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from recollect.data.text.corpus import Corpus
from recollect.families.text_prior import Encoder
from recollect.kernels import Block, observed

SMOOTH_WORDS = 0.01  # times that every topic is taken to have every word, as CTR's authors have it
NEW_PASSES = 100  # over a document that is new
CLOSE = 1e-6  # of 1, the sum of a document's shares


class Topics(Encoder):
    """What topics are about. Reads a document as its share of each topic, with 0 beyond the topics."""

    def __init__(self, n_words: int, n_topics: int, *, k: int, smooth: float) -> None:
        super().__init__()
        self.beyond, self.smooth = k - n_topics, smooth
        self.beta = nn.Buffer(
            _shares(torch.rand(n_words, n_topics), dim=0)
        )  # words × topics: a row is read for each word

    def expected(
        self, counts: Block, theta: Float[Tensor, "documents topics"]
    ) -> tuple[Float[Tensor, "documents topics"], Float[Tensor, "words topics"], float]:
        """How many of each document's words, and how often each word, are expected to be of each topic; and how likely all are.

        Σ_n φ_nk with φ_nk ∝ θ_k β_k,w: θ ∘ ∂L/∂θ and β ∘ ∂L/∂β of the logarithm L = Σ_n log Σ_k θ_k β_k,w.
        """
        assert counts.value is not None
        with torch.enable_grad():
            parts = theta.detach().requires_grad_(), self.beta.detach().requires_grad_()
            likely = counts.value @ observed(counts, *parts).log()
            of_theta, of_beta = torch.autograd.grad(likely, parts)
        return theta * of_theta, self.beta * of_beta, float(likely.detach())

    @torch.no_grad()
    def forward(self, documents: Corpus) -> Float[Tensor, "documents k"]:
        """See Encoder."""
        counts, theta = counted(documents, self.beta.device), self.even(len(documents))
        for _ in range(NEW_PASSES):
            theta = _shares(self.smooth + self.expected(counts, theta)[0], dim=1)
        return self.padded(theta)

    def even(self, n_documents: int) -> Float[Tensor, "documents topics"]:
        """Equal shares of all topics."""
        n_topics = self.beta.shape[1]
        return self.beta.new_full((n_documents, n_topics), 1 / n_topics)

    def padded(self, theta: Float[Tensor, "documents topics"]) -> Float[Tensor, "documents k"]:
        """With columns of 0, about which topics say nothing."""
        return nn.functional.pad(theta, (0, self.beyond))


class TopicPrior:
    """The topics of the items' documents, which move towards the items' factors after every turn. An `als.Prior`.

    An item without a text is said to be like the mean of the others.
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
        self.topics, self.refine, device = topics, refine, topics.beta.device
        has = np.flatnonzero(corpus.has)
        self.has, self.n_items, self.reg = (
            torch.as_tensor(has, device=device),
            len(corpus),
            reg.to(device),
        )
        self.counts, self.n_words = counted(corpus.take(has), device), len(corpus.word)
        self.theta = topics.even(len(has))
        for _ in range(passes):
            self._pass(self.theta, torch.zeros_like(self.reg[self.has]))

    def mean(self) -> Float[Tensor, "items k"]:
        """See Prior."""
        out = self.theta.mean(dim=0).repeat(self.n_items, 1)
        out[self.has] = self.theta
        return self.topics.padded(out)

    def learn(
        self, item: Float[Tensor, "items k"], weight: Float[Tensor, " items"]
    ) -> dict[str, float]:
        """See Prior; one pass over the documents, those of items without ratings for themselves."""
        if not self.refine:
            return {}
        reg = torch.where(weight > 0, self.reg, 0.0)
        return {"text_loss": self._pass(item[self.has, : self.theta.shape[1]], reg[self.has])}

    def _pass(
        self, towards: Float[Tensor, "documents topics"], reg: Float[Tensor, " documents"]
    ) -> float:
        """Shares and topics from what is expected of the words; before it, minus the logarithm of the likelihood per word."""
        of_documents, of_words, likely = self.topics.expected(self.counts, self.theta)
        self.theta = most_likely(of_documents + self.topics.smooth, towards, reg)
        self.topics.beta.copy_(_shares(of_words + SMOOTH_WORDS, dim=0))
        return -likely / self.n_words

    def state(self) -> dict[str, Any]:
        """See Prior."""
        return {"theta": self.theta}

    def load_state(self, state: dict[str, Any]) -> None:
        """See Prior."""
        self.theta = state["theta"].to(self.theta.device)


def most_likely(
    gamma: Float[Tensor, "rows k"], towards: Float[Tensor, "rows k"], reg: Float[Tensor, " rows"]
) -> Float[Tensor, "rows k"]:
    """The shares θ (0 or more, summing to 1) with the largest Σ_k γ_k log θ_k − reg/2 ‖θ − towards‖², for each row.

    Where it is largest, γ_k / θ_k − reg (θ_k − v_k) is the same ν for all k: θ_k is the root of a square in ν, and their sum
    falls with ν and is convex, so that Newton's steps from where it is 1 or more close in on 1 from one side. With γ = 0 this
    is the projection of v onto the simplex.
    """
    gamma, towards, reg = gamma.double(), towards.double(), reg.double()[:, None]
    nu = (gamma - reg * (1 - towards)).amax(dim=1, keepdim=True)  # one of the shares is 1
    for _ in range(100):
        x = reg * towards - nu
        root = (x.square() + 4 * reg * gamma).sqrt()
        theta = torch.where(x > 0, (x + root) / (2 * reg), 2 * gamma / (root - x))
        theta = torch.where((x <= 0) & (gamma == 0), 0.0, theta)
        beyond = theta.sum(dim=1, keepdim=True) - 1
        if float(beyond.abs().max()) < CLOSE:
            break
        nu = nu + beyond / (theta / root.clamp(min=1e-300)).sum(dim=1, keepdim=True)
    return _shares(theta, dim=1).float()


def counted(documents: Corpus, device: torch.device) -> Block:
    """How often each document has each word."""
    counts = documents.counts()
    return Block(
        counts.indptr, counts.indices, counts.data, n_columns=documents.n_words, device=device
    )


def _shares(x: Tensor, *, dim: int) -> Tensor:
    return x / x.sum(dim=dim, keepdim=True)
