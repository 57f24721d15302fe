"""Layers that more than one model uses.

    SparseInput                        V r + mu for sparse rows r
    ObservedOutput, TiedOutput         W h + b, at given cells or everywhere
    dense_layer, TransposedLinear      between two hidden layers
    Factors                            mu + U · V, for matrix factorization

Beside them stand ScaledActivation, Dropout and StraightThroughThreshold.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

from recollect.data.ratings import Side
from recollect.errors import SettingError, unknown
from recollect.kernels import Block, observed, times_dense

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "lrelu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "swish": nn.SiLU,
}
# The range of the activations that ScaledActivation stretches onto the rating scale.
BOUNDED = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}

Layer = TypeVar("Layer", "SparseInput", "ObservedOutput")


def activation(name: str) -> nn.Module:
    """The activation of that name.

    Raises:
        SettingError: if there is none.
    """
    if name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


def dense_layer(n_in: int, n_out: int, *, gain: float = 1.0) -> nn.Linear:
    """A dense layer between two hidden layers: Glorot uniform weights, biases of 0.

    The small normal weights of the outer layers would let the signal die out here.

    Args:
        n_in: the length of the input.
        n_out: the length of the output.
        gain: a factor of the weights; 4 before a sigmoid, whose slope is at most 1/4.
    """
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight, gain=gain)
    nn.init.zeros_(layer.bias)
    return layer


def glorot(layer: Layer) -> Layer:
    """The layer after a fresh start: Glorot uniform weights, biases of 0."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Dropout(nn.Dropout):
    """Dropout; on a CPU the mask is drawn by NumPy, several times as fast as by torch.

    NumPy's generator is seeded from torch's at each call, so that a fit stays reproducible.
    """

    @override
    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.p or x.device.type != "cpu":
            return super().forward(x)

        seed = int(torch.randint(2**63 - 1, ()))
        generator = np.random.Generator(np.random.SFC64(seed))
        # 16 random bits per number are quick to draw, and meet p to 1 part in 65,536.
        drawn = generator.integers(0, 1 << 16, x.numel(), np.uint16)
        threshold = round(self.p * (1 << 16))
        is_kept = torch.from_numpy(drawn >= threshold).view(x.shape)

        # Dividing by 1 − p keeps the expected value of the output.
        factor = is_kept.to(x.dtype).mul_(1 / (1 - self.p))

        return x * factor


