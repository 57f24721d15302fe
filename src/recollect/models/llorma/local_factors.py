"""The network of LLORMA: factors in each local model, and those of the global factorization."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from recollect.data.ratings import Side
from recollect.families.pair_blocks import in_blocks
from recollect.nn import Factors

TINY = 1e-30  # less than any sum of weights


class LocalFactors(nn.Module):
    """Local models mu + U_t · V_t, and the global factors, which predict where no local model
    reaches.

    With offsets the last column of U_t and V_t is an offset: mu + b_u + b_i + the product of the
    others. The factors are buffers, since no gradients are taken by torch.
    """

    def __init__(self, global_factors: Factors, n_models: int, k: int, *, offsets: bool) -> None:
        """Factors of zeros, and weights of zero.

        Args:
            global_factors: of all users and items; mu is theirs.
            n_models: how many local models.
            k: factors of a user or item in a local model, the offset not counted.
            offsets: whether local models have offsets.
        """
        super().__init__()
        n_users = len(global_factors.user)
        n_items = len(global_factors.item)
        self.global_factors = global_factors
        self.offsets = offsets
        self.scale = nn.Buffer(torch.ones(n_models))  # 1 / the mean weight of a model's ratings
        self.anchor = nn.Buffer(torch.zeros(n_models, 2, dtype=torch.int64))  # a user and an item
        self.weight_user = nn.Buffer(torch.zeros(n_models, n_users))
        self.weight_item = nn.Buffer(torch.zeros(n_models, n_items))

        width = k + offsets
        self.user = nn.Buffer(torch.zeros(n_models, n_users, width))
        self.item = nn.Buffer(torch.zeros(n_models, n_items, width))

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """The rating of each pair."""
        device = self.user.device
        return in_blocks(self._predict_block, user, item, device=device)

    def _predict_block(self, user: Tensor, item: Tensor) -> Tensor:
        weighted, total_weight = self.weighted_sums(user, item)
        global_ratings = self.global_factors(user, item)

        return self._mean_or_global(weighted, total_weight, global_ratings)

    def weights(self, side: Side) -> Float[Tensor, "models rows"]:
        """How much each user or item weighs in each local model."""
        if side == "user":
            return self.weight_user

        return self.weight_item

    def weighted_sums(
        self, user: Tensor, item: Tensor
    ) -> tuple[Float[Tensor, " pairs"], Float[Tensor, " pairs"]]:
        """Σ_t w_t (r̂_t − mu) and Σ_t w_t of each pair."""
        n_pairs = len(user)
        device = self.user.device
        weighted = torch.zeros(n_pairs, device=device)
        total_weight = torch.zeros(n_pairs, device=device)

        for t in range(len(self.user)):
            weight_of_user = self.weight_user[t, user]
            weight_of_item = self.weight_item[t, item]
            weight = weight_of_user * weight_of_item

            # Most models weigh 0 for a pair if the kernels are narrow: those products are saved.
            reached = weight.nonzero()[:, 0]
            left = self.user[t, user[reached]]
            right = self.item[t, item[reached]]
            product = self._local_product(left, right)
            weighted[reached] += weight[reached] * product
            total_weight += weight

        return weighted, total_weight

    def _local_product(self, left: Tensor, right: Tensor) -> Tensor:
        """U_t · V_t, and the offsets."""
        product = left * right
        if not self.offsets:
            return product.sum(dim=1)

        factors = product[:, :-1].sum(dim=1)
        left_offset = left[:, -1]
        right_offset = right[:, -1]

        return factors + left_offset + right_offset

    def predict_all(
        self,
        global_factors: Float[Tensor, "users k"],
        local_factors: Float[Tensor, "models users r"],
        weight: Float[Tensor, "models users"],
    ) -> Float[Tensor, "users items"]:
        """The rating of every item.

        Args:
            global_factors: of the users.
            local_factors: of the users in each local model.
            weight: of the users in each local model.
        """
        n_models, n_items, _ = self.item.shape
        n_users = len(global_factors)
        weighted = torch.zeros(n_users, n_items, device=self.item.device)

        for t in range(n_models):
            left, right = self._as_one_product(local_factors[t], self.item[t])
            # Factors are weighted instead of their product, which is users × items numbers.
            weighted_left = weight[t][:, None] * left
            weighted_right = self.weight_item[t][:, None] * right
            weighted.addmm_(weighted_left, weighted_right.t())

        total_weight = weight.t() @ self.weight_item
        global_ratings = self.global_factors.predict_all(global_factors)

        return self._mean_or_global(weighted, total_weight, global_ratings)

    def _as_one_product(self, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """Factors whose plain product includes the offsets: (U, 1, b_u) · (V, b_i, 1)."""
        if not self.offsets:
            return user, item

        features, _ = self.features(user)  # (U, 1)
        user_offset = user[:, -1:]
        left = torch.cat([features, user_offset], dim=1)
        right = nn.functional.pad(item, (0, 1), value=1.0)

        return left, right

    def _mean_or_global(
        self, weighted: Tensor, total_weight: Tensor, global_ratings: Tensor
    ) -> Tensor:
        """The weighted mean of the local models; where none reaches, the global rating."""
        # Where no model reaches, 0 / TINY is 0, where 0 / 0 would not be a number.
        local_mean = weighted / total_weight.clamp(min=TINY)
        mean = self.global_factors.mu + local_mean
        is_reached = total_weight > 0

        return torch.where(is_reached, mean, global_ratings)

    def features(self, factors: Float[Tensor, "rows k"]) -> tuple[Tensor, Tensor]:
        """What the other side's factors are multiplied with, and what is added: the offsets."""
        if not self.offsets:
            zeros = factors.new_zeros(len(factors))
            return factors, zeros

        offset = factors[:, -1]
        # The 1 stands where the other side has its own offset.
        with_one = nn.functional.pad(factors[:, :-1], (0, 1), value=1.0)

        return with_one, offset


def to_numpy(x: Tensor) -> np.ndarray:
    """The numbers of a tensor on any device, contiguous."""
    on_cpu = x.detach().cpu()
    array: np.ndarray = on_cpu.contiguous().numpy()

    return array
