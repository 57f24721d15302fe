"""BayesMF: matrix factorization whose predictions are means over draws from the posterior.

    r_ui ~ N(mu + b_u + b_i + U_u · V_i, 1 / α)
    U_u ~ N(μ_U, Λ_U⁻¹),   V_i ~ N(μ_V, Λ_V⁻¹),   (μ, Λ) ~ Normal-Wishart
    r̂_ui = 1/S Σ_s (mu + b_u^s + b_i^s + U_u^s · V_i^s)

`RowVectors.draw` samples the posterior of U, V and their priors, `Samples` predicts.

Source: Salakhutdinov, Mnih. "Bayesian Probabilistic Matrix Factorization using Markov Chain Monte
    Carlo." ICML 2008.
Differs: factors start at random instead of from PMF's. Users and items have offsets: one more
    factor, whose partner is 1. Ratings are standardized, so that the priors suit any scale. The
    precision of the noise is drawn, too; the paper holds it at 2. Rows without ratings do not
    change the priors. The mean over draws is clipped to the scale, not each draw: a difference of
    0.0002.
    `bags` is what Rendle, Zhang, Koren ("On the Difficulty of Evaluating Baselines", 2019) found
    best: each item has a second vector for the users who rated it, and each user one for the items
    that they rated. Their sum over √n is the prior mean of a vector, as in Macau (Simm et al.
    2017), and they have a Normal-Wishart prior of their own; in libFM bags are features beside the
    factors, and vectors of one side also multiply each other.
    `time`, the default where ratings have times, adds a vector of each moment, which multiplies
    users' and items', as libFM does with days. Where times are finer than days, a moment is the
    time since the user's first rating of the day, which is ours (`moments.py`). `probit`, the
    default where ratings have few different values, treats them as categories between cut points
    (Albert and Chib 1993, 2001).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64
from scipy.special import ndtri
from torch import Tensor, nn
from typing_extensions import override

from recollect.arguments import expect_probability
from recollect.data.levels import levels_of
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.families.pair_blocks import in_blocks
from recollect.families.pair_model import PairModel
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import Capabilities
from recollect.models.bayes_mf import updates
from recollect.models.bayes_mf.categories import (
    categories_of,
)
from recollect.models.bayes_mf.fold_in import FoldIn
from recollect.models.bayes_mf.moments import KINDS, Days, Moments, moments_of
from recollect.models.bayes_mf.noise import Gaussian, Noise
from recollect.models.bayes_mf.ordinal_probit import OrdinalProbit
from recollect.models.bayes_mf.sampler import GibbsSampler
from recollect.models.bayes_mf.samples import Samples
from recollect.online.change import Change
from recollect.online.result import Updatable
from recollect.run import Run
from recollect.settings import setting
from recollect.system.once import Once
from recollect.training import fit_loop
from recollect.training.history import History

LEAST_STD = 1e-6  # ratings that are all the same are not divided by 0


@dataclass(kw_only=True, eq=False)
class BayesMF(PairModel):
    """The mean over draws from the posterior of mu + b_u + b_i + U_u · V_i."""

    former_network_names: ClassVar = {
        "held": "bag_vectors",
        "levels": "categories",
        "spread": "std",
        "n": "n_drawn",
        "day": "moment",
        "days": "moment_numbers",
        "last_day": "last_moment",
    }

    factors: int = setting(32, at_least=1)  # D
    bags: bool = True  # also learn from who rated what, whatever the rating
    # Also a vector for each moment; None: where ratings have times
    time: bool | None = setting(None, before=False)
    # What a moment is: a day, or the time elapsed since the user's first rating of the day; None:
    # that time, where times are finer than days
    time_as: str | None = setting(None, one_of=KINDS, before="day")
    # Ratings are categories between cut points of a latent normal variable; None: where they have
    # few different values
    probit: bool | None = setting(None, before=False)
    # Precision of the noise, in ratings of 1 to 5; None: drawn
    alpha: float | None = setting(None, above=0)
    init: float = setting(0.1, above=0)  # standard deviation of the factors at the start
    refit: bool = True
    epochs: int = setting(200, at_least=1)  # draws of everything
    burn_in: int = setting(10, at_least=0)  # the first draws, which do not count
    # Draws that predictions are the mean of, evenly spaced among those that count
    n_samples: int = setting(60, at_least=1, formerly="kept")

    @property
    @override
    def capabilities(self) -> Capabilities:
        needs = frozenset({"time"}) if self.time else frozenset()
        return Capabilities(needs=needs, stops_early=False)

    @override
    def check(self) -> None:
        if self.burn_in >= self.epochs:
            raise SettingError(
                f"burn_in must be less than epochs, found {self.burn_in} of {self.epochs}: no draw "
                "would count."
            )

        if self.probit and self.alpha is not None:
            raise SettingError(
                "The latent variable of probit has noise of precision 1; leave alpha out (it is "
                f"{self.alpha})."
            )

    @property
    def has_moments(self) -> bool:
        """Whether there is a vector for each moment."""
        if self.time is None:
            return self.given_.time is not None
        return self.time

    def moments(self) -> Moments:
        """The moments that vectors are of."""
        return self._moments_of.get(self._find_moments)

    def _find_moments(self) -> Moments:
        return moments_of(self.given_, self.time_as) if self.has_moments else Days.none()

    @override
    def _forget(self) -> None:
        self._moments_of: Once[Moments] = Once()

    @property
    def has_categories(self) -> bool:
        """Whether ratings are categories between cut points."""
        if self.probit is not None:
            return self.probit

        if self.alpha is not None:
            return False

        assert isinstance(self.given_, Ratings)
        return levels_of(self.given_) is not None

    @override
    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        k = self.factors + 1
        rows = (shape.n_users + shape.n_items) * k
        bag_vectors = 0
        if self.bags:
            bag_vectors = shape.n_items * k

        # Of the samples, of 2 bytes each, two copies may exist for a moment; of the current draw
        # there are five, of 4 bytes.
        n_kept = min(self.n_samples, self.epochs)
        samples = n_kept * (rows + bag_vectors)
        numbers = samples // 4 + 5 * rows

        return of_factors(shape, numbers=numbers)

    @override
    def build(self, n_users: int, n_items: int) -> nn.Module:
        n_counting = self.epochs - self.burn_in
        return Samples(
            min(self.n_samples, n_counting),
            n_users=n_users,
            n_items=n_items,
            n_moments=len(self._find_moments()),
            k=self.factors + 1,
            n_categories=len(self.rating_categories()),
            bags=self.bags,
        )

    def rating_categories(self) -> Float32[np.ndarray, " categories"]:
        """The different ratings, ascending; none where ratings are numbers."""
        if not self.has_categories:
            return np.empty(0, np.float32)

        assert isinstance(self.given_, Ratings)
        return categories_of(self.given_.value)

    @override
    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        assert isinstance(train, Ratings)
        net: Samples = self.net_
        valid = valid if valid is not None and len(valid) else None
        self._set_scale_and_moments(train)

        sampler = GibbsSampler(
            net,
            train,
            self._noise(train),
            moment=self._moment_rows(train.user, train.time),
            bags=self.bags,
            init=self.init,
            burn_in=self.burn_in,
            epochs=self.epochs,
            valid=valid,
            valid_moment=None if valid is None else self._moment_rows(valid.user, valid.time),
        )

        history = fit_loop.run_epochs(
            sampler, run, epochs=self.epochs, fit_key=self.fit_key(train, valid)
        )

        if valid is not None:
            history.best_valid = history.epochs[-1]["valid_rmse"]

        return history

    def _set_scale_and_moments(self, train: Ratings) -> None:
        """Put into the network what ratings are standardized by, or their categories; and the
        moments."""
        net: Samples = self.net_
        net.categories.copy_(torch.from_numpy(self.rating_categories()))
        # The cut points of categories take the place of both.
        if not len(net.categories):
            net.mu.fill_(train.mean)
            net.std.fill_(max(LEAST_STD, train.variance**0.5))

        moments = self.moments()
        net.moment_numbers.copy_(torch.from_numpy(moments.numbers))
        net.last_moment.copy_(torch.from_numpy(moments.latest(train)))

    def _noise(self, train: Ratings) -> Noise:
        if len(self.net_.categories):
            return OrdinalProbit(self.net_.category_of(train.value), len(self.net_.categories))

        alpha = self.alpha
        if alpha is not None:
            alpha *= self.net_.std.item() ** 2  # in standardized ratings

        return Gaussian(self.net_.standardized(train.value), alpha)

    def _moment_rows(
        self, user: Int[np.ndarray, " pairs"], times: Int[np.ndarray, " pairs"] | None
    ) -> Int64[np.ndarray, " pairs"]:
        """The row of `net_.moment` of each pair; without times that of any other moment."""
        moments = self.moments()
        if times is None:
            return np.full(len(user), len(moments))

        return moments.rows(user, np.asarray(times))

    def _moment_rows_of_pairs(
        self, user: Int[np.ndarray, " pairs"], times: Int[np.ndarray, " pairs"] | None
    ) -> Int64[np.ndarray, " pairs"]:
        """The row of `net_.moment` of each pair: that of its time, or the user's latest."""
        if times is None:
            latest: np.ndarray = self.net_.last_moment.cpu().numpy()[user]
            return latest

        return self._moment_rows(user, times)

    @override
    @torch.no_grad()
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        net: Samples = self.net_
        moment = self._moment_rows_of_pairs(user, times)
        predicted = in_blocks(net, user, item, moment, device=net.user.device)

        return predicted.cpu().numpy()

    @override
    @torch.no_grad()
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        net: Samples = self.net_
        rows = torch.as_tensor(user, device=net.user.device)

        def vectors(s: int) -> Float[Tensor, "users k"]:
            drawn = net.user[s]
            return drawn.float()[rows]

        return self._mean_table(vectors, net.last_moment[rows])

    @override
    @torch.no_grad()
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        # In each draw, a new user's vector is its posterior mean given that draw of all else.
        rows = rows.only_columns(self.known_items())
        device = self.net_.user.device
        n_moments = len(self.net_.moment_numbers)
        unknown = torch.full((len(rows),), n_moments, device=device)

        def vectors(s: int) -> Float[Tensor, "people k"]:
            array = self._folded_in(rows, s)
            folded_in = torch.from_numpy(array)
            return folded_in.to(device)

        return self._mean_table(vectors, unknown)

    def _folded_in(self, rows: Rows, s: int) -> Float32[np.ndarray, "people k"]:
        """The vectors of new users, given draw s."""
        return self.solved(FoldIn(self.net_, rows, s), rows)

    def solved(self, new: FoldIn, rows: Rows) -> Float32[np.ndarray, "people k"]:
        """The vectors of people with these ratings in a draw."""
        if len(self.net_.categories):
            people = new.from_categories(self.net_.category_of(rows.value))
        else:
            people = new.from_values(self.net_.standardized(rows.value))

        return people[:, : new.k]

    @property
    @override
    def updatable(self) -> Updatable:
        return updates.UPDATABLE

    @override
    def learn_change(self, change: Change, before: Any) -> nn.Module:
        return updates.learned(self, change)

    def _mean_table(
        self,
        vectors: Callable[[int], Float[Tensor, "people k"]],
        moment: Int[Tensor, " people"],
    ) -> Float32[np.ndarray, "people n_items"]:
        """The rating of every item: the mean over the draws.

        Args:
            vectors: the people's vectors in a draw, by its number.
            moment: a row of `net_.moment` for each of them.
        """
        net: Samples = self.net_
        n_items = net.item.shape[1]
        total = torch.zeros(len(moment), n_items, device=moment.device)

        # One draw at a time: the tables of all would be draws × people × items numbers.
        for s in range(int(net.n_drawn)):
            x = net.latent_table(s, vectors(s), moment)
            total += net.expected(x, net.cut[s])

        mean = total / net.n_drawn
        return mean.cpu().numpy()

    @override
    def predict_std(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        *,
        times: Int[np.ndarray, " pairs"] | None = None,
    ) -> Float32[np.ndarray, " pairs"]:
        # How far the draws differ, and the noise; a cold pair has that of all training ratings.
        _, std = self._moments(user, item, times)
        return std

    @override
    def predict_interval(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        level: float = 0.9,
        *,
        times: Int[np.ndarray, " pairs"] | None = None,
    ) -> tuple[Float32[np.ndarray, " pairs"], Float32[np.ndarray, " pairs"]]:
        expect_probability("level", level)
        mean, std = self._moments(user, item, times)
        # As for a normal distribution: as much probability lies below the interval as above it.
        n_stds = ndtri((1 + level) / 2)
        half_width = np.float32(n_stds) * std
        low = self.within_scale(mean - half_width)
        high = self.within_scale(mean + half_width)

        return low, high

    @torch.no_grad()
    def _moments(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        times: Int[np.ndarray, " pairs"] | None,
    ) -> tuple[Float32[np.ndarray, " pairs"], Float32[np.ndarray, " pairs"]]:
        """Mean and standard deviation of each pair's rating.

        A cold pair has its default prediction, and the standard deviation of all ratings.
        """
        self.given()  # refuses a model that is not fitted
        user = np.asarray(user, np.int64)
        item = np.asarray(item, np.int64)
        moment = self._moment_rows_of_pairs(user, times)
        n_pairs = len(user)
        mean = np.empty(n_pairs, np.float32)
        std = np.full(n_pairs, self.given_.variance**0.5, np.float32)

        def moments(*rows: Tensor) -> Tensor:
            both = self.net_.moments(*rows)
            return torch.stack(both, dim=1)

        # Cold pairs have no vectors, so their rows would be those of others.
        cold = self.is_cold(user, item)
        mean[cold] = self.predict_cold(user[cold], item[cold])
        warm = ~cold
        device = self.net_.user.device
        blocks = in_blocks(moments, user[warm], item[warm], moment[warm], device=device)
        both = blocks.cpu().numpy()
        mean[warm] = both[:, 0]
        std[warm] = both[:, 1]

        return mean, std

    @override
    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """The factors of all draws side by side, less their mean over the known rows.

        They are scaled so that the product of two rows is the mean over draws of their products.
        """
        known = self.known_items() if side == "item" else self.given_.count("user") > 0
        return self.net_.side_by_side(side, known)


# The settings of the paper, where the defaults are others.
PAPER = {
    "bags": False,
    "time": False,
    "probit": False,
    "alpha": 2.0,
    "factors": 30,
    "refit": False,
    "cold": "mean",
}

# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {"factors": 3, "epochs": 60, "burn_in": 4, "n_samples": 20, "refit": False}
