"""Documents of planted items, which describe the items' offsets and factors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from scipy.special import expit

from recollect.data.sources.planted.truth import Truth
from recollect.data.vocab import Vocab

LETTERS = "abcdefghij"  # of the words: ten variants of each, and a letter per number
SILENT_SHARE = 0.2  # of the words, which mean nothing


def planted_texts(truth: Truth, items: Vocab, *, length: int = 30, seed: int = 0) -> dict[str, str]:
    """A document per item that describes its offset and its factors.

    Each of these numbers has ten words for a large value and ten for a small one. For each word a
    number is drawn; the larger it is, the more often the word is one for a large value. Every fifth
    word means nothing.

    Args:
        truth: what the ratings were drawn from.
        items: the ids of the items.
        length: words of a document.
        seed: of all draws.

    Returns: a text per item_id.
    """
    random = np.random.default_rng(seed)
    numbers = _standardized(truth)
    n_items, n_numbers = numbers.shape
    shape = (n_items, length)
    which = random.integers(0, n_numbers, shape)
    described = np.take_along_axis(numbers, which, axis=1)
    is_large = random.random(shape) < expit(2 * described)
    is_silent = random.random(shape) < SILENT_SHARE
    variant = random.integers(0, len(LETTERS), shape)
    documents = {}

    for row, item_id in enumerate(items.ids.to_list()):
        words = []

        for place in range(length):
            ending = LETTERS[variant[row, place]]
            if is_silent[row, place]:
                words.append(f"so{ending}")
                continue

            size = "much" if is_large[row, place] else "little"
            number = LETTERS[which[row, place]]
            words.append(f"{size}{number}{ending}")

        documents[item_id] = " ".join(words)

    return documents


def _standardized(truth: Truth) -> Float32[np.ndarray, "n_items numbers"]:
    """Each item's offset and factors, in standard deviations over the items."""
    offset = truth.b_item / np.std(truth.b_item)
    factors = truth.V / np.std(truth.V, axis=0)
    return np.column_stack([offset, factors])
