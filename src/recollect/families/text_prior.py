"""A prior mean that is learned by gradient steps: a network that encodes an item's text.

The item factors V_i have the prior N(θ_i, 1/λ_V), with θ_i = encoder(text of i): the document
latent vector of the papers. Another model of texts is another `Encoder`: its `forward`, and its
`loss` if it learns from more than the factors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.text.corpus import Corpus
from recollect.training import optimizers
from recollect.training.als import Prior
from recollect.training.fit_loop import DivergedError

DOCUMENTS_AT_ONCE = 512  # encoded at once, after learning


class Encoder(nn.Module):
    """A network that maps documents to latent vectors θ. Abstract."""

    def forward(self, documents: Corpus) -> Float[Tensor, "documents k"]:
        """The latent vector θ_j of each document."""
        raise NotImplementedError

    def loss(
        self,
        documents: Corpus,
        target: Float[Tensor, "documents k"],
        weight: Float[Tensor, " documents"],
    ) -> tuple[Tensor, int]:
        """Σ_j w_j · mean over the factors of (V_j − θ_j)², and the number of documents.

        Args:
            documents: a batch.
            target: the items' factors V_j.
            weight: w_j; 0 for an item without ratings.
        """
        error = self(documents) - target
        squared_error = error.square().mean(dim=1)
        weighted_sum = squared_error @ weight
        return weighted_sum, len(target)


class TextPrior(Prior):
    """The prior mean of the items' factors, learned some epochs after each turn of ALS.

    An item without a text has the mean θ of the others.

    Args:
        encoder: the network to train.
        corpus: a document for each item.
        device: of the items' factors.
        optimizer: a name that `optimizers.make` knows.
        learning_rate: of the optimizer.
        batch_size: documents per step.
        epochs: passes over the documents per turn.
        include_unrated: whether the texts of items without ratings are learned from, too, with a
            weight of 0.
    """

    def __init__(
        self,
        encoder: Encoder,
        corpus: Corpus,
        *,
        device: torch.device,
        optimizer: str,
        learning_rate: float,
        batch_size: int,
        epochs: int,
        include_unrated: bool = False,
    ) -> None:
        self.encoder = encoder
        self.corpus = corpus
        self.device = device
        self.batch_size = batch_size
        self.epochs = epochs
        self.include_unrated = include_unrated
        self.with_text = np.flatnonzero(corpus.has)
        self.optimizer: Any = optimizers.make(
            optimizer, encoder.parameters(), learning_rate=learning_rate
        )

    @override
    @torch.no_grad()
    def mean(self) -> Float[Tensor, "items k"]:
        return latent_vectors(self.encoder, self.corpus)

    @override
    @torch.enable_grad()
    def learn(
        self, item: Float[Tensor, "items k"], weight: Float[Tensor, " items"]
    ) -> dict[str, float]:
        self.encoder.train()
        weights = weight.cpu().numpy()[self.with_text]
        is_rated = weights > 0
        # An unrated item has no factors to learn from, but an encoder may also learn its words.
        rows = self.with_text[is_rated | self.include_unrated]
        mean_loss = 0.0

        for _ in range(self.epochs):
            mean_loss = self._epoch(rows, item, weight)

        return {"text_loss": mean_loss}

    def _epoch(self, rows: np.ndarray, item: Tensor, weight: Tensor) -> float:
        """One pass over the documents of these items; their mean loss before each step."""
        total = 0.0
        count = 0

        for batch in self._batches(rows):
            index = torch.as_tensor(batch, device=self.device)
            documents = self.corpus.take(batch)
            self.optimizer.zero_grad()
            loss, n = self.encoder.loss(documents, item[index], weight[index])
            mean_loss = loss / max(1, n)
            mean_loss.backward()
            total += float(loss.detach())
            count += n
            # Checked before the step, so that the weights are still good.
            if not np.isfinite(total):
                raise DivergedError(
                    f"The loss of the texts became {total}; the step is too large: lower "
                    "learning_rate."
                )

            self.optimizer.step()

        return total / max(1, count)

    def _batches(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """The rows in random order, a batch at a time."""
        # By torch's generator, whose state a snapshot keeps: a resumed fit draws the same order.
        permutation = torch.randperm(len(rows)).numpy()
        order = rows[permutation]

        for first in range(0, len(order), self.batch_size):
            yield order[first : first + self.batch_size]

    @override
    def state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


@torch.no_grad()
def latent_vectors(encoder: Encoder, corpus: Corpus) -> Float[Tensor, "documents k"]:
    """The latent vector θ_j of each document; that of a document without words is the mean."""
    encoder.eval()
    with_text = np.flatnonzero(corpus.has)
    assert len(with_text), "a corpus without a document"
    parts: list[Tensor] = []

    for first in range(0, len(with_text), DOCUMENTS_AT_ONCE):
        rows = with_text[first : first + DOCUMENTS_AT_ONCE]
        parts.append(encoder(corpus.take(rows)))

    theta = torch.cat(parts)
    # The mean is the prior of an item of which nothing is known.
    mean = theta.mean(dim=0)
    out = mean.repeat(len(corpus), 1)
    index = torch.as_tensor(with_text, device=out.device)
    out[index] = theta

    return out
