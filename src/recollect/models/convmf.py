"""ConvMF: matrix factorization with item factors drawn towards a convolutional encoding of texts.

Source: Kim, Park, Oh, Lee, Yu. "Convolutional Matrix Factorization for Document Context-Aware
Recommendation." RecSys 2016.

Differs: by default users and items have offsets, λ grows with a row's ratings, and the network
learns less at a time (one pass, half of the hidden layer dropped, a smaller rate). The paper's
settings are offsets=False, reg_power=0, reg_user=100, reg_item=10, text_epochs=5, dropout=0.2,
learning_rate=0.001, optimizer="rmsprop-keras" and filter_init="keras". The default "rmsprop" adds ε
to the root of the squared gradients, the authors' Keras 0.3.3 added 1e-6 under it: their steps on
word vectors and filters, whose gradients are about 1e-6, are hundreds of times shorter. Filters
start within √(6 / (hd + hn)), for h words of d numbers and n filters; theirs within √(6 / (hd +
n)). Phrases end with the text (`mask`); in the authors' code filters also see the padding before
it. Stopped by the best validation error, not after five turns for the worse; predictions are
clipped. The paper's λ on the network's weights, `reg_weights`, is 0, as in the authors' code. The
prior mean of an item without a text is the mean of the others; the authors leave such items out.
`item_weights` is the journal version's (Kim et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import Ratings
from recollect.data.text.corpus import Corpus
from recollect.errors import SettingError
from recollect.families.text_model import TextModel
from recollect.families.text_prior import DOCUMENTS_AT_ONCE, Encoder, TextPrior
from recollect.kernels.convolution import max_pooled_convolution
from recollect.settings import setting, share
from recollect.training.optimizers import BY_RATE

PRETRAINED_SCALE = 20  # pre-trained vectors are divided by this, as in the authors' code
DISTINCT_WORDS = 12  # per document of a batch, about


class CNN(Encoder):
    """The network of section 3.2: θ_j = cnn(W, X_j).

        D     = the vectors of the words of X_j                                 embedding layer
        c_f   = max_t relu(W_f · D[t : t + ws] + b_f)                           convolution, pooling
        θ_j   = tanh(W_2 tanh(W_1 c + b_1) + b_2)                               output layer

    Args:
        corpus: gives the vocabulary, and pre-trained vectors if it has some.
        settings: of the model.
        k: factors of θ.
    """

    def __init__(self, corpus: Corpus, settings: ConvMF, k: int) -> None:
        super().__init__()
        self.windows = tuple(settings.windows)
        self.length = None if settings.mask else settings.length
        self.n_words = corpus.n_words
        # The last row is the vector of padding.
        table = torch.empty(corpus.n_words + 1, settings.embedding).uniform_(-0.05, 0.05)
        if corpus.vectors is not None and settings.pretrained:
            table[:-1] = torch.from_numpy(corpus.vectors.table) / PRETRAINED_SCALE
            table[-1] = 0

        self.words = nn.Parameter(table)
        # One matrix for the filters of all windows: their products with words are one product.
        weights = [_initial_weights(h, settings) for h in self.windows]
        self.filters = nn.Parameter(torch.cat(weights))
        n_windows = len(self.windows)
        self.bias = nn.Parameter(torch.zeros(n_windows, settings.filters))
        self.hidden = nn.Linear(n_windows * settings.filters, settings.hidden)
        self.drop = nn.Dropout(settings.dropout)
        self.last = nn.Linear(settings.hidden, k)
        self.decay = 0.0  # λ of all parameters, beside a mean over documents and factors

        for layer in (self.hidden, self.last):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def features(self, documents: Corpus) -> Float[Tensor, "documents windows filters"]:
        """The largest activation of each filter on any phrase of a document, equations 6 to 8."""
        start = documents.start
        word = documents.word
        if self.length is not None:
            longest = max(self.windows)
            start, word = _padded(start, word, self.length, longest, padding=self.n_words)

        # relu is monotone, so it may follow the maximum.
        pooled = max_pooled_convolution(start, word, self.words, self.filters, self.windows)

        return torch.relu(pooled + self.bias)

    @override
    def forward(self, documents: Corpus) -> Float[Tensor, "documents k"]:
        c = self.features(documents).flatten(1)  # documents × (windows · filters)
        hidden = torch.tanh(self.hidden(c))
        dropped = self.drop(hidden)
        return torch.tanh(self.last(dropped))

    @override
    def loss(
        self,
        documents: Corpus,
        target: Float[Tensor, "documents k"],
        weight: Float[Tensor, " documents"],
    ) -> tuple[Tensor, int]:
        """The documents' part of E(W), section 3.3, times 2 / (λ_V k); and their number."""
        loss, n = super().loss(documents, target, weight)
        if not self.decay:
            return loss, n

        norms = [parameter.square().sum() for parameter in self.parameters()]
        # The caller divides by n: the penalty of a step does not depend on the batch's size.
        return loss + self.decay * n * sum(norms), n


