"""Wide tables: a line holds all ratings of a user, with a column for each item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from recollect.data.parsing.columns import Column, requested_places
from recollect.data.parsing.names import USUAL, place_by_usual_name
from recollect.data.parsing.text_file import TextFile
from recollect.data.parsing.values import Locate
from recollect.errors import DataError, SettingError
from recollect.system.door import words


def check_wide(requested: Mapping[str, Column], *, implicit: bool) -> None:
    """Refuse requests that a table of users × items cannot fulfil.

    Raises:
        SettingError: saying which.
    """
    if implicit:
        raise SettingError(
            "A wide table holds ratings; read it as such, and take high ratings as events: "
            f"{words('ratings.events(from_=4)', '--events-from 4')}."
        )

    for role in ("item", "time"):
        if requested[role] is not None:
            raise SettingError(
                f"{role}={requested[role]!r}: a wide table has a column for each item, and no "
                "times; leave it out."
            )


class WideTable:
    """A text file of users × items.

    The column of users is the one that the caller names, or that has a usual or an empty name;
    without one the users are numbered from 0. `rating` names the first column of ratings; those
    before it are left out.

    Args:
        file: of text.
        requested: the column that the caller names for each role, or None.
        not_rated: the number that means no rating; None: only blanks do.
    """

    def __init__(
        self, file: TextFile, requested: Mapping[str, Column], not_rated: int | float | None
    ) -> None:
        self.file = file
        self.requested = requested
        self.not_rated = not_rated
        self._n_cells = 0
        self._n_rated = 0

    @property
    def notes(self) -> Sequence[str]:
        """What was guessed or left out, when all frames were read."""
        note = (
            f"A table of users × items: of {self._n_cells:,} cells {self._n_rated:,} hold ratings; "
            f"{mark_in_words(self.not_rated)} not rated."
        )
        return (*self.file.text.notes, *self.file.layout.notes, note)

    def frames(self) -> Iterator[tuple[pl.DataFrame, Locate]]:
        """The ratings, a block of lines at a time.

        Raises:
            DataError: if a line has another number of fields, or a user has two lines.
        """
        layout = self.file.layout.with_roles({})
        n_users = 0
        seen: set[str] = set()

        for lines in TextFile(self.file.text, layout).lines():
            rows = []
            where = []

            for number, record in layout.records(lines.block):
                where.append(f"Line {lines.first_line + number} of {self.file.text.path}")
                rows.append(_checked(record, layout.columns, where[-1]))

            frame, locate = melt(
                rows,
                layout.columns,
                self.requested,
                self.not_rated,
                locate=where.__getitem__,
                first_user=n_users,
                named=layout.named,
                seen=seen,
            )
            n_users += len(rows)
            self._n_cells += len(rows) * (len(layout.columns) - 1)
            self._n_rated += len(frame)
            yield frame, locate


def mark_in_words(not_rated: int | float | None) -> str:
    """Which cells hold no rating."""
    if not_rated is None:
        return "blank cells are"
    return f"blank cells and {not_rated:g} are"


def _checked(record: Sequence[object], columns: Sequence[str], where: str) -> list[str]:
    if len(record) != len(columns):
        raise DataError(
            f"{where} has {len(record)} fields, expected {len(columns)}, as the first line. "
            "Correct or remove it."
        )

    return [str("" if field is None else field).strip() for field in record]


def melt(
    rows: Sequence[Sequence[str]],
    columns: Sequence[str],
    requested: Mapping[str, Column],
    not_rated: int | float | None,
    *,
    locate: Locate,
    first_user: int,
    named: bool,
    seen: set[str] | None = None,
) -> tuple[pl.DataFrame, Locate]:
    """The ratings in lines of users × items, with what says where a row stands.

    Args:
        rows: the fields of each line.
        columns: their names.
        requested: the column that the caller names for each role, or None.
        not_rated: the number that means no rating; None: only blanks do.
        locate: says where a line stands.
        first_user: number of the first line among all.
        named: whether the columns have names.
        seen: the users of earlier lines, to which these are added; None: not looked at.

    Raises:
        DataError: if a user has two lines.
    """
    places = requested_places(columns, requested, named=named)
    user = places.get("user", _user_place(columns) if named else None)
    first_item = places.get("rating", 0)
    items = [place for place in range(first_item, len(columns)) if place != user]
    cells: list[tuple[str, str, str]] = []
    lines: list[int] = []
    seen = set() if seen is None else seen

    for number, row in enumerate(rows):
        user_id = str(first_user + number) if user is None else row[user]
        if user_id in seen:
            raise DataError(
                f"{locate(number)}: the user {user_id!r} has an earlier line; in a wide table each "
                "has one. If the column holds no ids, say where the ratings begin: "
                f"{words('rating=1', '--rating-column 1')}."
            )

        seen.add(user_id)

        for place in items:
            if not _is_blank(row[place], not_rated):
                cells.append((user_id, columns[place], row[place]))
                lines.append(number)

    schema: Any = dict.fromkeys(("user", "item", "rating"), pl.String)

    return pl.DataFrame(cells, schema=schema, orient="row"), lambda row: locate(lines[row])


def melt_frame(
    table: Any,
    requested: Mapping[str, Column],
    not_rated: int | float | None,
    *,
    locate: Locate,
) -> tuple[pl.DataFrame, Locate]:
    """The ratings in a data frame of users × items, with what says where a row stands.

    Args:
        table: of pandas, or one that speaks Arrow.
        requested: the column that the caller names for each role, or None.
        not_rated: the number that means no rating; None: only missing values do.
        locate: says where a row of the table stands.

    Raises:
        DataError: if a user has two rows.
    """
    if type(table).__module__.partition(".")[0] == "pandas":
        names = [str(column) for column in table.columns]
        entries = table.itertuples(index=False, name=None)
    else:
        frame = pl.DataFrame(table.collect() if isinstance(table, pl.LazyFrame) else table)
        names = frame.columns
        entries = frame.iter_rows()

    rows = [["" if entry is None else str(entry) for entry in row] for row in entries]

    return melt(
        rows,
        names,
        requested,
        not_rated,
        locate=locate,
        first_user=0,
        named=True,
        seen=set(),
    )


def _user_place(columns: Sequence[str]) -> int | None:
    """The place of the column of users, by its name, or by its empty one; None if there is none."""
    place = place_by_usual_name(USUAL["user"], columns)
    if place is None and columns[0].strip() in ("", "id", "Unnamed: 0"):
        return 0
    return place


def _is_blank(field: str, not_rated: int | float | None) -> bool:
    if not field or field.lower() == "nan":
        return True

    if not_rated is None:
        return False

    try:
        return float(field) == not_rated
    except ValueError:
        return False
