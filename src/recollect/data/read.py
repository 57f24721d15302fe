"""A file of ratings becomes Ratings.

file  →  frames with columns user, item, rating, time    parsing.files
      →  numbers of ids, ratings, seconds                parsing.block
      →  Ratings of distinct pairs, with their scale     builder
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from recollect.arguments import expect_path, expect_ratings, expect_scale
from recollect.data.builder import RatingsBuilder
from recollect.data.numbering import numbered_like
from recollect.data.parsing.columns import Column, requested_columns
from recollect.data.parsing.event_weights import EventWeights
from recollect.data.parsing.files import Format, Table, open_table
from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import SettingError


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
    quotes: bool = True,
    encoding: str | None = None,
    wide: bool = False,
    not_rated: int | float | None = None,
    like: AnyRatings | None = None,
    event_weights: Mapping[str, float] | None = None,
    event: Column = "event",
) -> Ratings:
    """The ratings in a file: CSV, TSV, "::" or blanks between fields, JSON lines, Parquet, Excel.

    The file may be RecBole's .inter, and packed with gzip, zstd, bz2, xz, or alone in a zip
    archive. Columns are found by their usual names (`names.USUAL`), or without a header in the
    order user, item, rating, time. Times may be seconds, milliseconds, dates, years or the days of
    a spreadsheet, from 1970 to 2099 (UTC unless they have an offset); they become whole seconds. In
    a "::" file an id may hold ":", not "::". What was guessed, replaced or left out is in `notes`.

    With `implicit` each line is an event, such as a view or a purchase. It counts 1, or what the
    column of counts says (`rating`, or a usual name: `names.COUNT`). Events of one pair are added
    up and the newest time is kept. Without a header they stand in the order user, item, time.
    With `event_weights` an event counts by its kind, which stands in the column `event`: a purchase
    may count as five views.

    Args:
        path: of the file.
        user: the column of user ids: its name, its place from 0, or None: found.
        item: the column of item ids, like `user`.
        rating: the column of ratings or counts, like `user`; in a wide table the first of them.
        time: the column of times, like `user`; if it is named, an unreadable time is an error.
        scale: the lowest and the highest possible rating; None: inferred (`values.infer_scale`).
        implicit: the lines are events.
        name: of the ratings; None: that of the file.
        header: whether the first line names the columns; None: found.
        separator: between fields; None: found.
        quotes: whether a quote that another one answers is a mark around a field; False: a letter.
        encoding: of the text, such as "cp1251"; None: UTF-8, else Windows-1252.
        wide: whether a line holds all ratings of a user, with a column for each item.
        not_rated: the number that means not rated in a wide table, as a blank does; None: none.
        like: ratings that these go with, such as those that a model has learned from. Users and
            items get their row numbers, those that they do not have the next ones; without `scale`
            and `implicit` it has theirs. None: numbered by themselves.
        event_weights: what an event counts, by its kind; 0: such events are left out. With them the
            lines are events. None: kinds are not looked at.
        event: with `event_weights`, the column of the kinds.

    Raises:
        DataError: if the file is missing, empty or damaged, a column cannot be found, or an entry
            cannot be used; it names the line.
        SettingError: for an impossible scale, separator or encoding.
    """
    expect_path("path", path, such_as="'ratings.csv'")
    expect_scale(scale)
    if like is not None:
        expect_ratings("like", like, AnyRatings)
        implicit = implicit or like.implicit
        if scale is None and not implicit:
            scale = like.scale

    weights = _weights(event_weights, rating)
    if weights is not None:
        implicit, rating = True, event

    requested = requested_columns(user=user, item=item, rating=rating, time=time)
    form = Format(
        header=header,
        separator=separator,
        quotes=quotes,
        encoding=encoding,
        wide=wide,
        not_rated=not_rated,
    )
    builder = RatingsBuilder(
        scale,
        time_is_required=time is not None,
        implicit=implicit,
    )
    table = open_table(path, requested, form, implicit=implicit)

    notes = _add_frames(builder, table, weights)
    ratings = builder.ratings(name or name_of(path), str(path), notes)

    return ratings if like is None else numbered_like(ratings, like)


def _add_frames(
    builder: RatingsBuilder, table: Table, weights: EventWeights | None
) -> Sequence[str]:
    """Add all frames of a table; returns the notes on how they were read.

    Args:
        builder: to which they are added.
        table: the file, opened.
        weights: what kinds of events count; None: kinds are not looked at.
    """
    for frame, locate in table.frames():
        block = (frame, locate) if weights is None else weights.weigh(frame, locate)
        builder.add(*block)

    return table.notes if weights is None else (*table.notes, *weights.notes)


def _weights(event_weights: Mapping[str, float] | None, rating: Column) -> EventWeights | None:
    """What kinds of events count; None if kinds are not looked at.

    Args:
        event_weights: as `read` takes them.
        rating: the column of counts that the caller names; None: none.

    Raises:
        SettingError: for both.
    """
    if event_weights is None:
        return None

    if rating is not None:
        raise SettingError(
            f"The column {rating!r} of counts and event_weights are given; the weights take the "
            "place of counts: leave one of the two out."
        )

    return EventWeights(event_weights)


def name_of(path: str | Path) -> str:
    """The name of a file without its endings, which the ratings in it get."""
    name, _, _ = Path(path).name.partition(".")
    return name
