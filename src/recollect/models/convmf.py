"""ConvMF: matrix factorization whose item factors are pulled towards what a convolutional network reads in the items' texts.

Source: Kim, Park, Oh, Lee, Yu. "Convolutional Matrix Factorization for Document Context-Aware Recommendation." RecSys 2016.
Differs: by default users and items have offsets, λ grows with a row's ratings, and the network learns less at a time (one pass,
half of the hidden layer dropped, a smaller rate): the paper's settings (offsets=False, reg_power=0, reg_user=100, reg_item=10,
text_epochs=5, dropout=0.2, learning_rate=0.001) are worse, docs/results. Phrases end with the text (`mask`); the authors' padding
before it answers, too. Stopped by the best validation error, not after five turns for the worse; predictions are clipped. Neither
here nor in the authors' code is there the paper's λ on the network's weights. An item without a text is drawn to the mean
of what the others' texts say; the authors leave such items out. `item_weights` is the journal version's (Kim et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from recollect.data.ratings import Ratings
from recollect.data.text.corpus import Corpus
from recollect.errors import SettingError
from recollect.families.text_model import TextModel
from recollect.families.text_prior import READ_AT_ONCE, Encoder, TextPrior
from recollect.kernels.convolution import strongest
from recollect.nn import check_share

SMALLER = 20  # pre-trained vectors are divided by this, as in the authors' code


class Reader(Encoder):
    """Words → vectors → filters over windows of them, the strongest answer of each → two dense layers → factors (section 3.2)."""

    def __init__(self, corpus: Corpus, settings: ConvMF, k: int) -> None:
        super().__init__()
        self.windows, self.padding = (
            tuple(settings.windows),
            None if settings.mask else settings.length,
        )
        self.n_words = corpus.n_words
        table = torch.empty(corpus.n_words + 1, settings.embedding).uniform_(
            -0.05, 0.05
        )  # the last row is for padding
        if corpus.vectors is not None and settings.pretrained:
            table[:-1], table[-1] = torch.from_numpy(corpus.vectors.table) / SMALLER, 0
        self.words = nn.Parameter(table)
        self.filters = nn.Parameter(
            torch.cat([_drawn(h, settings.filters, settings.embedding) for h in self.windows])
        )
        self.bias = nn.Parameter(torch.zeros(len(self.windows), settings.filters))
        self.hidden = nn.Linear(len(self.windows) * settings.filters, settings.hidden)
        self.drop = nn.Dropout(settings.dropout)
        self.last = nn.Linear(settings.hidden, k)
        for layer in (self.hidden, self.last):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def answers(self, documents: Corpus) -> Float[Tensor, "documents windows filters"]:
        """The strongest answer of each filter, equations 6 to 8."""
        start, word = documents.start, documents.word
        if self.padding is not None:
            start, word = _padded(start, word, self.padding, max(self.windows), self.n_words)
        return torch.relu(
            strongest(start, word, self.words, self.filters, self.windows) + self.bias
        )

    def forward(self, documents: Corpus) -> Float[Tensor, "documents k"]:
        """See Encoder."""
        hidden = torch.tanh(self.hidden(self.answers(documents).flatten(1)))
        return torch.tanh(self.last(self.drop(hidden)))


def _drawn(window: int, filters: int, embedding: int) -> Float[Tensor, "rows embedding"]:
    """The vectors of filters over so many words, Glorot uniform."""
    bound = (6 / (window * (embedding + filters))) ** 0.5
    return torch.empty(window * filters, embedding).uniform_(-bound, bound)


def _padded(
    start: np.ndarray, word: np.ndarray, length: int, longest: int, padding: int
) -> tuple[np.ndarray, np.ndarray]:
    """Documents with padding before them, up to this length or as far as it makes a difference to the longest window."""
    n = np.diff(start)
    more = np.minimum(np.maximum(length - n, 0), longest)
    until = np.concatenate([[0], np.cumsum(n + more)])
    out = np.full(until[-1], padding, word.dtype)
    out[np.arange(len(word)) + np.repeat(np.cumsum(more), n)] = word
    return until, out


@dataclass(kw_only=True, eq=False)
class ConvMF(TextModel):
    """U · V, V pulled towards what a convolutional network says of the text; ConvMF+ if the words have pre-trained vectors."""

    reg_user: float = 2.0  # lambda_U
    reg_item: float = 1.5  # lambda_V
    reg_power: float = 0.5
    offsets: bool = True
    embedding: int = 200  # numbers per word; of pre-trained vectors, as many as they have
    pretrained: bool = (
        True  # the words start from their vectors, if the ratings' texts have some: ConvMF+
    )
    windows: tuple[int, ...] = (3, 4, 5)  # words that a filter sees
    filters: int = 100  # per window
    hidden: int = 200  # of the layer between the filters and the factors
    dropout: float = 0.5  # share of that layer dropped
    mask: bool = True  # False: padding before short texts answers, too, as in the authors' code
    length: int = 300  # words to which texts are padded, if not masked
    text_epochs: int = 1  # of the network, after each turn of the factors
    batch_size: int = 128  # texts
    optimizer: str = "rmsprop"
    learning_rate: float = 0.0004

    def check(self) -> None:
        """Refuse settings that cannot work."""
        super().check()
        check_share("dropout", self.dropout)
        sizes = (
            self.embedding,
            self.filters,
            self.hidden,
            self.length,
            self.text_epochs,
            self.batch_size,
            *self.windows,
        )
        if not self.windows or min(sizes) < 1:
            raise SettingError(
                "embedding, windows, filters, hidden, length, text_epochs and batch_size are 1 or more."
            )

    def network_numbers(self, n_words: int) -> int:
        """See TextModel; for a batch, the part of each word in each filter."""
        rows = self.filters * sum(self.windows)
        return (
            n_words * self.embedding
            + rows * self.embedding
            + rows * min(n_words, READ_AT_ONCE * 12) // 6
        )

    def encoder(self, corpus: Corpus, k: int) -> Reader:
        """See TextModel."""
        vectors = corpus.vectors if self.pretrained else None
        if vectors is not None and vectors.d != self.embedding:
            raise SettingError(
                f"The words' vectors have {vectors.d} numbers, embedding is {self.embedding}; set embedding="
                f"{vectors.d}, or pretrained=False to leave them out."
            )
        return Reader(corpus, self, k)

    def prior(self, train: Ratings) -> TextPrior:
        """See TextModel."""
        assert train.text is not None
        return TextPrior(
            self.net_.text,
            train.text,
            device=self.net_.item.device,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            epochs=self.text_epochs,
        )


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "factors": 3,
    "reg_user": 0.3,
    "reg_item": 0.3,
    "reg_power": 0.0,
    "epochs": 15,
    "embedding": 8,
    "filters": 8,
    "hidden": 8,
    "windows": (1, 2),
    "text_epochs": 3,
    "learning_rate": 0.01,
    "batch_size": 20,
}
