"""CDL: matrix factorization whose item factors are pulled towards what a denoising autoencoder makes of the items' texts.

Source: Wang, Wang, Yeung. "Collaborative Deep Learning for Recommender Systems." KDD 2015.
Differs: the autoencoder learns by Adam, an epoch or several after each turn of the factors, with other masks each time; texts are
read without masks. The biases of the last layer start at the words' means. Pre-training, if any, is of the whole stack at once.
By default it learns from ratings, with offsets and a λ that grows with a row's ratings; of an item's offset the code says 0.
The paper learns from events (`absent_weight=0.01, reg_user=1, reg_item=10`), the comparison of Kim et al. 2016 from ratings
(`reg_user=10, reg_item=100` for MovieLens 1M), both with `offsets=False, reg_power=0, reconstruction=1000`. An item without a
text has the mean code of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from recollect.data.ratings import Ratings
from recollect.data.text.corpus import Corpus
from recollect.errors import SettingError
from recollect.families.text_model import TextModel
from recollect.families.text_prior import Encoder, TextPrior
from recollect.kernels import Block
from recollect.nn import Dropout, SparseInput, activation, check_share, dense_layer, glorot


class Autoencoder(Encoder):
    """Bags of words → layers → code → layers → bags of words: the code says the factors."""

    def __init__(self, corpus: Corpus, settings: CDL, k: int) -> None:
        super().__init__()
        self.beyond, self.n_documents = k - settings.factors, int(corpus.has.sum())
        self.noise, self.reconstruction, self.reg = (
            settings.noise,
            settings.reconstruction,
            settings.reg_weights,
        )
        widths = (*settings.hidden, settings.factors)
        self.first = glorot(SparseInput(corpus.n_words, widths[0]))
        self.encoding = nn.ModuleList(
            dense_layer(above, below) for above, below in pairwise(widths)
        )
        self.decoding = nn.ModuleList(
            dense_layer(below, above) for above, below in pairwise((corpus.n_words, *widths))
        )[::-1]
        self.activate, self.drop = activation(settings.activation), Dropout(settings.dropout)
        self.decoding[-1].bias = mean_of(corpus)

    def code(self, bags: Block) -> Float[Tensor, "documents factors"]:
        """The layer in the middle; in training, of bags from which a share of the words is taken and layers with dropout."""
        value = bags.value
        assert value is not None
        if self.training and self.noise:
            value = value * (torch.rand(len(value)) >= self.noise).to(value)
        x = self.activate(self.first(bags, value=value))
        for layer in self.encoding:
            x = self.activate(layer(self.drop(x)))
        return x

    def decoded(self, code: Float[Tensor, "documents factors"]) -> Float[Tensor, "documents words"]:
        """The bags that the code stands for."""
        x = code
        for layer in self.decoding:
            x = torch.sigmoid(layer(self.drop(x)))
        return x

    def forward(self, documents: Corpus) -> Float[Tensor, "documents k"]:
        """See Encoder."""
        return nn.functional.pad(
            self.code(bags(documents, self.first.weight.device)), (0, self.beyond)
        )

    def loss(
        self,
        documents: Corpus,
        target: Float[Tensor, "documents k"],
        weight: Float[Tensor, " documents"],
    ) -> tuple[Tensor, int]:
        """Minus twice the documents' part of the log likelihood that the paper maximizes, and how many they are; `weight` is λ_v,
        0 without ratings."""
        block = bags(documents, self.first.weight.device)
        code = self.code(block)
        factors = (target[:, : code.shape[1]] - code).square().sum(dim=1) @ weight
        words = (dense(block) - self.decoded(code)).square().sum()
        weights = sum(p.square().sum() for p in self.parameters()) * (
            len(documents) / self.n_documents
        )
        return factors + self.reconstruction * words + self.reg * weights, len(documents)


def bags(documents: Corpus, device: torch.device) -> Block:
    """How often each document has each word, over how often it has its most frequent one."""
    counts = documents.counts()
    most = counts.max(axis=1).toarray()
    return Block(
        counts.indptr,
        counts.indices,
        counts.data / np.repeat(most, np.diff(counts.indptr)),
        n_columns=documents.n_words,
        device=device,
    )


def dense(block: Block) -> Float[Tensor, "rows columns"]:
    """The block with its zeros."""
    assert block.value is not None
    out = torch.zeros(block.n_rows, block.n_columns, device=block.device)
    row = torch.arange(block.n_rows, device=block.device).repeat_interleave(block.rows.start.diff())
    out[row, block.column.long()] = block.value
    return out


def mean_of(corpus: Corpus) -> nn.Parameter:
    """Biases of the last layer with which its sigmoid is each word's mean over the documents: it takes long to learn them."""
    block = bags(corpus.take(np.flatnonzero(corpus.has)), torch.device("cpu"))
    total = torch.bincount(block.column, weights=block.value, minlength=block.n_columns).float()
    return nn.Parameter(torch.logit(total / block.n_rows, eps=1e-4))


