"""Facts about items, in a table with a row per item_id."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from recollect.data.vocab import as_text


def titles(
    catalogue: pl.DataFrame | None, item_ids: Iterable[object] | pl.Series
) -> list[str | None]:
    """The title of each item in a catalogue; None if it is unknown."""
    wanted = as_text(item_ids).to_frame("item_id")
    if catalogue is None or "title" not in catalogue.columns:
        return [None] * len(wanted)

    known = catalogue.unique("item_id", keep="first")
    joined = wanted.join(
        known,
        on="item_id",
        how="left",
        maintain_order="left",
    )

    return joined["title"].to_list()


def listed_fields(catalogue: pl.DataFrame | None, item_ids: pl.Series) -> pl.DataFrame:
    """What lists show of each item: its title, and its other fields that have one value.

    Args:
        catalogue: facts about items, or None.
        item_ids: of the items, in the order of the list.

    Returns: a column per field, title first; a row per id, of nulls if it is unknown.
    """
    if catalogue is None:
        return pl.DataFrame()

    # Lists of genres would not fit into a table or a CSV.
    single = [name for name, dtype in catalogue.schema.items() if not dtype.is_nested()]
    fields = [name for name in single if name not in ("item_id", "title")]
    if "title" in single:
        fields = ["title", *fields]

    known = catalogue.select("item_id", *fields).unique("item_id", keep="first")
    wanted = as_text(item_ids).alias("item_id").to_frame()
    joined = wanted.join(known, on="item_id", how="left", maintain_order="left")

    return joined.select(fields)
