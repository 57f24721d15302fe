"""Ratings get the texts of their items."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.text.corpus import corpus_of
from recollect.data.text.documents import documents_of
from recollect.data.text.tokenizer import Tokenizer, is_document
from recollect.data.text.word_vectors import WordVectors, read_vectors
from recollect.data.vocab import Vocab
from recollect.errors import DataError

log = logging.getLogger("recollect")


def with_texts(
    ratings: AnyRatings,
    documents: Any,
    *,
    reading: Tokenizer | None = None,
    vectors: WordVectors | str | Path | None = None,
    join: bool = False,
) -> Ratings:
    """The ratings with the documents of their items, as `ratings.text`, in place of any they had.

    `documents` is a file, or what `documents.read_documents` made of one; a mapping of item ids to texts; or a pandas or Polars
    frame with the columns item_id and text; with `join` several texts of an item are one. `vectors` are those of the
    words, or where `vectors.read_vectors` finds them. Items that have a document and no ratings are appended to the items, so
    that they can be recommended by their text; which rating is whose does not change. What has no document, or none with a word,
    is counted in `notes`.

    Raises: DataError for documents or vectors that cannot be read, for ratings on disk, or if no word is left.
    """
    if not isinstance(ratings, Ratings):
        raise DataError(
            f"{ratings!r} are on disk, and texts go with ratings in memory; read them with recollect.read."
        )
    found = documents_of(documents, join=join)
    table = found.table.filter(is_document(found.table["text"]))
    new, _ = Vocab.encode(table["item_id"].filter(ratings.items.rows(table["item_id"]) < 0))
    items = Vocab(pl.concat([ratings.items.ids, new.ids])) if len(new) else ratings.items
    rows = pl.DataFrame({"item_id": items.ids}).join(
        table, on="item_id", how="left", maintain_order="left"
    )
    corpus = corpus_of(rows["text"], reading)
    known = read_vectors(vectors, corpus.words) if isinstance(vectors, str | Path) else vectors
    notes = (
        *found.notes,
        *_losses(ratings, found.table, rows["text"], int(corpus.has.sum()), len(new)),
        *corpus.notes,
        *([known.note] if known else []),
    )
    for note in notes:
        log.info("%s: %s", ratings.name, note)
    kept = tuple(
        note for note in ratings.notes if ratings.text is None or note not in ratings.text.notes
    )
    return replace(
        ratings, items=items, text=replace(corpus, notes=notes, vectors=known), notes=kept + notes
    )


def _losses(
    ratings: Ratings, table: pl.DataFrame, texts: pl.Series, n_worded: int, n_new: int
) -> tuple[str, ...]:
    """What is said of items without a document, of documents without words, and of items that only have a document."""
    n_blank = len(table) - int(is_document(table["text"]).sum())
    n_without = int(texts.head(ratings.n_items).null_count())
    n_wordless = len(texts) - texts.null_count() - int(n_worded)
    said = (
        (n_new, f"{n_new:,} items have a document and no rating; they are added to the items."),
        (n_without, f"{n_without:,} of {ratings.n_items:,} items have no document."),
        (n_blank, f"{n_blank:,} documents are empty."),
        (n_wordless, f"{n_wordless:,} documents have none of the kept words."),
    )
    return tuple(sentence for count, sentence in said if count)
