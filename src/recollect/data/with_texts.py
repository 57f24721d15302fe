"""Ratings together with the texts of their items."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.text.corpus import Corpus, corpus_of
from recollect.data.text.documents import documents_of
from recollect.data.text.tokenizer import Tokenizer, is_document
from recollect.data.text.word_vectors import WordVectors, read_vectors
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError

log = logging.getLogger("recollect")


def with_texts(
    ratings: AnyRatings,
    documents: Any,
    *,
    tokenizer: Tokenizer | None = None,
    vectors: WordVectors | str | Path | None = None,
    join: bool = False,
) -> Ratings:
    """The ratings with the documents of their items as `ratings.text`, in place of any they had.

    Items that have a document and no ratings are appended to the items, so that they can be
    recommended by their text; the row numbers of the other items stay. Items without a document,
    and documents without a word of the vocabulary, are counted in `notes`.

    Args:
        ratings: in memory.
        documents: path of a file, or `read_documents` of one; a mapping of item ids to texts; or a
            pandas or Polars frame with the columns item_id and text.
        tokenizer: how documents become words; None: the default Tokenizer.
        vectors: pre-trained vectors of the words, or the source that `read_vectors` reads.
        join: whether several texts of an item are joined; otherwise the last one is kept.

    Raises:
        DataError: for documents or vectors that cannot be read, for ratings on disk, or if no word
            is left.
    """
    if not isinstance(ratings, Ratings):
        raise DataError(
            f"{ratings!r} are on disk, and texts go with ratings in memory; read them with "
            "recollect.read."
        )

    read = documents_of(documents, join=join)
    table = read.table.filter(is_document(read.table["text"]))
    items = _with_new_items(ratings.items, table["item_id"])
    texts = _aligned(items, table)
    corpus = corpus_of(texts, tokenizer)
    if isinstance(vectors, str | Path):
        vectors = read_vectors(vectors, corpus.words)

    losses = _counted_losses(ratings, read.table, texts, corpus)
    notes = (*read.notes, *losses, *corpus.notes)
    if vectors is not None:
        notes = (*notes, vectors.note)

    for note in notes:
        log.info("%s: %s", ratings.name, note)

    disliked = ratings.disliked
    if disliked is not None:
        disliked = replace(disliked, n_columns=len(items))

    return replace(
        ratings,
        items=items,
        disliked=disliked,
        text=replace(corpus, notes=notes, vectors=vectors),
        notes=_notes_on_ratings(ratings) + notes,
    )


def _with_new_items(items: Vocab, item_ids: pl.Series) -> Vocab:
    """The items, followed by those that only have a document."""
    is_new = items.rows(item_ids) == UNKNOWN
    new_ids = item_ids.filter(is_new)
    new, _ = Vocab.encode(new_ids)
    if not len(new):
        return items

    all_ids = pl.concat([items.ids, new.ids])

    return Vocab(all_ids)


def _aligned(items: Vocab, table: pl.DataFrame) -> pl.Series:
    """The text of each item, in the items' order; null for an item without one."""
    rows = pl.DataFrame({"item_id": items.ids})
    joined = rows.join(
        table,
        on="item_id",
        how="left",
        maintain_order="left",
    )
    return joined["text"]


def _notes_on_ratings(ratings: Ratings) -> tuple[str, ...]:
    """The notes of the ratings, less those on texts that are being replaced."""
    if ratings.text is None:
        return ratings.notes

    replaced = ratings.text.notes

    return tuple(note for note in ratings.notes if note not in replaced)


def _counted_losses(
    ratings: Ratings, table: pl.DataFrame, texts: pl.Series, corpus: Corpus
) -> tuple[str, ...]:
    """Notes on items without documents, documents without words, and items without ratings."""
    n_new = len(texts) - ratings.n_items
    n_empty = len(table) - int(is_document(table["text"]).sum())
    n_without = int(texts.head(ratings.n_items).null_count())
    n_documents = len(texts) - texts.null_count()
    n_without_words = n_documents - int(corpus.has.sum())
    notes = (
        (n_new, f"{n_new:,} items have a document and no rating; they are added to the items."),
        (n_without, f"{n_without:,} of {ratings.n_items:,} items have no document."),
        (n_empty, f"{n_empty:,} documents are empty."),
        (n_without_words, f"{n_without_words:,} documents have none of the kept words."),
    )

    return tuple(note for count, note in notes if count)
