"""CDL: matrix factorization with item factors drawn towards an autoencoder's code of their texts.

Source: Wang, Wang, Yeung. "Collaborative Deep Learning for Recommender Systems." KDD 2015.

Differs: the autoencoder learns by Adam, an epoch or several after each turn of the factors, with
other masks each time; θ is the code of the unmasked text. The biases of the last layer start at the
words' means. Pre-training, if any, is of the whole stack at once. By default it learns from
ratings, with offsets and a λ that grows with a row's ratings; the prior mean of an item's offset is
0. The paper learns from events (`absent_weight=0.01, reg_user=1, reg_item=10`), the comparison of
Kim et al. 2016 from ratings (`reg_user=10, reg_item=100` for MovieLens 1M), both with
`offsets=False, reg_power=0, reconstruction=1000`. The prior mean of an item without a text is the
mean code of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import Ratings
from recollect.data.text.corpus import Corpus
from recollect.errors import SettingError
from recollect.families.text_model import TextModel
from recollect.families.text_prior import Encoder, TextPrior
from recollect.kernels import Block
from recollect.nn import ACTIVATIONS, Dropout, SparseInput, activation, dense_layer, glorot
from recollect.settings import setting, share
from recollect.training.optimizers import BY_RATE


class SDAE(Encoder):
    """The stacked denoising autoencoder of bags of words: θ_j is the code in the middle, X_{L/2}.

        X_0 = X_c with a share of its words masked
        X_l = σ(X_{l−1} W_l + b_l),   l = 1 … L

    Args:
        corpus: gives the vocabulary, and the words' means.
        settings: of the model.
        k: factors of θ; those beyond the code (the offset) are 0.
    """

    def __init__(self, corpus: Corpus, settings: CDL, k: int) -> None:
        super().__init__()
        self.n_zeros = k - settings.factors
        self.n_documents = int(np.count_nonzero(corpus.has))
        self.noise = settings.noise
        self.reconstruction = settings.reconstruction
        self.reg = settings.reg_weights
        code_widths = (*settings.hidden, settings.factors)
        widths = (corpus.n_words, *code_widths)
        self.first = glorot(SparseInput(corpus.n_words, settings.hidden[0]))
        encoding = [dense_layer(wide, narrow) for wide, narrow in pairwise(code_widths)]
        decoding = [dense_layer(narrow, wide) for wide, narrow in pairwise(widths)]
        self.encoding = nn.ModuleList(encoding)
        # Decoding layers are made in the encoder's order, and stand from the code to the words.
        self.decoding = nn.ModuleList(decoding)[::-1]
        self.activate = activation(settings.activation)
        self.drop = Dropout(settings.dropout)
        self.decoding[-1].bias = output_bias(corpus)

    def code(self, bags: Block) -> Float[Tensor, "documents factors"]:
        """X_{L/2} of bags of words; while training, of bags with masked words, with dropout."""
        value = bags.value
        assert value is not None
        if self.training and self.noise:
            # Drawn on the CPU, so that every device has the same masks.
            is_kept = torch.rand(len(value)) >= self.noise
            value = value * is_kept.to(value)

        x = self.activate(self.first(bags, value=value))

        for layer in self.encoding:
            dropped = self.drop(x)
            x = self.activate(layer(dropped))

        return x

    def decode(self, code: Float[Tensor, "documents factors"]) -> Float[Tensor, "documents words"]:
        """X_L, the reconstruction of the bags of words."""
        x = code

        # Always the sigmoid, whatever the encoder has: a bag of words has numbers from 0 to 1.
        for layer in self.decoding:
            dropped = self.drop(x)
            x = torch.sigmoid(layer(dropped))

        return x

    @override
    def forward(self, documents: Corpus) -> Float[Tensor, "documents k"]:
        bags = bags_of_words(documents, self.first.weight.device)
        code = self.code(bags)
        # The prior mean of the offset, the last factor if there is one, is 0.
        return nn.functional.pad(code, (0, self.n_zeros))

    @override
    def loss(
        self,
        documents: Corpus,
        target: Float[Tensor, "documents k"],
        weight: Float[Tensor, " documents"],
    ) -> tuple[Tensor, int]:
        """Minus twice the documents' part of the log likelihood, equation 3; and their number.

            Σ_j λ_v ‖V_j − X_{L/2,j}‖² + λ_n ‖X_c − X_L‖² + λ_w Σ_l (‖W_l‖² + ‖b_l‖²)

        `weight` is λ_v, 0 for an item without ratings. λ_w counts in proportion to the batch.
        """
        bags = bags_of_words(documents, self.first.weight.device)
        code = self.code(bags)
        width = code.shape[1]
        factors = target[:, :width]
        factor_error = (factors - code).square().sum(dim=1) @ weight

        # Every word counts, also those that a document does not have.
        reconstructed = self.decode(code)
        word_error = (bags.dense() - reconstructed).square().sum()

        share_of_batch = len(documents) / self.n_documents
        norms = [parameter.square().sum() for parameter in self.parameters()]
        norm = sum(norms) * share_of_batch
        loss = factor_error + self.reconstruction * word_error + self.reg * norm

        return loss, len(documents)


def bags_of_words(documents: Corpus, device: torch.device) -> Block:
    """X_c: how often each document has each word, divided by the count of its most frequent one."""
    counts = documents.counts()
    largest = counts.max(axis=1).toarray()
    n_distinct = np.diff(counts.indptr)
    largest_of_cells = np.repeat(largest, n_distinct)

    return Block(
        counts.indptr,
        counts.indices,
        counts.data / largest_of_cells,
        n_columns=documents.n_words,
        device=device,
    )


def output_bias(corpus: Corpus) -> nn.Parameter:
    """Biases whose sigmoid is each word's mean over the documents: learning them takes long."""
    with_text = np.flatnonzero(corpus.has)
    bags = bags_of_words(corpus.take(with_text), torch.device("cpu"))
    total = torch.bincount(bags.column, weights=bags.value, minlength=bags.n_columns)
    mean = total.float() / bags.n_rows

    # A mean of 0 or 1 would have an infinite bias.
    return nn.Parameter(torch.logit(mean, eps=1e-4))


