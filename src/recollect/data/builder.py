"""Tables become Ratings: blocks are joined, repeated pairs resolved, and the scale inferred.

A pair that is rated twice keeps its last rating; the counts of an event that occurs twice are added
up. What was done beyond reading is in `Ratings.notes` and in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Int32, Int64

from recollect.data.parsing.block import BlockParser
from recollect.data.parsing.ids import notes_on_ids
from recollect.data.parsing.values import Locate, Scale, infer_scale
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab
from recollect.errors import DataError

log = logging.getLogger("recollect")


class RatingsBuilder:
    """Builds Ratings from the blocks of a table; keeps row numbers of ids, 20 bytes a rating.

    Args:
        scale: the lowest and the highest possible rating; None: inferred from the ratings.
        time_is_required: whether an unreadable time is an error; else the times are left out, with
            a note.
        implicit: the rows are events, whose value is a count.

    Raises:
        SettingError: for an impossible scale.
    """

    def __init__(
        self,
        scale: Sequence[int | float] | None,
        *,
        time_is_required: bool,
        implicit: bool = False,
    ) -> None:
        self._parser = BlockParser(scale, time_is_required=time_is_required, implicit=implicit)
        self._users: list[np.ndarray] = []
        self._items: list[np.ndarray] = []
        self._values: list[np.ndarray] = []
        self._times: list[np.ndarray] = []

    def add(self, frame: pl.DataFrame, locate: Locate) -> None:
        """Add a block with the columns user, item, rating and, if there is one, time.

        Args:
            frame: the block; the rating may be missing if it holds events.
            locate: says where a row stands, for messages.

        Raises:
            DataError: at the first entry that cannot be used.
        """
        if not len(frame):
            return

        block = self._parser.parse(frame, locate)
        self._users.append(block.user)
        self._items.append(block.item)
        self._values.append(block.value)
        if block.time is None:
            self._times.clear()
        else:
            self._times.append(block.time)

    def ratings(self, name: str, source: str, notes: Sequence[str] = ()) -> Ratings:
        """The ratings of all blocks, after which the builder is empty.

        Args:
            name: of the ratings.
            source: what they were read from, for messages.
            notes: on how they were read.

        Raises:
            DataError: if there are none.
        """
        if not self._values:
            what = "events" if self._parser.implicit else "ratings"
            raise DataError(f"There are no {what} in {source}; expected at least one.")

        users = self._parser.users.ids()
        user = users.row[_joined(self._users)]
        items = self._parser.items.ids()
        item = items.row[_joined(self._items)]
        value = _joined(self._values)
        time = self._joined_times()
        all_notes = (
            *notes,
            *self._parser.notes,
            *notes_on_ids(users, "user"),
            *notes_on_ids(items, "item"),
        )
        table = RatingTable(user, item, value, time, users.vocab, items.vocab)
        if self._parser.implicit:
            return table.events(name, all_notes)

        return table.ratings(name, all_notes, self._parser.scale)

    def _joined_times(self) -> Int64[np.ndarray, " rows"] | None:
        """The times of all blocks in seconds; None if there are none, or they were left out."""
        if not self._times or not self._parser.has_times():
            return None

        for number, part in enumerate(self._times):
            self._times[number] = self._parser.seconds_of(part)

        return _joined(self._times)


@dataclass(frozen=True, eq=False)
class RatingTable:
    """The columns of Ratings, in which a pair may stand several times.

    Args:
        user: row number of each rating's user.
        item: row number of each rating's item.
        value: ratings, or counts of events.
        time: in seconds since 1970; None if unknown.
        users: the ids of users.
        items: the ids of items.
    """

    user: Int32[np.ndarray, " rows"]
    item: Int32[np.ndarray, " rows"]
    value: Float32[np.ndarray, " rows"]
    time: Int64[np.ndarray, " rows"] | None
    users: Vocab
    items: Vocab

    @property
    def pair(self) -> Int64[np.ndarray, " rows"]:
        """One number per row that stands for its user and item."""
        pair = self.user.astype(np.int64)
        pair *= len(self.items)
        pair += self.item
        return pair

    def take(self, rows: np.ndarray) -> RatingTable:
        """Some rows, by a mask or by their numbers."""
        time = None if self.time is None else self.time[rows]
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            value=self.value[rows],
            time=time,
        )

    def ratings(self, name: str, notes: tuple[str, ...], scale: Scale | None) -> Ratings:
        """The last rating of each pair.

        Args:
            name: of the ratings.
            notes: on what was done before.
            scale: the lowest and the highest possible rating; None: inferred.

        Raises:
            DataError: if a rating is outside the scale, or the scale cannot be inferred.
        """
        table = self
        is_last = _is_last_of_pair(self.pair, self.time)
        if not is_last.all():
            table = self.take(is_last)
            n_dropped = int((~is_last).sum())
            order = "in the table" if self.time is None else "by time"
            notes += (
                f"Duplicate pairs: {n_dropped:,} of {len(self.value):,} ratings dropped, the last "
                f"of each pair {order} kept.",
            )

        value = table.value
        if scale is None:
            scale = infer_scale(value)
            notes += (f"Scale {scale[0]:g} to {scale[1]:g}, inferred from the ratings.",)
            if value.min() == value.max():
                notes += (
                    f"Every rating is {value[0]:g}; if these are clicks or views, they are not "
                    "ratings.",
                )

        return table._named(name, notes, scale, implicit=False)

    def events(self, name: str, notes: tuple[str, ...]) -> Ratings:
        """The events of each pair as one, with their total count and their newest time.

        Args:
            name: of the events.
            notes: on what was done before.
        """
        table = self
        distinct, first, which = np.unique(self.pair, return_index=True, return_inverse=True)
        if len(distinct) < len(which):
            notes += (
                f"Repeated events: {len(which):,} events are of {len(distinct):,} pairs, whose "
                "counts are added up.",
            )
            value = np.bincount(which, self.value).astype(np.float32)
            time = None if self.time is None else _newest(self.time, which, len(distinct))
            table = replace(self.take(first), value=value, time=time)

        scale = (0.0, float(table.value.max()))

        return table._named(name, notes, scale, implicit=True)

    def _named(self, name: str, notes: tuple[str, ...], scale: Scale, *, implicit: bool) -> Ratings:
        for note in notes:
            log.info("%s: %s", name, note)

        return Ratings(
            self.user,
            self.item,
            self.value,
            self.users,
            self.items,
            time=self.time,
            scale=scale,
            implicit=implicit,
            name=name,
            notes=notes,
        )


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """The parts as one array; the list is emptied, so that they are not in memory twice."""
    joined = np.empty(sum(map(len, parts)), parts[0].dtype)
    stop = len(joined)

    while parts:
        part = parts.pop()
        joined[stop - len(part) : stop] = part
        stop -= len(part)

    return joined


def _newest(
    time: Int64[np.ndarray, " rows"], group: Int64[np.ndarray, " rows"], n_groups: int
) -> Int64[np.ndarray, " groups"]:
    newest = np.full(n_groups, np.iinfo(np.int64).min)
    np.maximum.at(newest, group, time)
    return newest


def _is_last_of_pair(
    pair: Int64[np.ndarray, " rows"], time: Int64[np.ndarray, " rows"] | None
) -> Bool[np.ndarray, " rows"]:
    """Which rows are the last of their pair, by time and then by order."""
    is_last = np.ones(len(pair), dtype=bool)
    ordered = np.sort(pair)
    equals_the_one_before = ordered[1:] == ordered[:-1]
    repeated = np.unique(ordered[1:][equals_the_one_before])
    if not len(repeated):
        return is_last

    # Few pairs repeat, so only their rows are ordered by time.
    rows = np.flatnonzero(pl.Series(pair).is_in(pl.Series(repeated).implode()).to_numpy())
    rank = rows if time is None else time[rows]
    order = np.lexsort((rows, rank, pair[rows]))
    rows = rows[order]
    is_followed = pair[rows[1:]] == pair[rows[:-1]]
    followed = rows[:-1][is_followed]
    is_last[followed] = False

    return is_last
