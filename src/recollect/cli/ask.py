"""The verbs that ask a saved model: evaluate, predict, recommend, similar."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from rich.console import RenderableType

from recollect.cli.options.source import Columns, RunFolder, check_ending, ids_from, write_frame
from recollect.cli.output.screen import Answer, Raw, Screen, table
from recollect.data.ratings import AnyRatings, Ratings
from recollect.errors import DataError, SettingError

HowMany = Annotated[int, typer.Option("-n", help="How many.")]
OutFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write it here (.parquet or .csv) instead of showing it."),
]


NewItems = Annotated[
    Path | None,
    typer.Option(
        "--new-items",
        metavar="FILE",
        help="Texts of items that the model does not know; "
        "one that reads texts knows them by these.",
    ),
]


def _loaded(run: Path, new_items: Path | None) -> Any:
    """The saved model, with further items if there are texts of them.

    Raises: SettingError if it is no model that reads texts.
    """
    from recollect import checkpoint
    from recollect.families.text_model import TextModel

    model = checkpoint.load(run)
    if new_items is None:
        return model
    if not isinstance(model, TextModel):
        raise SettingError(
            f"{run} holds a {type(model).__name__}, which reads no texts and knows items by their ratings only; "
            "leave --new-items out."
        )
    return model.with_items(new_items)


def evaluate(
    screen: Screen,
    run: RunFolder,
    columns: Columns,
    test: Annotated[
        str, typer.Argument(metavar="TEST", help="A file of ratings the model has not seen.")
    ],
    given: Annotated[
        str | None,
        typer.Option(
            help="A file of ratings that may be looked at as well, such as those of new users."
        ),
    ] = None,
    ranking: Annotated[
        bool,
        typer.Option(
            "--ranking",
            help="Rank all items for each user, too; a model of events does in any case.",
        ),
    ] = False,
    n: Annotated[int, typer.Option("-n", help="Length of the ranking.")] = 10,
    relevant: Annotated[
        float | None,
        typer.Option(
            help="The rating from which on an item counts as relevant; 4 on a "
            "scale of 1 to 5. Of events the count; any, if not stated."
        ),
    ] = None,
    new_items: NewItems = None,
) -> Answer:
    """Score a model on ratings that it has not seen: RMSE and MAE, and with --ranking NDCG, recall and others. Of a model of
    events only the ranking can be scored."""
    model = _loaded(run, new_items)
    shown_too = (
        None
        if given is None
        else model.given_.union(_onto(_read(given, model, columns), model.given_)[0])
    )
    ratings = _read(test, model, columns)
    about, figures = _counted(model, ratings), []
    if model.output == "ratings":
        errors = _errors(model, ratings, shown_too)
        about |= errors.about
        figures.append(errors.table("rmse", "mae", "rmse_macro", "mae_macro"))
    if ranking or model.output == "scores":
        lists = _rankings(model, ratings, shown_too, n=n, relevant=relevant)
        about |= {
            key: lists.about[key] for key in ("relevant_from", "n_users", "n_without_relevant")
        }
        figures.append(lists.table())
    return _evaluated({"run": run, "test": test, **about}, pl.concat(figures))


def _read(path: str, model: Any, columns: Columns) -> Ratings:
    """A file of what the model has learned from: ratings on its scale, or events.

    Raises: SettingError if the options ask for the other.
    """
    from recollect.data.read import read

    asked = columns.asked()
    if not model.given_.implicit:
        if columns.implicit or columns.events_from is not None:
            raise SettingError(
                "This model has learned from ratings and is scored on ratings; leave out --implicit and "
                "--events-from."
            )
        return read(path, **{"scale": model.given_.scale, **asked})
    if columns.events_from is None:
        asked["implicit"] = True
    return columns.taken(read(path, **asked))


def _evaluated(about: dict[str, Any], figures: pl.DataFrame) -> Answer:
    rows = [
        (r["metric"], r["value"], "" if r["low"] is None else f"[{r['low']:.4f}, {r['high']:.4f}]")
        for r in figures.to_dicts()
    ]
    found = {**about, "metrics": {r.pop("metric"): r for r in figures.to_dicts()}}
    return Answer(found, [table(("metric", "value", "95% interval"), rows), *_conditions(about)])


def _counted(model: Any, test: Ratings) -> dict[str, Any]:
    """How much there is to be scored, and how many ids the model has never heard of."""
    return {
        "n_test": len(test),
        "implicit": test.implicit,
        "unknown_users": int((model.given_.users.rows(test.users.ids) < 0).sum()),
        "unknown_items": int((model.given_.items.rows(test.items.ids) < 0).sum()),
    }


def _errors(model: Any, test: Ratings, given: Ratings | None) -> Any:
    """Errors on all test ratings. Those of ids that the model has never heard of get its cold value, too."""
    from recollect.evaluation.protocols import Scores, held_out

    part, known = _onto(test, model.given_)
    strange = test.value[~known].astype(np.float64) - model.cold_value
    values = {"rmse": strange**2, "mae": np.abs(strange)}
    n_cold = int((~known).sum())
    if len(part):
        scores = held_out(model, part, given=given)
        values = {name: np.concatenate([scores.values[name], values[name]]) for name in values}
        n_cold += scores.about["n_cold"]
    who = np.concatenate([test.user[known], test.user[~known]]).astype(np.int64)
    return Scores(
        values,
        "rating",
        {"n_cold": n_cold, "clipped": model.clip, "cold_value": model.cold_value},
        group=who,
    )


def _onto(ratings: Ratings, known: AnyRatings) -> tuple[Ratings, np.ndarray]:
    """The ratings whose user and item stand in the other's vocabularies, in its row numbers; and which these are."""
    user = known.users.rows(ratings.users.ids)[ratings.user]
    item = known.items.rows(ratings.items.ids)[ratings.item]
    both = (user >= 0) & (item >= 0)
    time = None if ratings.time is None else ratings.time[both]
    return replace(
        ratings,
        user=user[both],
        item=item[both],
        value=ratings.value[both],
        time=time,
        users=known.users,
        items=known.items,
    ), both


