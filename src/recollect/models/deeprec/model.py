"""DeepRec: a deep autoencoder on a user's ratings, trained on its own dense output too; or on a user's events, to rank.

Source: Kuchaiev, Ginsburg. "Training Deep AutoEncoders for Collaborative Filtering." 2017, arXiv:1708.01715.
Differs: the last batch of an epoch is trained on (the authors' code drops it, even a full one); the error of an epoch is over its
ratings, not a mean over batches; the fit stops by the validation error (the authors chose a checkpoint by it); predictions are
clipped to the scale; cold pairs are predicted and counted (the paper leaves them out); a true rating of 0 is seen; a bounded
last activation is stretched onto the scale. Re-fed rows are their own target, as in the paper and its code; the first author
wrote later that the target stays what was observed: that is `refeed_target="input"`. Events are not in the paper: their input
and the multinomial loss are those of Mult-DAE (Liang, Krishnan, Hoffman, Jebara. "Variational Autoencoders for Collaborative
Filtering." WWW 2018), the weighted one is that of Hu, Koren, Volinsky ("Collaborative Filtering for Implicit Feedback Datasets."
ICDM 2008).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.errors import DataError, SettingError, unknown
from recollect.families.row_model import BLOCK_RATINGS, BLOCK_ROWS, RowModel
from recollect.kernels import Block
from recollect.memory_estimate import Memory, Shape, of_rows
from recollect.model import BLOCK_CELLS, Capabilities
from recollect.nn import (
    ACTIVATIONS,
    Dropout,
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
from recollect.ranking import mean_ndcg
from recollect.run import Run
from recollect.settings import setting
from recollect.training import gradient
from recollect.training.history import History, ValidationMetric
from recollect.training.losses import logistic_loss, multinomial_loss, squared_error, weighted_error

LOSSES = ("ratings", "weighted", "logistic", "multinomial")
COUNTS = ("plain", "log", "binary")
ONLY_FOR = {
    "alpha": ("weighted",),
    "absent_weight": ("weighted", "logistic"),
    "counts": LOSSES[1:],
    "normalize": LOSSES[1:],
    "valid_n": LOSSES[1:],
}
TARGETS = ("output", "input")
BELOW_ANY_RATING = (
    "identity",
    "lrelu",
)  # activations that can say how far someone is below their mean


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
        self.f = (
            nn.Sigmoid()
            if settings.loss == "logistic"
            else OntoScale(settings.activation if settings.last_activation else "identity", scale)
        )
        self.events = settings.loss != "ratings"
        self.counts, self.normalize = settings.counts, settings.normalize
        self.drop_code, self.drop_hidden = (
            Dropout(settings.dropout),
            Dropout(settings.hidden_dropout),
        )
        self.drop_input = settings.input_dropout

    def encode(self, block: Block) -> Tensor:
        """All layers but the last, for sparse rows: rows × hidden."""
        value = self._event_input(block) if self.events else None
        return self._hidden(self.input(block, value=value, drop=self.drop_input))

    def strength(self, block: Block) -> Tensor:
        """What the count of each event counts as."""
        assert block.value is not None
        return {
            "plain": block.value,
            "log": block.value.log1p(),
            "binary": torch.ones_like(block.value),
        }[self.counts]

    def _event_input(self, block: Block) -> Tensor:
        strength = self.strength(block)
        if not self.normalize:
            return strength
        row = _row_of_each(block)
        return (
            strength
            / strength.new_zeros(block.n_rows).index_add_(0, row, strength.square()).sqrt()[row]
        )

    def encode_dense(self, rows: Float[Tensor, "rows columns"]) -> Tensor:
        """The same for rows of which every cell is known."""
        return self._hidden(self.input.dense(rows))

    def decode(
        self, hidden: Tensor, at: Block | None = None, columns: Tensor | None = None
    ) -> Tensor:
        """The last layer at the cells of `at`, or rows × these columns, or rows × all columns."""
        if columns is None:
            return self.f(self.output(hidden, at))
        return self.f(
            nn.functional.linear(hidden, self.output.weight[columns], self.output.bias[columns])
        )

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


def _row_of_each(block: Block) -> Tensor:
    """The row of each cell."""
    return torch.arange(block.n_rows, device=block.device).repeat_interleave(
        block.rows.start.diff().long()
    )


@dataclass(kw_only=True, eq=False)
class DeepRec(RowModel):
    """A deep autoencoder on user rows (or item rows) with dropout on its code, by choice with dense re-feeding, or for events."""

    side: Side = "user"  # what a row is
    hidden: int | tuple[int, ...] = (
        512,
        512,
        1024,
    )  # sizes of the encoder's layers; the last one is the code
    decoder: int | tuple[int, ...] | None = (
        None  # hidden sizes of the decoder; None: the encoder's, mirrored
    )
    activation: str = "selu"  # after every layer
    last_activation: bool = False  # after the last one, too (the authors' code: by default)
    dropout: float = 0.8  # share of the code dropped
    hidden_dropout: float = 0.0  # share of every other hidden layer dropped
    input_dropout: float = 0.0  # share of the input ratings dropped
    tied: bool = False  # decoder weights are the encoder's, transposed ("constrained")
    loss: str = "ratings"  # for events: "weighted", "logistic" or "multinomial", over whole rows
    alpha: float = 10.0  # weighted only: an event counts 1 + alpha · count
    absent_weight: float = 1.0  # weighted and logistic: what an absent event counts
    counts: str = "plain"  # events: a count counts as it is, as "log" (1 + count), or "binary" (1)
    normalize: bool = True  # events: each row's counts have length 1 (L2) on the way in
    valid_n: int = 100  # events: length of the lists by whose NDCG the fit stops
    refeed: int = 0  # times a step's dense output is fed in again, with a step each
    refeed_target: str = "output"  # what it should give: itself, or the ratings observed ("input")
    refeed_rate: float = 1.0  # its gradient is multiplied by this: a learning rate of its own
    refeed_noise: float = 0.0  # share of the re-fed numbers dropped
    refeed_share: float = 1.0  # share of the outputs that its error is taken over, drawn each time
    optimizer: str = "sgd"
    learning_rate: float = 0.005
    momentum: float = 0.9  # SGD only
    milestones: tuple[
        int, ...
    ] = ()  # epochs from which on the learning rate is multiplied by decay
    decay: float = 0.5
    batch_size: int = 128  # rows
    state_bits: int = 32  # Adam only: 16 halves the memory of its moments
    epochs: int = 100  # at most
    patience: int | None = 10  # looks at the validation error without a gain before stopping
    validate_every: int = setting(1, at_least=1, formerly="look_every")  # epochs between looks

    @property
    def layers(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Hidden sizes of the encoder, the code's last, and of the decoder."""
        down = (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)
        if self.decoder is None:
            return down, down[-2::-1]
        return down, (self.decoder,) if isinstance(self.decoder, int) else tuple(self.decoder)

    @property
    @override
    def capabilities(self) -> Capabilities:
        smaller = ({"batch_size": 32},)
        if self.loss == "ratings":
            return Capabilities(streams=True, smaller=smaller)
        return Capabilities(
            output="scores", needs=frozenset({"events"}), streams=True, smaller=smaller
        )

    @property
    def linear(self) -> bool:
        """See RowModel."""
        return not self.last_activation or self.activation == "identity"

    def check(self) -> None:
        """Refuse settings that cannot work."""
        down, up = self.layers
        if not down or min((*down, *up)) < 1:
            raise SettingError(
                f"hidden and decoder are sizes, each 1 or more; found {self.hidden} and {self.decoder}."
            )
        if self.side not in ("user", "item"):
            raise SettingError(f'side is "user" or "item", found {self.side!r}.')
        if self.activation not in ACTIVATIONS:
            raise unknown("activation", self.activation, ACTIVATIONS)
        if self.tied and up != down[-2::-1]:
            raise SettingError(
                f"tied=True gives the decoder the encoder's weights, so it mirrors it; found decoder={up} for "
                f"hidden={down}: leave decoder out."
            )
        for name in ("dropout", "hidden_dropout", "input_dropout", "refeed_noise"):
            check_share(name, getattr(self, name))
        if self.center and self.last_activation and self.activation not in BELOW_ANY_RATING:
            raise SettingError(
                f"center=True needs outputs far below 0, which {self.activation} does not give; use "
                "last_activation=False."
            )
        if self.reg < 0:
            raise SettingError(f"reg is 0 or more, found {self.reg}.")
        if self.optimizer == "lbfgs":
            raise SettingError(
                'DeepRec learns in batches, with dropout, which L-BFGS cannot; use optimizer="sgd" or "adam".'
            )
        self._check_refeeding()
        self._check_events()
        self.options().check()

    def _check_events(self) -> None:
        for name, known in (("loss", LOSSES), ("counts", COUNTS)):
            if getattr(self, name) not in known:
                raise unknown(name, getattr(self, name), known)
        for name, losses in ONLY_FOR.items():
            if self.loss not in losses and getattr(self, name) != getattr(type(self), name):
                raise SettingError(
                    f"{name}={getattr(self, name)} is for loss={' or '.join(map(repr, losses))} only, found loss="
                    f"{self.loss!r}; leave it out, or change the loss."
                )
        if self.alpha < 0 or self.absent_weight <= 0 or self.valid_n < 1:
            raise SettingError(
                "alpha is 0 or more, absent_weight above 0 and valid_n 1 or more; found "
                f"{self.alpha}, {self.absent_weight} and {self.valid_n}."
            )
        usual = {"side": "user", "center": False, "last_activation": False, "refeed": 0}
        if self.loss != "ratings" and (
            other := [name for name, value in usual.items() if getattr(self, name) != value]
        ):
            raise SettingError(
                f"loss={self.loss!r} is on users' rows and its outputs are no ratings: it needs "
                f"{', '.join(f'{name}={usual[name]!r}' for name in other)}; leave {' and '.join(other)} out."
            )

    def _check_refeeding(self) -> None:
        if self.refeed < 0 or self.refeed_rate <= 0 or not 0 < self.refeed_share <= 1:
            raise SettingError(
                "refeed is a number of times, 0 or more, refeed_rate is above 0, refeed_share above 0 and at most "
                f"1; found {self.refeed}, {self.refeed_rate} and {self.refeed_share}."
            )
        if self.refeed_target not in TARGETS:
            raise unknown("refeed_target", self.refeed_target, TARGETS)
        if self.refeed_target == "input" and self.refeed_share < 1:
            raise SettingError(
                'refeed_share draws from all outputs, and with refeed_target="input" only observed ones count; '
                "leave it out."
            )

    def options(self) -> gradient.GradientOptions:
        """The training part of the settings."""
        return gradient.GradientOptions(
            epochs=self.epochs,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            milestones=tuple(self.milestones),
            decay=self.decay,
            batch_size=self.batch_size,
            state_bits=self.state_bits,
            patience=self.patience,
            validate_every=self.validate_every,
            mixed=True,
        )

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """The network before learning; n = 17,768 and hidden=(128, 128): 4,599,528 numbers."""
        return Network(n_users if self.side == "item" else n_items, self, self.given_.scale)

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model."""
        down, up = self.layers
        return of_rows(
            shape,
            run,
            side=self.side,
            hidden=(*down, *up),
            plan=self.options(),
            block_rows=BLOCK_ROWS,
            block_ratings=BLOCK_RATINGS,
            dense=4 if self.refeed else 0 if self.loss == "ratings" else 5,
            ranked=0 if self.loss == "ratings" else BLOCK_CELLS,
        )

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Minimize the squared error per batch, and that of re-feeding after it; or the loss of the events."""
        rows, events = train.rows(self.side), self.loss != "ratings"
        return gradient.fit(
            self.net_,
            rows.minus(self.row_means(rows)),
            self.steps,
            run,
            self.options(),
            penalty=self.penalty,
            measure=self._ranking(train, valid) if events else self.validation(train, valid),
            figure="train_loss" if events else "train_rmse",
            fit_key=self.fit_key(train, valid),
            hint=self._hint(),
        )

    def _ranking(self, train: AnyRatings, valid: Ratings | None) -> ValidationMetric | None:
        """NDCG of the validation events, train's being known; None without any.

        Raises: DataError if nobody has both: the figure would stand still.
        """
        if valid is None or not len(valid):
            return None
        if not (train.count("user")[valid.user] > 0).any():
            raise DataError(
                "Nobody in valid has an event in train, so all would be ranked alike, epoch by epoch; take valid "
                "from the same people: random_split(train, test=0.05), or leave it out."
            )
        return ValidationMetric(
            f"valid_ndcg@{self.valid_n}",
            partial(mean_ndcg, self, valid, train, n=self.valid_n),
            better="higher",
        )

    def steps(self, net: Network, rows: Block) -> Iterator[gradient.Step]:
        """Σ over observed cells of (r − f(r))²; then, after the optimizer's step, that of f(r) fed in again. Events: one loss."""
        hidden = net.encode(rows)
        if self.loss != "ratings":
            yield self._of_events(net, hidden, rows)
            return
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

    def _of_events(self, net: Network, hidden: Tensor, rows: Block) -> tuple[Tensor, int]:
        """The loss over every cell of the rows, before f."""
        out, row, column, strength = (
            net.output(hidden).float(),
            _row_of_each(rows),
            rows.column.long(),
            net.strength(rows),
        )
        if self.loss == "weighted":
            return weighted_error(
                out, row, column, strength, alpha=self.alpha, absent=self.absent_weight
            )
        if self.loss == "logistic":
            return logistic_loss(out, row, column, absent=self.absent_weight)
        return multinomial_loss(out, row, column, strength)

    @torch.no_grad()
    def _output(self, net: Network, hidden: Tensor) -> Tensor:
        return net.decode(hidden)

    def _against(self, net: Network, hidden: Tensor, target: Tensor) -> tuple[Tensor, int]:
        """Σ (target − output)² over the share of the columns that is drawn, without what noise has taken away; and how many."""
        n, columns = target.shape[1], None
        if self.refeed_share < 1:
            columns = torch.randperm(n, device=target.device)[
                : max(1, round(self.refeed_share * n))
            ]
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


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {
    "hidden": (12, 16),
    "dropout": 0.2,
    "center": True,
    "optimizer": "adam",
    "learning_rate": 0.03,
    "batch_size": 40,
    "epochs": 30,
}
