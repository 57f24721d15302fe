"""How far a code's posterior is from its prior, one number per row.

The posterior of a row is a normal distribution with independent coordinates, q = N(μ, diag σ²). Its
prior is the standard normal distribution (Mult-VAE), or for every coordinate a mixture (RecVAE):

    p(z) = 3/20 · N(z; 0, 1)  +  3/4 · N(z; μ_old, σ²_old)  +  1/10 · N(z; 0, exp 10)

μ_old and σ²_old come from the encoder as it was some passes ago.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

# Weights of the mixture: standard normal, old posterior, wide normal. From the authors' code.
STANDARD, OLD, WIDE = 3 / 20, 3 / 4, 1 / 10
WIDE_LOG_VARIANCE = 10.0


def kl_to_standard(
    mean: Float[Tensor, "rows k"], log_variance: Float[Tensor, "rows k"]
) -> Float[Tensor, " rows"]:
    """KL(q ‖ N(0, I)) = ½ Σ (μ² + σ² − 1 − log σ²).

    Args:
        mean: μ.
        log_variance: log σ².

    Source: Kingma and Welling. "Auto-Encoding Variational Bayes." ICLR 2014, appendix B.
    """
    terms = mean.square() + log_variance.exp() - 1 - log_variance
    return terms.sum(dim=1) / 2


def log_normal(
    z: Float[Tensor, "rows k"],
    mean: Float[Tensor, "rows k"] | float,
    log_variance: Float[Tensor, "rows k"] | float,
) -> Float[Tensor, "rows k"]:
    """log N(z; μ, σ²) of each coordinate.

    Args:
        z: where.
        mean: μ.
        log_variance: log σ².
    """
    log_variance = torch.as_tensor(log_variance, dtype=z.dtype, device=z.device)
    scaled = (z - mean).square() * (-log_variance).exp()

    return -(math.log(2 * math.pi) + log_variance + scaled) / 2


def log_composite(
    z: Float[Tensor, "rows k"],
    old_mean: Float[Tensor, "rows k"],
    old_log_variance: Float[Tensor, "rows k"],
) -> Float[Tensor, "rows k"]:
    """log p(z) of each coordinate under the mixture.

    Args:
        z: where.
        old_mean: μ_old.
        old_log_variance: log σ²_old.

    Source: Shenbin et al., WSDM 2020, section 3.3; the weights, the variance of the wide normal and
        the mixture by coordinates are the authors' code's.
    """
    parts = [
        log_normal(z, 0.0, 0.0) + math.log(STANDARD),
        log_normal(z, old_mean, old_log_variance) + math.log(OLD),
        log_normal(z, 0.0, WIDE_LOG_VARIANCE) + math.log(WIDE),
    ]
    return torch.logsumexp(torch.stack(parts), dim=0)


def sampled_kl_to_composite(
    z: Float[Tensor, "rows k"],
    mean: Float[Tensor, "rows k"],
    log_variance: Float[Tensor, "rows k"],
    old_mean: Float[Tensor, "rows k"],
    old_log_variance: Float[Tensor, "rows k"],
) -> Float[Tensor, " rows"]:
    """Σ log q(z) − log p(z): KL(q ‖ p) estimated from one draw z of q, as it has no closed form.

    Args:
        z: drawn from the posterior.
        mean: μ.
        log_variance: log σ².
        old_mean: μ_old.
        old_log_variance: log σ²_old.
    """
    posterior = log_normal(z, mean, log_variance)
    prior = log_composite(z, old_mean, old_log_variance)

    return (posterior - prior).sum(dim=1)
