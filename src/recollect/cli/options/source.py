"""How ratings come in at the command line: a name, a file, a folder; and how a file is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import recollect as rc
from recollect.errors import DataError, SettingError

Source = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="A file of ratings (CSV, TSV, Parquet, …), a name such as movielens/100k, a folder of "
        "Netflix' files, or a folder written by split or store.",
    ),
]
PANEL = "The file"
# The options whose arguments of `recollect.read` have other names.
OPTION_OF = {
    "user": "--user-column",
    "item": "--item-column",
    "rating": "--rating-column",
    "time": "--time-column",
    "header": "--no-header",
    "quotes": "--no-quotes",
    "not_rated": "--not-rated",
}


# What people write on a command line for separators that it swallows.
SEPARATORS = {
    "tab": "\t",
    "\\t": "\t",
    "blank": " ",
    "space": " ",
    "comma": ",",
    "semicolon": ";",
}


@dataclass(frozen=True)
class FileOptions:
    """How a file is read, where the file does not show it."""

    user_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|NUMBER",
            help="The column of users; columns are numbered from 0.",
            rich_help_panel=PANEL,
        ),
    ] = None
    item_column: Annotated[
        str | None,
        typer.Option(metavar="NAME|NUMBER", help="The column of items.", rich_help_panel=PANEL),
    ] = None
    rating_column: Annotated[
        str | None,
        typer.Option(metavar="NAME|NUMBER", help="The column of ratings.", rich_help_panel=PANEL),
    ] = None
    time_column: Annotated[
        str | None,
        typer.Option(metavar="NAME|NUMBER", help="The column of times.", rich_help_panel=PANEL),
    ] = None
    separator: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What stands between fields, such as ';' or tab (default: found).",
            rich_help_panel=PANEL,
        ),
    ] = None
    no_header: Annotated[
        bool,
        typer.Option(
            "--no-header",
            help="The first line is a rating and names no columns.",
            rich_help_panel=PANEL,
        ),
    ] = False
    no_quotes: Annotated[
        bool,
        typer.Option(
            "--no-quotes",
            help="Quotes are part of the text and not marks around it.",
            rich_help_panel=PANEL,
        ),
    ] = False
    encoding: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Encoding of the text, such as cp1251 (default: UTF-8, else Windows-1252).",
            rich_help_panel=PANEL,
        ),
    ] = None

    def columns(self) -> dict[str, str]:
        """The column of each role that is stated."""
        stated = {
            "user": self.user_column,
            "item": self.item_column,
            "rating": self.rating_column,
            "time": self.time_column,
        }
        return {role: column for role, column in stated.items() if column is not None}

    def form(self) -> dict[str, Any]:
        """The stated arguments of `recollect.data.parsing.files.Format`."""
        stated = {
            "separator": SEPARATORS.get(self.separator or "", self.separator),
            "header": False if self.no_header else None,
            "quotes": False if self.no_quotes else None,
            "encoding": self.encoding,
        }
        return {name: value for name, value in stated.items() if value is not None}


@dataclass(frozen=True)
class Columns(FileOptions):
    """How a file of ratings is read, where the file does not show it."""

    scale: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="The lowest and the highest possible rating, such as 1,5 (default: inferred).",
            rich_help_panel=PANEL,
        ),
    ] = None
    implicit: Annotated[
        bool,
        typer.Option(
            "--implicit",
            help="Each line is an event, such as a view, without a rating.",
            rich_help_panel=PANEL,
        ),
    ] = False
    events_from: Annotated[
        float | None,
        typer.Option(
            metavar="RATING",
            help="Use the ratings from this one upwards as events.",
            rich_help_panel=PANEL,
        ),
    ] = None

    event_weights: Annotated[
        str | None,
        typer.Option(
            metavar="KIND=WEIGHT,…",
            help="Each line is an event that counts by its kind: view=1,like=3,purchase=5; 0 "
            "leaves a kind out.",
            rich_help_panel=PANEL,
        ),
    ] = None
    event_column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|NUMBER",
            help="With --event-weights, the column of the kinds (default: event).",
            rich_help_panel=PANEL,
        ),
    ] = None
    wide: Annotated[
        bool,
        typer.Option(
            "--wide",
            help="Each line holds all ratings of a user, with a column for each item.",
            rich_help_panel=PANEL,
        ),
    ] = False
    not_rated: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="With --wide, the number that means not rated, as a blank does.",
            rich_help_panel=PANEL,
        ),
    ] = None

    @property
    def are_stated(self) -> bool:
        """Whether the command line has any of these options."""
        return bool(self.arguments()) or self.events_from is not None

    def arguments(self) -> dict[str, Any]:
        """The options as arguments of `recollect.read`.

        Raises:
            SettingError: for --implicit with --events-from, or a scale that is not two numbers.
        """
        if self.implicit and self.events_from is not None:
            raise SettingError(
                "--implicit is for events without ratings, --events-from for ratings; state one of "
                "the two."
            )

        if self.event_weights is not None and self.events_from is not None:
            raise SettingError(
                "--event-weights is for events without ratings, --events-from for ratings; state "
                "one of the two."
            )

        if self.event_column is not None and self.event_weights is None:
            raise SettingError(
                "--event-column names the kinds of events; state what they count, too: "
                "--event-weights view=1,purchase=5."
            )

        stated = {
            "event_weights": self._weights(),
            "event": self.event_column,
            "scale": None if self.scale is None else scale_of(self.scale),
            "implicit": self.implicit or None,
            "wide": self.wide or None,
            "not_rated": self.not_rated,
        }
        others = {name: value for name, value in stated.items() if value is not None}

        return {**self.columns(), **self.form(), **others}

    def _weights(self) -> dict[str, float] | None:
        from recollect.data.parsing.event_weights import weights_of

        return None if self.event_weights is None else weights_of(self.event_weights)

    def apply_events_from(self, ratings: rc.Ratings) -> rc.Ratings:
        """The ratings; with --events-from, the high ones as events."""
        if self.events_from is None:
            return ratings
        return ratings.events(from_=self.events_from)


def scale_of(text: str) -> tuple[float, float]:
    """A scale written as 1,5.

    Raises:
        SettingError: if it is not two numbers.
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise SettingError(
            f"--scale takes the lowest and the highest rating, such as 1,5; found {text!r}."
        ) from None

    return low, high


