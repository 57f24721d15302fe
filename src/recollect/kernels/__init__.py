"""2 · The expensive operations, one file each; every operation chooses its backend.

`reference/` states what each operation computes in plain NumPy; `compiled/` holds the Numba loops;
`backends/` the same sparse products computed in other ways.
"""

from recollect.kernels.block import BACKENDS, Block, backend_for, multiplies_16_bits, use
from recollect.kernels.sparse_products import observed, times_dense

__all__ = [
    "BACKENDS",
    "Block",
    "backend_for",
    "multiplies_16_bits",
    "observed",
    "times_dense",
    "use",
]
