"""Fold-in for a network whose columns are users: a new user's output column, without training.

The last layer predicts a column x = (w, b) as f(C x), where C holds the code of each row and a 1. A
new user who rated some rows with values v gets the posterior mode

    x = argmin  ‖v − f(C x)‖² / σ²  +  (x − m)ᵀ Σ⁻¹ (x − m)

under a normal prior. Its mean m and covariance Σ are those of the fitted columns; σ² is the
variance of the residuals. This is ridge regression towards m, weaker in the directions in which
users differ more.

Σ is nearly singular, so Σ⁻¹ is never computed. With a root R of the covariance, Σ = R Rᵀ, and
x = m + R z, the prior of z is the standard normal distribution, and σ² times the objective is

    ‖v − f(C m + C R z)‖²  +  σ² ‖z‖²
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from recollect.online.columns import ridge

# λ shrinks the fitted columns, so their covariance is too small in directions with little data.
# λ alone, as a prior, would allow a variance of 2 σ² / λ there; this share of it is added.
# Chosen on new users of MovieLens 1M: docs/log.md.
SHRUNK_SHARE = 0.1
MAX_GAUSS_NEWTON = 20  # linearizations of f
CONVERGED = 1e-6  # largest change of z that ends them


@dataclass(frozen=True)
class OutputColumns:
    """The normal prior of an output column (w, b), and the variance of the residuals."""

    mean: Float[Tensor, " k"]  # m
    root: Float[Tensor, "k k"]  # R, with Σ = R Rᵀ; columns by ascending variance
    variance: float  # σ²

    @classmethod
    def of(
        cls, columns: Float[Tensor, "columns k"], *, variance: float, reg: float
    ) -> OutputColumns:
        """The prior from fitted columns.

        Args:
            columns: the fitted columns, one in each row.
            variance: σ², of the residuals.
            reg: λ that the columns were fitted with; 0: their covariance is taken as it is.
        """
        # In 64 bits: a covariance of hundreds of weights is nearly singular.
        columns = columns.double()
        shrunk_variance = 0.0
        if reg:
            shrunk_variance = SHRUNK_SHARE * 2 * variance / reg

        identity = torch.eye(columns.shape[1]).to(columns)
        sample_covariance = torch.cov(columns.t())
        covariance = sample_covariance + shrunk_variance * identity
        # Σ = Q diag(λ) Qᵀ, so R = Q diag(√λ). Rounding can make the smallest λ negative.
        eigenvalue, eigenvector = torch.linalg.eigh(covariance)
        root = eigenvector * eigenvalue.clamp(min=0).sqrt()

        mean = columns.mean(dim=0)

        return cls(mean, root, variance)

    def solve(
        self,
        code: Float[Tensor, "rated k_less_one"],
        value: Float[Tensor, " rated"],
        codes: Float[Tensor, "rows k_less_one"],
        *,
        f: Callable[[Tensor], Tensor],
        linear: bool,
    ) -> Float[Tensor, " rows"]:
        """The new user's prediction for every row.

        Args:
            code: the codes of the rows that the user rated.
            value: their ratings.
            codes: the codes of all rows.
            f: the activation of the last layer.
            linear: whether f is the identity; then one solve is exact.
        """
        column = self.column(code, value, f=f, linear=linear)
        predicted = f(with_ones(codes) @ column)

        return predicted.float()

    def column(
        self,
        code: Float[Tensor, "rated k_less_one"],
        value: Float[Tensor, " rated"],
        *,
        f: Callable[[Tensor], Tensor],
        linear: bool,
    ) -> Float[Tensor, " k"]:
        """x = (w, b): a new output column, in 64 bits.

        A nonlinear f is linearized around the last solution (Gauss-Newton).

        Args:
            code: the codes of the rows that have a rating in the column.
            value: their ratings.
            f: the activation of the last layer.
            linear: whether f is the identity; then one solve is exact.
        """
        C = with_ones(code)
        design = C @ self.root  # C R
        at_mean = C @ self.mean  # C m
        z = torch.zeros_like(self.mean)

        n_steps = 1 if linear else MAX_GAUSS_NEWTON

        for _ in range(n_steps):
            from_mean = design @ z
            output, slope = _value_and_slope(f, at_mean + from_mean)
            # f(C x) ≈ output + slope · C R (z' − z), a linear function of the next z'.
            target = value - output + slope * from_mean
            z_next = ridge(slope[:, None] * design, target, self.variance)
            change = float((z_next - z).abs().max())
            z = z_next
            if change < CONVERGED:
                break

        return self.mean + self.root @ z  # x = m + R z


def with_ones(code: Float[Tensor, "rows k_less_one"]) -> Float[Tensor, "rows k"]:
    """The codes with a 1 behind each, which the bias is multiplied with; in 64 bits."""
    ones = torch.ones_like(code[:, :1])
    extended = torch.cat([code, ones], dim=1)
    return extended.double()


def _value_and_slope(f: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """f(x) and f'(x), elementwise."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        output = f(x)
        # Each output depends on its own x alone, so the gradient of the sum holds every slope.
        (slope,) = torch.autograd.grad(output.sum(), x)

    return output.detach(), slope
