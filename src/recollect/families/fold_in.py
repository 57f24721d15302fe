"""Someone new to an item-side network: their output column, solved from the codes of the rows that they rated.

The column x = (w, b) minimizes Σ (v − f(C w + b))² / σ² + (x − x̄)ᵀ Σ⁻¹ (x − x̄): a ridge that draws it towards the mean x̄ of
the fitted columns, less so in the directions in which they differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

HIDDEN = 0.1  # of the spread that λ alone would allow, what to expect in directions that λ has shrunk away: docs/log.md


@dataclass(frozen=True)
class OutputColumns:
    """What the fitted columns (w, b) are like, and so what to expect of a new one."""

    middle: Float[Tensor, " k"]  # x̄
    spread: Float[Tensor, "k k"]  # a root of Σ
    variance: float  # σ², of the error that is left

    @classmethod
    def of(
        cls, columns: Float[Tensor, "columns k"], *, variance: float, reg: float
    ) -> OutputColumns:
        """Those of a network fitted with this λ on the columns (0: none); chosen on new users of MovieLens 1M."""
        columns = columns.double()
        hidden = HIDDEN * 2 * variance / reg if reg else 0.0
        covariance = torch.cov(columns.t()) + hidden * torch.eye(columns.shape[1]).to(columns)
        value, direction = torch.linalg.eigh(covariance)
        return cls(columns.mean(dim=0), direction * value.clamp(min=0).sqrt(), variance)

    def solve(
        self,
        code: Float[Tensor, "rated k_less_one"],
        value: Float[Tensor, " rated"],
        codes: Float[Tensor, "rows k_less_one"],
        *,
        f: Callable[[Tensor], Tensor],
        linear: bool,
    ) -> Float[Tensor, " rows"]:
        """A prediction for every code, by someone who gave the rows with these codes these values.

        An f that is not linear is linearized around the last solution (Gauss-Newton, 20 rounds at most).
        """
        code, codes = (
            torch.cat([x, torch.ones_like(x[:, :1])], dim=1).double() for x in (code, codes)
        )
        design, start = code @ self.spread, code @ self.middle
        at = torch.zeros_like(self.middle)  # x = x̄ + spread · at
        for _ in range(1 if linear else 20):
            z = (start + design @ at).requires_grad_()
            with torch.enable_grad():
                out = f(z)
                (slope,) = torch.autograd.grad(out.sum(), z)
            new = ridge(
                slope[:, None] * design, value - out.detach() + slope * (design @ at), self.variance
            )
            moved, at = float((new - at).abs().max()), new
            if moved < 1e-6:
                break
        return f(codes @ (self.middle + self.spread @ at)).float()


def ridge(
    a: Float[Tensor, "n k"], target: Float[Tensor, " n"], doubt: float
) -> Float[Tensor, " k"]:
    """x that minimizes ‖target − a x‖² + doubt ‖x‖²; solved in the smaller of the two spaces."""
    if len(a) > a.shape[1]:
        return torch.linalg.solve(
            a.t() @ a + doubt * torch.eye(a.shape[1], dtype=a.dtype, device=a.device),
            a.t() @ target,
        )
    return a.t() @ torch.linalg.solve(
        a @ a.t() + doubt * torch.eye(len(a), dtype=a.dtype, device=a.device), target
    )
