"""Playlists: lists of items of several kinds, each with a title and a date, as events.

A table of lists has the columns `id`, and `title` and `time` if they are known; every other column
is a kind of items and holds the ids of each list within that kind. The pieces of titles become
items of the kind "words", so that a list of which only the title is known is a row like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from recollect.data.kinds import KIND, MARK, OWN_ID, Kinds
from recollect.data.ratings import Ratings
from recollect.data.sparse_rows import Rows
from recollect.data.text.pieces import pieces
from recollect.data.vocab import Vocab
from recollect.errors import DataError

WORDS = "words"
FACTS = ("id", "title", "time")
LEAST_LISTS = 2  # in which a piece of titles stands; one that stands in one list says nothing


def kinds_in(lists: pl.DataFrame) -> list[str]:
    """The kinds of items that a table of lists has, without the words of titles."""
    return [name for name in lists.columns if name not in FACTS]


def as_events(
    lists: pl.DataFrame,
    items: pl.DataFrame | None = None,
    *,
    name: str,
    notes: Sequence[str] = (),
) -> Ratings:
    """The items of lists as events that count 1: users are lists.

    Args:
        lists: a row for each, as the head of this module says; each id once.
        items: facts about items (columns kind, own_id and others), or None.
        name: of the events.
        notes: what was done beyond reading, a sentence each.

    Raises:
        DataError: if there is no list with items, or two lists have the same id.
    """
    contents = _contents(lists)
    words = contents.filter(pl.col(KIND) == WORDS)
    n_lists = words.group_by(OWN_ID).len()
    rare = n_lists.filter(pl.col("len") < LEAST_LISTS)[OWN_ID]
    is_rare = (pl.col(KIND) == WORDS) & pl.col(OWN_ID).is_in(rare.implode())
    contents = contents.filter(~is_rare)
    if contents.is_empty():
        raise DataError(f"{name} has no list with an item; expected ids in {kinds_in(lists)}.")

    item_ids = contents.select(pl.col(KIND) + MARK + pl.col(OWN_ID)).to_series()
    vocab, item = Vocab.encode(item_ids)
    time = None
    if "time" in lists.columns:
        time = lists["time"].cast(pl.Int64).to_numpy()[contents["list"].to_numpy()]

    return Ratings(
        contents["list"].to_numpy().astype(np.int32),
        item,
        np.ones(len(item), np.float32),
        Vocab(lists["id"]),
        vocab,
        time=time,
        scale=(0.0, 1.0),
        implicit=True,
        catalogue=_catalogue(contents, item_ids, items),
        name=name,
        notes=(*notes, *_note_of_words(len(rare), len(n_lists))),
    )


def _contents(lists: pl.DataFrame) -> pl.DataFrame:
    """A row for each list and item: columns list, kind and own_id; none stands twice."""
    numbered = lists.with_row_index("list")
    if "title" in lists.columns:
        words = [pieces(title or "") for title in lists["title"]]
        numbered = numbered.with_columns(pl.Series(WORDS, words, dtype=pl.List(pl.String)))

    parts = []

    for kind in kinds_in(numbered.drop("list")):
        part = numbered.select("list", pl.col(kind).alias(OWN_ID)).explode(OWN_ID)
        part = part.with_columns(pl.col(OWN_ID).cast(pl.String), pl.lit(kind).alias(KIND))
        parts.append(part.filter(pl.col(OWN_ID).is_not_null() & (pl.col(OWN_ID) != "")))

    return pl.concat(parts).unique(maintain_order=True)


def _catalogue(
    contents: pl.DataFrame, item_ids: pl.Series, items: pl.DataFrame | None
) -> pl.DataFrame:
    """The item table: item_id, kind, own_id, title and what else is known of the items.

    Args:
        contents: as `_contents` makes it.
        item_ids: of its rows.
        items: facts by kind and own_id, or None.
    """
    own = contents.select(item_ids.alias("item_id"), KIND, OWN_ID).unique(
        "item_id", keep="first", maintain_order=True
    )
    if items is not None:
        facts = items.unique([KIND, OWN_ID], keep="first", maintain_order=True)
        own = own.join(facts, on=[KIND, OWN_ID], how="left", maintain_order="left")

    # What has no title, as tags and words, is called by its own id.
    title = pl.coalesce("title", OWN_ID) if "title" in own.columns else pl.col(OWN_ID)

    return own.with_columns(title.alias("title"))


def _note_of_words(n_rare: int, n_words: int) -> list[str]:
    if not n_rare:
        return []

    return [
        f"{n_rare:,} of {n_words:,} words and pieces of words in titles stand in one list only and "
        "are left out."
    ]


def rows_of_lists(lists: pl.DataFrame, kinds: Kinds) -> tuple[Rows, dict[str, int]]:
    """Lists as sparse rows of a model's items, and how many items of each kind are unknown to it.

    Args:
        lists: a table of lists.
        kinds: of the items.

    Raises:
        SettingError: if the lists have items of a kind that there is not.
    """
    contents = _contents(lists)
    row = np.full(len(contents), -1, np.int32)
    n_unknown = {}

    for kind in contents[KIND].unique(maintain_order=True):
        own = (contents[KIND] == kind).to_numpy()
        if kind == WORDS and WORDS not in kinds.names:
            continue

        row[own] = kinds.rows(kind, contents[OWN_ID].filter(pl.Series(own)))
        if kind != WORDS:
            n_unknown[kind] = int((row[own] < 0).sum())

    known = row >= 0
    rows, _ = Rows.group(
        contents["list"].to_numpy()[known].astype(np.int64),
        row[known],
        n_rows=len(lists),
        n_columns=len(kinds.of_item),
    )

    return rows, n_unknown
