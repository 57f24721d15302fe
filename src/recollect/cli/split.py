"""The verb split: divide ratings into parts, and write each to a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

import recollect as rc
from recollect.cli.options.fitting import Seed
from recollect.cli.options.settings import settings_of
from recollect.cli.options.source import Columns, Source, netflix_folder, ratings_from
from recollect.cli.options.windows import split_method
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import facts, table
from recollect.errors import SettingError, unknown

HOW = (
    "random (the default), covering, time, windows, per-user, leave-last, new-users, new-items, "
    "folds or density."
)
COLUMNS = (
    "part",
    "ratings",
    "users",
    "items",
    "users not in train",
    "items not in train",
    "ratings of these",
)


def split(
    screen: Screen,
    source: Source,
    columns: Columns,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for the parts.")],
    how: Annotated[str | None, typer.Option(show_default=False, help=HOW)] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|DAY",
            help="Split by time: the share of the latest ratings, such as 0.1, or the first day of "
            "the test part.",
        ),
    ] = None,
    windows: Annotated[
        str | None,
        typer.Option(
            metavar="DAYS",
            help="Train on one calendar window and test on another: FIRST:LAST,FIRST:LAST; a "
            "number of months before the last; or Netflix' 3m, 6m, 1y, full.",
        ),
    ] = None,
    test: Annotated[
        float | None,
        typer.Option(
            show_default=False,
            help="Share of the ratings to test on; with --how per-user of each user's, or a number "
            "of them.",
        ),
    ] = None,
    valid: Annotated[
        float | None,
        typer.Option(
            show_default=False, help="Validation share of the remaining ratings, or a number."
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another setting of the split, such as given=0.5 or n=2.",
        ),
    ] = None,
    seed: Seed = 0,
) -> Answer:
    """Split ratings into parts, and write each to a file."""
    from recollect.data.split_folder import facts_of, write_split

    stated = settings_of(settings)
    shares = (("test", test), ("valid", valid))
    stated |= {key: _share_or_count(share) for key, share in shares if share is not None}
    is_netflix = netflix_folder(source) is not None
    how, settings_from = split_method(how, time, windows, is_netflix=is_netflix)
    function = _split_function(how)
    _check_settings(function, how, stated, option=_option_for_days(time, windows))
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise SettingError(f"{out} exists and is not empty; name a new folder.")

    ratings = ratings_from(source, columns)
    stated |= settings_from(ratings)
    seeded = {"seed": seed} if "seed" in inspect.signature(function).parameters else {}
    whole, catalogue = facts_of(ratings), ratings.catalogue
    splits = _by_folder(function(ratings, **stated, **seeded))
    del ratings  # the parts hold copies; of large data the whole need not stay beside them
    records = {
        name: write_split(part, out / name, whole=whole, catalogue=catalogue)
        for name, part in splits.items()
    }

    shown = _shown(splits, stated | seeded, out)

    return Answer({"out": out, **records.get("", {"splits": records})}, shown)


def _share_or_count(share: float) -> float | int:
    """A number from 1 on counts ratings, where that is allowed."""
    return int(share) if share >= 1 and share.is_integer() else share


def _split_function(how: str) -> Callable[..., Any]:
    from recollect.data import splitting

    functions: dict[str, Callable[..., Any]] = {
        "random": splitting.random_split,
        "covering": splitting.covering_split,
        "time": splitting.time_split,
        "windows": splitting.window_split,
        "per-user": splitting.per_user_split,
        "leave-last": splitting.leave_last_split,
        "new-users": splitting.new_user_split,
        "new-items": splitting.new_item_split,
        "folds": splitting.k_folds,
        "density": splitting.density_sweep,
    }

    if how not in functions:
        raise unknown("split", how, functions)

    return functions[how]


def _option_for_days(time: str | None, windows: str | None) -> str | None:
    """The option that states the days of the parts; None if neither does."""
    if windows:
        return "--windows"

    return "--time" if time else None


def _check_settings(
    function: Callable[..., Any], how: str, settings: Mapping[str, Any], *, option: str | None
) -> None:
    """Refuse settings that the split lacks, or that an option has stated already.

    Args:
        function: makes the split.
        how: its name.
        settings: by name.
        option: --time or --windows, if stated.

    Raises:
        SettingError: naming the setting.
    """
    known = [
        key for key in inspect.signature(function).parameters if key not in ("ratings", "seed")
    ]

    for key, value in settings.items():
        if key not in known:
            raise unknown(f"setting of the {how} split", key, known)

        if option and key in ("train", "test", "test_from"):
            raise SettingError(f"{key}={value} is stated by {option} already; leave one out.")

        if how == "windows" and key in ("train", "test") and not isinstance(value, tuple):
            raise SettingError(
                f"{key}={value}: a window is its first and its last day, such as --set "
                f"{key}=2005-09-01,2005-11-30."
            )


def _by_folder(made: Any) -> dict[str, rc.Split]:
    """One split under "", those of a density sweep by their share, those of k folds by number."""
    if isinstance(made, dict):
        return {f"train-{share:g}": split for share, split in made.items()}
    if isinstance(made, rc.Split):
        return {"": made}
    return {f"fold-{number}": split for number, split in enumerate(made, start=1)}


def _shown(
    splits: Mapping[str, rc.Split], settings: Mapping[str, Any], out: Path
) -> list[RenderableType]:
    """How the splits were made, and the sizes of their parts.

    Args:
        splits: by their folders in `out`.
        settings: all that the splits were made with; the seed only if one was used.
        out: where they are.
    """
    about = {
        "split": next(iter(splits.values())).how,
        "seed": settings.get("seed", "none: nothing is drawn"),
        **_days(settings),
        "written to": out,
    }
    sizes = [_sizes(split, name) for name, split in splits.items()]

    return [facts(about), "", *sizes]


def _days(settings: Mapping[str, Any]) -> dict[str, str]:
    """The first and the last day of each window."""
    windows = {name: settings.get(name) for name in ("train", "test")}
    return {
        name: " to ".join(map(str, days))
        for name, days in windows.items()
        if isinstance(days, tuple)
    }


def _sizes(split: rc.Split, name: str) -> RenderableType:
    rows = [tuple(row.values()) for row in split.table().to_dicts()]
    empty = [None] * (len(COLUMNS) - 2)

    for reason, count in split.dropped.items():
        rows.append((f"left out: {reason}", count, *empty))

    return table(COLUMNS, rows, title=name or None)
