"""AutoRec: an autoencoder that completes one row of the rating matrix.

    h(r) = f(W · g(V r + mu) + b)                                                    equation 1
    minimizing  Σ over rows ‖r − h(r)‖²_Ω  +  λ/2 · (‖W‖² + ‖V‖²)                    equation 2

Source: Sedhain, Menon, Sanner, Xie. "AutoRec: Autoencoders Meet Collaborative Filtering." WWW 2015.
Differs: trained by L-BFGS by default (the paper used resilient propagation, the authors' code
either), stopped by the validation error; predictions are clipped to the scale (as in the authors'
code); Rprop's steps grow by 1.2 throughout (the authors' code: by 5 at first); a deep network is
trained at once, without the paper's layer-wise pretraining; a bounded output is stretched onto the
scale; an unknown user or item gets what the other one's offset says, as in every model, where the
paper predicts 3 (`cold="middle"`); new users of an item-side network are folded in by ridge
regression, which the paper leaves open. The authors' shipped settings threshold the hidden code,
which the paper does not mention: `binary_code`, off by default.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError
from recollect.families.gradient_row_model import GradientRowModel
from recollect.kernels import Block
from recollect.model import Capabilities
from recollect.models.autorec.network import Network
from recollect.nn import ACTIVATIONS, BOUNDED, ScaledActivation, layer_sizes
from recollect.run import Run
from recollect.settings import setting, share
from recollect.training.history import History
from recollect.training.losses import squared_error


@dataclass(kw_only=True, eq=False)
class AutoRec(GradientRowModel):
    """An autoencoder on item rows (I-AutoRec) or user rows (U-AutoRec)."""

    hidden: int | tuple[int, ...] = setting(500, at_least=1)  # k; a tuple makes the network deep
    hidden_activation: str = setting("sigmoid", one_of=tuple(ACTIVATIONS))  # g
    output_activation: str = setting("identity", one_of=tuple(ACTIVATIONS))  # f
    reg: float = 400.0  # lambda of equation 2; the authors' code calls it 100
    reg_input: float | None = setting(None, at_least=0)  # lambda of V alone; None: `reg`
    dropout: float = share(0.0)  # share of each hidden layer dropped
    input_dropout: float = share(0.0)  # share of the input ratings dropped
    mask: bool = True  # False: unknown ratings count as 0 in the loss, to see what that ruins
    binary_code: bool = False  # hidden units are 0 or 1, with a straight-through gradient
    init: float = setting(0.01, above=0)  # standard deviation of V and W before training
    optimizer: str = "lbfgs"  # or "rprop", "adam", "sgd"
    epochs: int = setting(300, at_least=1)  # at most; an epoch of L-BFGS is one iteration
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
        smaller = ({"history": 2}, {"optimizer": "adam", "batch_size": 512})
        return Capabilities(streams=True, smaller=smaller)

    @property
    @override
    def layers(self) -> tuple[int, ...]:
        return layer_sizes(self.hidden)

    @property
    @override
    def linear(self) -> bool:
        return self.output_activation == "identity"

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
            std=self.init,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            binary=self.binary_code,
        )

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Minimize equation 2."""
        return self.minimize(self.loss, train, valid, run)

    def loss(self, net: Network, rows: Block) -> tuple[Tensor, int]:
        """‖r − h(r)‖²_Ω: the squared error over observed cells, and the number of them."""
        assert rows.value is not None
        h = net.encode(rows)
        predicted = net.decode(h, at=rows)  # one number per observed cell
        error, count = squared_error(predicted, rows.value)
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
        first, *others = net.weights()
        reg_input = self.reg if self.reg_input is None else self.reg_input
        # The optimizer divides λ by the observed cells, but the loss by the cells that it counts.
        n_cells = self.given_.n_users * self.given_.n_items
        factor = 1.0 if self.mask else len(self.given_) / n_cells
        of_input = (first, factor * reg_input)
        of_others = [(weight, factor * self.reg) for weight in others]

        return [of_input, *of_others]


# Settings that learn planted ratings in a moment, for the tests of all models.
QUICK = {"hidden": 12, "reg": 2.0, "epochs": 80}