@dataclass(kw_only=True, eq=False)
class CDL(TextModel):
    """U · V, V being the code of an autoencoder that reads bags of words, and what the ratings add."""

    reg_user: float = 0.52  # lambda_U
    reg_item: float = 0.36  # lambda_V
    reg_power: float = 0.7
    offsets: bool = True
    hidden: tuple[int, ...] = (
        200,
    )  # layers between the words and the code, which has `factors`; the decoder mirrors them
    activation: str = "sigmoid"  # of the encoder's layers
    reconstruction: float = 1.0  # lambda_n: weight of the words' squared errors
    reg_weights: float = 1e-4  # lambda_W: on weights and biases
    noise: float = 0.3  # share of a text's words that are masked
    dropout: float = 0.1  # share of each layer that is dropped
    pretrain_epochs: int = 0  # of the autoencoder on the words alone, before the first turn
    text_epochs: int = 2  # of the autoencoder, after each turn of the factors
    batch_size: int = 128  # texts
    optimizer: str = "adam"
    learning_rate: float = 0.001

    def check(self) -> None:
        """Refuse settings that cannot work."""
        super().check()
        activation(self.activation)
        for name in ("noise", "dropout"):
            check_share(name, getattr(self, name))
        if (
            not self.hidden
            or min(*self.hidden, self.text_epochs, self.batch_size) < 1
            or self.pretrain_epochs < 0
        ):
            raise SettingError(
                "hidden (one width at least), text_epochs and batch_size are 1 or more and pretrain_epochs 0 or "
                f"more; found {self.hidden}, {self.text_epochs}, {self.batch_size} and {self.pretrain_epochs}."
            )
        if min(self.reconstruction, self.reg_weights) < 0:
            raise SettingError(
                f"reconstruction and reg_weights are 0 or more, found {self.reconstruction} and "
                f"{self.reg_weights}."
            )

    def network_numbers(self, n_words: int) -> int:
        """See TextModel; for a batch, its bags and what is made of them."""
        return 2 * n_words * self.hidden[0] + n_words * self.batch_size

    def encoder(self, corpus: Corpus, k: int) -> Autoencoder:
        """See TextModel."""
        return Autoencoder(corpus, self, k)

    def weight(self, train: Ratings) -> Tensor:
        """See FactorModel; λ_v, so that the factors and the autoencoder have one objective."""
        return self.item_reg(train)

    def prior(self, train: Ratings) -> TextPrior:
        """See TextModel."""
        if self.pretrain_epochs:
            item = self.net_.item
            self._reads(train, self.pretrain_epochs).learn(
                torch.zeros_like(item), torch.zeros_like(item[:, 0])
            )
        return self._reads(train, self.text_epochs)

    def _reads(self, train: Ratings, epochs: int) -> TextPrior:
        assert train.text is not None
        return TextPrior(
            self.net_.text,
            train.text,
            device=self.net_.item.device,
            optimizer=self.optimizer,
            unrated=True,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            epochs=epochs,
        )


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "factors": 3,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "epochs": 15,
    "hidden": (8,),
    "text_epochs": 2,
    "batch_size": 20,
}
