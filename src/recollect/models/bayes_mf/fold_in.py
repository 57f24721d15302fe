"""New users of BayesMF: the posterior mean of their vectors, given one draw of everything else.

Items with new ratings are solved for in the same way, given the users.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from scipy.sparse import csr_array

from recollect.data.sparse_rows import Rows
from recollect.kernels import gibbs
from recollect.models.bayes_mf import truncated_normal
from recollect.models.bayes_mf.ordinal_probit import bounds
from recollect.models.bayes_mf.samples import Samples

LEAST_VARIANCE = 1e-6  # of a vector's numbers in the items' prior, so that there is an inverse
PROBIT_SWEEPS = 8  # the latent variables' means, then the vectors


class ItemsGivenUsers:
    """The draws with the sides exchanged, so that items are solved for as new users are.

    The items' prior of a draw is the normal distribution of the item vectors in it.
    """

    def __init__(self, net: Samples, is_known: Bool[np.ndarray, " n_items"]) -> None:
        """Estimate the priors.

        Args:
            net: the draws.
            is_known: the items that were drawn.
        """
        known = net.item[:, torch.from_numpy(is_known)].double()
        self.user = net.item
        self.item = net.user
        self.moment = net.moment
        self.bag_vectors = net.bag_vectors[:, :0]
        self.alpha = net.alpha
        self.cut = net.cut
        self.mean = known.mean(dim=1)
        deviation = known - self.mean[:, None]
        k = known.shape[2]
        covariance = deviation.transpose(1, 2) @ deviation / max(1, known.shape[1] - 1)
        self.precision = torch.linalg.inv(covariance + LEAST_VARIANCE * torch.eye(k).double())


class FoldIn:
    """Users with these ratings, beside draw s of everything else."""

    def __init__(
        self,
        net: Samples | ItemsGivenUsers,
        rows: Rows,
        s: int,
        moment: Int64[np.ndarray, " ratings"] | None = None,
    ) -> None:
        """Take the draw's item vectors and prior.

        Args:
            net: the draws.
            rows: ratings of known items, a row per user.
            s: which draw.
            moment: a row of `net.moment` for each rating; None: that of any moment without ratings.
        """
        self.net = net
        self.rows = rows
        self.s = s
        k = net.user.shape[2]
        self.k = k

        # Tables may be wider than k: the compiled loops take several numbers at once.
        self.items = gibbs.table(rows.n_columns, k)
        self.items[:, :k] = net.item[s].float().cpu().numpy()

        n_moments = net.moment.shape[1]
        self.moments = gibbs.table(n_moments, k)
        self.moments[:, :k] = net.moment[s].float().cpu().numpy()
        # The last moment of the network is that of any without ratings.
        self.moment = np.full(rows.n_cells, n_moments - 1) if moment is None else moment

        self.prior_mean = self._prior_mean()
        # Divided by α, since the compiled loops take ratings with noise of precision 1.
        precision = net.precision[s].double().cpu().numpy()
        self.precision = precision / float(net.alpha[s])

    def _prior_mean(self) -> Float32[np.ndarray, "users k"]:
        """μ_U, and with bags |N(u)|^-½ Σ Y_j."""
        net = self.net
        rows = self.rows
        mean = net.mean[self.s].float().cpu().numpy()
        n_users = len(rows)
        prior_mean = np.broadcast_to(mean, (n_users, self.k)).copy()
        if net.bag_vectors.shape[1]:
            n_rated = rows.counts[rows.row]
            weight = n_rated**-0.5
            shape = (n_users, rows.n_columns)
            bags = csr_array((weight, rows.column, rows.start), shape=shape)
            bag_vectors = net.bag_vectors[self.s].float().cpu().numpy()
            prior_mean += bags @ bag_vectors

        return prior_mean

    def from_values(
        self, value: Float32[np.ndarray, " ratings"]
    ) -> Float32[np.ndarray, "users width"]:
        """The users' table of vectors, given standardized ratings (or latent variables)."""
        given = gibbs.RowRatings(
            start=self.rows.start,
            left=self.rows.column,
            right=self.moment,
            value=value,
        )

        # A draw without noise is the posterior mean.
        no_noise = np.zeros_like(self.prior_mean)
        pull = self.prior_mean @ self.precision

        return gibbs.draw(
            given,
            self.items,
            self.moments,
            base=self.precision,
            pull=pull,
            noise=no_noise,
        )

    def from_categories(
        self, category: Int64[np.ndarray, " ratings"]
    ) -> Float32[np.ndarray, "users width"]:
        """The users' table of vectors, given the categories of their ratings: the latent variables'
        means and the vectors in turn.
        """
        cut = self.net.cut[self.s].double().cpu().numpy()
        cells = (self.rows.row, self.rows.column, self.moment)
        x = np.zeros(len(category), np.float32)

        for _ in range(PROBIT_SWEEPS):
            low, high = bounds(cut, category, x)
            # Means instead of draws: the posterior mean of the vectors is sought, not a sample.
            residual = truncated_normal.mean(low, high)
            z = x + residual.astype(np.float32)
            users = self.from_values(z)
            tables = (users, self.items, self.moments)
            x = gibbs.ratings(cells, tables, self.k)

        return users
