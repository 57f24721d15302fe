"""BayesMF: Bayesian matrix factorization. Factors are drawn from their posterior, and predictions are means over the draws.

Source: Salakhutdinov, Mnih. "Bayesian Probabilistic Matrix Factorization using Markov Chain Monte Carlo." ICML 2008.
Differs: factors start at random instead of from PMF's. An offset of each user and item is one more factor, whose partner is 1;
the mean is taken off, and what is left counted in units of its spread, so that the priors suit any scale. The precision of the
noise is drawn, too; the paper holds it at 2. Rows without ratings do not tell of the priors. With `bags`, what Rendle, Zhang,
Koren ("On the Difficulty of Evaluating Baselines", 2019) found to win: each item has a second vector for those who rated it, and
each user one for what they rated. Their sum over √n is the prior mean of the one that holds them, as in Macau (Simm et al. 2017),
with a Normal-Wishart prior of its own; in libFM bags are features beside the factors, and vectors of one side also multiply each
other. `time` adds a vector of each day, which multiplies users' and items' as in libFM; `probit` has ratings as levels between
cut points (Albert and Chib 1993, 2001). Not each draw is clipped to the scale but their mean: a difference of 0.0002.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64
from scipy.sparse import csr_array
from scipy.special import ndtri
from torch import nn
from typing_extensions import override

from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.errors import DataError, SettingError
from recollect.kernels import gibbs
from recollect.memory_estimate import Memory, Shape, of_factors
from recollect.model import Capabilities, PairModel
from recollect.models.bayes_mf import truncated_normal
from recollect.models.bayes_mf.ordinal_probit import Ordinal, bounds
from recollect.models.bayes_mf.sampler import Gaussian, GibbsSampler, Noise
from recollect.models.bayes_mf.samples import Samples
from recollect.run import Run
from recollect.settings import setting
from recollect.training import fit_loop
from recollect.training.history import History

DAY = 86_400  # seconds
AT_ONCE = 1 << 16  # pairs
MOST_LEVELS = 100  # of probit
TURNS = 8  # of fold-in with probit: the latent numbers' means, then the vectors


@dataclass(kw_only=True, eq=False)
class BayesMF(PairModel):
    """The mean over draws of mu + b_u + b_i + U_u · V_i (equation 8)."""

    factors: int = setting(32, at_least=1)  # D
    bags: bool = True  # also learn from who rated what, whatever the rating
    time: bool = False  # a vector for each day, too
    probit: bool = (
        False  # ratings are levels between cut points of a latent number, which the factors say
    )
    alpha: float | None = None  # precision of the noise; None: drawn
    init: float = 0.1  # standard deviation of the factors at the start
    epochs: int = setting(200, at_least=1)  # draws of everything
    burn_in: int = 10  # the first so many do not count
    kept: int = setting(
        60, at_least=1
    )  # draws that predictions are the mean of, evenly spread over those that count

    @property
    @override
    def capabilities(self) -> Capabilities:
        needs = frozenset({"time"}) if self.time else frozenset()
        return Capabilities(needs=needs, stops_early=False)

    def check(self) -> None:
        """Refuse settings that cannot work."""
        if not 0 <= self.burn_in < self.epochs:
            raise SettingError(
                f"burn_in is 0 or more and less than epochs, found {self.burn_in} of {self.epochs}: no draw would "
                "count."
            )
        if self.probit and self.alpha is not None:
            raise SettingError(
                f"The latent numbers of probit have noise of precision 1; leave alpha out (it is {self.alpha})."
            )
        if self.init <= 0 or (self.alpha is not None and self.alpha <= 0):
            raise SettingError(f"init and alpha are above 0, found {self.init} and {self.alpha}.")

    def estimate_memory(self, shape: Shape, run: Run) -> Memory:
        """See Model; of kept draws there may be two copies for a moment, of what is being drawn there are five."""
        rows = (shape.n_users + shape.n_items) * (self.factors + 1)
        held = shape.n_items * (self.factors + 1) if self.bags else 0
        return of_factors(
            shape, numbers=(min(self.kept, self.epochs) * (rows + held) // 4 + 5 * rows)
        )

    # --- learning -------------------------------------------------------------------------------------------------

    def build(self, n_users: int, n_items: int) -> nn.Module:
        """Room for the draws that are kept."""
        return Samples(
            min(self.kept, self.epochs - self.burn_in),
            n_users=n_users,
            n_items=n_items,
            n_days=len(self._days()),
            k=self.factors + 1,
            n_levels=len(self._levels()),
            bags=self.bags,
        )

    def _days(self) -> Int64[np.ndarray, " days"]:
        """The days of which there are ratings."""
        times = self.given_.time if self.time else None
        return np.empty(0, np.int64) if times is None else np.unique(times // DAY)

    def _levels(self) -> Float32[np.ndarray, " levels"]:
        """The ratings that there are, for `probit`."""
        if not self.probit:
            return np.empty(0, np.float32)
        assert isinstance(self.given_, Ratings)
        levels = np.unique(self.given_.value)
        if not 2 <= len(levels) <= MOST_LEVELS:
            raise DataError(
                f"probit takes ratings in steps, 2 to {MOST_LEVELS} of them, and there are {len(levels):,} different "
                "ones; use probit=False."
            )
        return levels

    def learn(self, train: AnyRatings, valid: Ratings | None, run: Run) -> History:
        """Draw so many times."""
        assert isinstance(train, Ratings)
        net: Samples = self.net_
        valid = valid if valid is not None and len(valid) else None
        net.levels.copy_(torch.from_numpy(self._levels()))
        if not self.probit:
            net.mu.fill_(train.mean)
            net.spread.fill_(max(1e-6, train.variance**0.5))
        net.days.copy_(torch.from_numpy(self._days()))
        day = self._day(train.time, len(train))
        net.last_day.copy_(torch.from_numpy(_last(train, day, unknown=len(net.days))))
        sampler = GibbsSampler(
            net,
            train,
            self._noise(train),
            day=day,
            bags=self.bags,
            init=self.init,
            burn_in=self.burn_in,
            epochs=self.epochs,
            valid=valid,
            valid_day=None if valid is None else self._day(valid.time, len(valid)),
        )
        history = fit_loop.run_epochs(
            sampler, run, epochs=self.epochs, fit_key=self.fit_key(train, valid)
        )
        if valid is not None:
            history.best_valid = history.epochs[-1]["valid_rmse"]
        return history

    def _noise(self, train: Ratings) -> Noise:
        if self.probit:
            return Ordinal(self._level(train.value), len(self.net_.levels))
        return Gaussian(
            self._latent(train.value),
            None if self.alpha is None else self.alpha * self.net_.spread.item() ** 2,
        )

    def _latent(self, value: Float32[np.ndarray, " ratings"]) -> Float32[np.ndarray, " ratings"]:
        """Ratings less their mean, in units of their spread."""
        return (value - np.float32(self.net_.mu.item())) / np.float32(self.net_.spread.item())

    def _level(self, value: Float32[np.ndarray, " ratings"]) -> Int64[np.ndarray, " ratings"]:
        """The level of each rating: the nearest there is."""
        levels = self.net_.levels.cpu().numpy()
        return np.searchsorted((levels[1:] + levels[:-1]) / 2, value)

    def _day(self, times: np.ndarray | None, n: int) -> Int64[np.ndarray, " ratings"]:
        """The row of each rating's day; the last one where nothing is known of the day."""
        days = self.net_.days.cpu().numpy()
        if times is None or not len(days):
            return np.full(n, len(days))
        at = np.searchsorted(days, times // DAY)
        return np.where(days[np.minimum(at, len(days) - 1)] == times // DAY, at, len(days))

    # --- predicting -----------------------------------------------------------------------------------------------

    @override
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        return self._each(self.net_, user, item, self._days_of(user, times))

    @torch.no_grad()
    def _each(self, what: Any, user: np.ndarray, item: np.ndarray, day: np.ndarray) -> np.ndarray:
        """What a function of tensors says of the pairs, some at a time."""
        device, parts = self.net_.user.device, range(0, max(1, len(user)), AT_ONCE)
        return np.concatenate(
            [
                what(
                    *(
                        torch.as_tensor(x[first : first + AT_ONCE], device=device).long()
                        for x in (user, item, day)
                    )
                )
                .cpu()
                .numpy()
                for first in parts
            ]
        )

    @override
    @torch.no_grad()
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        net, rows = self.net_, torch.as_tensor(user, device=self.net_.user.device)
        return self._mean_table(lambda s: net.user[s].float()[rows], net.last_day[rows])

    @torch.no_grad()
    def fold_in(self, rows: Rows) -> Float32[np.ndarray, "people n_items"]:
        """See Model. Their vectors are the posterior mean given each draw of all else."""
        rows = rows.only_columns(self.known_items())
        device, unknown = self.net_.user.device, len(self.net_.days)
        return self._mean_table(
            lambda s: torch.from_numpy(self._folded(rows, s)).to(device),
            torch.full((len(rows),), unknown, device=device),
        )

    def _mean_table(self, vectors: Any, day: torch.Tensor) -> Float32[np.ndarray, "people n_items"]:
        """The mean over draws s of the ratings of every item, by people with vectors(s) on these days."""
        net, total = self.net_, torch.zeros(len(day), self.net_.item.shape[1], device=day.device)
        for s in range(int(net.n)):
            total += net.expected(net.table(s, vectors(s), day), net.cut[s])
        return (total / net.n).cpu().numpy()

    def _folded(self, rows: Rows, s: int) -> Float32[np.ndarray, "people k"]:
        """The vectors of people with these ratings: the posterior mean, given draw s of all else."""
        net, k = self.net_, self.factors + 1
        item, day = gibbs.table(rows.n_columns, k), gibbs.table(1, k)
        item[:, :k], day[0, :k] = (
            net.item[s].float().cpu().numpy(),
            net.day[s, -1].float().cpu().numpy(),
        )
        middle = np.broadcast_to(net.mean[s].cpu().numpy(), (len(rows), k)).copy()
        if self.bags:
            bag = csr_array(
                (rows.counts[rows.row] ** -0.5, rows.column, rows.start),
                shape=(len(rows), rows.n_columns),
            )
            middle += bag @ net.held[s].float().cpu().numpy()
        precision = net.precision[s].double().cpu().numpy() / float(net.alpha[s])
        one_day = np.zeros_like(rows.column)

        def solved(value: np.ndarray) -> np.ndarray:
            return gibbs.draw(
                rows.start,
                rows.column,
                one_day,
                value,
                item,
                day,
                base=precision,
                pull=middle @ precision,
                noise=np.zeros_like(middle),
            )

        if not self.probit:
            return solved(self._latent(rows.value))[:, :k]
        said, level = np.zeros(len(rows.value), np.float32), self._level(rows.value)
        for _ in range(TURNS):
            user = solved(
                said
                + truncated_normal.mean(
                    *bounds(net.cut[s].double().cpu().numpy(), level, said)
                ).astype(np.float32)
            )
            said = gibbs.ratings((rows.row, rows.column, one_day), (user, item, day), k)
        return user[:, :k]

    def predict_std(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        *,
        times: Int[np.ndarray, " pairs"] | None = None,
    ) -> Float32[np.ndarray, " pairs"]:
        """The standard deviation of the rating of each pair: of what the draws say of it, and of the noise.

        A cold pair has that of all training ratings.
        """
        return self._moments(user, item, times)[1]

    def predict_interval(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        level: float = 0.9,
        *,
        times: Int[np.ndarray, " pairs"] | None = None,
    ) -> tuple[Float32[np.ndarray, " pairs"], Float32[np.ndarray, " pairs"]]:
        """The lowest and the highest value between which the rating of each pair lies with probability `level`: so many standard
        deviations around the mean, within the scale.

        Raises: SettingError if the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise SettingError(f"level is a probability between 0 and 1, found {level}.")
        mean, std = self._moments(user, item, times)
        wide = np.float32(ndtri((1 + level) / 2)) * std
        return self.within_scale(mean - wide), self.within_scale(mean + wide)

    def _moments(
        self, user: np.ndarray, item: np.ndarray, times: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each pair's rating."""
        self.given()
        user, item, day = (
            np.asarray(user, np.int64),
            np.asarray(item, np.int64),
            self._days_of(user, times),
        )
        warm, n = ~self.is_cold(user, item), len(user)
        mean, std = (
            np.full(n, self.cold_value, np.float32),
            np.full(n, self.given_.variance**0.5, np.float32),
        )

        def both(*rows: torch.Tensor) -> torch.Tensor:
            return torch.stack(self.net_.moments(*rows), dim=1)

        mean[warm], std[warm] = self._each(both, user[warm], item[warm], day[warm]).T
        return mean, std

    def _days_of(self, user: np.ndarray, times: np.ndarray | None) -> Int64[np.ndarray, " pairs"]:
        """The row of the day of each pair: that of its time, or the user's last."""
        return (
            self.net_.last_day.cpu().numpy()[user]
            if times is None
            else self._day(np.asarray(times), len(user))
        )

    def vectors(self, side: Side) -> Float32[np.ndarray, "rows k"]:
        """Factors of all draws side by side, less their mean: a product of two is the mean over draws of theirs."""
        net = self.net_
        kept = (
            (net.user if side == "user" else net.item)[: int(net.n), :, :-1].float().cpu().numpy()
        )
        known = self.known_items() if side == "item" else self.given_.count("user") > 0
        kept = (kept - kept[:, known].mean(axis=1, keepdims=True)) / np.float32(len(kept) ** 0.5)
        return np.ascontiguousarray(kept.transpose(1, 0, 2)).reshape(kept.shape[1], -1)


def _last(
    train: Ratings, day: Int64[np.ndarray, " ratings"], *, unknown: int
) -> Int64[np.ndarray, " users"]:
    """The last day of each user; unknown without ratings."""
    last = np.full(train.n_users, -1)
    np.maximum.at(last, train.user, day)
    return np.where(last < 0, unknown, last)


# Settings with which it learns planted ratings in a moment, for the tests that every model passes.
QUICK = {"factors": 3, "epochs": 60, "burn_in": 4, "kept": 20}
