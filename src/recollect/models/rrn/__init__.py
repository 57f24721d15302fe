"""RRN: factors of users and items that two LSTMs carry through time, beside stationary factors.

model              the class, its settings and the equations
network            an LSTM per side, and the stationary factors
time_steps         ratings by row and step of time, and what an LSTM reads of them
dynamic_factors    the LSTMs' output at any time, for predictions
subspace_descent   the Learner: users and items in turn
"""

from recollect.models.rrn.model import RRN

__all__ = ["RRN"]
