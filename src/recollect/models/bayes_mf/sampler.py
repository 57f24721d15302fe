"""Gibbs sampling: items, users, moments and the noise in turn, each given the others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64
from threadpoolctl import ThreadpoolController

from recollect.data.ratings import Ratings
from recollect.data.sparse_rows import Rows
from recollect.kernels import gibbs
from recollect.models.bayes_mf.noise import Noise
from recollect.models.bayes_mf.row_vectors import Bags, RowVectors
from recollect.models.bayes_mf.samples import Samples

# In the order in which they are drawn, with the two others that a rating combines each with.
OTHERS = {"item": ("user", "moment"), "user": ("item", "moment"), "moment": ("user", "item")}


class GibbsSampler:
    """A Learner whose epoch draws everything once; some of the draws are kept in the network."""

    def __init__(
        self,
        net: Samples,
        train: Ratings,
        noise: Noise,
        *,
        moment: Int64[np.ndarray, " ratings"],
        bags: bool,
        init: float,
        burn_in: int,
        epochs: int,
        valid: Ratings | None = None,
        valid_moment: Int64[np.ndarray, " valid"] | None = None,
    ) -> None:
        """Draw the factors at random; moments have none before their first draw.

        Args:
            net: where draws are kept.
            train: the ratings.
            noise: between the factors and the ratings.
            moment: a row of `net.moment` for each rating.
            bags: whether prior means depend on who rated what.
            init: standard deviation of the factors at the start.
            burn_in: the first draws, which do not count.
            epochs: how many draws there will be.
            valid: ratings whose RMSE is measured after each draw; None: none.
            valid_moment: a row of `net.moment` for each of them.
        """
        self.net: Any = net
        self.device = net.user.device
        self.noise = noise
        self.burn_in = burn_in
        self.n_counting = epochs - burn_in
        self.rows = {"user": train.user, "item": train.item, "moment": moment}
        self.vectors = self._initial_vectors(init)
        self.rating = train.value
        if bags:
            k = net.user.shape[2]
            self.vectors["user"].bags = Bags(train.by_item, k)
            self.vectors["item"].bags = Bags(train.by_user, k)

        self._blas = ThreadpoolController()
        self.valid = valid
        if valid is not None:
            assert valid_moment is not None
            self._valid_rows = (valid.user, valid.item, valid_moment)
            self._valid_total = np.zeros(len(valid))

    def _initial_vectors(self, init: float) -> dict[str, RowVectors]:
        k = self.net.user.shape[2]
        n_factors = k - 1  # without the offset, which starts at 0
        n_rows = {name: getattr(self.net, name).shape[1] for name in OTHERS}
        random = generator_from_torch()
        vectors = {}

        for name, (left, right) in OTHERS.items():
            by_row, rating = Rows.group(
                self.rows[name],
                self.rows[left],
                n_rows=n_rows[name],
                n_columns=n_rows[left],
            )

            table = gibbs.table(n_rows[name], k)
            # Moments start at 0, so that without `time` they never change a prediction.
            if name != "moment":
                shape = (n_rows[name], n_factors)
                table[:, :n_factors] = init * random.standard_normal(shape)

            vectors[name] = RowVectors(
                start=by_row.start,
                left=by_row.column,
                right=self.rows[right][rating],
                rating=rating,
                table=table,
                k=k,
            )

        return vectors

    @property
    def converged(self) -> bool:
        """Never: draws go on as long as they are asked for."""
        return False

    def epoch(self, number: int) -> dict[str, float]:
        """Draw everything once.

        Returns:
            The RMSE on train of this draw, the precision of the noise in ratings, and the RMSE on
            validation of the mean over the draws that count so far.
        """
        # NumPy's products here are so small that threads waiting for one another cost more than
        # the work: on a busy machine ten times as much.
        with self._blas.limit(limits=1, user_api="blas"):
            return self._draw(number)

    def _draw(self, number: int) -> dict[str, float]:
        random = generator_from_torch()

        for name, (left, right) in OTHERS.items():
            if name != "moment" or len(self.net.moment_numbers):
                lefts = self.vectors[left].table
                rights = self.vectors[right].table
                self.vectors[name].draw(self.noise, lefts, rights, random)

        x = self._latent(self.rows["user"], self.rows["item"], self.rows["moment"])
        self.noise.draw(x, random, burning_in=number <= self.burn_in)

        # The noise is on standardized ratings; the history has it in ratings.
        std = float(self.net.std)
        figures = {
            "epoch": float(number),
            "train_rmse": _rmse(self._expected(x), self.rating),
            "alpha": self.noise.alpha / std**2,
        }

        n_counted = number - self.burn_in
        if self.valid is not None:
            figures["valid_rmse"] = self._validate(n_counted)

        if self._is_kept(n_counted):
            self._keep()

        return figures

    def _latent(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        moment: Int[np.ndarray, " pairs"],
    ) -> Float32[np.ndarray, " pairs"]:
        """What the factors of this draw predict, before it becomes a rating."""
        tables = [self.vectors[name].table for name in ("user", "item", "moment")]
        rows = (user, item, moment)
        k = self.net.user.shape[2]

        return gibbs.ratings(rows, tables, k)

    def _expected(self, x: Float32[np.ndarray, " pairs"]) -> Float32[np.ndarray, " pairs"]:
        """The expected ratings of this draw."""
        cut_points = torch.from_numpy(self.noise.cut())
        cut = cut_points.float().to(self.device)
        latent = torch.from_numpy(x).to(self.device)
        ratings = self.net.expected(latent, cut)
        expected: np.ndarray = ratings.cpu().numpy()

        return expected

    def _validate(self, n_counted: int) -> float:
        """The RMSE on validation of the mean over the draws that count; during burn-in, of this
        draw."""
        assert self.valid is not None
        x = self._latent(*self._valid_rows)
        predicted = self._expected(x)
        if n_counted > 0:
            self._valid_total += predicted
            predicted = self._valid_total / n_counted

        # The mean is clipped, as in predictions, not each draw.
        within_scale = np.clip(predicted, *self.valid.scale)

        return _rmse(within_scale, self.valid.value)

    def _is_kept(self, n_counted: int) -> bool:
        """Whether the draw is one of those that are kept: evenly spaced, the last one among
        them."""
        if n_counted < 1:
            return False

        n_samples = len(self.net.alpha)
        due = n_counted * n_samples // self.n_counting
        due_before = (n_counted - 1) * n_samples // self.n_counting

        return due > due_before

    def _keep(self) -> None:
        """Put this draw into the network."""
        net: Any = self.net
        s = int(net.n_drawn)

        for name, vectors in self.vectors.items():
            getattr(net, name)[s] = vectors.sample()

        user = self.vectors["user"]
        if user.bags is not None:
            net.bag_vectors[s] = torch.from_numpy(user.bags.Y)

        # Only new users are folded in, so only the users' prior is kept.
        net.mean[s] = torch.from_numpy(user.mean)
        net.precision[s] = torch.from_numpy(user.precision)
        net.alpha[s] = self.noise.alpha
        net.cut[s] = torch.from_numpy(self.noise.cut())
        net.n_drawn += 1

    def state(self) -> dict[str, Any]:
        """What a snapshot needs beside the network."""
        state: dict[str, Any] = {
            "vectors": {name: vectors.state() for name, vectors in self.vectors.items()},
            "noise": self.noise.state(),
        }

        if self.valid is not None:
            state["valid_total"] = torch.from_numpy(self._valid_total)

        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Resume from the state of a snapshot."""
        for name, vectors in self.vectors.items():
            vectors.load_state(state["vectors"][name])

        self.noise.load_state(state["noise"])
        if self.valid is not None:
            self._valid_total = state["valid_total"].numpy()


def generator_from_torch() -> np.random.Generator:
    """A NumPy generator seeded from torch's, which `fit` seeds."""
    # A new one for each epoch: a resumed fit, whose torch state is restored, draws the same.
    seed = int(torch.randint(2**63 - 1, ()))
    bits = np.random.SFC64(seed)

    return np.random.Generator(bits)


def _rmse(predicted: Float[np.ndarray, " n"], value: Float[np.ndarray, " n"]) -> float:
    error = predicted - value
    squares = np.square(error, dtype=np.float64)
    n = max(1, len(value))
    mean_square = float(squares.sum()) / n

    return math.sqrt(mean_square)
