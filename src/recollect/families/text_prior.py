"""A prior that learns by gradient steps: a network that reads an item's text and says its factors.

Another way of reading is another network: `forward(documents) → documents × k`, and, if it learns from more than the factors,
`loss(documents, target, weight)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from recollect.data.text.corpus import Corpus
from recollect.training import optimizers
from recollect.training.fit_loop import DivergedError

READ_AT_ONCE = 512  # documents


class Encoder(nn.Module):
    """A network that reads texts. Abstract: a model of texts has one."""

    def forward(self, documents: Corpus) -> Float[Tensor, "documents k"]:
        """What the texts say: factors."""
        raise NotImplementedError

    def loss(
        self,
        documents: Corpus,
        target: Float[Tensor, "documents k"],
        weight: Float[Tensor, " documents"],
    ) -> tuple[Tensor, int]:
        """Σ weight · mean over the factors of (target − what the text says)², and how many documents."""
        return ((self(documents) - target).square().mean(dim=1) @ weight), len(target)


class TextPrior:
    """What the texts say of the items, learned epoch by epoch. An `als.Prior`.

    An item without a text is said to be like the mean of the others. Texts of items without ratings are learned from only if
    `unrated`, with a weight of 0.
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
        unrated: bool = False,
    ) -> None:
        self.encoder, self.corpus, self.device, self.batch_size, self.epochs = (
            encoder,
            corpus,
            device,
            batch_size,
            epochs,
        )
        self.optimizer: Any = optimizers.make(
            optimizer, encoder.parameters(), learning_rate=learning_rate
        )
        self.has, self.unrated = np.flatnonzero(corpus.has), unrated

    @torch.no_grad()
    def mean(self) -> Float[Tensor, "items k"]:
        """See Prior."""
        return said(self.encoder, self.corpus)

    @torch.enable_grad()
    def learn(
        self, item: Float[Tensor, "items k"], weight: Float[Tensor, " items"]
    ) -> dict[str, float]:
        """See Prior; an epoch or several over the items with a text and, unless `unrated`, a weight."""
        self.encoder.train()
        rows, total, count = self.has[(weight.cpu().numpy()[self.has] > 0) | self.unrated], 0.0, 0
        for _ in range(self.epochs):
            total, count = 0.0, 0
            for some in self._batches(rows):
                place = torch.as_tensor(some, device=self.device)
                self.optimizer.zero_grad()
                loss, n = self.encoder.loss(self.corpus.take(some), item[place], weight[place])
                (loss / max(1, n)).backward()
                total, count = total + float(loss.detach()), count + n
                if not np.isfinite(total):
                    raise DivergedError(
                        f"The loss of the texts became {total}; the step is too large: lower learning_rate."
                    )
                self.optimizer.step()
        return {"text_loss": total / max(1, count)}

    def _batches(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        order = rows[torch.randperm(len(rows)).numpy()]
        for first in range(0, len(order), self.batch_size):
            yield order[first : first + self.batch_size]

    def state(self) -> dict[str, Any]:
        """See Prior."""
        return {"optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """See Prior."""
        self.optimizer.load_state_dict(state["optimizer"])


@torch.no_grad()
def said(encoder: Encoder, corpus: Corpus) -> Float[Tensor, "documents k"]:
    """What the encoder says of each document; without words, the mean of what it says of the others."""
    encoder.eval()
    has = np.flatnonzero(corpus.has)
    assert len(has), "a corpus without a document"
    found = torch.cat(
        [
            encoder(corpus.take(has[first : first + READ_AT_ONCE]))
            for first in range(0, len(has), READ_AT_ONCE)
        ]
    )
    out = found.mean(dim=0).repeat(len(corpus), 1)
    out[torch.as_tensor(has, device=out.device)] = found
    return out
