"""The fingerprint of ratings: the same for the same ratings, in memory and on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from recollect.data.text.corpus import Corpus
from recollect.data.vocab import Vocab


def fingerprint(
    users: Vocab,
    items: Vocab,
    scale: tuple[float, float],
    columns: Iterable[Iterable[np.ndarray] | None],
    *,
    text: Corpus | None = None,
) -> str:
    """16 hexadecimal digits that depend on the ratings.

    Args:
        users: the ids of users.
        items: the ids of items.
        scale: the lowest and the highest possible rating.
        columns: user, item, value and time, ordered by user and item, each in any blocks or None.
        text: the documents of the items, or None.
    """
    low, high = map(float, scale)
    head = repr((len(users), len(items), (low, high)))
    digest = hashlib.sha256(head.encode())

    for column in columns:
        if column is None:
            digest.update(b"none")
            continue

        for block in column:
            contiguous = np.ascontiguousarray(block)
            digest.update(contiguous.tobytes())

    # With a separator: the ids "1", "23" must not look like "12", "3".
    for vocab in (users, items):
        ids = "\x1f".join(vocab.ids)
        digest.update(ids.encode())

    if text is not None:
        digest.update(text.fingerprint.encode())

    return digest.hexdigest()[:16]
