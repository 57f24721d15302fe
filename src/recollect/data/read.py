"""A file of ratings becomes Ratings.

file  →  frames with columns user, item, rating, time    parsing.files
      →  numbers: ids their row numbers, seconds         parsing.block
      →  Ratings of distinct pairs, with their scale     builder
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recollect.data.builder import RatingsBuilder
from recollect.data.parsing.columns import Column
from recollect.data.parsing.files import frames
from recollect.data.ratings import Ratings


def read(
    path: str | Path,
    *,
    user: Column = None,
    item: Column = None,
    rating: Column = None,
    time: Column = None,
    scale: Sequence[int | float] | None = None,
    implicit: bool = False,
    name: str | None = None,
    header: bool | None = None,
    separator: str | None = None,
) -> Ratings:
    """The ratings in a file: CSV, TSV, "::" or blanks between fields, JSON lines, Parquet.

    The file may be RecBole's .inter, and packed with gzip or zstd. Columns are found by their usual
    names (`columns.USUAL`), or without a header in the order user, item, rating, time. Times may be
    seconds, milliseconds, or ISO dates (UTC unless they have an offset); they become whole seconds.
    In a "::" file an id may hold ":", not "::".

    With `implicit` each line is an event, such as a view or a purchase. It counts 1, or what the
    column of counts says (`rating`, or a usual name: `columns.COUNT`). Events of one pair are added
    up and the newest time is kept. Without a header they stand in the order user, item, time.

    Args:
        path: of the file.
        user: the column of user ids: its name, its place from 0, or None: found.
        item: the column of item ids, like `user`.
        rating: the column of ratings or counts, like `user`.
        time: the column of times, like `user`; if it is named, an unreadable time is an error.
        scale: the lowest and the highest possible rating; None: inferred (`values.infer_scale`).
        implicit: the lines are events.
        name: of the ratings; None: that of the file.
        header: whether the first line names the columns; None: found.
        separator: between fields; None: found.

    Raises:
        DataError: if the file is missing, empty or damaged, a column cannot be found, or an entry
            cannot be used; it names the line.
        SettingError: for an impossible scale.
    """
    requested = {
        "user": user,
        "item": item,
        "rating": rating,
        "time": time,
    }
    builder = RatingsBuilder(
        scale,
        time_is_required=time is not None,
        implicit=implicit,
    )

    for frame, locate in frames(
        path,
        requested,
        header=header,
        separator=separator,
        implicit=implicit,
    ):
        builder.add(frame, locate)

    return builder.ratings(name or name_of(path), str(path))


def name_of(path: str | Path) -> str:
    """The name of a file without its endings, which the ratings in it get."""
    name, _, _ = Path(path).name.partition(".")
    return name
