"""The network of BayesMF: the draws that are kept, and the mean and spread of what they predict."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, Int64
from torch import Tensor, nn

from recollect.data.ratings import Side
from recollect.models.bayes_mf.categories import nearest_category


class Samples(nn.Module):
    """Draws of the vectors of users, items and moments: factors, the offset last. A draw predicts

        x = b_u + b_i + b_t + U_u · V_i + (U_u + V_i) · D_t

    With `categories`, a normal number around x lies between two of the draw's cut points, which
    gives the probability of each category. Without, the rating is mu + std x, with noise of
    precision `alpha` on x. Vectors are kept in 16 bits, which err by 1/2000.
    """

    def __init__(
        self,
        n_samples: int,
        *,
        n_users: int,
        n_items: int,
        n_moments: int,
        k: int,
        n_categories: int,
        bags: bool,
    ) -> None:
        """Draws of zeros, to be filled in.

        Args:
            n_samples: how many draws are kept.
            n_users: number of users.
            n_items: number of items.
            n_moments: number of moments: days with ratings, or steps of elapsed time.
            k: numbers of a vector, the offset included.
            n_categories: different ratings; 0 where they are numbers.
            bags: whether a user's prior mean depends on the items that they rated.
        """
        super().__init__()

        def vectors(n: int) -> nn.Buffer:
            zeros = torch.zeros(n_samples, n, k, dtype=torch.float16)
            return nn.Buffer(zeros)

        self.user = vectors(n_users)
        self.item = vectors(n_items)
        self.moment = vectors(n_moments + 1)  # the last row is that of any moment without ratings
        self.bag_vectors = vectors(n_items if bags else 0)  # Y_j
        # Mean and precision of the users' prior, for users who are not in train.
        self.mean = nn.Buffer(torch.zeros(n_samples, k))
        self.precision = nn.Buffer(torch.zeros(n_samples, k, k))
        self.alpha = nn.Buffer(torch.ones(n_samples))
        self.cut = nn.Buffer(torch.zeros(n_samples, max(0, n_categories - 1)))
        self.categories = nn.Buffer(torch.zeros(n_categories))  # the ratings, ascending
        self.mu = nn.Buffer(torch.zeros(()))
        self.std = nn.Buffer(torch.ones(()))
        # What each stands for (`moments.py`).
        self.moment_numbers = nn.Buffer(torch.zeros(n_moments, dtype=torch.int64))
        # A row of `moment` for each user: their latest one.
        self.last_moment = nn.Buffer(torch.full((n_users,), n_moments, dtype=torch.int64))
        self.n_drawn = nn.Buffer(torch.zeros((), dtype=torch.int64))  # draws kept so far

    def fault(self) -> str:
        """What no fit leaves in the whole numbers of a saved model; empty if nothing."""
        n_samples = len(self.user)
        n_drawn = int(self.n_drawn)
        if not 1 <= n_drawn <= n_samples:
            return f"it has {n_drawn} draws, expected 1 to {n_samples}"

        n_moments = len(self.moment_numbers)
        is_moment = (self.last_moment >= 0) & (self.last_moment <= n_moments)
        if not bool(is_moment.all()):
            return f"a user's latest moment is none of {n_moments}"

        return ""

    def standardized(
        self, value: Float32[np.ndarray, " ratings"]
    ) -> Float32[np.ndarray, " ratings"]:
        """Ratings less their mean, divided by their standard deviation."""
        return (value - np.float32(self.mu.item())) / np.float32(self.std.item())

    def category_of(self, value: Float32[np.ndarray, " ratings"]) -> Int64[np.ndarray, " ratings"]:
        """The nearest category of each rating."""
        return nearest_category(self.categories.cpu().numpy(), value)

    def forward(self, user: Tensor, item: Tensor, moment: Tensor | None = None) -> Tensor:
        """The rating of each pair: the mean over the draws.

        Args:
            user: row numbers of users.
            item: row numbers of items.
            moment: rows of `moment`; default: each user's latest.
        """
        n_pairs = len(user)
        total = torch.zeros(n_pairs, device=user.device)

        for s, x in enumerate(self.latent(user, item, moment)):
            expected = self.expected(x, self.cut[s])
            total += expected

        return total / self.n_drawn

    def latent(
        self, user: Tensor, item: Tensor, moment: Tensor | None = None
    ) -> Iterator[Float[Tensor, " pairs"]]:
        """x of the pairs, draw by draw.

        Args:
            user: row numbers of users.
            item: row numbers of items.
            moment: rows of `moment`; default: each user's latest.
        """
        if moment is None:
            moment = self.last_moment[user]

        n_drawn = int(self.n_drawn)
        for s in range(n_drawn):
            # In 16 bits a sum of products would err by far more than the vectors do.
            u = self.user[s].float()[user]
            v = self.item[s].float()[item]
            d = self.moment[s].float()[moment]

            offsets = u[:, -1] + v[:, -1] + d[:, -1]
            products = u * v + (u + v) * d
            # The last column is that of the offsets, which are added, not multiplied.
            factors = products[:, :-1].sum(dim=1)
            yield offsets + factors

    def latent_table(
        self, s: int, user: Float[Tensor, "users k"], moment: Int[Tensor, " users"]
    ) -> Float[Tensor, "users items"]:
        """x of every item in one draw.

        Args:
            s: which draw.
            user: the vectors of the users.
            moment: a row of `moment` for each user.
        """
        v = self.item[s].float()
        d = self.moment[s].float()[moment]

        product = user * d
        user_and_moment = product[:, :-1].sum(dim=1)
        without_item = user[:, -1] + d[:, -1] + user_and_moment

        # U · V + D · V = (U + D) · V: one product of matrices for both.
        left = (user + d)[:, :-1]
        right = v[:, :-1].t()
        item_offset = v[:, -1]

        return left @ right + item_offset + without_item[:, None]

    def expected(self, x: Tensor, cut: Float[Tensor, " cuts"]) -> Tensor:
        """The expected rating, given x and the draw's cut points."""
        if not len(self.categories):
            return self.mu + self.std * x

        # E[r] = r_1 + Σ (r_c+1 − r_c) P(r > r_c)
        lowest = float(self.categories[0])
        expected = torch.full_like(x, lowest)
        steps = self.categories.diff()

        for step, point in zip(steps, cut, strict=True):
            exceeded = torch.special.ndtr(x - point)
            expected += step * exceeded

        return expected

    def moments(
        self, user: Tensor, item: Tensor, moment: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each pair's rating: how far draws differ, and the noise.

        Args:
            user: row numbers of users.
            item: row numbers of items.
            moment: rows of `moment`; default: each user's latest.
        """
        # In 64 bits: the variance is a small difference of large numbers.
        total, square, noise = torch.zeros(3, len(user), dtype=torch.float64, device=user.device)

        for s, x in enumerate(self.latent(user, item, moment)):
            expected = self.expected(x, self.cut[s]).double()
            total = total + expected
            square = square + expected.square()
            noise = noise + self._noise_variance(s, x, expected)

        mean = total / self.n_drawn
        # The law of total variance: the variance of the means, and the mean of the variances.
        between = square / self.n_drawn - mean.square()
        variance = between + noise / self.n_drawn
        # Rounding may leave less than 0 where all draws agree.
        std = variance.clamp_min(0).sqrt()

        return mean, std

    def _noise_variance(self, s: int, x: Tensor, expected: Tensor) -> Tensor:
        """The variance of a rating, given draw s, in which its mean is `expected`."""
        if not len(self.categories):
            ones = torch.ones_like(expected)
            return ones * self.std.square() / self.alpha[s]

        probabilities = self.probabilities(x, self.cut[s]).double()
        squares = self.categories.double().square()
        mean_square = probabilities @ squares

        return mean_square - expected.square()

    def probabilities(
        self, x: Float[Tensor, " pairs"], cut: Float[Tensor, " cuts"]
    ) -> Float[Tensor, "pairs categories"]:
        """The probability of each category, given x and the draw's cut points."""
        # pairs × cut points
        distance = cut - x[:, None]
        below = torch.special.ndtr(distance)
        # Below the lowest category the distribution function is 0, above the highest it is 1.
        first = below[:, :1]
        zero = torch.zeros_like(first)
        one = torch.ones_like(first)

        return torch.diff(below, dim=1, prepend=zero, append=one)

    def side_by_side(
        self, side: Side, known: Bool[np.ndarray, " rows"]
    ) -> Float32[np.ndarray, "rows draws_and_k"]:
        """The factors of all draws side by side, less their mean over the known rows.

        They are scaled so that the product of two rows is the mean over draws of their products.

        Args:
            side: whose factors.
            known: the rows that have ratings.
        """
        n = int(self.n_drawn)
        samples = self.user if side == "user" else self.item
        without_offset = samples[:n, :, :-1]
        factors: np.ndarray = without_offset.float().cpu().numpy()
        mean = factors[:, known].mean(axis=1, keepdims=True)
        root = np.float32(n**0.5)
        scaled = (factors - mean) / root

        # draws × rows × factors becomes rows × (draws · factors).
        rows_first = np.ascontiguousarray(scaled.transpose(1, 0, 2))
        n_rows = factors.shape[1]

        return rows_first.reshape(n_rows, -1)
