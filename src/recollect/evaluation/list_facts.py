"""What is known of the items in lists: how popular they are, and their genres or users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float, Int64
from scipy.sparse import csr_array, hstack

from recollect.data.ratings import AnyRatings
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import UNKNOWN
from recollect.errors import DataError, unknown
from recollect.evaluation.by_id import Matched, Visible
from recollect.model import Model
from recollect.system.door import words

FIELDS = ("genres", "genre", "categories", "category", "tags", "subjects")  # tried in this order
SEPARATOR = "|"  # between the genres of an item in a field of text, as in MovieLens' files
USERS_AT_ONCE = 20_000
CO_OCCURRENCE = "the users whom items share"


@dataclass(frozen=True)
class ListFacts:
    """What metrics of the items shown take by name, and where it comes from.

    Args:
        by_name: the facts that there are.
        about: the field that was used, and what the diversity is computed from.
    """

    by_name: dict[str, Any]
    about: dict[str, Any]


def facts_of_lists(
    model: Model,
    matched: Matched,
    visible: Visible,
    shown: Int64[np.ndarray, "people n"],
    people: Int64[np.ndarray, " people"],
    *,
    field: str | None,
) -> ListFacts:
    """Everything that the metrics of shown items can be computed from.

    Args:
        model: fitted; popularity is that among its users.
        matched: the test ratings.
        visible: what the lists were made from; users' own rows are theirs in it.
        shown: the items of each list; -1: none.
        people: the rows in the test ratings of the users.
        field: of the items, such as "genres"; None: the first of FIELDS that has values.

    Raises:
        SettingError: for a field that the items do not have.
        DataError: for a field without any value, or of numbers.
    """
    fitted = model.given_
    share = fitted.count("item") / max(1, np.count_nonzero(fitted.count("user")))
    name, genres = item_field(fitted, field)
    of_items = [csr_array(share[:, None])]
    if genres is not None:
        of_items.append(_shares(genres))

    own = _own_shares(matched, visible, people, csr_array(hstack(of_items)))
    facts = {"shown": shown, "share": share, "own_share": own[:, 0]}
    if genres is None:
        facts["sets"] = fitted.by_item
    else:
        facts |= {"sets": genres, "genres": of_items[1].toarray(), "own_genres": own[:, 1:]}

    return ListFacts(facts, {"item_field": name, "diversity_from": name or CO_OCCURRENCE})


def item_field(ratings: AnyRatings, field: str | None) -> tuple[str | None, Rows | None]:
    """The name of a field with the genres of items, and a row of genres for each item.

    Args:
        ratings: with the items, and what is known of them.
        field: its name; None: the first of FIELDS that has values, if there is one.

    Raises:
        SettingError: for a field that the items do not have.
        DataError: for a field without any value, or of numbers.
    """
    catalogue = ratings.catalogue
    known = [] if catalogue is None else [c for c in catalogue.columns if c != "item_id"]
    if field is not None and field not in known:
        if not known:
            how = words("recollect.with_items(ratings, 'items.csv')", "--items items.csv at train")
            raise DataError(
                f"The items have no field {field!r}, nor any other: the model learned from ratings "
                f"without a table of items; give one ({how})."
            )

        raise unknown("field of the items", field, known)

    for name in FIELDS if field is None else (field,):
        if catalogue is not None and name in known:
            rows = _genre_rows(ratings, catalogue, name)
            if rows is not None and rows.n_cells:
                return name, rows

    if field is not None:
        raise DataError(
            f"The field {field!r} has no text for any item; name a field of genres, tags or "
            f"categories: {', '.join(known)}."
        )

    return None, None


def _genre_rows(ratings: AnyRatings, catalogue: pl.DataFrame, field: str) -> Rows | None:
    """A row for each item with a cell for each of its genres; None if the field is not of text."""
    table = catalogue.select("item_id", genre=field).unique("item_id", keep="first")
    if table["genre"].dtype == pl.String:
        table = table.with_columns(pl.col("genre").str.split(SEPARATOR))

    if table["genre"].dtype != pl.List(pl.String):
        return None

    cells = table.explode("genre", empty_as_null=True, keep_nulls=True)
    cells = cells.with_columns(pl.col("genre").str.strip_chars())
    cells = cells.filter(pl.col("genre").fill_null("") != "").unique()
    item = ratings.items.rows(cells["item_id"])
    is_known = item != UNKNOWN
    genres = cells["genre"].unique().sort()
    column = genres.search_sorted(cells["genre"]).to_numpy().astype(np.int64)
    rows, _ = Rows.group(
        item[is_known],
        column[is_known],
        n_rows=ratings.n_items,
        n_columns=len(genres),
    )

    return rows


def _shares(genres: Rows) -> csr_array:
    """The share of each genre in each item: an item of two genres is half of each."""
    share = 1 / genres.counts[genres.row]
    return csr_array((share, genres.column, genres.start), shape=(len(genres), genres.n_columns))


def _own_shares(
    matched: Matched,
    visible: Visible,
    people: Int64[np.ndarray, " people"],
    of_items: csr_array,
) -> Float[np.ndarray, "people columns"]:
    """The sum of some numbers of the items over each user's own row, divided by its length.

    Args:
        matched: the test ratings.
        visible: what is known of the users.
        people: the rows in the test ratings of the users.
        of_items: the numbers of each item.

    Returns: rows of NaN for users of whom nothing is known.
    """
    means = np.full((len(people), of_items.shape[1]), np.nan)

    for first in range(0, len(people), USERS_AT_ONCE):
        part = slice(first, first + USERS_AT_ONCE)
        user = people[part]
        rows = visible.rows_for(matched.user_row[user], matched.ratings.users.at(user))
        ones = np.ones(rows.n_cells)
        chosen = csr_array((ones, rows.column, rows.start), shape=(len(rows), rows.n_columns))
        total = (chosen @ of_items).toarray()
        np.divide(total, rows.counts[:, None], out=means[part], where=rows.counts[:, None] > 0)

    return means
