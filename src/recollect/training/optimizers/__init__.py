"""The optimizers of the papers: L-BFGS, Rprop, Adam, RMSprop, and SGD with momentum.

They take the place of torch's for speed: a step takes as long as reading memory once, if it is read
once. `kernels.optimizer_steps` does what is as long as the parameters, this folder what is short.
torch's L-BFGS also needs three more copies of the parameters and keeps its history in 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from recollect.errors import unknown
from recollect.training.optimizers.adam import Adam
from recollect.training.optimizers.base import Optimizer, RateOptimizer
from recollect.training.optimizers.lbfgs import LBFGS
from recollect.training.optimizers.rmsprop import RMSprop
from recollect.training.optimizers.rprop import Rprop
from recollect.training.optimizers.sgd import SGD

OPTIMIZERS = ("lbfgs", "rprop", "adam", "rmsprop", "rmsprop-keras", "sgd")
FULL_BATCH = ("lbfgs", "rprop")  # their steps make no sense on a part of the data
# RateOptimizers: their learning rate may change
BY_RATE = ("adam", "rmsprop", "rmsprop-keras", "sgd")
KERAS_EPSILON = 1e-6  # of RMSprop in Keras 0.3.3, under the root

__all__ = [
    "BY_RATE",
    "FULL_BATCH",
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "Optimizer",
    "RMSprop",
    "RateOptimizer",
    "Rprop",
    "make",
]


def make(
    name: str,
    parameters: Iterable[torch.nn.Parameter],
    *,
    learning_rate: float,
    momentum: float = 0.9,
    history: int = 5,
    state_bits: int = 32,
) -> Optimizer | LBFGS:
    """The optimizer of that name.

    Args:
        name: one of OPTIMIZERS.
        parameters: what the optimizer changes.
        learning_rate: for Rprop the first step size; L-BFGS finds its own steps and ignores it.
        momentum: of SGD only.
        history: of L-BFGS only, how many pairs of steps and gradient changes it remembers.
        state_bits: of Adam only, 32, or 16 to keep its two moments in bfloat16.

    Raises:
        SettingError: if there is none of that name.
    """
    match name:
        case "lbfgs":
            return LBFGS(parameters, history=history)
        case "rprop":
            return Rprop(parameters, learning_rate=learning_rate)
        case "adam":
            return Adam(parameters, learning_rate=learning_rate, state_bits=state_bits)
        case "rmsprop":
            return RMSprop(parameters, learning_rate=learning_rate)
        case "rmsprop-keras":
            return RMSprop(
                parameters, learning_rate=learning_rate, epsilon=KERAS_EPSILON, inside=True
            )
        case "sgd":
            return SGD(parameters, learning_rate=learning_rate, momentum=momentum)
    raise unknown("optimizer", name, OPTIMIZERS)
