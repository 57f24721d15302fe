"""BayesMF: Bayesian matrix factorization. Factors are drawn from their posterior, and predictions are means over the draws."""

from recollect.models.bayes_mf.model import BayesMF

__all__ = ["BayesMF"]