@dataclass(kw_only=True, eq=False)
class CDL(TextModel):
    """U_u · V_i, V_i ~ N(X_{L/2,i}, 1/λ_v), where X_{L/2} is an autoencoder's code of the text."""

    reg_user: float = 0.52  # lambda_U
    reg_item: float = 0.36  # lambda_V
    reg_power: float = 0.7
    offsets: bool = True
    hidden: tuple[int, ...] = setting((200,), at_least=1)  # layers from words to code, and back
    activation: str = setting("sigmoid", one_of=tuple(ACTIVATIONS))  # of the encoder's layers
    reconstruction: float = setting(1.0, at_least=0)  # lambda_n: weight of words' squared errors
    reg_weights: float = setting(1e-4, at_least=0)  # lambda_W: on weights and biases
    noise: float = share(0.3)  # share of a text's words that are masked
    dropout: float = share(0.1)  # share of each layer that is dropped
    pretrain_epochs: int = setting(0, at_least=0)  # on the words alone, before the first turn
    text_epochs: int = setting(2, at_least=1)  # of the autoencoder, after each turn of the factors
    batch_size: int = setting(128, at_least=1)  # texts
    # How the autoencoder learns
    optimizer: str = setting("adam", one_of=BY_RATE)
    learning_rate: float = setting(0.001, above=0)  # of the autoencoder

    @override
    def check(self) -> None:
        super().check()
        if not self.hidden:
            raise SettingError("hidden is empty; name one width at least, such as hidden=(200,).")

    @override
    def network_numbers(self, n_words: int) -> int:
        weights = 2 * n_words * self.hidden[0]
        bags_of_a_batch = n_words * self.batch_size
        return weights + bags_of_a_batch

    @override
    def encoder(self, corpus: Corpus, k: int) -> SDAE:
        return SDAE(corpus, self, k)

    @override
    def weight(self, train: Ratings) -> Tensor:
        # λ_v, so that the factors and the autoencoder have one objective.
        return self.item_reg(train)

    @override
    def prior(self, train: Ratings) -> TextPrior:
        if self.pretrain_epochs:
            # With a weight of 0 on every item's factors, only the words are learned.
            item = self.net_.item
            without_weight = torch.zeros_like(item[:, 0])
            pretraining = self._text_prior(train, self.pretrain_epochs)
            pretraining.learn(torch.zeros_like(item), without_weight)

        return self._text_prior(train, self.text_epochs)

    def _text_prior(self, train: Ratings, epochs: int) -> TextPrior:
        assert train.text is not None
        return TextPrior(
            self.net_.text,
            train.text,
            device=self.net_.item.device,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            epochs=epochs,
            include_unrated=True,
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
