"""Layers that more than one model uses: a sparse first layer, a last layer seen only at observed cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

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
Layer = TypeVar("Layer", "SparseInput", "ObservedOutput")
BOUNDS = {
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
}  # activations whose output cannot leave an interval


def activation(name: str) -> nn.Module:
    """The activation of that name.

    Raises: SettingError if there is none.
    """
    if name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()


def dense_layer(n_in: int, n_out: int) -> nn.Linear:
    """A dense layer between two hidden ones, Glorot uniform: 0.01 N(0, 1) would leave nothing to see behind it."""
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Dropout(nn.Dropout):
    """torch's dropout; on a CPU the draws are NumPy's, several times as fast, seeded from torch's generator at each call."""

    def forward(self, x: Tensor) -> Tensor:
        """In training a share p is 0 and the rest 1 / (1 − p) times as large."""
        if not self.training or not self.p or x.device.type != "cpu":
            return super().forward(x)
        seed = int(torch.randint(2**63 - 1, ()))
        drawn = np.random.Generator(np.random.SFC64(seed)).integers(
            0, 1 << 16, x.numel(), np.uint16
        )
        kept = torch.from_numpy(drawn >= round(self.p * (1 << 16))).view(x.shape)
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p))


class SparseInput(nn.Module):
    """V r + mu for a block of sparse rows r; absent cells count as 0, as in every rating autoencoder's input.

    `weight` is columns × hidden: the axis that sparse cells point into comes first, so one cell reads one run of memory.
    """

    def __init__(self, n_columns: int, hidden: int, *, std: float = 0.01) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_columns, hidden) * std)
        self.bias = nn.Parameter(torch.randn(hidden) * std / 10)

    def forward(
        self, block: Block, *, value: Tensor | None = None, drop: float = 0.0
    ) -> Float[Tensor, "rows hidden"]:
        """The pre-activation of the first hidden layer; `value` takes the place of the block's own. In training a share `drop`
        of the cells is left out."""
        if drop and self.training:
            value = nn.functional.dropout(block.value if value is None else value, drop)  # type: ignore[arg-type]
        return times_dense(block, self.weight, value) + self.bias

    def dense(self, rows: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows hidden"]:
        """The same for rows of which every cell is known."""
        return nn.functional.linear(rows, self.weight.t(), self.bias)


class ObservedOutput(nn.Module):
    """W h + b, computed only at the cells asked for, or for every column. `weight` is columns × hidden."""

    def __init__(self, hidden: int, n_columns: int, *, std: float = 0.01) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_columns, hidden) * std)
        self.bias = nn.Parameter(torch.randn(n_columns) * std / 10)

    def forward(self, code: Float[Tensor, "rows hidden"], at: Block | None = None) -> Tensor:
        """One number per cell of `at`; without `at`, rows × columns: for small blocks only."""
        if at is None:
            return nn.functional.linear(code, self.weight, self.bias)
        return observed(at, code.float(), self.weight, self.bias)


class TiedOutput(ObservedOutput):
    """A last layer with the first one's weights and a bias of its own."""

    def __init__(self, first: SparseInput) -> None:
        nn.Module.__init__(self)
        self._first = (
            first,
        )  # in a tuple: not a part of this layer, so that each weight is saved once
        self.bias = nn.Parameter(torch.zeros(len(first.weight)))

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """columns × hidden: the first layer's."""
        return self._first[0].weight


