"""EASE: a linear autoencoder on events, whose weights between items have a closed form.

model     the class, its settings and the equations
exact     every weight, by one inverse of an items × items matrix
sparse    the weights between similar items alone, where there are too many items for that
"""

from recollect.models.ease.model import EASE

__all__ = ["EASE"]
