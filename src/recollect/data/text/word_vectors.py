"""Vectors of words, learned elsewhere from many texts: GloVe, word2vec, fastText."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from recollect.data.parsing.lines import opened
from recollect.data.text import fasttext, vector_files
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError

SENTENCES = "sentence-transformers:"  # how the name of a model of that package begins
SPREAD = 0.1  # of the numbers drawn for a word without a vector


@dataclass(frozen=True, eq=False, repr=False)
class WordVectors:
    """A vector for each word of a vocabulary, in its order; `found` says which words the source had one for.

    Raises: DataError if `found` is not as long as the table.
    """

    table: Float32[np.ndarray, "n_words d"]
    found: Bool[np.ndarray, " n_found"]
    name: str = "vectors"  # of the source

    def __post_init__(self) -> None:
        if len(self.found) != len(self.table):
            raise DataError(
                f"There are {len(self.table):,} vectors, and {len(self.found):,} words are said to be found or "
                "not; expected one for one."
            )

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"WordVectors({self.name}: {len(self):,} words × {self.d}, {int(self.found.sum()):,} found)"

    @property
    def d(self) -> int:
        """Numbers in a vector."""
        return self.table.shape[1]

    @property
    def note(self) -> str:
        """A sentence on how many words were found."""
        return (
            f"Vectors of {self.name}: {self.found.mean():.1%} of the {len(self):,} words are found"
            + ("." if self.found.all() else "; the others are drawn around the mean of all.")
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the vectors."""
        seen = hashlib.sha256(repr(self.table.shape).encode())
        seen.update(np.ascontiguousarray(self.table).tobytes())
        seen.update(self.found.tobytes())
        return seen.hexdigest()[:16]


def read_vectors(source: str | Path, words: Vocab, *, seed: int = 0) -> WordVectors:
    """The words' vectors from a file: GloVe, word2vec (text, binary), fastText (.vec, .bin), packed with gzip or zstd or not.

    Or from a model of the package sentence-transformers, as "sentence-transformers:NAME", which encodes each word. A word that
    the source has no vector for gets one that is drawn from the seed as ConvMF's authors do: around the mean of all vectors of
    the file (of a fastText model, of its words' own rows), with a standard deviation of 0.1. The numbers are as the source has
    them.

    Raises: DataError if the file is missing, damaged or of another form; SettingError if the package is not installed.
    """
    if str(source).startswith(SENTENCES):
        return _encoded(str(source), words)
    path = Path(source)
    if not path.is_file():
        raise DataError(
            f"There is no file of vectors {path} (looked in {path.absolute().parent}); check the path."
        )
    with opened(path) as stream:
        is_model = stream.read(len(fasttext.MAGIC)) == fasttext.MAGIC
    taken = (fasttext if is_model else vector_files).read(path, words)
    drawn = np.random.default_rng(seed).normal(
        taken.mean, SPREAD, (int((~taken.found).sum()), len(taken.mean))
    )
    taken.table[~taken.found] = drawn
    return WordVectors(taken.table, taken.found, path.name)


def _encoded(name: str, words: Vocab) -> WordVectors:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as missing:
        raise SettingError(
            f"{name} needs the package sentence-transformers, which is not installed: "
            "pip install sentence-transformers."
        ) from missing
    table = SentenceTransformer(name.removeprefix(SENTENCES)).encode(
        words.ids.to_list(), show_progress_bar=False
    )
    return WordVectors(np.asarray(table, np.float32), np.ones(len(words), bool), name)
