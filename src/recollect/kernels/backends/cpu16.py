"""The loops of `cpu` with tiles of the dense operand in bfloat16: half the cache, sums still in 32
bits.

For training that tolerates an error of 0.4% in each weight it reads (Adam, SGD), on a processor
where fetching takes most of the time. Only chosen by name, `Run(kernels="cpu16")`; docs/log.md has
what it saves.
"""

from torch import Tensor

from recollect.kernels.backends import cpu
from recollect.kernels.pattern import Pattern


def times_dense(pattern: Pattern, value: Tensor, dense: Tensor) -> Tensor:
    """As `cpu.times_dense`.

    Args:
        pattern: the cells.
        value: one number per cell.
        dense: columns × k.
    """
    return cpu.times_dense(pattern, value, dense, short=True)


def observed(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """As `cpu.observed`.

    Args:
        pattern: the cells.
        left: rows × k.
        right: columns × k.
    """
    return cpu.observed(pattern, left, right, short=True)
