"""Pre-trained vectors of words: GloVe, word2vec, fastText, sentence-transformers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from recollect.data.parsing.opening import check_path, opened
from recollect.data.text import fasttext, vector_files
from recollect.data.text.vector_files import CollectedVectors
from recollect.data.vocab import Vocab
from recollect.errors import DataError, SettingError

SENTENCES = "sentence-transformers:"  # how the name of a model of that package begins
DRAWN_STD = 0.1  # standard deviation of the numbers drawn for a word without a vector


@dataclass(
    frozen=True,
    eq=False,
    repr=False,
)
class WordVectors:
    """A vector for each word of a vocabulary, in its order.

    Args:
        table: the vectors.
        found: which words the source had a vector for.
        name: of the source.

    Raises:
        DataError: if `found` and `table` differ in length.
    """

    table: Float32[np.ndarray, "n_words d"]
    found: Bool[np.ndarray, " n_found"]
    name: str = "vectors"

    def __post_init__(self) -> None:
        if len(self.found) != len(self.table):
            raise DataError(
                f"There are {len(self.table):,} vectors, but `found` has {len(self.found):,} "
                "entries; expected one for each."
            )

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        n_found = int(self.found.sum())
        size = f"{len(self):,} words × {self.d}"
        found = f"{n_found:,} found"
        return f"WordVectors({self.name}: {size}, {found})"

    @property
    def d(self) -> int:
        """Dimension of a vector."""
        return self.table.shape[1]

    @property
    def note(self) -> str:
        """A sentence on how many words were found."""
        share = f"{self.found.mean():.1%} of the {len(self):,} words are found"
        note = f"Vectors of {self.name}: {share}"
        if self.found.all():
            return f"{note}."

        return f"{note}; the others are drawn around the mean of all."

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the vectors."""
        shape = repr(self.table.shape)
        digest = hashlib.sha256(shape.encode())
        contiguous = np.ascontiguousarray(self.table)
        digest.update(contiguous.tobytes())
        digest.update(self.found.tobytes())
        return digest.hexdigest()[:16]


def read_vectors(source: str | Path, words: Vocab, *, seed: int = 0) -> WordVectors:
    """The words' vectors from a file, or from a model of the package sentence-transformers.

    A word that the source has no vector for gets a random one, as ConvMF's authors do: around the
    mean of all vectors of the file (of a fastText model, of its words' own rows), with a standard
    deviation of 0.1. The vectors that were found are not scaled.

    Args:
        source: path of a file of GloVe, word2vec (text or binary) or fastText (.vec or .bin), which
            may be compressed with gzip or zstd; or "sentence-transformers:NAME", a model that
            encodes each word.
        words: the vocabulary.
        seed: of the random vectors.

    Raises:
        DataError: if the file is missing, damaged or of another form.
        SettingError: if sentence-transformers is not installed.
    """
    if str(source).startswith(SENTENCES):
        return _encode_words(str(source), words)

    path = Path(source)
    check_path(path)
    if not path.is_file():
        folder = path.absolute().parent
        raise DataError(f"There is no file of vectors {path} (looked in {folder}); check the path.")

    collected = _collect(path, words)
    missing = ~collected.found
    shape = (int(missing.sum()), len(collected.mean))
    generator = np.random.default_rng(seed)
    collected.table[missing] = generator.normal(collected.mean, DRAWN_STD, shape)

    return WordVectors(collected.table, collected.found, path.name)


def _collect(path: Path, words: Vocab) -> CollectedVectors:
    """The vectors of the words in a file of any of the forms."""
    with opened(path) as stream:
        head = stream.read(len(fasttext.MAGIC))
    if head == fasttext.MAGIC:
        return fasttext.read(path, words)
    return vector_files.read(path, words)


def _encode_words(name: str, words: Vocab) -> WordVectors:
    """What a model of sentence-transformers encodes each word as.

    Raises:
        SettingError: if the package is not installed.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as missing:
        raise SettingError(
            f"{name} needs the package sentence-transformers, which is not installed: "
            "pip install sentence-transformers."
        ) from missing

    model = SentenceTransformer(name.removeprefix(SENTENCES))
    table = model.encode(words.ids.to_list(), show_progress_bar=False)

    return WordVectors(np.asarray(table, np.float32), np.ones(len(words), bool), name)
