"""BayesMF: Bayesian matrix factorization, sampled. Predictions are means over draws of the factors.

model              the class, its settings and the equations
samples            the network: the draws that are kept
sampler            Gibbs sampling: a draw of everything in each epoch
row_vectors        the vectors of users, items or days, their prior and their bags
noise              what lies between the factors and the ratings; Gaussian
categories         ratings as categories
ordinal_probit     the same for ratings that are categories between cut points
conjugate          draws from conjugate posteriors
truncated_normal   draws and means of truncated normal distributions
fold_in            new users' vectors, given a draw of everything else
rated_days         which day a rating belongs to
"""

from recollect.models.bayes_mf.model import BayesMF

__all__ = ["BayesMF"]