class Mirrored(nn.Module):
    """A dense layer the other way round: the weights transposed, a bias of its own."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self._layer = (layer,)  # as in TiedOutput
        self.bias = nn.Parameter(torch.zeros(layer.in_features))

    def forward(self, x: Tensor) -> Tensor:
        """x Wᵀ + bias, where the layer itself is x ↦ W x + its bias."""
        return nn.functional.linear(x, self._layer[0].weight.t(), self.bias)


def glorot(layer: Layer) -> Layer:
    """The layer with its weights drawn again, Glorot uniform, and biases of 0."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Factors(nn.Module):
    """mu + U · V: a row of factors per user and per item. With offsets the last column of each is an offset of its own:
    mu + b_u + b_i + the product of the others. Not trained by gradients: buffers."""

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
        self.user = nn.Buffer(torch.zeros(n_users, k + offsets))
        self.item = nn.Buffer(torch.zeros(n_items, k + offsets))
        self.text = text  # says an item's row from its document

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """The rating of each pair."""
        product = self.user[user] * self.item[item]
        if not self.offsets:
            return self.mu + product.sum(dim=1)
        return self.mu + product[:, :-1].sum(dim=1) + self.user[user, -1] + self.item[item, -1]

    def features(self, side: Side) -> Tensor:
        """What the other side is multiplied with: this side's factors, with 1 in place of its offset."""
        return self.facing(self.user if side == "user" else self.item)

    def facing(self, factors: Tensor) -> Tensor:
        """The same for such rows of factors."""
        return nn.functional.pad(factors[:, :-1], (0, 1), value=1.0) if self.offsets else factors

    def offset(self, side: Side) -> Tensor | None:
        """This side's offsets; None without."""
        return (self.user if side == "user" else self.item)[:, -1] if self.offsets else None

    def predict_all(self, user: Float[Tensor, "users k"]) -> Float[Tensor, "users items"]:
        """The rating of every item by users with these factors."""
        found = self.facing(user) @ self.item.t() + self.mu
        return found + user[:, -1:] if self.offsets else found


class OntoScale(nn.Module):
    """An activation whose bounded output is stretched onto the rating scale; an unbounded one is left as it is."""

    def __init__(self, name: str, scale: tuple[float, float]) -> None:
        super().__init__()
        self.activate = activation(name)
        low, high = BOUNDS.get(name, (0.0, 1.0))
        self.bounded = name in BOUNDS
        self.times = (scale[1] - scale[0]) / (high - low)
        self.plus = scale[0] - self.times * low

    def forward(self, x: Tensor) -> Tensor:
        """The activated x, in ratings."""
        return self.activate(x) * self.times + self.plus if self.bounded else self.activate(x)


class Binary(torch.autograd.Function):
    """1 where x > 0.5, else 0; the gradient passes straight through."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        """Threshold."""
        return (x > 0.5).to(x.dtype)

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> Tensor:
        """Pass through."""
        return grads[0]


def check_share(name: str, share: float) -> None:
    """Refuse a share outside [0, 1)."""
    if not 0 <= share < 1:
        raise SettingError(
            f"{name} is the share that is dropped, 0 or more and less than 1; found {share}."
        )


# --- weights with a kernel -----------------------------------------------------------------------------------------------

KERNEL_ROWS = 1024  # rows of a kernel that are there at once: they stay in the cache


def kernel(u: Float[Tensor, "n places"], v: Float[Tensor, "k places"]) -> Float[Tensor, "n k"]:
    """max(0, 1 − ‖u_i − v_j‖²), by one product: ‖u − v‖² = ‖u‖² + ‖v‖² − 2 u · v."""
    left = torch.cat(
        [2 * u, 1 - u.square().sum(dim=1, keepdim=True), torch.ones_like(u[:, :1])], dim=1
    )
    right = torch.cat([v, torch.ones_like(v[:, :1]), -v.square().sum(dim=1, keepdim=True)], dim=1)
    return (left @ right.t()).clamp_(min=0)


class _Kernelled(torch.autograd.Function):
    """W ⊙ K and ‖K‖², K(u, v) worked out a few rows at a time, anew on the way back."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(W, u, v)
        weight, squares = torch.empty_like(W), W.new_zeros(())
        for rows in _some_rows(len(W)):
            K = kernel(u[rows], v)
            torch.mul(W[rows], K, out=weight[rows])
            squares += K.square().sum()
        return weight, squares

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        W, u, v = ctx.saved_tensors
        of_W, of_u, of_v = torch.empty_like(W), torch.empty_like(u), torch.zeros_like(v)
        for rows in _some_rows(len(W)):
            K, back = kernel(u[rows], v), grads[0][rows]
            torch.mul(back, K, out=of_W[rows])
            of_K = (back * W[rows]).addcmul_(K, 2 * grads[1]).mul_(K > 0)
            of_u[rows] = 2 * (
                of_K @ v - of_K.sum(dim=1, keepdim=True) * u[rows]
            )  # ∂K_ij / ∂u_i = −2 (u_i − v_j)
            of_v += 2 * (of_K.t() @ u[rows] - of_K.sum(dim=0)[:, None] * v)
        return of_W, of_u, of_v


