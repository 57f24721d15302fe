"""Slope One: an item's rating is another item's rating plus their mean difference.

Source: Lemire, Maclachlan. "Slope One Predictors for Online Rating-Based Collaborative Filtering."
SDM 2005; the weighted form, equation 4.
Differs: pairs of items with few common users can be left out (`min_common`).

The model of docs/tour.md. It works from outside the package, too:
rc.make("examples.slope_one:SlopeOne"), or --model examples.slope_one:SlopeOne.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import nn

from recollect.errors import DataError
from recollect.kernels import Block, times_dense
from recollect.model import Capabilities, Model
from recollect.settings import setting
from recollect.training.history import History
from recollect.unseen import predict_new_users


class Differences(nn.Module):
    """For each pair of items: common users, and the sum of their differences in rating."""

    def __init__(self, n_items):
        super().__init__()
        self.count = nn.Buffer(torch.zeros(n_items, n_items))  # |S_ij|, 0 for i = j
        self.difference = nn.Buffer(torch.zeros(n_items, n_items))  # Σ over S_ij of r_ui − r_uj
        self.mean = nn.Buffer(torch.zeros(()))  # of all ratings


@dataclass(kw_only=True, eq=False)
class SlopeOne(Model):
    """The mean over a user's items j of r_uj + dev_ij, weighted by the number of common users."""

    min_common: int = setting(1, at_least=1)  # pairs of items with fewer common users are left out

    @property
    def capabilities(self):
        return Capabilities(similarity=False)

    def build(self, n_users, n_items):
        return Differences(n_items)

    def learn(self, train, valid, run):
        rows = train.by_user
        shape = (train.n_users, train.n_items)
        rating = csr_array((rows.value.astype(np.float64), rows.column, rows.start), shape=shape)
        rated = csr_array((np.ones(len(rows.value)), rows.column, rows.start), shape=shape)
        count = (rated.T @ rated).toarray()
        # Σ r_ui − Σ r_uj over the users who rated both.
        total = (rating.T @ rated).toarray()
        difference = total - total.T
        ignored = count < self.min_common
        np.fill_diagonal(ignored, True)
        count[ignored] = 0
        difference[ignored] = 0
        self.net_.count.copy_(torch.from_numpy(count))
        self.net_.difference.copy_(torch.from_numpy(difference))
        self.net_.mean.fill_(train.mean)
        return History()

    @torch.no_grad()
    def fold_in(self, rows):
        net = self.net_
        block = Block.of(rows, net.count.device)
        ones = torch.ones_like(block.value)
        # Σ_j |S_ij| (r_uj + dev_ij), over the items j of each row.
        total = times_dense(block, net.count) + times_dense(
            block, net.difference.T.contiguous(), ones
        )
        weight = times_dense(block, net.count, ones)
        scores = torch.where(weight > 0, total / weight.clamp(min=1), net.mean)
        return scores.cpu().numpy()

    def score_known(self, user, given):
        return self.fold_in(given.by_user.take(user))

    def predict_known(self, user, item, given, times):
        return predict_new_users(self, user, item, given)

    def vectors(self, side):
        raise DataError("SlopeOne has no vectors; for similar items fit another model.")
