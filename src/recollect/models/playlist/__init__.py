"""Playlist: lists of items of several kinds, completed by an autoencoder and by neighbors.

model        the class, its settings and the equations
columns      what of a list enters the network and what leaves it
network      the autoencoder, and the weights of the blend
corruption   hide-and-seek: what is seen of a list in training
training     losses, sampled outputs, and the lists that choose when to stop
neighbors    lists that are alike, and items that stand in the same lists
members      network and neighbors, asked together
blending     weights of the members
"""

from recollect.models.playlist.model import Playlist

__all__ = ["Playlist"]