def _rankings(
    model: Any, test: Ratings, given: Ratings | None, *, n: int, relevant: float | None
) -> Any:
    from recollect.evaluation.protocols import full_ranking

    part, _ = _onto(test, model.given_)
    if not len(part):
        raise DataError(
            "No test rating is of a user and an item that the model knows; there is nothing to rank for."
        )
    return full_ranking(model, part, n=n, relevant=relevant, given=given)


def _conditions(about: dict[str, Any]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if "n_cold" in about:
        cold = (
            f"; {about['n_cold']:,} have a user or an item without training ratings and were predicted as "
            f"{about['cold_value']:.4g}."
            if about["n_cold"]
            else "; none is cold."
        )
        lines.append(f"{about['n_test']:,} test ratings, all of them scored{cold}")
    if about["unknown_users"] or about["unknown_items"]:
        lines.append(
            f"The model has never heard of {about['unknown_users']:,} of the users and "
            f"{about['unknown_items']:,} of the items."
        )
    if "n_users" in about:
        from_ = about["relevant_from"]
        relevant = (
            "every test event is relevant"
            if about["implicit"] and not from_
            else f"relevant from {from_:g} on"
        )
        seen = "had" if about["implicit"] else "rated"
        lines.append(
            f"Ranked: all items the user has not {seen}, for {about['n_users']:,} users; {relevant}; "
            f"{about['n_without_relevant']:,} users have nothing relevant and do not count."
        )
    return lines


def predict(
    screen: Screen,
    run: RunFolder,
    pairs: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="A CSV or Parquet file with user_id and item_id; and with "
            "timestamp, if it is known when.",
        ),
    ],
    interval: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            show_default=False,
            help="Also between what the rating lies with this probability, for models that know.",
        ),
    ] = None,
    new_items: NewItems = None,
    out: OutFile = None,
) -> Answer:
    """Predict the rating of each pair of a file. Without --out a CSV goes to standard output."""
    from recollect.recommend import predict as predicted

    if out is not None:
        check_ending(out)
    frame = predicted(
        _loaded(run, new_items),
        ids_from(pairs, "user", "item", if_there=("time",)),
        interval=interval,
    )
    n_cold = int(frame["cold"].sum())
    told = f"{len(frame):,} pairs, {n_cold:,} with a user or an item that the model knows no rating of."
    if out is None:
        screen.say(told)
        return Answer(
            {"pairs": len(frame), "cold": n_cold, "predictions": frame.to_dicts()},
            [Raw(frame.write_csv())],
        )
    write_frame(frame, out)
    return Answer({"pairs": len(frame), "cold": n_cold, "out": out}, [told, f"Written to {out}."])