def ratings_from(source: str, columns: Columns) -> rc.Ratings:
    """The ratings of a file, of a data set by name, or of a folder of Netflix' files.

    Args:
        source: as on the command line.
        columns: how to read a file.

    Raises:
        SettingError: if columns or scale are stated for data that have their own.
        DataError: for a folder of a split or of stored ratings.
    """
    from recollect.data.open_data import kind_of

    kind = kind_of(source)
    if kind == "split":
        raise DataError(
            f"{source} is a folder of a split; name one of its files, such as "
            f"{Path(source) / 'train.parquet'}."
        )

    if kind == "stored":
        raise DataError(
            f"{source} holds stored ratings, which are read batch by batch and not as a whole; "
            "only train and data describe take them."
        )

    arguments = columns.arguments()
    if not arguments:
        return columns.apply_events_from(rc.load(source))

    if kind == "name":
        _refuse_columns(f"{source} is a data set by name", arguments)

    if kind in ("netflix", "melon", "mpd"):
        _refuse_columns(f"{source} holds files of a format of their own", arguments)

    return columns.apply_events_from(rc.read(source, **arguments))


def ratings_for(model: rc.Model, path: str, columns: Columns) -> rc.Ratings:
    """A file of what a model has learned from: ratings on its scale, or events.

    Args:
        model: fitted.
        path: of the file.
        columns: how to read the file.

    Raises:
        SettingError: if the options state events and the model has learned from ratings.
    """
    arguments = columns.arguments()
    learned_from = model.given_
    if learned_from.implicit:
        if columns.events_from is None:
            arguments["implicit"] = True

        return columns.apply_events_from(rc.read(path, **arguments))

    if columns.implicit or columns.event_weights or columns.events_from is not None:
        raise SettingError(
            "This model has learned from ratings and takes ratings; leave out --implicit, "
            "--event-weights and --events-from."
        )

    return rc.read(path, **{"scale": learned_from.scale, **arguments})


def any_ratings_from(source: str, columns: Columns) -> rc.Ratings | rc.StoredRatings:
    """As `ratings_from`; a folder of stored ratings, too, which stay on disk.

    Args:
        source: as on the command line.
        columns: how to read a file.

    Raises:
        SettingError: if columns or scale are stated for data that have their own.
    """
    from recollect.data.open_data import kind_of

    if kind_of(source) != "stored":
        return ratings_from(source, columns)

    if columns.are_stated:
        raise SettingError(
            f"{source} holds stored ratings, whose columns and scale are known; leave out the "
            "options about the file."
        )

    return rc.open_stored(source)


def _refuse_columns(what: str, arguments: dict[str, Any]) -> None:
    options = [OPTION_OF.get(name, f"--{name}") for name in arguments]
    raise SettingError(
        f"{what}, whose columns and scale are known; leave out the options {', '.join(options)}."
    )


def netflix_folder(source: str) -> Path | None:
    """The folder of the Netflix Prize's files that a name or a path means; None: something else.

    Raises:
        DataError: if it is Netflix' name, and there are no files.
    """
    from recollect.data.sources import netflix

    if source in {f"netflix/{variant}" for variant in netflix.VARIANTS}:
        return netflix.home()
    return Path(source) if netflix.is_folder(source) else None
