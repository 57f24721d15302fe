"""How data come in at the command line: names, files, folders of a split, lists of ids."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from recollect.cli.options.texts import Texts
from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import DataError, SettingError

Source = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="A file of ratings (CSV, TSV, Parquet, "
        "…), a name such as movielens/100k, a folder of Netflix'"
        " files, or one written by split or store.",
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", show_default=False, help="The folder of a saved model.")
]
Seed = Annotated[
    int, typer.Option(help="Where randomness starts; the same seed gives the same numbers.")
]
FILE = "The file"
BLOCK = 1 << 22  # ratings written at once


@dataclass(frozen=True)
class Columns:
    """How to read a file of ratings, where it cannot be seen."""

    user_column: Annotated[
        str | None, typer.Option(help="The column of users.", rich_help_panel=FILE)
    ] = None
    item_column: Annotated[
        str | None, typer.Option(help="The column of items.", rich_help_panel=FILE)
    ] = None
    rating_column: Annotated[
        str | None, typer.Option(help="The column of ratings.", rich_help_panel=FILE)
    ] = None
    time_column: Annotated[
        str | None, typer.Option(help="The column of times.", rich_help_panel=FILE)
    ] = None
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="Lowest and highest rating there can be, such as 1,5; else it is inferred.",
            rich_help_panel=FILE,
        ),
    ] = None
    implicit: Annotated[
        bool,
        typer.Option(
            "--implicit",
            help="Each line is an event, such as a view: no ratings.",
            rich_help_panel=FILE,
        ),
    ] = False
    events_from: Annotated[
        float | None,
        typer.Option(
            metavar="RATING",
            help="Take the ratings from this one on as events.",
            rich_help_panel=FILE,
        ),
    ] = None

    @property
    def are_stated(self) -> bool:
        """Whether anything was."""
        return bool(self.asked()) or self.events_from is not None

    def taken(self, ratings: Ratings) -> Ratings:
        """The ratings; those that are high as events, if so stated."""
        return ratings if self.events_from is None else ratings.events(from_=self.events_from)

    def asked(self) -> dict[str, Any]:
        """What was stated, as `recollect.read` takes it.

        Raises: SettingError for --implicit with --events-from.
        """
        if self.implicit and self.events_from is not None:
            raise SettingError(
                "--implicit is for events without ratings, --events-from for ratings; state one of the two."
            )
        stated = {
            "user": self.user_column,
            "item": self.item_column,
            "rating": self.rating_column,
            "time": self.time_column,
            "scale": None if self.scale is None else scale_of(self.scale),
            "implicit": self.implicit or None,
        }
        return {key: value for key, value in stated.items() if value is not None}


def scale_of(text: str) -> tuple[float, float]:
    """A scale written as 1,5.

    Raises: SettingError if it is not two numbers.
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise SettingError(
            f"--scale takes the lowest and the highest rating, such as 1,5; found {text!r}."
        ) from None
    return low, high


def ratings_from(source: str, columns: Columns) -> Ratings:
    """The ratings of a file, or of a data set by name.

    Raises: SettingError if the file's columns or scale are stated for a data set by name.
    """
    from recollect.data import sources
    from recollect.data.on_disk.stored_ratings import is_stored
    from recollect.data.read import read

    asked = columns.asked()
    if Path(source).is_dir() and is_split(Path(source)):
        raise DataError(
            f"{source} is a folder of a split; name one of its files, such as "
            f"{Path(source) / 'train.parquet'}."
        )
    if is_stored(source):
        raise DataError(
            f"{source} holds stored ratings, which are read batch by batch and not as a whole; only train and "
            "data describe take them."
        )
    if not asked:
        return columns.taken(sources.load(source))
    if not Path(source).is_file() and source in sources.known():
        raise SettingError(
            f"{source} is a data set by name, whose columns and scale are known; leave out the options "
            f"--{', --'.join(_option(key) for key in asked)}."
        )
    if netflix_folder(source) is not None:
        raise SettingError(
            f"{source} holds Netflix' files, whose columns and scale are known; leave out the options "
            f"--{', --'.join(_option(key) for key in asked)}."
        )
    return columns.taken(read(source, **asked))


def any_ratings_from(source: str, columns: Columns) -> AnyRatings:
    """The ratings of a file, of a data set by name, or of a folder of stored ratings, which stay there.

    Raises: SettingError if columns or scale are stated where they are known.
    """
    from recollect.data.on_disk.stored_ratings import is_stored, open_stored

    if not is_stored(source):
        return ratings_from(source, columns)
    if columns.are_stated:
        raise SettingError(
            f"{source} holds stored ratings, whose columns and scale are known; leave out these options."
        )
    return open_stored(source)


def netflix_folder(source: str) -> Path | None:
    """The folder of the Netflix Prize's files that a name or a path stands for; None if it stands for something else.

    Raises: DataError if it is Netflix' name, but the files are nowhere.
    """
    from recollect.data.sources import netflix

    if source in (f"netflix/{variant}" for variant in netflix.VARIANTS):
        return netflix.home()
    return Path(source) if netflix.is_folder(source) else None


