"""Blend: a weighted sum of the predictions of several models.

model     the model: members are fitted, then their weights
fitting   its members, fitted one after the other
members   a member as text, such as "autorec side=user"
network   what is learned: the members' networks, the weights, and the calibration
weights   non-negative least squares, and intervals that cover what they should
"""

from recollect.models.blend.model import QUICK, Blend

__all__ = ["QUICK", "Blend"]