class SparseInput(nn.Module):
    """The first layer, V r + mu, for a block of sparse rows r; unknown cells count as 0.

    `weight` is columns × hidden. With columns first, the weights that one rating is multiplied with
    lie next to each other in memory.
    """

    def __init__(self, n_columns: int, hidden: int, *, std: float = 0.01) -> None:
        super().__init__()
        weight = torch.randn(n_columns, hidden) * std
        bias = torch.randn(hidden) * std / 10
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(
        self, block: Block, *, value: Tensor | None = None, drop: float = 0.0
    ) -> Float[Tensor, "rows hidden"]:
        """The input of the first hidden layer, before its activation.

        Args:
            block: sparse rows.
            value: one number per cell; default: the block's own values.
            drop: the share of cells that is dropped in training.
        """
        if drop and self.training:
            cells = block.value if value is None else value
            assert cells is not None
            value = nn.functional.dropout(cells, drop)

        product = times_dense(block, self.weight, value)

        return product + self.bias

    def dense(self, rows: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows hidden"]:
        """The same for rows of which every cell is known."""
        weight = self.weight.t()
        return nn.functional.linear(rows, weight, self.bias)


class RowOffsets(nn.Module):
    """mu + b of each row: the mean rating, and how far a row is above it.

        b = Σ over the row's cells (r − mu − b_column) / (cells + λ)

    as the bias model estimates it (`training/offsets.py`), whose mu and b_column `set` takes.

    Args:
        n_columns: columns of a row.
        reg: λ, as many further cells of b = 0.
    """

    mu: Tensor
    column: Tensor

    def __init__(self, n_columns: int, *, reg: float) -> None:
        super().__init__()
        self.register_buffer("mu", torch.zeros(()))
        self.register_buffer("column", torch.zeros(n_columns))
        self.reg = reg
        # A full batch asks for the same block at each step.
        self._last: tuple[Block, Tensor] | None = None

    def __getstate__(self) -> dict[str, object]:
        # A copy starts without the block that was asked for last.
        return {**vars(self), "_last": None}

    @torch.no_grad()
    def set(self, mu: float, column: Float[Tensor, " columns"]) -> None:
        """Take the mean rating and the offset of each column."""
        self.mu.fill_(mu)
        self.column.copy_(column)
        self._last = None

    @torch.no_grad()
    def forward(self, block: Block) -> Float[Tensor, " rows"]:
        """mu + b of each row of a block; mu of a row without cells."""
        assert block.value is not None
        residual = block.value - self.mu - self.column[block.column.long()]
        # Sums in 64 bits, as they are differences of sums over all cells.
        until = torch.zeros(block.n_cells + 1, dtype=torch.float64, device=block.device)
        torch.cumsum(residual, 0, dtype=torch.float64, out=until[1:])
        start = block.rows.start.long()
        total = until[start[1:]] - until[start[:-1]]
        cells = start.diff()

        return (self.mu + total / (cells + self.reg)).float()

    def at_cells(self, block: Block) -> Float[Tensor, " cells"]:
        """The same for the row of each cell."""
        if self._last is None or self._last[0] is not block:
            cells = block.rows.start.long().diff()
            self._last = block, torch.repeat_interleave(self(block), cells)

        return self._last[1]


class ObservedOutput(nn.Module):
    """The last layer, W h + b, computed only at given cells, or everywhere.

    `weight` is columns × hidden.
    """

    def __init__(self, hidden: int, n_columns: int, *, std: float = 0.01) -> None:
        super().__init__()
        weight = torch.randn(n_columns, hidden) * std
        bias = torch.randn(n_columns) * std / 10
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, code: Float[Tensor, "rows hidden"], at: Block | None = None) -> Tensor:
        """One number per cell of `at`; without `at`, rows × columns (for small blocks only)."""
        if at is None:
            return nn.functional.linear(code, self.weight, self.bias)

        # Under autocast the code has 16 bits, and the loops over cells take 32.
        return observed(at, code.float(), self.weight, self.bias)

    def at_columns(
        self, code: Float[Tensor, "rows hidden"], columns: Tensor
    ) -> Float[Tensor, "rows columns"]:
        """W h + b at these columns of every row.

        The numbers of a column lie next to each other in memory, as ranking for a user wants them.
        """
        weight = self.weight[columns]
        bias = self.bias[columns, None]
        predicted = weight @ code.t() + bias  # columns × rows
        return predicted.t()

    def sum_of_squares(self, code: Float[Tensor, "rows hidden"]) -> Tensor:
        """Σ (W h + b)² over every cell, without a number per cell.

        It is ⟨WᵀW, HᵀH⟩ + 2 (Σ h) · Wᵀb + rows · ‖b‖², the rows of H being the codes.
        """
        weight = self.weight
        bias = self.bias
        weight_gram = weight.t() @ weight
        code_gram = code.t() @ code
        squares = (weight_gram * code_gram).sum()
        mixed = 2 * code.sum(dim=0) @ (weight.t() @ bias)
        of_bias = len(code) * bias @ bias

        return squares + mixed + of_bias


class TiedOutput(ObservedOutput):
    """A last layer that shares the weights of the first one and has biases of its own."""

    def __init__(self, first: SparseInput) -> None:
        # Not that of ObservedOutput, which would draw weights.
        nn.Module.__init__(self)
        # A tuple hides the layer from torch, which would otherwise save its weights twice.
        self._first = (first,)
        n_columns = len(first.weight)
        self.bias = nn.Parameter(torch.zeros(n_columns))

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The first layer's weights, columns × hidden."""
        return self._first[0].weight