def _option(key: str) -> str:
    return key if key in ("scale", "implicit") else f"{key}-column"


def is_split(folder: Path) -> bool:
    """Whether `recollect split` wrote the folder."""
    return (folder / "split.json").is_file()


def parts_from(folder: Path, texts: Texts) -> dict[str, Ratings]:
    """The parts of a split that was written to a folder, all with the vocabularies of the whole, and with the texts if stated.

    Raises: DataError if a file is missing or damaged, or two parts share a pair.
    """
    import numpy as np

    from recollect.data.read import from_frame, read

    about = json.loads((folder / "split.json").read_text())
    names = [name for name in ("train", "valid", "given", "test") if name in about["parts"]]
    how: dict[str, Any] = {"implicit": True} if about.get("implicit") else {"scale": about["scale"]}
    frames = [read(folder / f"{name}.parquet", **how).frame() for name in names]
    whole = from_frame(pl.concat(frames, how="diagonal"), **how, name=about["data"])
    if len(whole) != sum(map(len, frames)):
        raise DataError(
            f"The parts in {folder} share {sum(map(len, frames)) - len(whole):,} pairs; split again."
        )
    if (folder / "items.parquet").is_file():
        whole = replace(whole, catalogue=pl.read_parquet(folder / "items.parquet"))
    whole = texts.taken(whole)
    part = np.repeat(np.arange(len(names)), [len(frame) for frame in frames])
    return {
        name: whole.where(part == j, name=f"{about['data']} {name}") for j, name in enumerate(names)
    }


def ids_from(path: Path, *roles: str, if_there: tuple[str, ...] = ()) -> pl.DataFrame:
    """Columns of ids (user_id, item_id) or ratings from a CSV or Parquet file, found by their usual names, as text; and of roles
    that may be missing.

    Raises: DataError if a column is not there.
    """
    from recollect.data.parsing.columns import USUAL

    frame = _frame(path)
    plain = [re.sub(r"[^a-z0-9]", "", column.lower()) for column in frame.columns]
    found = {}
    for role in (*roles, *if_there):
        place = next((plain.index(name) for name in USUAL[role] if name in plain), None)
        if place is None and role in if_there:
            continue
        if place is None:
            raise DataError(
                f"{path} has no column {canonical(role)}; it has {', '.join(map(repr, frame.columns))}. "
                f"Its first line must name the columns: {','.join(map(canonical, roles))}."
            )
        column = frame.to_series(place)
        found[canonical(role)] = column.str.strip_chars() if column.dtype == pl.String else column
    return pl.DataFrame(found)


def canonical(role: str) -> str:
    """The canonical name of a column."""
    return {"rating": "rating", "time": "timestamp"}.get(role, f"{role}_id")


def _frame(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise DataError(
            f"{path} is a folder; a file was expected."
            if path.is_dir()
            else f"There is no file {path}; check the path."
        )
    with path.open("rb") as stream:
        is_parquet = stream.read(4) == b"PAR1"
    try:
        if is_parquet:
            return pl.read_parquet(path)
        return pl.read_csv(
            path, infer_schema=False, separator="\t" if path.suffix in (".tsv", ".tab") else ","
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{path} cannot be read as {'Parquet' if is_parquet else 'CSV'}: "
            f"{str(error).splitlines()[0]}."
        ) from error


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write a table as Parquet or CSV, by the path's ending; all or nothing.

    Raises: SettingError for another ending.
    """
    from recollect.system.atomic_files import replacing

    check_ending(path)
    with replacing(path) as fresh:
        if path.suffix == ".parquet":
            frame.write_parquet(fresh)
        else:
            frame.write_csv(fresh)


def write_ratings(ratings: Ratings, path: Path) -> list[str]:
    """Write ratings as the canonical table, by the path's ending, and return its columns; some at a time, as a table takes
    more memory than the ratings. All or nothing.

    Raises: SettingError for another ending.
    """
    import numpy as np
    import pyarrow.parquet as pq

    from recollect.system.atomic_files import replacing

    check_ending(path)
    frames = (
        ratings.where(np.arange(first, min(first + BLOCK, len(ratings)))).frame()
        for first in range(0, max(1, len(ratings)), BLOCK)
    )
    start = ratings.where(np.arange(0)).frame().to_arrow()
    with replacing(path) as fresh:
        if path.suffix == ".parquet":
            with pq.ParquetWriter(fresh, start.schema, compression="zstd") as out:
                for frame in frames:
                    out.write_table(frame.to_arrow())
        else:
            with fresh.open("wb") as lines:
                for j, frame in enumerate(frames):
                    frame.write_csv(lines, include_header=j == 0)
    return start.column_names


def check_ending(path: Path) -> None:
    """Refuse what is neither .parquet nor .csv."""
    if path.suffix not in (".parquet", ".csv"):
        raise SettingError(
            f"{path} must end in .parquet or .csv, so that it is clear what to write."
        )
    if path.is_dir():
        raise SettingError(f"{path} is a folder; name a file.")
