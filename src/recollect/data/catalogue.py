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