class TransposedLinear(nn.Module):
    """x ↦ Wᵀ x + bias, where W is the weight of another layer; the bias is its own."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self._layer = (layer,)  # in a tuple for the same reason as in TiedOutput
        self.bias = nn.Parameter(torch.zeros(layer.in_features))

    def forward(self, x: Tensor) -> Tensor:
        """Wᵀ x + bias for each row x."""
        (layer,) = self._layer
        weight = layer.weight.t()
        return nn.functional.linear(x, weight, self.bias)


class ScaledActivation(nn.Module):
    """An activation whose output, if bounded, is stretched onto the rating scale.

    An unbounded output is left as it is.
    """

    def __init__(self, name: str, scale: tuple[float, float]) -> None:
        super().__init__()
        self.activate = activation(name)
        self.bounded = name in BOUNDED
        low, high = BOUNDED.get(name, (0.0, 1.0))
        lowest, highest = scale
        self.factor = (highest - lowest) / (high - low)
        self.shift = lowest - self.factor * low

    def forward(self, x: Tensor) -> Tensor:
        """The activated x, on the rating scale."""
        activated: Tensor = self.activate(x)
        if not self.bounded:
            return activated
        return activated * self.factor + self.shift


class StraightThroughThreshold(torch.autograd.Function):
    """1 where x > 0.5, else 0; the gradient passes unchanged (straight-through estimator)."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        """The thresholded x."""
        is_on = x > 0.5
        return is_on.to(x.dtype)

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> Tensor:
        """The gradient as it came in."""
        return grads[0]


class Factors(nn.Module):
    """Matrix factorization: mu + U · V, with a row of factors per user and per item.

    With offsets, the last column of `user` and `item` is an offset: mu + b_u + b_i + the product of
    the other columns. The numbers are buffers, because no gradient trains them.

    Args:
        n_users: rows of `user`.
        n_items: rows of `item`.
        k: factors, without the offset.
        offsets: whether users and items have offsets.
        text: a network that computes an item's factors from its text; None without texts.
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        k: int,
        *,
        offsets: bool = False,
        text: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.offsets = offsets
        self.mu = nn.Buffer(torch.zeros(()))
        n_columns = k + offsets
        self.user = nn.Buffer(torch.zeros(n_users, n_columns))
        self.item = nn.Buffer(torch.zeros(n_items, n_columns))
        self.text = text

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """The predicted rating of each pair of row numbers."""
        product = self.user[user] * self.item[item]
        if not self.offsets:
            return self.mu + product.sum(dim=1)

        inner_product = product[:, :-1].sum(dim=1)
        b_user = self.user[user, -1]
        b_item = self.item[item, -1]

        return self.mu + inner_product + b_user + b_item

    def features(self, side: Side) -> Tensor:
        """The design matrix of the other side's regression: this side's factors.

        With offsets, a column of ones replaces this side's offset, so that the coefficient of
        that column is the other side's offset.
        """
        factors = self.user if side == "user" else self.item
        return self.features_of(factors)

    def features_of(self, factors: Tensor) -> Tensor:
        """The same for given rows of factors."""
        if not self.offsets:
            return factors

        without_offset = factors[:, :-1]

        return nn.functional.pad(without_offset, (0, 1), value=1.0)

    def offset(self, side: Side) -> Tensor | None:
        """The offsets of this side; None without offsets."""
        if not self.offsets:
            return None
        factors = self.user if side == "user" else self.item
        return factors[:, -1]

    def predict_all(self, user: Float[Tensor, "users k"]) -> Float[Tensor, "users items"]:
        """The predicted ratings of every item for users with these factors."""
        # The features' column of ones is multiplied with the items' offsets.
        features = self.features_of(user)
        predicted = features @ self.item.t()
        # In place: another table of all items would have to be written and read.
        predicted += self.mu
        if self.offsets:
            predicted += user[:, -1:]

        return predicted


def layer_sizes(hidden: int | tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of hidden layers, first to last, from a setting that may be one number.

    Raises:
        SettingError: if there is none.
    """
    sizes = (hidden,) if isinstance(hidden, int) else tuple(hidden)
    if not sizes:
        raise SettingError("hidden is one or more sizes of layers, found none.")
    return sizes
