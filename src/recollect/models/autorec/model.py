"""AutoRec: an autoencoder that completes one row of the rating matrix.

    h(r) = f(W · g(V r + mu) + b)                                                    equation 1
    minimizing  Σ over rows ‖r − h(r)‖²_Ω  +  λ/2 · (‖W‖² + ‖V‖²)                    equation 2

Source: Sedhain, Menon, Sanner, Xie. "AutoRec: Autoencoders Meet Collaborative Filtering." WWW 2015.
Differs: by default the bias model's offset of the row is added to h(r), b starts as its offsets of
the columns, and W as 0, so that the network learns what the offsets leave (`offsets=False` is the
paper's form: everything is learned from small random numbers); trained by L-BFGS by default (the
paper used resilient propagation, the authors' code either), stopped by the validation error;
predictions are clipped to the scale (as in the authors' code); Rprop's steps grow by 1.2 throughout
(the authors' code: by 5 at first); of a deep network the middle is pretrained at once, not layer by
layer; a bounded output is stretched onto the scale; an unknown user or item gets what the other
one's offset says, as in every model, where the paper predicts 3 (`cold="middle"`); new users of an
item-side network are folded in by ridge regression, which the paper leaves open. The authors'
shipped settings threshold the hidden code, which the paper does not mention: `binary_code`, off by
default.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError
from recollect.families.gradient_row_model import GradientRowModel
from recollect.families.row_updates import learn_columns, solve_rating_columns, updatable_rows
from recollect.families.starting import (
    SMALL,
    ratings_per_row,
    scale_input,
    start_from_offsets,
)
from recollect.kernels import Block
from recollect.model import Capabilities
from recollect.models.autorec.network import Network
from recollect.models.autorec.pretraining import train_to_give_back
from recollect.nn import ACTIVATIONS, BOUNDED, ScaledActivation, layer_sizes
from recollect.online.change import Change
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting, share
from recollect.training.history import History
from recollect.training.losses import squared_error

log = logging.getLogger("recollect")

PER_RATING = 4.0  # λ of V for each rating of a mean row: docs/log.md says how it was chosen


@dataclass(kw_only=True, eq=False)
class AutoRec(GradientRowModel):
    """An autoencoder on item rows (I-AutoRec) or user rows (U-AutoRec)."""

    hidden: int | tuple[int, ...] = setting(500, at_least=1)  # k; a tuple makes the network deep
    hidden_activation: str = setting("sigmoid", one_of=tuple(ACTIVATIONS))  # g
    output_activation: str = setting("identity", one_of=tuple(ACTIVATIONS))  # f
    refit: bool = True
    reg: float = 400.0  # lambda of equation 2; the authors' code calls it 100
    # lambda of V alone; None: with offsets 4 times the mean ratings of a row, else `reg`
    reg_input: float | None = setting(None, at_least=0)
    # lambda of the matrices between hidden layers
    reg_between: float = setting(30.0, at_least=0)
    # Whether the bias model's offsets are added to what the network gives; None: where the output
    # is linear, neither `center` nor mask=False
    offsets: bool | None = setting(None, before=False)
    # Of a deep network whose last hidden layer is as large as its first: a shallow one and the
    # middle are trained first
    pretrain: bool = True
    pretrain_epochs: int = setting(300, at_least=0)  # of the shallow network, at most
    dropout: float = share(0.0)  # share of each hidden layer dropped
    input_dropout: float = share(0.0)  # share of the input ratings dropped
    mask: bool = True  # False: unknown ratings count as 0 in the loss, to see what that ruins
    binary_code: bool = False  # hidden units are 0 or 1, with a straight-through gradient
    # Standard deviation of V and W before training; None: with offsets such that V r has one of
    # 1 (and W is 0), else 0.01
    init: float | None = setting(None, above=0, before=0.01)
    optimizer: str = "lbfgs"  # or "rprop", "adam", "sgd"
    epochs: int = setting(300, at_least=0)  # at most; an epoch of L-BFGS is one iteration
    learning_rate: float = setting(0.001, above=0)  # of Adam and SGD; the first step of Rprop
    batch_size: int | None = setting(None, at_least=1)  # rows; None: all at once
    lazy: bool = False  # Adam in batches: columns without a rating in the batch are not updated
    state_bits: int = 32  # Adam only: 16 halves the memory of its moments
    history: int = setting(4, at_least=1)  # pairs that L-BFGS remembers
    patience: int | None = setting(4, at_least=1)  # validations without a gain before stopping
    validate_every: int = setting(5, at_least=1, formerly="look_every")  # epochs between them

    @property
    @override
    def capabilities(self) -> Capabilities:
        smaller = (
            {"refit": False},
            {"history": 2},
            {"optimizer": "adam", "batch_size": 512},
        )
        return Capabilities(streams=True, smaller=smaller)

    @property
    @override
    def layers(self) -> tuple[int, ...]:
        return layer_sizes(self.hidden)

    @property
    @override
    def linear(self) -> bool:
        return self.output_activation == "identity"

    @property
    @override
    def has_offsets(self) -> bool:
        if self.offsets is None:
            return self.linear and self.mask and not self.center
        return self.offsets

    @override
    def check(self) -> None:
        super().check()
        layer_sizes(self.hidden)  # refuses an empty tuple
        if self.optimizer == "lbfgs" and (self.dropout or self.input_dropout):
            raise SettingError(
                "L-BFGS compares values of the objective, and dropout draws another objective each "
                'time; use optimizer="adam", "sgd" or "rprop", or no dropout.'
            )

        if self.center and self.output_activation in BOUNDED:
            raise SettingError(
                f"output_activation={self.output_activation!r} gives ratings within the scale, and "
                "center=True needs differences from a mean; use one of the two."
            )

        if self.offsets and (not self.linear or not self.mask or self.center):
            raise SettingError(
                'offsets=True needs output_activation="identity", mask=True and center=False, '
                f"found output_activation={self.output_activation!r}, mask={self.mask} and "
                f"center={self.center}; leave offsets out."
            )

        if not self.mask and (not self.linear or self.lazy):
            raise SettingError(
                'mask=False needs output_activation="identity" and lazy=False, found '
                f"output_activation={self.output_activation!r} and lazy={self.lazy}."
            )

    @override
    def build(self, n_users: int, n_items: int) -> Network:
        return Network(
            n_users if self.side == "item" else n_items,
            self.layers,
            g=self.hidden_activation,
            f=ScaledActivation(self.output_activation, self.given_.scale),
            std=self.init or SMALL,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            binary=self.binary_code,
            row_reg=self.row_reg if self.has_offsets else None,
        )

    @property
    def _pretrains(self) -> bool:
        """Whether a shallow network's codes pass through the middle layers before the fit."""
        return self.pretrain and len(self.layers) > 1 and self.layers[0] == self.layers[-1]

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Minimize equation 2."""
        net = self.net_
        if net.offsets is not None:
            self._start(net, train)

        if self._pretrains:
            self._pretrain(net, train, valid, run)

        return self.minimize(self.loss, train, valid, run, validate_start=self.has_offsets)

    def _start(self, net: Network, train: AnyRatings) -> None:
        """Start at the bias model's predictions."""
        start_from_offsets(net, train, self.side)
        if self.init is None:
            scale_input(net.input.weight, train, self.side)

    def _pretrain(self, net: Network, train: AnyRatings, valid: Ratings | None, run: Run) -> None:
        """Start the deep network as a shallow one whose codes pass through the middle layers.

        Only the fit after it keeps snapshots: a fit that is resumed repeats this one.
        """
        shallow = dataclasses.replace(self, hidden=self.layers[0])
        shallow.given_ = self.given_
        shallow._forget()
        shallow.net_ = shallow.build(train.n_users, train.n_items).to(self.device)
        options = dataclasses.replace(self.options(), epochs=self.pretrain_epochs)
        if self.has_offsets:
            self._start(shallow.net_, train)

        first_run = dataclasses.replace(run, folder=None, resume=False)
        self.pretrained_ = shallow.minimize(
            shallow.loss, train, valid, first_run, options=options, validate_start=self.has_offsets
        )
        codes, _ = shallow.codes(train)
        has_ratings = torch.as_tensor(train.count(self.side) > 0, device=self.device)
        unexplained = train_to_give_back(codes[has_ratings], list(net.between), net.g)
        log.info("the middle layers give back the codes but for %.1f%%", 100 * unexplained)
        net.input.load_state_dict(shallow.net_.input.state_dict())
        net.output.load_state_dict(shallow.net_.output.state_dict())

    @override
    def best_epochs(self) -> dict[str, Any]:
        epochs = super().best_epochs()
        if not self._pretrains:
            return epochs
        return {**epochs, "pretrain_epochs": self.pretrained_.best_epoch}

    @property
    @override
    def updatable(self) -> Updatable:
        if not self.mask:
            return super().updatable

        return updatable_rows(self.side)

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        return learn_columns(self, change, before, solve_rating_columns)

    def loss(self, net: Network, rows: Block) -> tuple[Tensor, int]:
        """‖r − h(r)‖²_Ω: the squared error over observed cells, and the number of them."""
        assert rows.value is not None
        h = net.encode(rows)
        predicted = net.decode(h, at=rows)  # one number per observed cell
        value = rows.value
        if net.offsets is not None:
            value = value - net.offsets.at_cells(rows)

        error, count = squared_error(predicted, value)
        if self.mask:
            return error, count

        # Every cell counts: an unknown one has the error (0 − prediction)².
        # `check` allows linear outputs only, whose sum of squares needs no number per cell.
        error = error - predicted @ predicted + net.output.sum_of_squares(h)
        n_cells = rows.n_rows * rows.n_columns

        return error, n_cells

    @override
    def penalty(self, net: Network) -> list[tuple[Tensor, float]]:
        """λ/2 · (‖W‖² + ‖V‖²): each weight matrix with its λ; biases have none."""
        first, *between, last = net.weights()
        # The optimizer divides λ by the observed cells, but the loss by the cells that it counts.
        n_cells = self.given_.n_users * self.given_.n_items
        factor = 1.0 if self.mask else len(self.given_) / n_cells
        of_input = (first, factor * self._reg_of_input())
        of_between = [(weight, factor * self.reg_between) for weight in between]
        of_output = (last, factor * self.reg)

        return [of_input, *of_between, of_output]

    def _reg_of_input(self) -> float:
        """λ of V."""
        if self.reg_input is not None:
            return self.reg_input

        # V r is of one size for rows of all lengths if V's variance goes with 1 / length.
        return (
            PER_RATING * ratings_per_row(self.given_, self.side) if self.has_offsets else self.reg
        )


# The settings of the paper, where the defaults are others.
PAPER = {"offsets": False, "init": 0.01, "refit": False, "cold": "middle"}

# Settings that learn planted ratings in a moment, for the tests of all models.
QUICK = {"hidden": 12, "reg": 2.0, "epochs": 80, "refit": False}
