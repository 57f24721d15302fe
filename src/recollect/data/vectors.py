"""Vectors of words, learned elsewhere from many texts: GloVe, word2vec, fastText."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32

from recollect.errors import DataError


@dataclass(frozen=True, eq=False, repr=False)
class WordVectors:
    """A vector for each word of a vocabulary, in its order; `found` says which words the source had one for.

    Raises: DataError if `found` is not as long as the table.
    """

    table: Float32[np.ndarray, "n_words d"]
    found: Bool[np.ndarray, " n_found"]
    name: str = "vectors"       # of the source

    def __post_init__(self) -> None:
        if len(self.found) != len(self.table):
            raise DataError(f"There are {len(self.table):,} vectors, and {len(self.found):,} words are said to be found or "
                            "not; expected one for one.")

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"WordVectors({self.name}: {len(self):,} words × {self.d}, {int(self.found.sum()):,} found)"

    @property
    def d(self) -> int:
        """Numbers in a vector."""
        return self.table.shape[1]

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the vectors."""
        seen = hashlib.sha256(repr(self.table.shape).encode())
        seen.update(np.ascontiguousarray(self.table).tobytes())
        seen.update(self.found.tobytes())
        return seen.hexdigest()[:16]
