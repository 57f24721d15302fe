"""What a blend has learned: the networks of its members, their weights, and the calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from recollect.models.blend.weights import LEVELS, Calibration, Weights


class Network(nn.Module):
    """The members' networks, and a few numbers in 64 bits."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        weight = torch.zeros(len(members), dtype=torch.float64)
        intercept = torch.zeros((), dtype=torch.float64)
        std_scale = torch.ones((), dtype=torch.float64)
        quantile = torch.zeros(len(LEVELS), dtype=torch.float64)

        self.members = nn.ModuleList(members)
        self.weight = nn.Buffer(weight)  # w
        self.intercept = nn.Buffer(intercept)  # c
        self.std_scale = nn.Buffer(std_scale)
        self.quantile = nn.Buffer(quantile)

    @property
    def weights(self) -> Weights:
        """The weights of the members, and the intercept."""
        return Weights(self.weight.cpu().numpy(), float(self.intercept))

    @property
    def calibration(self) -> Calibration:
        """How far ratings lie from predictions."""
        return Calibration(float(self.std_scale), self.quantile.cpu().numpy())

    def set(self, weights: Weights, calibration: Calibration) -> None:
        """Replace all numbers."""
        self.weight.copy_(torch.from_numpy(weights.weight))
        self.intercept.fill_(weights.intercept)
        self.std_scale.fill_(calibration.std_scale)
        self.quantile.copy_(torch.from_numpy(calibration.quantile))

    def fault(self) -> str:
        """What no fit leaves, in words; empty if there is nothing of the kind."""
        if (self.weight < 0).any():
            return "a member of the blend has a negative weight"

        if self.std_scale < 0 or self.quantile[0] < 0 or (np.diff(self.quantile.cpu()) < 0).any():
            return "the quantiles of its errors do not ascend from 0"

        for member in self.members:
            own: Callable[[], str] | None = getattr(member, "fault", None)
            if own is not None and (fault := own()):
                return fault

        return ""
