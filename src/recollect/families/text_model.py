"""TextModel: matrix factorization in which the text of an item gives the prior mean of its factors.

    Σ_Ω (r_ui − r̂_ui)² + Σ_u λ_U ‖U_u‖² + Σ_i λ_V ‖V_i − θ_i‖² → min,    θ_i = encoder(text of i)

The factors of an item without ratings are θ_i, so that it is predicted, recommended and compared
like any other.
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
from recollect.families.text_prior import Encoder, latent_vectors
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import Capabilities
from recollect.nn import Factors
from recollect.run import Run
from recollect.training.als import Prior

# What the estimate of memory assumes about texts, which are not known before they are read.
N_WORDS = 8000  # the vocabulary of the default Tokenizer
TOKENS = 200  # of a document, about


@dataclass(kw_only=True, eq=False)
class TextModel(FactorModel):
    """U_u · V_i, where the prior mean of V_i is an encoding θ_i of item i's text. Abstract."""

    offsets: bool = False
    item_weights: bool = False  # lambda_V and an item's weight in the text loss grow with √ratings

    @property
    @override
    def capabilities(self) -> Capabilities:
        of_factors = super().capabilities
        needs = of_factors.needs | {"text"}
        return replace(of_factors, needs=needs)

    @abstractmethod
    def encoder(self, corpus: Corpus, k: int) -> Encoder:
        """The untrained network that maps a document to k factors."""

    @abstractmethod
    def prior(self, train: Ratings) -> Prior:
        """The prior of the items' factors, and how it learns."""

    @abstractmethod
    def network_numbers(self, n_words: int) -> int:
        """How many numbers the encoder has, and holds for a batch, with a vocabulary of n_words."""

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        corpus = self.given_.text
        assert corpus is not None
        # With offsets, the last factor is the item's offset, and the encoder gives its prior mean.
        k = self.factors + self.offsets
        encoder = self.encoder(corpus, k)

        # All factors start at 0: items then start at their prior means, and users are solved for.
        return Factors(n_users, n_items, self.factors, offsets=self.offsets, text=encoder)

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        n_rows = shape.n_users + shape.n_items
        n_factors = (self.factors + 1) * n_rows
        # 6: the encoder with its gradients, its optimizer's state and its best weights.
        network = 6 * self.network_numbers(N_WORDS)
        tokens = TOKENS * shape.n_items
        texts = 4 * (network + tokens)

        return of_factors(shape, numbers=n_factors, texts=texts)

    @override
    def weight(self, train: Ratings) -> Tensor | None:
        return count_weights(train) if self.item_weights else None

    @override
    def item_reg(self, train: Ratings) -> Tensor:
        reg = super().item_reg(train)
        if not self.item_weights:
            return reg

        weight = count_weights(train)

        # An item without ratings has only its prior, which needs a λ above 0.
        return reg * torch.where(weight > 0, weight, 1.0)

    @override
    def known_items(self) -> Bool[np.ndarray, " n_items"]:
        corpus = self.given_.text
        assert corpus is not None
        is_rated = super().known_items()
        return is_rated | corpus.has

    @override
    def item_prior(self, net: Factors) -> Tensor:
        assert self.given_.text is not None
        return torch.as_tensor(self.text_factors(self.given_.text), device=net.item.device)

    def text_factors(self, corpus: Corpus) -> Float32[np.ndarray, "documents k"]:
        """The prior means θ of items with these documents; nothing else of them is needed."""
        theta = latent_vectors(self.net_.text, corpus)
        return theta.cpu().numpy()

    def with_items(self, documents: Any, **how: Any) -> TextModel:
        """A copy of the model with further items, whose factors are the encodings of their texts.

        Nothing is trained, and this model does not change. Items that the model knows stay as they
        are. A new item whose text has no known word stays unknown.

        Args:
            documents: what `with_texts` takes: a file, a mapping of item ids to texts, or a frame.
            how: arguments of `documents_of`.

        Raises:
            DataError: if no document is of a new item, or if none can be encoded.
        """
        given = self.given()
        assert isinstance(given, Ratings)
        assert given.text is not None
        table = documents_of(documents, **how).table
        new = _new_documents(given.items, table)
        corpus = given.text.read(new["text"])
        if not corpus.has.any():
            raise DataError(
                f"None of the {len(new):,} new documents has a word that the model knows."
            )

        theta = torch.as_tensor(self.text_factors(corpus), device=self.net_.item.device)
        # The network is copied as well: a shared one would get the new items in both models.
        extended = copy.copy(self)
        extended.net_ = copy.deepcopy(self.net_)
        factors = torch.cat([self.net_.item, theta])
        extended.net_.item = nn.Buffer(factors)

        item_ids = pl.concat([given.items.ids, new["item_id"]])
        extended.given_ = replace(
            given,
            items=Vocab(item_ids),
            text=given.text.joined(corpus),
            checked=True,
        )
        extended._forget()

        return extended


def _new_documents(items: Vocab, table: pl.DataFrame) -> pl.DataFrame:
    """The documents of items that the model does not know.

    Raises:
        DataError: if there are none.
    """
    row = items.rows(table["item_id"])
    is_new = pl.Series(row == UNKNOWN, dtype=pl.Boolean)
    new = table.filter(is_new)
    if not len(new):
        raise DataError(
            f"The model knows all {len(table):,} items of these documents already; there is "
            "nothing to add."
        )

    return new


def count_weights(train: Ratings) -> Float32[Tensor, " items"]:
    """√n_i of each item's n_i ratings, divided by the mean over the rated items.

    Source: Kim, Park, Oh, Yu. "Deep Hybrid Recommender Systems via Exploiting Document Context and
    Statistics of Items." Information Sciences 2017.
    """
    root = np.sqrt(train.count("item"))
    rated = root[root > 0]
    weight = root / rated.mean()
    return torch.as_tensor(weight, dtype=torch.float32)