def recommend(
    screen: Screen,
    run: RunFolder,
    users: Annotated[
        list[str] | None,
        typer.Option(
            "--user",
            metavar="ID",
            show_default=False,
            help="Someone the model knows; may be repeated.",
        ),
    ] = None,
    ratings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Ratings of someone new, or newer ones of one "
            "--user: a CSV with item_id and rating.",
        ),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event",
            metavar="ID",
            show_default=False,
            help="For a model of events: an item that someone new, or the one "
            "--user, has chosen; may be repeated.",
        ),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same from a file: a CSV with item_id.")
    ] = None,
    all_users: Annotated[
        bool, typer.Option("--all-users", help="All that it knows; needs --out.")
    ] = False,
    n: HowMany = 10,
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recommend only these: a CSV with item_id.")
    ] = None,
    seen: Annotated[bool, typer.Option("--seen", help="Also what they have rated.")] = False,
    new_items: NewItems = None,
    out: OutFile = None,
) -> Answer:
    """Recommend items to people the model knows, or to someone new from their ratings or events."""
    from recollect.recommend import top_n

    newer = bool(event) or events is not None or ratings is not None
    if all_users + (bool(users) or newer) != 1:
        raise SettingError(
            "Say for whom: --user ID, or --all-users, or someone new by --ratings FILE, --event ID or "
            "--events FILE."
        )
    if all_users and out is None:
        raise SettingError("--all-users writes a file; name it with --out recommendations.parquet.")
    if out is not None:
        check_ending(out)
    model = _loaded(run, new_items)
    allowed = None if items is None else ids_from(items, "item")["item_id"]
    if all_users and out is not None and out.suffix == ".parquet":
        return _for_all(screen, model, out, n=n, allowed=allowed, seen=seen)
    chosen = [*(event or ()), *(() if events is None else ids_from(events, "item")["item_id"])]
    frame = top_n(
        model,
        user_ids=model.given_.users.ids if all_users else users or None,
        events=chosen or None,
        ratings=None if ratings is None else _ratings_of(ratings),
        n=n,
        items=allowed,
        seen=seen,
    )
    strange = [] if newer else _without_ratings(model, users or ())
    if strange:
        screen.say(
            f"The model knows no rating of {', '.join(map(repr, strange))}; what is best on the whole is "
            "recommended."
        )
    if out is not None:
        write_frame(frame, out)
        return Answer(
            {"out": out, "rows": len(frame), "unknown_users": strange},
            [f"{len(frame):,} rows written to {out}."],
        )
    return Answer({"recommendations": frame.to_dicts(), "unknown_users": strange}, _lists(frame))


def _for_all(
    screen: Screen, model: Any, out: Path, *, n: int, allowed: pl.Series | None, seen: bool
) -> Answer:
    from recollect.recommend import top_n_to_parquet

    with screen.steps("users", model.given_.n_users) as step:
        rows = top_n_to_parquet(
            model, out, n=n, items=allowed, seen=seen, progress=lambda done, of: step(done, "")
        )
    return Answer(
        {"out": out, "rows": rows, "users": model.given_.n_users},
        [f"{rows:,} rows for {model.given_.n_users:,} users written to {out}."],
    )


def _ratings_of(path: Path) -> dict[str, float]:
    """item_id → rating, from a file.

    Raises: DataError for a rating that is no number.
    """
    frame = ids_from(path, "item", "rating")
    value = frame["rating"].cast(pl.Float64, strict=False)
    if value.null_count():
        row = int(value.is_null().arg_max() or 0)
        raise DataError(
            f"Line {row + 2} of {path}: the rating of item {frame['item_id'][row]!r} is "
            f"{frame['rating'][row]!r}; expected a number."
        )
    return dict(zip(frame["item_id"].cast(pl.String), value, strict=True))


def _without_ratings(model: Any, users: Any) -> list[str]:
    row = model.given_.users.rows(list(users))
    known = model.given_.count("user") > 0
    return [user for user, r in zip(users, row, strict=True) if r < 0 or not known[r]]


def _lists(frame: pl.DataFrame) -> list[RenderableType]:
    """A table per person."""
    names = [column for column in frame.columns if column != "user_id"]
    if frame.is_empty():
        return ["Nothing is left to recommend."]
    return [
        table(names, part.select(names).rows(), title=f"For {who}")
        for (who,), part in frame.group_by("user_id", maintain_order=True)
    ]


def similar(
    screen: Screen,
    run: RunFolder,
    items: Annotated[
        list[str] | None,
        typer.Option(
            "--item",
            metavar="ID",
            show_default=False,
            help="Items to find others like; may be repeated.",
        ),
    ] = None,
    users: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="ID", show_default=False, help="Users to find others like."),
    ] = None,
    n: HowMany = 10,
    new_items: NewItems = None,
) -> Answer:
    """Find the items (or users) most like one."""
    from recollect.recommend import similar as likest

    if bool(items) == bool(users):
        raise SettingError("Say like what: --item ID or --user ID.")
    model = _loaded(run, new_items)
    frame = likest(model, item_ids=items or None, user_ids=users or None, n=n)
    key = "item_id" if items else "user_id"
    names = [column for column in frame.columns if column != key]
    shown = [
        table(
            names,
            part.select(names).rows(),
            title=f"Like {_named(model, who, is_item=bool(items))}",
        )
        for (who,), part in frame.group_by(key, maintain_order=True)
    ]
    return Answer({"similar": frame.to_dicts()}, shown)


def _named(model: Any, who: object, *, is_item: bool) -> str:
    title = model.given_.titles([who])[0] if is_item else None
    return str(who) if title is None else f"{title} ({who})"
