"""PairModel: a user and an item in, a rating out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int, Int64
from typing_extensions import override

from recollect.data.ratings import AnyRatings
from recollect.model import Model


@dataclass(kw_only=True, eq=False)
class PairModel(Model):
    """(user, item) → rating. The network's forward takes row numbers."""

    @override
    def predict_known(
        self,
        user: Int[np.ndarray, " pairs"],
        item: Int[np.ndarray, " pairs"],
        given: AnyRatings,
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float32[np.ndarray, " pairs"]:
        with torch.no_grad():
            # Some networks have buffers only, and no parameters to ask for their device.
            tensors = self.net_.state_dict().values()
            device = next(iter(tensors)).device
            users = torch.as_tensor(user, device=device)
            items = torch.as_tensor(item, device=device)
            predicted: np.ndarray = self.net_(users, items).cpu().numpy()

        return predicted

    @override
    def score_known(
        self, user: Int[np.ndarray, " users"], given: AnyRatings
    ) -> Float32[np.ndarray, "users n_items"]:
        n_items = self.given_.n_items
        users = np.repeat(user, n_items)
        items = np.tile(np.arange(n_items), len(user))
        scores = self.predict_known(users, items, given, None)
        return scores.reshape(len(user), n_items)
