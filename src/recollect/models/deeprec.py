"""DeepRec: a deep autoencoder on a user's ratings, trained on its own dense output too.

Source: Kuchaiev, Ginsburg. "Training Deep AutoEncoders for Collaborative Filtering." 2017, arXiv:1708.01715.
Differs: the last batch of an epoch is trained on (the authors' code drops it, even a full one); the error of an epoch is over its
ratings, not a mean over batches; the fit stops by the validation error (the authors chose a checkpoint by it); predictions are
clipped to the scale; cold pairs are predicted and counted (the paper leaves them out); a true rating of 0 is seen; a bounded
last activation is stretched onto the scale. Re-fed rows are their own target, as in the paper and its code; the first author
wrote later that the target stays what was observed: that is `refeed_target="input"`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.errors import SettingError, unknown
from recollect.kernels import Block
from recollect.memory import Memory, Shape, of_rows
from recollect.nn import (
    ACTIVATIONS,
    Mirrored,
    ObservedOutput,
    OntoScale,
    SparseInput,
    TiedOutput,
    activation,
    check_share,
    dense_layer,
    glorot,
)
from recollect.rowmodel import BLOCK_RATINGS, BLOCK_ROWS, RowModel
from recollect.run import Run
from recollect.training import loop
from recollect.training.losses import squared_error
from recollect.training.watch import History

TARGETS = ("output", "input")
BELOW_ANY_RATING = ("identity", "lrelu")    # activations that can say how far someone is below their mean


class Network(nn.Module):
    """Encoder, code with dropout, decoder: affine maps, each followed by the same activation."""

    def __init__(self, n_columns: int, settings: DeepRec, scale: tuple[float, float]) -> None:
        super().__init__()
        down, up = settings.layers
        self.input = glorot(SparseInput(n_columns, down[0]))
        self.encoder = nn.ModuleList(dense_layer(a, b) for a, b in pairwise(down))
        if settings.tied:
            self.decoder = nn.ModuleList(Mirrored(layer) for layer in reversed(self.encoder))  # type: ignore[arg-type]
            self.output: ObservedOutput = TiedOutput(self.input)
        else:
            self.decoder = nn.ModuleList(dense_layer(a, b) for a, b in pairwise((down[-1], *up)))
            self.output = glorot(ObservedOutput((*down, *up)[-1], n_columns))
        self.g = activation(settings.activation)
        self.f = OntoScale(settings.activation if settings.last_activation else "identity", scale)
        self.drop_code, self.drop_hidden = nn.Dropout(settings.dropout), nn.Dropout(settings.hidden_dropout)
        self.drop_input = settings.input_dropout

    def encode(self, block: Block) -> Tensor:
        """All layers but the last, for sparse rows: rows × hidden."""
        return self._hidden(self.input(block, drop=self.drop_input))

    def encode_dense(self, rows: Float[Tensor, "rows columns"]) -> Tensor:
        """The same for rows of which every cell is known."""
        return self._hidden(self.input.dense(rows))

    def decode(self, hidden: Tensor, at: Block | None = None, columns: Tensor | None = None) -> Tensor:
        """The last layer at the cells of `at`, or rows × these columns, or rows × all columns."""
        if columns is None:
            return self.f(self.output(hidden, at))
        return self.f(nn.functional.linear(hidden, self.output.weight[columns], self.output.bias[columns]))

    def _hidden(self, first: Tensor) -> Tensor:
        layers = [*self.encoder, *self.decoder]
        x = self._dropped(self.g(first), 0)
        for j, layer in enumerate(layers, start=1):
            x = self._dropped(self.g(layer(x)), j)
        return x

    def _dropped(self, x: Tensor, layer: int) -> Tensor:
        return (self.drop_code if layer == len(self.encoder) else self.drop_hidden)(x)

    def weights(self) -> list[Tensor]:
        """Every matrix once: all but the biases."""
        return [p for p in self.parameters() if p.ndim == 2]


@dataclass(kw_only=True, eq=False)
class DeepRec(RowModel):
    """A deep autoencoder on user rows (or item rows) with dropout on its code, by choice with dense re-feeding."""

    streams: ClassVar[bool] = True
    lighter: ClassVar[tuple[dict[str, Any], ...]] = ({"batch_size": 32},)

    side: Side = "user"                                 # what a row is
    hidden: int | tuple[int, ...] = (512, 512, 1024)    # sizes of the encoder's layers; the last one is the code
    decoder: tuple[int, ...] | None = None              # hidden sizes of the decoder; None: the encoder's, mirrored
    activation: str = "selu"                            # after every layer
    last_activation: bool = False                       # after the last one, too (the authors' code: by default)
    dropout: float = 0.8                                # share of the code dropped
    hidden_dropout: float = 0.0                         # share of every other hidden layer dropped
    input_dropout: float = 0.0                          # share of the input ratings dropped
    tied: bool = False                                  # decoder weights are the encoder's, transposed ("constrained")
    refeed: int = 0                                     # times a step's dense output is fed in again, with a step each
    refeed_target: str = "output"                       # what it should give: itself, or the ratings observed ("input")
    refeed_rate: float = 1.0                            # its gradient is multiplied by this: a learning rate of its own
    refeed_noise: float = 0.0                           # share of the re-fed numbers dropped
    refeed_share: float = 1.0                           # share of the outputs that its error is taken over, drawn each time
    optimizer: str = "sgd"
    learning_rate: float = 0.005
    momentum: float = 0.9                               # SGD only
    milestones: tuple[int, ...] = ()                    # epochs from which on the learning rate is multiplied by decay
    decay: float = 0.5
    batch_size: int = 128                               # rows
    state_bits: int = 32                                # Adam only: 16 halves the memory of its moments
    epochs: int = 100                                   # at most
    patience: int | None = 10                           # looks at the validation error without a gain before stopping
    look_every: int = 1                                 # epochs between looks

    @property
    def layers(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Hidden sizes of the encoder, the code's last, and of the decoder."""
        down = (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)
        return down, down[-2::-1] if self.decoder is None else tuple(self.decoder)

    @property
    def linear(self) -> bool:
        """See RowModel."""
        return not self.last_activation or self.activation == "identity"

    def check(self) -> None:
        """Refuse settings that cannot work."""
        down, up = self.layers
        if not down or min((*down, *up)) < 1:
            raise SettingError(f"hidden and decoder are sizes, each 1 or more; found {self.hidden} and {self.decoder}.")
        if self.side not in ("user", "item"):
            raise SettingError(f"side is \"user\" or \"item\", found {self.side!r}.")
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)
        if self.tied and up != down[-2::-1]:
            raise SettingError(f"tied=True gives the decoder the encoder's weights, so it mirrors it; found decoder={up} for "
                               f"hidden={down}: leave decoder out.")
        for name in ("dropout", "hidden_dropout", "input_dropout", "refeed_noise"):
            check_share(name, getattr(self, name))
        if self.center and self.last_activation and self.activation not in BELOW_ANY_RATING:
            raise SettingError(f"center=True needs outputs far below 0, which {self.activation} does not give; use "
                               "last_activation=False.")
        if self.reg < 0:
            raise SettingError(f"reg is 0 or more, found {self.reg}.")
        if self.optimizer == "lbfgs":
            raise SettingError("DeepRec learns in batches, with dropout, which L-BFGS cannot; use optimizer=\"sgd\" or \"adam\".")
        self._check_refeeding()
        self.plan().check()

    def _check_refeeding(self) -> None:
        if self.refeed < 0 or self.refeed_rate <= 0 or not 0 < self.refeed_share <= 1:
            raise SettingError("refeed is a number of times, 0 or more, refeed_rate is above 0, refeed_share above 0 and at most "
                               f"1; found {self.refeed}, {self.refeed_rate} and {self.refeed_share}.")
        if self.refeed_target not in TARGETS:
            raise unknown("refeed_target", self.refeed_target, TARGETS)
        if self.refeed_target == "input" and self.refeed_share < 1:
            raise SettingError("refeed_share draws from all outputs, and with refeed_target=\"input\" only observed ones count; "
                               "leave it out.")

    def plan(self) -> loop.Plan:
        """The training part of the settings."""
        return loop.Plan(epochs=self.epochs, optimizer=self.optimizer, learning_rate=self.learning_rate,
                         momentum=self.momentum, milestones=tuple(self.milestones), decay=self.decay,
                         batch_size=self.batch_size, state_bits=self.state_bits, patience=self.patience,
                         look_every=self.look_every, mixed=True)

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """The network before learning; n = 17,768 and hidden=(128, 128): 4,599,528 numbers."""
        return Network(n_users if self.side == "item" else n_items, self, self.given_.scale)

    def one_fit(self, shape: Shape, run: Run) -> Memory:
        """See Model."""
        down, up = self.layers
        return of_rows(shape, run, side=self.side, hidden=(*down, *up), plan=self.plan(), block_rows=BLOCK_ROWS,
                       block_ratings=BLOCK_RATINGS, dense=4 if self.refeed else 0)

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Minimise the squared error per batch, and that of re-feeding after it."""
        rows = train.rows(self.side)
        return loop.fit(self.net_, rows.less(self.middles(rows)), self.loss, run, self.plan(), penalty=self.penalty,
                        measure=self.validation(train, valid),
                        belongs_to=self.identity(train, valid), hint=self._hint())

    def loss(self, net: Network, rows: Block) -> Iterator[loop.Step]:
        """Σ over observed cells of (r − f(r))²; then, after the optimiser's step, that of f(r) fed in again."""
        hidden = net.encode(rows)
        fed = self._output(net, hidden) if self.refeed else None
        yield squared_error(net.decode(hidden, at=rows), rows.value)  # type: ignore[arg-type]
        for again in range(self.refeed):
            assert fed is not None
            fed = nn.functional.dropout(fed, self.refeed_noise) if self.refeed_noise else fed
            hidden = net.encode_dense(fed)
            target, fed = fed, self._output(net, hidden) if again + 1 < self.refeed else None
            if self.refeed_target == "input":
                yield *squared_error(net.decode(hidden, at=rows), rows.value), self.refeed_rate  # type: ignore[arg-type]
            else:
                yield *self._against(net, hidden, target), self.refeed_rate

    @torch.no_grad()
    def _output(self, net: Network, hidden: Tensor) -> Tensor:
        return net.decode(hidden)

    def _against(self, net: Network, hidden: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """Σ (target − output)² over the share of the columns that is drawn, without what noise has taken away; and how many."""
        n, columns = target.shape[1], None
        if self.refeed_share < 1:
            columns = torch.randperm(n, device=target.device)[:max(1, round(self.refeed_share * n))]
            target = target[:, columns]
        difference = net.decode(hidden, columns=columns).float() - target.float()
        if self.refeed_noise:
            kept = target != 0
            return (difference * kept).square().sum(), int(kept.sum())
        return difference.square().sum(), difference.numel()

    def penalty(self, net: Network) -> list[tuple[Tensor, float]]:
        """λ/2 · ‖W‖² of every matrix, as far as there is a λ."""
        return [(weight, self.reg) for weight in net.weights()] if self.reg else []

    def _hint(self) -> str:
        """What else is known to make a fit like this one break down."""
        down, _ = self.layers
        if self.refeed and down[-1] < down[0]:
            return "Re-feeding through layers that narrow is known to run away: let them widen, or leave refeed out."
        return ""