def _some_rows(n: int) -> Iterator[slice]:
    return (slice(first, first + KERNEL_ROWS) for first in range(0, n, KERNEL_ROWS))


class KernelLayer(nn.Module):
    """Weights W ⊙ K and a bias. K(u, v), from 0 to 1, says how near the places of the units are that a weight joins.

    Source: Muller, Martel, Indiveri. "Kernelized Synaptic Weight Matrices." ICML 2018.
    """

    def __init__(
        self, n_rows: int, n_columns: int, *, n_biases: int, places: int, std: float
    ) -> None:
        super().__init__()
        self.W = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_rows, n_columns)))
        self.u, self.v = (
            nn.Parameter(
                nn.init.trunc_normal_(torch.empty(n, places), std=std, a=-2 * std, b=2 * std)
            )
            for n in (n_rows, n_columns)
        )
        self.bias = nn.Parameter(torch.zeros(n_biases))

    @property
    def weight(self) -> Tensor:
        """W ⊙ K, worked out at each look."""
        return self.effective()[0]

    def effective(self, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """W ⊙ K and ‖K‖², of all rows or of these."""
        if rows is None:
            return _Kernelled.apply(self.W, self.u, self.v)
        return _Kernelled.apply(self.W[rows], self.u[rows], self.v)


class KernelAutoencoder(nn.Module):
    """W_L · … sigmoid(W₁ r + b₁) … + b_L, every weight matrix W ⊙ K.

    The first layer's weights and the last one's are columns × hidden, those between out × in. `effective` works them all out;
    who needs them several times hands them on as `weights`.
    """

    def __init__(self, n_columns: int, hidden: Sequence[int], *, places: int, std: float) -> None:
        super().__init__()
        kind = {"places": places, "std": std}
        self.input = KernelLayer(n_columns, hidden[0], n_biases=hidden[0], **kind)  # type: ignore[arg-type]
        self.between = nn.ModuleList(
            KernelLayer(b, a, n_biases=b, **kind)  # type: ignore[arg-type]
            for a, b in pairwise(hidden)
        )
        self.output = KernelLayer(n_columns, hidden[-1], n_biases=n_columns, **kind)  # type: ignore[arg-type]
        self.f = nn.Identity()

    @property
    def layers(self) -> list[KernelLayer]:
        """First to last."""
        return [self.input, *self.between, self.output]

    def effective(self) -> tuple[list[Tensor], Tensor]:
        """The weights W ⊙ K of each layer, and Σ ‖K‖² over them."""
        weights, squares = zip(*(layer.effective() for layer in self.layers), strict=True)
        return list(weights), torch.stack(squares).sum()

    def encode(
        self, block: Block, weights: Sequence[Tensor] | None = None
    ) -> Float[Tensor, "rows hidden"]:
        """All layers but the last, for sparse rows; absent cells count as 0."""
        weight = self.input.weight if weights is None else weights[0]
        return self.go_on(times_dense(block, weight) + self.input.bias, weights)

    def go_on(
        self, x: Float[Tensor, "rows first"], weights: Sequence[Tensor] | None = None
    ) -> Float[Tensor, "rows hidden"]:
        """The same from what enters the first hidden layer."""
        code = torch.sigmoid(x)
        for j, layer in enumerate(self.between, start=1):
            weight: Any = layer.weight if weights is None else weights[j]
            code = torch.sigmoid(nn.functional.linear(code, weight, layer.bias))  # type: ignore[arg-type]
        return code

    def decode(
        self,
        code: Float[Tensor, "rows hidden"],
        at: Block | None = None,
        columns: Tensor | None = None,
        weights: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """The last layer at the cells of `at`, or rows × these columns, or rows × all columns."""
        if columns is not None:
            return (
                self.output.effective(columns)[0] @ code.t() + self.output.bias[columns, None]
            ).t()
        weight = self.output.weight if weights is None else weights[-1]
        if at is None:
            return nn.functional.linear(code, weight, self.output.bias)
        return observed(at, code, weight, self.output.bias)
