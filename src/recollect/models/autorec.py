"""AutoRec: an autoencoder that completes one row of the rating matrix.

Source: Sedhain, Menon, Sanner, Xie. "AutoRec: Autoencoders Meet Collaborative Filtering." WWW 2015.
Differs: trained by L-BFGS by default (the paper used resilient propagation, the authors' code either), stopped by the
validation error; predictions are clipped to the scale (as the authors' code does); Rprop's steps grow by 1.2 throughout
(the authors' code: by 5 at first); a deep network is trained at once, without the paper's layer-wise beginning; a bounded
output is stretched onto the scale; the paper's 3 for cold pairs is the middle of the scale, 3 of 1 to 5; someone new to
an item-side network is folded in by a ridge solve, which the paper leaves open. The authors' shipped settings threshold
the hidden code, which the paper does not say: `binary_code`, off by default.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError
from recollect.families.row_model import BLOCK_RATINGS, BLOCK_ROWS, RowModel
from recollect.kernels import Block
from recollect.memory_estimate import Memory, Shape, of_rows
from recollect.model import Capabilities
from recollect.nn import (
    BOUNDS,
    Binary,
    ObservedOutput,
    OntoScale,
    SparseInput,
    activation,
    check_share,
    dense_layer,
)
from recollect.run import Run
from recollect.settings import setting
from recollect.training import gradient
from recollect.training.history import History
from recollect.training.losses import squared_error


class Network(nn.Module):
    """h(r) = f(W · g(V r + mu) + b), equation 1; further hidden layers stand between V and W."""

    def __init__(self, n_columns: int, settings: AutoRec, scale: tuple[float, float]) -> None:
        super().__init__()
        sizes = settings.layers
        self.input = SparseInput(n_columns, sizes[0], std=settings.init)
        self.between = nn.ModuleList(dense_layer(a, b) for a, b in pairwise(sizes))
        self.output = ObservedOutput(sizes[-1], n_columns, std=settings.init)
        self.g, self.f = (
            activation(settings.hidden_activation),
            OntoScale(settings.output_activation, scale),
        )
        self.drop, self.drop_input = nn.Dropout(settings.dropout), settings.input_dropout
        self.binary = settings.binary_code

    def encode(self, block: Block) -> Tensor:
        """g(V r + mu), and so on through the further hidden layers: rows × hidden."""
        code = self._code(self.input(block, drop=self.drop_input))
        for layer in self.between:
            code = self._code(layer(code))
        return code

    def _code(self, x: Tensor) -> Tensor:
        code = self.g(x)
        return self.drop(Binary.apply(code) if self.binary else code)

    def decode(
        self, code: Tensor, at: Block | None = None, columns: Tensor | None = None
    ) -> Tensor:
        """f(W h + b) at the cells of `at`, or rows × these columns, or rows × all columns."""
        if columns is not None:
            here = self.output.weight[columns] @ code.t() + self.output.bias[columns, None]
            return self.f(here).t()  # a column's numbers lie together: what ranking wants
        return self.f(self.output(code, at))

    def sum_of_squares(self, code: Tensor) -> Tensor:
        """Σ (W h + b)² over every cell, without a number per cell: ⟨WᵀW, HᵀH⟩ + 2 (Σ h) · Wᵀb + rows ‖b‖²."""
        weight, bias = self.output.weight, self.output.bias
        squares = ((weight.t() @ weight) * (code.t() @ code)).sum()
        return squares + 2 * code.sum(dim=0) @ (weight.t() @ bias) + len(code) * bias @ bias

    def weights(self) -> list[Tensor]:
        """The matrices that lambda is on: all but the biases."""
        return [self.input.weight, *(layer.weight for layer in self.between), self.output.weight]  # type: ignore[list-item]


@dataclass(kw_only=True, eq=False)
class AutoRec(RowModel):
    """An autoencoder on item rows (I-AutoRec) or user rows (U-AutoRec); squared error over observed cells only."""

    hidden: int | tuple[int, ...] = 500  # k; several sizes make it deep: (500, 250, 500)
    hidden_activation: str = "sigmoid"  # g
    output_activation: str = "identity"  # f; a bounded one is stretched onto the rating scale
    reg: float = (
        400.0  # lambda of equation 2, on every weight matrix; the authors' code calls it 100
    )
    reg_input: float | None = (
        None  # lambda of V alone; None: as reg (the authors' code too has one per layer)
    )
    dropout: float = 0.0  # share of each hidden layer dropped
    input_dropout: float = 0.0  # share of the input ratings dropped
    mask: bool = True  # False: unknown ratings count in the loss, as 0; only to see what that ruins
    binary_code: bool = False  # hidden units thresholded to 0 or 1, the gradient straight through
    init: float = 0.01  # standard deviation of V and W before training
    optimizer: str = "lbfgs"
    epochs: int = 300  # at most; an epoch of L-BFGS is one iteration
    learning_rate: float = 0.001  # Adam, SGD; Rprop's first step
    batch_size: int | None = None  # rows; None: all at once
    lazy: bool = False  # Adam in batches only: weights of columns that a batch does not touch stay
    state_bits: int = 32  # Adam only: 16 halves the memory of its moments
    history: int = 4  # pairs that L-BFGS remembers
    patience: int | None = 4  # looks at the validation error without a gain before stopping
    validate_every: int = setting(5, at_least=1, formerly="look_every")  # epochs between looks
    cold: str = "middle"  # of the scale: the paper's 3, of 1 to 5

    @property
    @override
    def capabilities(self) -> Capabilities:
        return Capabilities(
            streams=True, smaller=({"history": 2}, {"optimizer": "adam", "batch_size": 512})
        )

    @property
    def layers(self) -> tuple[int, ...]:
        """Hidden sizes, first to last."""
        return (self.hidden,) if isinstance(self.hidden, int) else tuple(self.hidden)

    @property
    def linear(self) -> bool:
        """See RowModel."""
        return self.output_activation == "identity"

    def check(self) -> None:
        """Refuse settings that cannot work."""
        if not self.layers or min(self.layers) < 1:
            raise SettingError(f"hidden is one or more sizes, each 1 or more; found {self.hidden}.")
        if self.side not in ("user", "item"):
            raise SettingError(f'side is "item" or "user", found {self.side!r}.')
        if min(self.reg, self.reg_input or 0.0) < 0 or self.init <= 0:
            raise SettingError(
                f"reg and reg_input are 0 or more and init above 0, found reg={self.reg}, reg_input="
                f"{self.reg_input} and init={self.init}."
            )
        activation(self.hidden_activation)
        activation(self.output_activation)
        check_share("dropout", self.dropout)
        check_share("input_dropout", self.input_dropout)
        if self.optimizer == "lbfgs" and (self.dropout or self.input_dropout):
            raise SettingError(
                "L-BFGS compares the objective between points, and dropout changes it at each look; use "
                'optimizer="adam", "sgd" or "rprop", or no dropout.'
            )
        if self.center and self.output_activation in BOUNDS:
            raise SettingError(
                f"output_activation={self.output_activation!r} gives ratings in the scale, center=True needs "
                "differences from a mean; use one of the two."
            )
        if not self.mask and (self.output_activation != "identity" or self.lazy):
            raise SettingError(
                'mask=False needs output_activation="identity" and lazy=False, found '
                f"output_activation={self.output_activation!r} and lazy={self.lazy}."
            )
        self.options().check()

    def options(self) -> gradient.GradientOptions:
        """The training part of the settings."""
        return gradient.GradientOptions(
            epochs=self.epochs,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            history=self.history,
            batch_size=self.batch_size,
            patience=self.patience,
            validate_every=self.validate_every,
            lazy=self.lazy,
            state_bits=self.state_bits,
        )

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """The network before learning; 2 m k + m + k numbers with one hidden layer."""
        return Network(n_users if self.side == "item" else n_items, self, self.given_.scale)

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model."""
        return of_rows(
            shape,
            run,
            side=self.side,
            hidden=self.layers,
            plan=self.options(),
            block_rows=BLOCK_ROWS,
            block_ratings=BLOCK_RATINGS,
        )

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Minimize equation 2."""
        rows = train.rows(self.side)
        return gradient.fit(
            self.net_,
            rows.minus(self.row_means(rows)),
            self.loss,
            run,
            self.options(),
            penalty=self.penalty,
            measure=self.validation(train, valid),
            fit_key=self.fit_key(train, valid),
            column_cells=train.count(self.other_side),
        )

    def loss(self, net: Network, rows: Block) -> tuple[Tensor, int]:
        """Σ over observed cells of (r − h(r))², and how many cells; without the mask over every cell, unknown ones as 0."""
        code = net.encode(rows)
        known = net.decode(code, at=rows)
        total, count = squared_error(known, rows.value)  # type: ignore[arg-type]
        if self.mask:
            return total, count
        return total - known @ known + net.sum_of_squares(code), rows.n_rows * rows.n_columns

    def penalty(self, net: Network) -> list[tuple[Tensor, float]]:
        """λ/2 · (‖W‖² + ‖V‖²), or a λ of its own for V: the weights, and the λ on each."""
        first, *others = net.weights()
        given = self.given_  # the loop divides λ by the observed cells, the loss by those it counts
        share = 1.0 if self.mask else len(given) / (given.n_users * given.n_items)
        reg_input = self.reg if self.reg_input is None else self.reg_input
        return [(first, share * reg_input), *((weight, share * self.reg) for weight in others)]


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {"hidden": 12, "reg": 2.0, "epochs": 80}
