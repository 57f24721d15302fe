"""LLORMA: many local factorizations, each of the ratings near an anchor, and their weighted mean.

model            the class, its settings and the equations
local_factors    the network: factors in each local model, and the global ones
neighborhood     how much users and items weigh, by their angle to an anchor
local_sgd        stochastic gradient descent on all local models
local_ridge      new users' factors in each local model
"""

from recollect.models.llorma.model import LLORMA

__all__ = ["LLORMA"]
