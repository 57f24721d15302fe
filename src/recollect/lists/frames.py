"""Lists as frames: ids, ranks and scores, with the titles and other fields of items."""

from __future__ import annotations

import numpy as np
import polars as pl

from recollect.data.catalogue import listed_fields
from recollect.data.ratings import AnyRatings
from recollect.data.vocab import Vocab


def list_frame(of: pl.Series, scores: np.ndarray, ranked: np.ndarray, vocab: Vocab) -> pl.DataFrame:
    """The entries that are listed of each row of scores.

    Args:
        of: the id that each row belongs to.
        scores: a row per id, a column per entry of the vocabulary.
        ranked: the columns that are listed of each row, in order; -1 where there are no more.
        vocab: the ids of the columns.

    Returns: columns of, rank, id, score; and row and column, the place of the score.
    """
    row, rank = np.nonzero(ranked >= 0)
    column = ranked[row, rank]

    return pl.DataFrame(
        {
            "of": of.gather(row),
            "rank": (rank + 1).astype(np.int32),
            "id": vocab.at(column),
            "score": scores[row, column],
            "row": row,
            "column": column,
        }
    )


def with_titles(given: AnyRatings, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """The frame with titles and other fields after the column of item ids, as far as known."""
    fields = listed_fields(given.catalogue, frame[key])
    place = frame.columns.index(key) + 1

    for number, column in enumerate(fields):
        frame.insert_column(place + number, column)

    return frame
