"""Gibbs sampling of factors: items, users and days in turn, each row's vector from its posterior given all else."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int, Int64
from scipy.linalg import eigh
from threadpoolctl import ThreadpoolController
from torch import Tensor

from recollect.data.ratings import Ratings
from recollect.data.sparse_rows import Rows
from recollect.kernels import gibbs
from recollect.models.bayes_mf.conjugate import noise_precision, normal_wishart
from recollect.models.bayes_mf.samples import Samples

TURNS = {
    "item": ("user", "day"),
    "user": ("item", "day"),
    "day": ("user", "item"),
}  # a field, and what it is joined with


@runtime_checkable
class Noise(Protocol):
    """What is between the factors and the ratings."""

    value: Float32[np.ndarray, " ratings"]  # what the factors are to say
    alpha: float  # with which precision

    def draw(
        self, said: Float32[np.ndarray, " ratings"], random: np.random.Generator, *, burning: bool
    ) -> None:
        """Its parameters and `value`, given what the factors say."""

    def cut(self) -> Float64[np.ndarray, " cuts"]:
        """The cut points between levels, if it has any."""

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from that state."""


class Gaussian:
    """Ratings less their mean, in units of their spread, with normal noise whose precision is drawn, or held at `alpha`."""

    def __init__(self, value: Float32[np.ndarray, " ratings"], alpha: float | None = None) -> None:
        self.value, self._fixed = value, alpha is not None
        self.alpha = 1.0 if alpha is None else alpha

    def draw(
        self, said: Float32[np.ndarray, " ratings"], random: np.random.Generator, *, burning: bool
    ) -> None:
        """See Noise."""
        if not self._fixed:
            self.alpha = noise_precision(_square(self.value - said), len(said), random)

    def cut(self) -> Float64[np.ndarray, " cuts"]:
        """See Noise: none."""
        return np.empty(0)

    def state(self) -> dict[str, Any]:
        """See Noise."""
        return {"alpha": self.alpha}

    def load_state(self, state: dict[str, Any]) -> None:
        """See Noise."""
        self.alpha = state["alpha"]


class Bag:
    """Vectors Y of what rows hold. A row's bag, Σ Y_j / √(how many it holds), is added to the prior mean of its own vector.

    `held` has a row for each vector, whose columns are its holders.
    """

    def __init__(self, held: Rows, k: int) -> None:
        self.start, self.holder, self.held = held.start, held.column, held.counts > 0
        count = np.bincount(held.column, minlength=held.n_columns)
        self.weight = (np.maximum(count, 1) ** -0.5).astype(np.float32)
        self.Y, self.sum = np.zeros((len(held), k)), np.zeros((held.n_columns, k))

    def draw(
        self,
        left: Float[np.ndarray, "holders k"],
        precision: Float64[np.ndarray, "k k"],
        random: np.random.Generator,
    ) -> None:
        """Y given the holders' vectors: `left` is what these are beyond the prior mean and their bags, N(0, precision⁻¹).

        In the basis that makes this precision I and that of Y's own prior diagonal, columns are independent.
        """
        mean, own = normal_wishart(self.Y[self.held], random)
        diagonal, basis = eigh(
            own, precision
        )  # basisᵀ precision basis = I, basisᵀ own basis = diagonal
        there = np.linalg.inv(basis).T
        Y, rest = gibbs.draw_bag(
            self.start,
            self.holder,
            self.weight,
            self.Y @ there,
            left @ there,
            precision=diagonal,
            pull=diagonal * (mean @ there),
            noise=random.standard_normal(self.Y.shape, np.float32),
        )
        self.Y = Y @ basis.T
        self.sum += left - rest @ basis.T


