"""The loops of `cpu` with the gathered operand in bfloat16: half the cache, sums still in 32 bits.

For training that bears an error of 0.4% in each weight it reads (Adam, SGD); on a processor where fetching is what takes the
time. Chosen with `Run(kernels="cpu16")`, never by itself: docs/log.md has what it gains.
"""

from torch import Tensor

from recollect.kernels.backends import cpu
from recollect.kernels.pattern import Pattern


def times_dense(pattern: Pattern, value: Tensor, dense: Tensor) -> Tensor:
    """Row j is the sum over its cells c of value[c] · dense[column[c]]: rows × k."""
    return cpu.times_dense(pattern, value, dense, short=True)


def observed(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """One number per cell: the inner product of left[its row] and right[its column]."""
    return cpu.observed(pattern, left, right, short=True)
