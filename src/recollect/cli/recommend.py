"""The verb recommend: the best items for users."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

import recollect as rc
from recollect.cli.options.asking import HowMany, NewItems, OutFile, RankBy, RunFolder, load_model
from recollect.cli.options.list_so_far import ListSoFar
from recollect.cli.options.out_file import check_out
from recollect.cli.options.source import FileOptions
from recollect.cli.options.trust import Trust
from recollect.cli.options.wished import Wished
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import rows_of, table
from recollect.errors import SettingError


def recommend(
    screen: Screen,
    run: RunFolder,
    options: FileOptions,
    wished: Wished,
    so_far: ListSoFar,
    users: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="ID",
            show_default=False,
            help="A known user; repeat it for more.",
        ),
    ] = None,
    ratings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Ratings of a new user, or newer ones of one --user: a CSV with item_id, rating.",
        ),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event",
            metavar="ID",
            show_default=False,
            help="For a model of events: an item that a new user, or the one --user, has chosen; "
            "repeat it for more.",
        ),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="As --event, from a file: a CSV with item_id."),
    ] = None,
    all_users: Annotated[
        bool, typer.Option("--all-users", help="All known users; needs --out.")
    ] = False,
    n: HowMany = 10,
    items: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Recommend only these items: a CSV with item_id."),
    ] = None,
    seen: Annotated[
        bool, typer.Option("--seen", help="Recommend items that the user has rated, too.")
    ] = False,
    rank_by: RankBy = None,
    new_items: NewItems = None,
    trust: Trust = None,
    out: OutFile = None,
) -> Answer:
    """Recommend items to known users, or to a new user from ratings or events."""
    from recollect.data.parsing.files import Format

    by_kind = so_far.chosen()
    is_from_file = bool(event or by_kind) or events is not None or ratings is not None
    _check_request(
        users,
        all_users=all_users,
        is_from_file=is_from_file,
        explain=wished.explain,
        out=out,
    )

    inputs = {
        "--ratings": ratings,
        "--events": events,
        "--items": items,
        "--exclude": wished.exclude,
        "--new-items": new_items,
        "RUN": run,
    }
    check_out(screen, "--out", out, inputs)
    model = load_model(run, new_items, trust)
    reading: dict[str, Any] = {
        "like": model.given_,
        "columns": options.columns(),
        "form": Format(**options.form()),
    }
    wanted = {
        "n": n,
        "seen": seen,
        "rank_by": rank_by,
        "items": _ids_in(items, reading),
        **wished.arguments(),
    }
    wanted["exclude"] = _ids_in(wished.exclude, reading)
    if all_users and out is not None and out.suffix == ".parquet":
        return _for_all_users(screen, model, out, **wanted)

    newer = _newer(ratings, event, events, reading)
    if by_kind:
        newer = _with_kinds(by_kind, newer)

    if so_far.kind or by_kind:
        wanted["kinds"] = so_far.kind or _predicted_kinds(model)

    user_ids = model.given_.users.ids if all_users else users or None
    frame = rc.top_n(model, user_ids=user_ids, **newer, **wanted)
    reasons = rc.explain_list(model, frame, rank_by=rank_by, **newer) if wished.explain else None
    without_ratings = [] if is_from_file else _without_ratings(model, users or ())

    return _answer(frame, reasons, without_ratings, out)


def _ids_in(path: Path | None, reading: dict[str, Any]) -> Any:
    """The item ids in a file; None without a file."""
    from recollect.data.tables import read_ids

    return None if path is None else read_ids(path, "item", **reading)["item_id"]


def _newer(
    ratings: Path | None, event: list[str] | None, events: Path | None, reading: dict[str, Any]
) -> dict[str, Any]:
    """The ratings or events of a new user, or newer ones of a known one: arguments of `top_n`.

    Args:
        ratings: the file of --ratings.
        event: the values of --event.
        events: the file of --events.
        reading: how a file is read: arguments of `read_ids`.

    Raises:
        SettingError: if there are both.
    """
    from recollect.data.tables import read_item_ratings

    chosen = _chosen_items(event, events, reading)
    if chosen and ratings is not None:
        raise SettingError("State --ratings, or --event and --events; one of the two.")

    return {
        "events": chosen or None,
        "ratings": None if ratings is None else read_item_ratings(ratings, **reading),
    }


def _with_kinds(by_kind: dict[str, Any], newer: dict[str, Any]) -> dict[str, Any]:
    """The items of a list by kind, as the events of `top_n`.

    Args:
        by_kind: of --song, --tag, --title and --known.
        newer: of --event, --events and --ratings.

    Raises:
        SettingError: if there are both.
    """
    if any(value is not None for value in newer.values()):
        raise SettingError(
            "State --song, --tag, --title and --known, or --event, --events and --ratings; one of "
            "the two."
        )

    return {"events": by_kind, "ratings": None}


def _predicted_kinds(model: rc.Model) -> list[str]:
    """The kinds of items that are listed if none is stated: all but words of titles."""
    from recollect.data.playlists import WORDS

    return [kind for kind in model.given_.kinds.names if kind != WORDS]


def _answer(frame: Any, reasons: Any, without_ratings: list[str], out: Path | None) -> Answer:
    """The recommendations, shown or written.

    Args:
        frame: the recommendations.
        reasons: for them; None: none.
        without_ratings: the users who have no training ratings.
        out: the file to write; None: show them.
    """
    from recollect.data.tables import write_table

    if reasons is not None:
        frame = _with_because(frame, reasons)

    if out is None:
        answer = {"recommendations": frame.to_dicts(), "unknown_users": without_ratings}
        if reasons is not None:
            answer["reasons"] = reasons.to_dicts()

        verb = "chose" if reasons is not None and "count" in reasons.columns else "rated"

        return Answer(answer, _lists(frame, verb))

    write_table(frame, out)

    return Answer(
        {"out": out, "rows": len(frame), "unknown_users": without_ratings},
        [f"{len(frame):,} rows written to {out}."],
    )


def _chosen_items(
    event: list[str] | None, events: Path | None, reading: dict[str, Any]
) -> list[str]:
    """The items of events on the command line and of those in a file.

    Args:
        event: the values of --event.
        events: the file.
        reading: how it is read: arguments of `read_ids`.
    """
    chosen = list(event or ())
    if events is not None:
        chosen.extend(_ids_in(events, reading))

    return chosen


def _check_request(
    users: list[str] | None,
    *,
    all_users: bool,
    is_from_file: bool,
    explain: bool,
    out: Path | None,
) -> None:
    """Refuse a command line that does not say for which users, or a file of an unknown kind.

    Args:
        users: the values of --user.
        all_users: whether --all-users is stated.
        is_from_file: whether there are ratings or events on the command line.
        explain: whether --explain is stated.
        out: the value of --out.

    Raises:
        SettingError: saying what to state.
    """
    from recollect.data.tables import check_ending

    if all_users == (bool(users) or is_from_file):
        raise SettingError(
            "State one of: --user ID, --all-users, or for a new user --ratings FILE, --event ID, "
            "--events FILE, or --song, --tag, --title and --known."
        )

    if all_users and out is None:
        raise SettingError("--all-users writes a file; name it with --out recommendations.parquet.")

    if all_users and explain:
        raise SettingError(
            "--explain is for the lists of some users; name them with --user in place of "
            "--all-users."
        )

    if out is not None:
        check_ending(out)


def _for_all_users(screen: Screen, model: rc.Model, out: Path, **wanted: Any) -> Answer:
    """Write the recommendations for all users block by block, so that memory stays flat.

    Args:
        screen: where progress is shown.
        model: a fitted model.
        out: the file.
        wanted: arguments of `top_n_to_parquet`.
    """
    n_users = model.given_.n_users

    with screen.steps("users", n_users) as step:
        rows = rc.top_n_to_parquet(
            model,
            out,
            **wanted,
            progress=lambda done, total: step(done, ""),
        )

    return Answer(
        {"out": out, "rows": rows, "users": n_users},
        [f"{rows:,} rows for {n_users:,} users written to {out}."],
    )


def _with_because(frame: Any, reasons: Any) -> Any:
    """The recommendations with a column of the items that spoke for each, in one text.

    Args:
        frame: the recommendations.
        reasons: for them, as `explain_list` gives them.
    """
    import polars as pl

    name = pl.col("because_id")
    if "because_title" in reasons.columns:
        name = pl.coalesce("because_title", "because_id")

    # Pairs stand in order, the strongest reason first.
    pair = ["user_id", "item_id"]
    because = reasons.group_by(pair, maintain_order=True).agg(because=name.str.join(", "))

    return frame.join(because, on=pair, how="left", nulls_equal=True, maintain_order="left")


def _without_ratings(model: rc.Model, users: Sequence[str]) -> list[str]:
    """Those of the users who have no training ratings."""
    rows = model.given_.users.rows(list(users))
    has_ratings = model.given_.count("user") > 0

    return [user for user, row in zip(users, rows, strict=True) if row < 0 or not has_ratings[row]]


def _lists(frame: Any, verb: str) -> list[RenderableType]:
    """A table for each user and, if it is to be explained, a line for each item.

    Args:
        frame: the recommendations.
        verb: what the user did with items: "rated" or "chose".
    """
    if frame.is_empty():
        return ["No items are left to recommend."]

    names = [column for column in frame.columns if column not in ("user_id", "because")]
    shown: list[RenderableType] = []
    # Lists of several kinds stand one below the other.
    by = ["user_id", "kind"] if "kind" in names else ["user_id"]

    for (user, *kind), part in frame.group_by(by, maintain_order=True):
        title = f"For {user}: {kind[0]}" if kind else f"For {user}"
        shown.append(table(names, rows_of(part, names), title=title))
        if "because" in part.columns:
            shown += _because(part, verb)

    return shown


def _because(part: Any, verb: str) -> list[str]:
    """A line for each item of one list: which of the user's items spoke for it.

    Args:
        part: the list.
        verb: what the user did with items.
    """
    name = "title" if "title" in part.columns else "item_id"
    lines = []

    for row in part.to_dicts():
        label = row[name] or row["item_id"]
        if row["because"] is None:
            lines.append(f"{row['rank']}. {label}: nothing that you {verb} spoke for it")
        else:
            lines.append(f"{row['rank']}. {label}: because you {verb} {row['because']}")

    return [*lines, ""]
