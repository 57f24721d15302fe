"""TextModel: a FactorModel whose item factors are pulled towards what the items' texts say.

Of an item without ratings only the text speaks: its factors are what the text says, so that it is predicted, recommended and
compared like any other.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import torch
from jaxtyping import Bool, Float32
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import Ratings
from recollect.data.text.corpus import Corpus
from recollect.data.text.documents import documents_of
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError
from recollect.families.matrix_factorization import FactorModel
from recollect.families.text_prior import Encoder, said
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import Capabilities
from recollect.nn import Factors
from recollect.run import Run
from recollect.training.als import Prior


def by_counts(train: Ratings) -> Float32[Tensor, " items"]:
    """A weight per item: the root of its number of ratings, 1 on average over the rated ones.

    Source: Kim, Park, Oh, Yu. "Deep Hybrid Recommender Systems via Exploiting Document Context and Statistics of Items."
    Information Sciences 2017.
    """
    root = np.sqrt(train.count("item"))
    return torch.as_tensor(root / root[root > 0].mean(), dtype=torch.float32)


N_WORDS = 8000  # that a reading keeps, unless it is told otherwise
TOKENS = 200  # of a document, about


@dataclass(kw_only=True, eq=False)
class TextModel(FactorModel):
    """U_u · V_i, V_i being drawn towards what the text of item i says."""

    offsets: bool = False
    item_weights: bool = False  # lambda_V and the weight of an item in the text's loss times √ratings / the mean √ratings

    @property
    @override
    def capabilities(self) -> Capabilities:
        of_factors = super().capabilities
        return replace(of_factors, needs=of_factors.needs | {"text"})

    @abstractmethod
    def encoder(self, corpus: Corpus, k: int) -> Encoder:
        """The network that reads a text and says k factors."""

    @abstractmethod
    def prior(self, train: Ratings) -> Prior:
        """What the texts say, and how it is learned."""

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """Factors of 0, and the network that reads; the users' first draw is of no account, as they are solved for first."""
        corpus = self.given_.text
        assert corpus is not None
        reads = self.encoder(corpus, self.factors + self.offsets)
        return Factors(n_users, n_items, self.factors, offsets=self.offsets, text=reads)

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model; a network that reads 8,000 words, with its gradients, its optimizer and its best weights."""
        numbers = (self.factors + 1) * (shape.n_users + shape.n_items)
        return of_factors(
            shape,
            numbers=numbers,
            texts=4 * (6 * self.network_numbers(N_WORDS) + TOKENS * shape.n_items),
        )

    @abstractmethod
    def network_numbers(self, n_words: int) -> int:
        """How many numbers the network learns, and holds for a batch, if there are so many words."""

    def weight(self, train: Ratings) -> Tensor | None:
        """See FactorModel."""
        return by_counts(train) if self.item_weights else None

    def item_reg(self, train: Ratings) -> Tensor:
        """See FactorModel."""
        weight, reg = by_counts(train), super().item_reg(train)
        return reg * torch.where(weight > 0, weight, 1.0) if self.item_weights else reg

    def known_items(self) -> Bool[np.ndarray, " n_items"]:
        """Those with ratings in fitting, or with a text."""
        assert self.given_.text is not None
        return super().known_items() | self.given_.text.has

    def text_factors(self, corpus: Corpus) -> Float32[np.ndarray, "documents k"]:
        """What the texts say: factors of items, of which nothing else need be known."""
        return said(self.net_.text, corpus).cpu().numpy()

    def with_items(self, documents: Any, **how: Any) -> TextModel:
        """The same model with further items, of which nothing is known but their texts: it predicts, recommends and compares
        them like any other. Nothing is trained; this model stays as it is.

        `documents` is what `with_texts` takes: a file, a mapping of item ids to texts, a frame. Of an item that the model knows
        already nothing changes; one whose text has no word that the model knows stays unknown.

        Raises: DataError if no document is of a new item, or none can be read.
        """
        given = self.given()
        assert isinstance(given, Ratings) and given.text is not None  # noqa: PT018 - one kind of ratings has texts
        table = documents_of(documents, **how).table
        new = table.filter(
            pl.Series(given.items.rows(table["item_id"]) == UNKNOWN, dtype=pl.Boolean)
        )
        if not len(new):
            raise DataError(
                f"The model knows all {len(table):,} items of these documents already; there is nothing to add."
            )
        read = given.text.read(new["text"])
        if not read.has.any():
            raise DataError(
                f"None of the {len(new):,} new documents has a word that the model knows."
            )
        other = copy.copy(self)
        other.net_ = copy.deepcopy(self.net_)
        rows = torch.as_tensor(self.text_factors(read), device=self.net_.item.device)
        other.net_.item = nn.Buffer(torch.cat([self.net_.item, rows]))
        other.given_ = replace(
            given,
            items=Vocab(pl.concat([given.items.ids, new["item_id"]])),
            text=given.text.joined(read),
            checked=True,
        )
        other._forget()
        return other
