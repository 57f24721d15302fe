"""Mult-VAE: a variational autoencoder of events, with the changes of RecVAE as settings.

    q(z | x) = N(μ(x), diag σ²(x)),   π = softmax(decoder(z))
    minimizing  Σ_u −Σ_i x_ui log π_ui + β KL(q(z | x_u) ‖ p(z))                    equation 6

Source: Liang, Krishnan, Hoffman, Jebara. "Variational Autoencoders for Collaborative Filtering."
WWW 2018. Shenbin, Alekseev, Tutubalina, Malykh, Nikolenko. "RecVAE: A New Variational Autoencoder
for Top-N Recommendations with Implicit Feedback." WSDM 2020 (`dense`, `prior`, `gamma`,
`encoder_epochs`).
Differs: biases start at 0; the loss of a batch is divided by its events instead of its users, which
Adam does not feel; every user with events is learned from. Of RecVAE: the old encoder starts as a
copy of the encoder, and without `encoder_epochs` it is renewed after each pass (never, in the
authors' code); weights start by Glorot's rule.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.errors import SettingError
from recollect.families import event_rows
from recollect.families.event_columns import UPDATABLE, solve_new_items
from recollect.families.event_rows import COUNTS
from recollect.families.gradient_row_model import GradientRowModel
from recollect.families.row_updates import learn_columns
from recollect.kernels import Block
from recollect.memory_estimate import Memory, Shape
from recollect.model import Capabilities
from recollect.models.multvae.divergence import kl_to_standard, sampled_kl_to_composite
from recollect.models.multvae.network import Encoder, Network
from recollect.models.multvae.schedule import Schedule, Turn
from recollect.nn import ACTIVATIONS, layer_sizes
from recollect.online.change import Change
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting, share
from recollect.training.gradient_options import GradientOptions
from recollect.training.history import History
from recollect.training.losses import multinomial_loss
from recollect.unseen import BLOCK_CELLS


@dataclass(kw_only=True, eq=False)
class MultVAE(GradientRowModel):
    """A variational autoencoder on users' rows of events, to rank items."""

    side: Side = "user"  # what a row is; no other value is allowed

    # Sizes of the encoder's hidden layers, first to last
    hidden: int | tuple[int, ...] = setting(600, at_least=1)
    # Hidden sizes of the decoder; None: the encoder's in reverse order; none at all: it is linear
    decoder: int | tuple[int, ...] | None = setting(None, at_least=1)
    factors: int = setting(200, at_least=1)  # k: length of the code
    activation: str = setting("tanh", one_of=tuple(ACTIVATIONS))  # of every hidden layer
    input_dropout: float = share(0.5)  # share of the input events dropped
    # How a count enters input and loss: as it is, as log(1 + count), or as 1
    counts: str = setting("binary", one_of=COUNTS)
    normalize: bool = True  # each input row is divided by its Euclidean length
    beta: float = setting(0.2, at_least=0)  # weight of the KL once it is annealed
    # Steps (batches) in which that weight rises linearly from 0; 0: it is full from the first on
    anneal_steps: int = setting(200, at_least=0)

    # RecVAE: a user's KL is weighted by gamma times their events; None: by beta
    gamma: float | None = setting(None, above=0)
    # RecVAE: "composite", a mixture of the standard normal, the old posterior and a wide normal
    prior: str = setting("normal", one_of=("normal", "composite"))
    # RecVAE: passes that train the encoder alone, before each that trains the decoder alone,
    # without dropout; 0: every pass trains both
    encoder_epochs: int = setting(0, at_least=0)
    # RecVAE: each hidden layer of the encoder also takes the outputs of all before it, and is
    # normalized
    dense: bool = False

    reg: float = setting(0.0, at_least=0)  # lambda on every weight matrix
    valid_n: int = setting(100, at_least=1)  # stopped by the NDCG of lists of this length
    # In batches and with random codes, so neither L-BFGS nor Rprop
    optimizer: str = setting("adam", one_of=("sgd", "adam", "rmsprop"))
    learning_rate: float = setting(0.001, above=0)
    momentum: float = 0.9  # SGD only
    batch_size: int = setting(500, at_least=1)  # users
    state_bits: int = 32  # Adam only: 16 halves the memory of its moments
    refit: bool = True
    epochs: int = setting(200, at_least=0)  # at most; an epoch is a pass over the users
    # Validations without a gain before the fit stops; None: never stop early
    patience: int | None = setting(10, at_least=1)
    validate_every: int = setting(1, at_least=1)  # epochs between validations

    @property
    @override
    def capabilities(self) -> Capabilities:
        return dataclasses.replace(event_rows.CAPABILITIES, counts=self.counts != "binary")

    @property
    def encoder_and_decoder(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Sizes of the hidden layers of the encoder and of the decoder."""
        encoder = layer_sizes(self.hidden)
        if self.decoder is None:
            return encoder, encoder[::-1]

        if isinstance(self.decoder, int):
            return encoder, (self.decoder,)

        return encoder, tuple(self.decoder)

    @property
    @override
    def layers(self) -> tuple[int, ...]:
        encoder, decoder = self.encoder_and_decoder
        return (*encoder, self.factors, *decoder)

    @property
    @override
    def linear(self) -> bool:
        return True

    @property
    @override
    def dense_matrices(self) -> int:
        return event_rows.DENSE_MATRICES

    @property
    @override
    def ranked_cells(self) -> int:
        return BLOCK_CELLS

    @override
    def options(self) -> GradientOptions:
        """The settings of the optimizer."""
        return GradientOptions.of(self, mixed=True)

    @override
    def check(self) -> None:
        super().check()
        event_rows.check_required(self, event_rows.REQUIRED, what="multvae")
        encoder, _ = self.encoder_and_decoder
        if self.dense and len(set(encoder)) > 1:
            raise SettingError(
                "dense=True adds up the outputs of the encoder's layers, so they need one size; "
                f"found hidden={encoder}."
            )

        if self.gamma is not None and self.beta != type(self).beta:
            raise SettingError(
                f"gamma={self.gamma} takes the place of beta, found beta={self.beta}; leave one "
                "of the two out."
            )

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        memory = super().estimate_memory(shape, run)
        if self.prior != "composite":
            return memory

        encoder, _ = self.encoder_and_decoder
        sizes = (shape.n_items, *encoder, 2 * self.factors)
        numbers = sum(a * b + b for a, b in pairwise(sizes))
        # The best weights by validation have a copy.
        copies = 2 if shape.n_valid else 1
        old = {"old encoder": 4 * numbers * copies}
        if memory.device:
            return dataclasses.replace(memory, device={**memory.device, **old})

        return dataclasses.replace(memory, host={**memory.host, **old})

    @override
    def build(self, n_users: int, n_items: int) -> Network:
        hidden, decoder = self.encoder_and_decoder
        encoder = Encoder(n_items, hidden, self.factors, g=self.activation, dense=self.dense)
        return Network(
            n_items,
            encoder,
            decoder,
            factors=self.factors,
            g=self.activation,
            input_values=partial(
                event_rows.input_values, counts=self.counts, normalize=self.normalize
            ),
        )

    @property
    @override
    def updatable(self) -> Updatable:
        return UPDATABLE

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        return learn_columns(self, change, before, solve_new_items)

    def schedule(self, train: AnyRatings) -> Schedule:
        """What each step does on these events."""
        n_rows = int(np.count_nonzero(train.count("user")))
        return Schedule(
            batches=max(1, -(-n_rows // self.batch_size)),  # rounded up
            encoder_epochs=self.encoder_epochs,
            anneal_steps=self.anneal_steps,
        )

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Minimize equation 6."""
        net: Network = self.net_
        net.start(keep_encoder=self.prior == "composite")
        history = self.minimize(
            partial(self.step, self.schedule(train)),
            train,
            valid,
            run,
            measure=event_rows.ndcg_of_valid(self, train, valid, n=self.valid_n),
            figure="train_loss",
        )
        net.finish()

        return history

    def step(self, schedule: Schedule, net: Network, rows: Block) -> tuple[Tensor, int]:
        """The loss of a batch, and the number of its events.

        Args:
            schedule: what each step does.
            net: the network in training, which counts the steps.
            rows: the batch.
        """
        number = net.next_step()
        turn = schedule.turn(number)
        if turn.copies:
            net.keep_encoder()

        net.learn_only(encoder=turn.encoder, decoder=turn.decoder)
        weight = schedule.annealed(number) * self.kl_weight(rows)

        return self.loss(net, rows, weight, turn)

    def kl_weight(self, rows: Block) -> Float[Tensor, " rows"]:
        """The full weight of each row's KL: β, or γ times the row's events."""
        count = event_rows.transformed_counts(rows, self.counts)
        if self.gamma is None:
            return count.new_full((rows.n_rows,), self.beta)

        return self.gamma * event_rows.row_sums(rows, count)

    def loss(
        self, net: Network, rows: Block, weight: Float[Tensor, " rows"], turn: Turn
    ) -> tuple[Tensor, int]:
        """−Σ x log π + Σ weight · KL over the rows, and the number of events.

        Args:
            net: the network in training.
            rows: the batch.
            weight: of each row's KL.
            turn: what is trained.
        """
        drop = self.input_dropout if turn.encoder else 0.0
        mean, log_variance = net.posterior(rows, drop)
        z = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        out = net.decode(net.hidden(z))
        row = rows.rows.row_of_cells()
        count = event_rows.transformed_counts(rows, self.counts)
        # A layer may compute in 16 bits, in which sums over whole rows would lose digits.
        error, n = multinomial_loss(out.float(), row, rows.column.long(), count)
        if self.prior == "normal":
            kl = kl_to_standard(mean, log_variance)
        else:
            kl = sampled_kl_to_composite(z, mean, log_variance, *net.old_posterior(rows))

        return error + (weight * kl).sum(), n

    @override
    def penalty(self, net: Network) -> list[tuple[Tensor, float]]:
        """λ/2 · Σ ‖W‖² over the weight matrices that the step changes; none if λ is 0."""
        if not self.reg:
            return []

        matrices = [p for p in net.parameters() if p.ndim == 2]
        return [(matrix, self.reg) for matrix in matrices if matrix.grad is not None]


# The settings of the paper, where the defaults are others: those of MovieLens 20M.
PAPER = {"anneal_steps": 40000}

# Further settings by name, for `like`: those of RecVAE on MovieLens 20M.
PRESETS = {
    "recvae": {
        "hidden": (600, 600, 600, 600, 600),
        "decoder": (),
        "activation": "swish",
        "dense": True,
        "prior": "composite",
        "gamma": 0.005,
        "anneal_steps": 0,
        "encoder_epochs": 3,
        "learning_rate": 0.0005,
        "validate_every": 4,
    }
}

# Settings that learn planted events in a moment, for the tests of all models.
QUICK = {
    "hidden": 16,
    "factors": 6,
    "input_dropout": 0.3,
    "learning_rate": 0.02,
    "batch_size": 20,
    "anneal_steps": 40,
    "epochs": 30,
    "refit": False,
}