@dataclass
class Field:
    """Users, items or days: a vector for each, and the prior of which the vectors are draws."""

    start: Int64[np.ndarray, " rows_and_one"]
    left: Int[np.ndarray, " cells"]  # the rows of the two other fields that each cell joins
    right: Int[np.ndarray, " cells"]
    rating: Int64[np.ndarray, " cells"]  # which rating each cell is
    table: Float32[np.ndarray, "rows width"]
    k: int
    bag: Bag | None = None
    mean: Float64[np.ndarray, " k"] = field(init=False)
    precision: Float64[np.ndarray, "k k"] = field(init=False)

    def __post_init__(self) -> None:
        self.mean, self.precision, self.rated = (
            np.zeros(self.k),
            np.eye(self.k),
            np.diff(self.start) > 0,
        )

    @property
    def bags(self) -> Float64[np.ndarray, "rows k"]:
        """The bag of each row; zeros without bags."""
        return np.zeros((len(self.table), self.k)) if self.bag is None else self.bag.sum

    def draw(
        self, noise: Noise, lefts: gibbs.Table, rights: gibbs.Table, random: np.random.Generator
    ) -> None:
        """The prior, the vectors (equation 11), and what is in the bags, each given the rest. Only rows with ratings tell of the
        prior."""
        self.mean, self.precision = normal_wishart(
            (self.table[:, : self.k] - self.bags)[self.rated], random
        )
        middle, alpha = self.mean + self.bags, noise.alpha
        self.table = gibbs.draw(
            self.start,
            self.left,
            self.right,
            noise.value[self.rating],
            lefts,
            rights,
            base=self.precision / alpha,
            pull=middle @ self.precision / alpha,
            noise=random.standard_normal(middle.shape, np.float32) / math.sqrt(alpha),
        )
        if self.bag is not None:
            self.bag.draw(self.table[:, : self.k] - middle, self.precision, random)

    def kept(self) -> Tensor:
        """The vectors as they are kept: the prior mean of a row without ratings."""
        return torch.from_numpy(np.where(self.rated[:, None], self.table[:, : self.k], self.mean))

    def state(self) -> dict[str, Any]:
        """What a snapshot keeps."""
        found = {"table": self.table, "mean": self.mean, "precision": self.precision}
        if self.bag is not None:
            found |= {"Y": self.bag.Y, "sum": self.bag.sum}
        return {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in found.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from that state."""
        self.table, self.mean, self.precision = (
            state[name].numpy() for name in ("table", "mean", "precision")
        )
        if self.bag is not None:
            self.bag.Y, self.bag.sum = state["Y"].numpy(), state["sum"].numpy()


class GibbsSampler:
    """Draws everything once an epoch, and keeps some draws in `net`. A Learner (see `epochs`).

    The draws after the first `burn_in` count. `day` and `valid_day` are the rows of `net.day` of the ratings.
    """

    def __init__(
        self,
        net: Samples,
        train: Ratings,
        noise: Noise,
        *,
        day: Int64[np.ndarray, " ratings"],
        bags: bool,
        init: float,
        burn_in: int,
        epochs: int,
        valid: Ratings | None = None,
        valid_day: Int64[np.ndarray, " valid"] | None = None,
    ) -> None:
        self.net: Any = net
        self.device, self.noise = net.user.device, noise
        self.burn_in, self.counting, self.rows = (
            burn_in,
            epochs - burn_in,
            {"user": train.user, "item": train.item, "day": day},
        )
        self.fields, self._rating = self._fields(init), train.value
        if bags:
            k = net.user.shape[2]
            self.fields["user"].bag, self.fields["item"].bag = (
                Bag(train.by_item, k),
                Bag(train.by_user, k),
            )
        self._blas, self.valid = ThreadpoolController(), valid
        if valid is not None:
            self._valid_rows = (valid.user, valid.item, valid_day)
            self.total = np.zeros(len(valid))

    def _fields(self, init: float) -> dict[str, Field]:
        """With factors drawn at random; days have none before their first turn."""
        sizes, k = (
            {name: getattr(self.net, name).shape[1] for name in TURNS},
            self.net.user.shape[2],
        )
        random, found = _random(), {}
        for name, (left, right) in TURNS.items():
            rows, rating = Rows.group(
                self.rows[name], self.rows[left], n_rows=sizes[name], n_columns=sizes[left]
            )
            table = gibbs.table(sizes[name], k)
            if name != "day":
                table[:, : k - 1] = init * random.standard_normal((sizes[name], k - 1))
            found[name] = Field(rows.start, rows.column, self.rows[right][rating], rating, table, k)
        return found

    @property
    def converged(self) -> bool:
        """Never."""
        return False

    def epoch(self, number: int) -> dict[str, float]:
        """A draw of everything; the RMSE on train of what the factors say, and on validation that of the mean so far.

        NumPy's products here are so small that threads which wait for one another cost more than the work: on a busy machine ten
        times as much.
        """
        with self._blas.limit(limits=1, user_api="blas"):
            return self._draw(number)

    def _draw(self, number: int) -> dict[str, float]:
        random = _random()
        for name, (left, right) in TURNS.items():
            if name != "day" or len(self.net.days):
                self.fields[name].draw(
                    self.noise, self.fields[left].table, self.fields[right].table, random
                )
        said = self._says(*self.rows.values())
        self.noise.draw(said, random, burning=number <= self.burn_in)
        figures = {
            "epoch": float(number),
            "train_rmse": _rmse(self._expected(said), self._rating),
            "alpha": self.noise.alpha / float(self.net.spread) ** 2,
        }
        if self.valid is not None:
            figures["valid_rmse"] = self._look(number - self.burn_in)
        self._keep(number - self.burn_in)
        return figures

    def _says(self, *rows: Any) -> Float32[np.ndarray, " pairs"]:
        return gibbs.ratings(
            rows,
            tuple(self.fields[name].table for name in ("user", "item", "day")),
            self.net.user.shape[2],
        )

    def _look(self, counted: int) -> float:
        """The RMSE on validation of the mean over the draws that count; before there are any, of this one."""
        assert self.valid is not None
        found = self._expected(self._says(*self._valid_rows))
        self.total += found if counted > 0 else 0
        return _rmse(
            np.clip(self.total / counted if counted > 0 else found, *self.valid.scale),
            self.valid.value,
        )

    def _expected(self, said: Float32[np.ndarray, " pairs"]) -> Float32[np.ndarray, " pairs"]:
        """The ratings that what the factors say comes to."""
        cut = torch.from_numpy(self.noise.cut()).float().to(self.device)
        found: np.ndarray = (
            self.net.expected(torch.from_numpy(said).to(self.device), cut).cpu().numpy()
        )
        return found

    def _keep(self, counted: int) -> None:
        """Put this draw into the network, if it is one of those to be kept: evenly spread, the last one among them."""
        net: Any = self.net
        kept = len(net.alpha)
        if counted < 1 or counted * kept // self.counting == (counted - 1) * kept // self.counting:
            return
        s, user = int(net.n), self.fields["user"]
        for name, one in self.fields.items():
            getattr(net, name)[s] = one.kept()
        if user.bag is not None:
            net.held[s] = torch.from_numpy(user.bag.Y)
        net.mean[s], net.precision[s] = (
            torch.from_numpy(user.mean),
            torch.from_numpy(user.precision),
        )
        net.alpha[s], net.cut[s] = self.noise.alpha, torch.from_numpy(self.noise.cut())
        net.n += 1

    def state(self) -> dict[str, Any]:
        """See Learner."""
        seen = {} if self.valid is None else {"total": torch.from_numpy(self.total)}
        return {
            "fields": {name: one.state() for name, one in self.fields.items()},
            "noise": self.noise.state(),
            **seen,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """See Learner."""
        for name, one in self.fields.items():
            one.load_state(state["fields"][name])
        self.noise.load_state(state["noise"])
        if self.valid is not None:
            self.total = state["total"].numpy()


def _random() -> np.random.Generator:
    """A generator seeded from torch's."""
    return np.random.Generator(np.random.SFC64(int(torch.randint(2**63 - 1, ()))))


def _square(x: np.ndarray) -> float:
    return float(np.square(x, dtype=np.float64).sum())


def _rmse(found: np.ndarray, value: np.ndarray) -> float:
    return math.sqrt(_square(found - value) / max(1, len(value)))