def _initial_weights(window: int, settings: ConvMF) -> Float[Tensor, "rows embedding"]:
    """The vectors of filters over `window` words, Glorot uniform."""
    filters = settings.filters
    # A filter is one unit with window · embedding inputs.
    fan_in = window * settings.embedding
    # A word feeds window · filters units; Keras 0.3 counted the filters alone.
    fan_out = filters if settings.filter_init == "keras" else window * filters
    bound = (6 / (fan_in + fan_out)) ** 0.5
    weights = torch.empty(window * filters, settings.embedding)
    return weights.uniform_(-bound, bound)


def _padded(
    start: np.ndarray, word: np.ndarray, length: int, longest_window: int, padding: int
) -> tuple[np.ndarray, np.ndarray]:
    """Documents with padding before them, up to `length` words."""
    n = np.diff(start)
    n_missing = np.maximum(length - n, 0)
    # More padding than the longest window has words makes no phrase that is not there already.
    n_padding = np.minimum(n_missing, longest_window)
    ends = np.cumsum(n + n_padding)
    padded_start = np.concatenate([[0], ends])
    padded_word = np.full(padded_start[-1], padding, word.dtype)
    # A word moves by all the padding up to its document's own.
    shift = np.repeat(np.cumsum(n_padding), n)
    position = np.arange(len(word)) + shift
    padded_word[position] = word

    return padded_start, padded_word


@dataclass(kw_only=True, eq=False)
class ConvMF(TextModel):
    """U_u · V_i, V_i ~ N(cnn(W, X_i), 1/λ_V); ConvMF+ if the words have pre-trained vectors."""

    reg_user: float = 2.0  # lambda_U
    reg_item: float = 1.5  # lambda_V
    reg_power: float = 0.5
    offsets: bool = True
    embedding: int = setting(200, at_least=1)  # p: dimension of the words' vectors
    pretrained: bool = True  # words start from the vectors of the ratings' texts, if any: ConvMF+
    windows: tuple[int, ...] = setting((3, 4, 5), at_least=1)  # ws: words that a filter sees
    filters: int = setting(100, at_least=1)  # n_c: per window
    # Bound of the filters before training; "keras": 13 to 17% wider, as in the authors' code
    filter_init: str = setting("glorot", one_of=("glorot", "keras"))
    hidden: int = setting(200, at_least=1)  # width of the layer between filters and factors
    dropout: float = share(0.5)  # share of that layer dropped
    mask: bool = True  # False: filters see the padding before short texts, as in the authors' code
    length: int = setting(300, at_least=1)  # words to which texts are padded, without mask
    text_epochs: int = setting(1, at_least=1)  # of the network, after each turn of the factors
    batch_size: int = setting(128, at_least=1)  # texts
    # How the network learns; "rmsprop-keras": as in the authors' code
    optimizer: str = setting("rmsprop", one_of=BY_RATE)
    learning_rate: float = setting(0.0004, above=0)  # of the network
    # lambda_W: on all parameters of the network, on the scale of an item's lambda_V
    reg_weights: float = setting(0.0, at_least=0)

    @override
    def check(self) -> None:
        super().check()
        if not self.windows:
            raise SettingError("windows is empty; name one width at least, such as windows=(3,).")

    @override
    def network_numbers(self, n_words: int) -> int:
        rows = self.filters * sum(self.windows)  # a filter has a vector per word that it sees
        weights = n_words * self.embedding + rows * self.embedding
        # Of a batch, the inner product of each distinct word with each row of the filters. A sixth,
        # because `estimate_memory` counts six times what is returned and products exist once.
        n_distinct = min(n_words, DOCUMENTS_AT_ONCE * DISTINCT_WORDS)
        products = rows * n_distinct // 6

        return weights + products

    @override
    def encoder(self, corpus: Corpus, k: int) -> CNN:
        vectors = corpus.vectors if self.pretrained else None
        if vectors is not None and vectors.d != self.embedding:
            raise SettingError(
                f"The words' vectors have {vectors.d} numbers, embedding is {self.embedding}; set "
                f"embedding={vectors.d}, or pretrained=False to leave them out."
            )

        return CNN(corpus, self, k)

    @override
    def prior(self, train: Ratings) -> TextPrior:
        assert train.text is not None
        encoder: CNN = self.net_.text
        is_read = train.text.has & (train.count("item") > 0)
        n_numbers = max(1, int(is_read.sum())) * self.net_.item.shape[1]
        encoder.decay = self.reg_weights / (self.reg_item * n_numbers)

        return TextPrior(
            encoder,
            train.text,
            device=self.net_.item.device,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            epochs=self.text_epochs,
        )


# The settings of the paper for MovieLens 1M, where the defaults are others.
PAPER = {
    "cold": "mean",
    "pretrained": False,
    "offsets": False,
    "reg_power": 0.0,
    "reg_user": 100.0,
    "reg_item": 10.0,
    "text_epochs": 5,
    "dropout": 0.2,
    "learning_rate": 0.001,
    "optimizer": "rmsprop-keras",
    "filter_init": "keras",
    "patience": 5,
}

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
