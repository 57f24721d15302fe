"""Ratings together with the titles and other fields of their items."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import polars as pl

from recollect.data.item_table import item_table
from recollect.data.parsing.columns import Column
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.vocab import UNKNOWN
from recollect.errors import DataError

log = logging.getLogger("recollect")

# Columns that lists have already.
RESERVED = (
    "user_id",
    "rank",
    "prediction",
    "cold",
    "similarity",
    "neighbor_id",
    "known",
    "because",
)


def with_items(
    ratings: AnyRatings, items: Any, *, item: Column = None, title: Column = None
) -> Ratings:
    """The ratings with titles and other fields of their items, which every list then shows.

    They stand in `ratings.catalogue`, and a saved model keeps them. Fields that the items had
    before stay, except those of the same name. Items of the table that have no rating are left out;
    they, items without a row, and ids that stand twice are counted in `notes`.

    Args:
        ratings: in memory.
        items: path of a file with a header (CSV, TSV, JSON lines, Parquet), a mapping of item ids
            to titles, or a pandas, Polars or Arrow table.
        item: the column of item ids: its name, its place from 0, or None: found by its usual name.
        title: the column of titles, like `item`; a table may have none.

    Raises:
        DataError: for ratings on disk, a table that cannot be read or lacks a column, a field whose
            name lists use themselves, or if no id of the table is that of an item.
    """
    if not isinstance(ratings, Ratings):
        raise DataError(
            f"{ratings!r} are on disk with what was known of their items; give the titles before "
            "they are stored: recollect.store(recollect.with_items(ratings, …), folder)."
        )

    table = item_table(items, item=item, title=title)
    taken = [name for name in RESERVED if name in table.columns]
    if taken:
        raise DataError(
            f"The items have a field {taken[0]!r}, and lists have a column of that name; rename it."
        )

    last = table.filter(table["item_id"].fill_null("") != "").unique(
        "item_id", keep="last", maintain_order=True
    )
    is_known = ratings.items.rows(last["item_id"]) != UNKNOWN
    known = last.filter(is_known)
    if not len(known):
        raise DataError(
            f"None of the {len(last):,} ids of the items' table is that of a rated item; the table "
            f"has {_examples(last['item_id'])}, the ratings have {_examples(ratings.items.ids)}. "
            "Name the column of ids: item=."
        )

    notes = _notes(ratings, table, last, known)
    for note in notes:
        log.info("%s: %s", ratings.name, note)

    return replace(
        ratings,
        catalogue=_joined(ratings.catalogue, known),
        notes=(*ratings.notes, *notes),
        checked=True,
    )


def _examples(ids: pl.Series) -> str:
    return ", ".join(repr(id_) for id_ in ids.head(3))


def _notes(
    ratings: Ratings, table: pl.DataFrame, last: pl.DataFrame, known: pl.DataFrame
) -> tuple[str, ...]:
    """What was left out, a sentence each.

    Args:
        ratings: whose items they are.
        table: as it was given.
        last: the last row of each id.
        known: those of rated items.
    """
    n_blank = int((table["item_id"].fill_null("") == "").sum())
    n_twice = len(table) - n_blank - len(last)
    n_without = ratings.n_items - len(known)
    n_foreign = len(last) - len(known)
    counted = (
        (n_blank, f"{n_blank:,} rows of the items' table have no id and are left out."),
        (n_twice, f"{n_twice:,} rows of the items' table have an id again; the last one is kept."),
        (n_without, f"{n_without:,} of {ratings.n_items:,} items have no row in the items' table."),
        (n_foreign, f"{n_foreign:,} items of the table are in no rating and are left out."),
    )

    return tuple(note for count, note in counted if count)


def _joined(before: pl.DataFrame | None, fields: pl.DataFrame) -> pl.DataFrame:
    """The new fields, and those that were known before under another name."""
    if before is None:
        return fields

    others = [name for name in before.columns if name not in fields.columns]
    earlier = before.select("item_id", *others).unique("item_id", keep="first", maintain_order=True)

    return fields.join(
        earlier, on="item_id", how="full", coalesce=True, maintain_order="left_right"
    )
