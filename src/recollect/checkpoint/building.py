"""A network built to be filled from a file: no larger than the file, and with no effect on fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from recollect.errors import CheckpointError
from recollect.model import Model

# Numbers that a network may ask for, for each one in the file: some are made and thrown away. And
# so many more, for what is not learned.
PER_NUMBER = 4
FREE = 1 << 20

# Functions that make a tensor of a size, and those that draw numbers.
MAKE = {"empty", "zeros", "ones", "full", "rand", "randn", "randint", "normal"}
DRAW = {
    "rand",
    "randn",
    "randint",
    "randperm",
    "normal",
    "bernoulli",
    "multinomial",
    "poisson",
    "normal_",
    "uniform_",
    "bernoulli_",
    "random_",
    "exponential_",
    "trunc_normal_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
}


def build(model: Model, *, n_numbers: int) -> nn.Module:
    """The network of a model that is not fitted, with numbers that do not matter.

    Args:
        model: with `given_`.
        n_numbers: how many there are in the file that the network is for.

    Raises:
        CheckpointError: if the network would be far larger; nothing of that size is made.
    """
    with _Building(PER_NUMBER * n_numbers + FREE):
        return model.inner.build(model.given_.n_users, model.given_.n_items)


class _Building(TorchFunctionMode):
    """Within this block a thread draws from a generator of its own and makes so many numbers.

    torch's generator, which a fit in another thread may be using, stays as it is.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most
        self.generator = torch.Generator()

    @override
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, with its generator replaced and its size counted."""
        options = dict(kwargs or {})
        name = func.__name__
        if name in MAKE:
            self._take(_size(args, options))

        if name in DRAW and options.get("generator") is None:
            options["generator"] = self.generator

        return func(*args, **options)

    def _take(self, n: int) -> None:
        self.left -= n
        if self.left < 0:
            raise CheckpointError(
                "net.safetensors does not fit the model's settings: they make a network that is "
                "far larger than the file. Copy the folder again or fit anew."
            )


def _size(args: Sequence[Any], options: dict[str, Any]) -> int:
    """How many numbers a call asks for: sizes stand one by one, or as a sequence."""
    if "size" in options:
        return math.prod(options["size"])

    for argument in args:
        if isinstance(argument, list | tuple):
            return math.prod(argument)

    sizes = [argument for argument in args if isinstance(argument, int)]

    return math.prod(sizes)
