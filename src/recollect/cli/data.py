"""The verbs about data: data list, fetch, describe, convert, plant, store; split."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import RenderableType

from recollect.cli.options.source import (
    Columns,
    Seed,
    Source,
    any_ratings_from,
    check_ending,
    netflix_folder,
    ratings_from,
    write_ratings,
)
from recollect.cli.options.texts import Texts, summary, told
from recollect.cli.options.windows import way_of
from recollect.cli.output.screen import Answer, Screen, facts, settings_of, table
from recollect.data.ratings import AnyRatings, Ratings, Side
from recollect.data.splitting import Split
from recollect.errors import SettingError, unknown

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
BAR = 40  # characters of the longest bar


def list_known(screen: Screen) -> Answer:
    """List the data sets that have a name."""
    from recollect.data import sources

    known = sources.known()
    return Answer({"data": known}, [table(("name", "what it is"), list(known.items()))])


def fetch(
    screen: Screen,
    name: Annotated[
        str, typer.Argument(help="Such as movielens/1m; `recollect data list` has all.")
    ],
    folder: Annotated[Path | None, typer.Option(help="Where to keep it, if elsewhere.")] = None,
) -> Answer:
    """Download a data set, unless it is there already, and check it."""
    from recollect.data import sources

    if name not in sources.known():
        raise unknown("data set", name, sources.known())
    ratings = sources.load(name, folder)
    found = {
        "name": name,
        "ratings": len(ratings),
        "users": ratings.n_users,
        "items": ratings.n_items,
        "scale": ratings.scale,
        "fingerprint": ratings.fingerprint,
    }
    return Answer(
        found,
        [
            f"{name} is ready: {len(ratings):,} ratings of {ratings.n_items:,} items by "
            f"{ratings.n_users:,} users."
        ],
    )


def describe(screen: Screen, source: Source, columns: Columns, texts: Texts) -> Answer:
    """Describe ratings: sizes, scale, values, times, how many each user and item has; and the texts of the items."""
    from recollect.data.sources import netflix

    ratings = texts.taken(any_ratings_from(source, columns))
    values, is_inferred = _values(ratings), any("inferred" in note for note in ratings.notes)
    counts = {"per user": _quantiles(ratings, "user"), "per item": _quantiles(ratings, "item")}
    found: dict[str, Any] = {
        "name": ratings.name,
        "ratings": len(ratings),
        "users": ratings.n_users,
        "items": ratings.n_items,
        "density": ratings.density,
        "scale": ratings.scale,
        "scale_from": "the ratings"
        if is_inferred
        else "stated"
        if columns.scale
        else "the data set",
        "mean": ratings.mean,
        "values": values,
        "times": _times(ratings),
        "counts": counts,
        "notes": ratings.notes,
        "implicit": ratings.implicit,
        "titles": ratings.catalogue is not None,
        "fingerprint": ratings.fingerprint,
    }
    if ratings.text is not None:
        found["texts"] = summary(ratings.text)
    if isinstance(ratings, Ratings) and netflix_folder(source) is not None:
        found["published"] = netflix.published(ratings)
    return Answer(found, _described(found))


def _described(found: dict[str, Any]) -> list[RenderableType]:
    low, high = found["scale"]
    one, many = ("count", "pairs") if found["implicit"] else ("rating", "ratings")
    about = {
        many: found["ratings"],
        "users": found["users"],
        "items": found["items"],
        "density": f"{found['density']:.3%} of all pairs",
        **(
            {"highest count": high}
            if found["implicit"]
            else {
                "scale": f"{low:g} to {high:g} (from {found['scale_from']})".replace(
                    "from stated", "stated"
                )
            }
        ),
        "mean": found["mean"],
        "times": " to ".join(found["times"]) if found["times"] else "none",
        "titles": found["titles"],
        "fingerprint": found["fingerprint"],
        **{"note" if j == 0 else " " * j: note for j, note in enumerate(found["notes"])},
    }
    most = max(found["values"].values())
    bars = [
        (value, count, "█" * round(BAR * count / most) or "▏")
        for value, count in found["values"].items()
    ]
    names = ["least", *(f"{q:.0%}" for q in QUANTILES[1:-1]), "most"]
    counts = [(who, *row) for who, row in found["counts"].items()]
    shown: list[RenderableType] = [
        facts(about, title=found["name"]),
        "",
        table((one, "pairs" if one == "count" else "count", ""), bars),
        table((many, *names), counts),
    ]
    if "texts" in found:
        shown += [told(found["texts"]), ""]
    if "published" in found:
        shown.append(
            table(
                ("part", "users", "published", "ratings", "published", "verdict: users, ratings"),
                [tuple(row.values()) for row in found["published"]],
            )
        )
    return shown


def _values(ratings: AnyRatings) -> dict[str, int]:
    """How often each value stands; of more than 20 values, how often each tenth of the scale."""
    import numpy as np

    each: dict[float, int] = {}
    tenths, edge = np.zeros(10, np.int64), np.linspace(*ratings.scale, 11)
    for part in ratings.values():
        if len(each) <= 20:
            for v, n in zip(*np.unique(part, return_counts=True), strict=True):
                each[float(v)] = each.get(float(v), 0) + int(n)
        tenths += np.histogram(part.astype(np.float64), bins=10, range=ratings.scale)[0]
    if len(each) <= 20:
        return {f"{v:g}": n for v, n in sorted(each.items())}
    return {f"{a:.4g} – {b:.4g}": int(n) for a, b, n in zip(edge, edge[1:], tenths, strict=False)}


def _times(ratings: AnyRatings) -> list[str] | None:
    if ratings.time is None:
        return None
    return [
        datetime.fromtimestamp(int(t), UTC).strftime("%Y-%m-%d")
        for t in (ratings.time.min(), ratings.time.max())
    ]


def _quantiles(ratings: AnyRatings, side: Side) -> list[int]:
    import numpy as np

    count = ratings.count(side)
    return [int(x) for x in np.quantile(count[count > 0], QUANTILES, method="nearest")]


def store(
    screen: Screen,
    source: Source,
    columns: Columns,
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    valid: Annotated[
        float,
        typer.Option(help="Share to choose by, of what test leaves; set aside in valid.parquet."),
    ] = 0.0,
    test: Annotated[
        float, typer.Option(help="Share to be judged on; set aside in test.parquet.")
    ] = 0.0,
    seed: Seed = 0,
) -> Answer:
    """Store ratings so that models learn from them batch by batch: for those that memory cannot hold."""
    from recollect.data.on_disk.writing import store as store_
    from recollect.data.sources import known

    films = None if columns.are_stated else netflix_folder(source)
    whole = films or (
        source
        if Path(source).is_file() and columns.events_from is None
        else ratings_from(source, columns)
    )
    how: dict[str, Any] = (
        {"name": source}
        if films and source in known()
        else columns.asked()
        if whole == source
        else {}
    )
    with screen.steps("store", 100) as report:
        made = store_(whole, out, valid=valid, test=test, seed=seed, progress=report, **how)
    aside = {
        name: len(part)
        for name, part in (("valid", made.valid), ("test", made.test))
        if part is not None
    }
    found = {
        "out": out,
        "ratings": len(made),
        **aside,
        "users": made.n_users,
        "items": made.n_items,
        "scale": made.scale,
        "fingerprint": made.fingerprint,
        "notes": made.notes,
    }
    told = "".join(f", {name} {n:,}" for name, n in aside.items())
    return Answer(
        found,
        [
            f"{len(made):,} ratings of {made.n_items:,} items by {made.n_users:,} users stored in {out}{told}.",
            *made.notes,
            "",
            f"Next: recollect train {out} --out RUN --set optimizer=adam --set batch_size=512",
        ],
    )


def convert(
    screen: Screen,
    source: Source,
    columns: Columns,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A file; it ends in .parquet or .csv.")
    ],
) -> Answer:
    """Write ratings as a table with the columns user_id, item_id, rating, timestamp."""
    check_ending(out)
    ratings = ratings_from(source, columns)
    names = write_ratings(ratings, out)
    return Answer(
        {"out": out, "ratings": len(ratings), "columns": names},
        [f"{len(ratings):,} ratings written to {out} ({', '.join(names)})."],
    )


def plant(
    screen: Screen,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    like: Annotated[
        str, typer.Option(help="The data set in whose form they are written: netflix.")
    ] = "netflix",
    share: Annotated[
        float,
        typer.Option(
            help="Share of that set's ratings; users and items shrink by its root, so that "
            "the density stays."
        ),
    ] = 0.01,
    form: Annotated[
        str,
        typer.Option(help="training_set (a file per film) or combined_data (many films a file)."),
    ] = "training_set",
    seed: Seed = 0,
) -> Answer:
    """Write made-up ratings as the files of a public data set: to try its reader without its data."""
    from recollect.data.sources.netflix.synthetic import sizes, write_netflix

    if like != "netflix":
        raise unknown("form of files to plant", like, ["netflix"])
    n_users, n_items, n_ratings = sizes(share)
    with screen.steps("plant", n_ratings) as report:
        write_netflix(
            folder,
            n_users=n_users,
            n_items=n_items,
            n_ratings=n_ratings,
            form=form,
            seed=seed,
            report=lambda done: report(done, "ratings"),
        )
    return Answer(
        {"folder": folder, "users": n_users, "items": n_items, "ratings": n_ratings},
        [
            f"{n_ratings:,} made-up ratings of {n_items:,} films by up to {n_users:,} users written to {folder}.",
            "",
            f"Next: recollect data describe {folder}",
        ],
    )


def split(
    screen: Screen,
    source: Source,
    columns: Columns,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for the parts.")],
    how: Annotated[
        str | None,
        typer.Option(
            help="random (the default), covering, time, windows, leave-last, new-users, "
            "new-items, folds or density."
        ),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE|DAY",
            help="Split by time: the share of the latest ratings, "
            "such as 0.1, or the first day of the test part.",
        ),
    ] = None,
    windows: Annotated[
        str | None,
        typer.Option(
            metavar="DAYS",
            help="Learn from one calendar window, be judged on "
            "another: FIRST:LAST,FIRST:LAST; a number of months before the last; "
            "or Netflix' 3m, 6m, 1y, full.",
        ),
    ] = None,
    test: Annotated[
        float | None, typer.Option(help="Share of the ratings to be judged on.")
    ] = None,
    valid: Annotated[
        float | None, typer.Option(help="Share to choose by, of what remains.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any other setting of the split, such as given=0.5 or n=2.",
        ),
    ] = None,
    seed: Seed = 0,
) -> Answer:
    """Cut ratings into parts and write each to a file."""
    given = settings_of(settings or ()) | {
        k: v for k, v in (("test", test), ("valid", valid)) if v is not None
    }
    how, later = way_of(how, time, windows, is_netflix=netflix_folder(source) is not None)
    function = _splitter(how)
    _check_settings(
        function, how, given, short="--windows" if windows else "--time" if time else None
    )
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise SettingError(f"{out} exists and is not empty; name a new folder.")
    ratings = ratings_from(source, columns)
    given |= later(ratings)
    seeded = {"seed": seed} if "seed" in inspect.signature(function).parameters else {}
    whole = {
        "data": ratings.name,
        "fingerprint": ratings.fingerprint,
        "scale": ratings.scale,  # before there are parts as well
        "implicit": ratings.implicit,
    }
    catalogue = ratings.catalogue
    made = function(ratings, **given, **seeded)
    del ratings
    named = {"": made} if how not in ("folds", "density") else dict(_named(made))
    found = {name: _write_split(part, out / name, whole, catalogue) for name, part in named.items()}
    shown = [
        facts(
            {
                "split": next(iter(named.values())).how,
                "seed": seeded.get("seed", "none: nothing is drawn"),
                **_days(given),
                "written to": out,
            }
        ),
        "",
        *(_sizes(part, name) for name, part in named.items()),
    ]
    return Answer({"out": out, **found.get("", {"splits": found})}, shown)


def _check_settings(function: Any, how: str, given: dict[str, Any], *, short: str | None) -> None:
    """Refuse settings that the split does not have, and those that `short` (--time, --windows) states already."""
    known = [
        name for name in inspect.signature(function).parameters if name not in ("ratings", "seed")
    ]
    for key, value in given.items():
        if key not in known:
            raise unknown(f"setting of the {how} split", key, known)
        if short and key in ("train", "test", "test_from"):
            raise SettingError(f"{key}={value} is stated by {short} already; leave one out.")
        if how == "windows" and key in ("train", "test") and not isinstance(value, tuple):
            raise SettingError(
                f"{key}={value}: a window is its first and its last day, such as --set "
                f"{key}=2005-09-01,2005-11-30."
            )


def _days(given: dict[str, Any]) -> dict[str, str]:
    """The days of a split by windows."""
    return {
        name: " to ".join(map(str, given[name]))
        for name in ("train", "test")
        if isinstance(given.get(name), tuple)
    }


def _splitter(how: str) -> Any:
    from recollect.data import splitting as splits

    every = {
        "random": splits.random_split,
        "covering": splits.covering_split,
        "time": splits.time_split,
        "windows": splits.window_split,
        "leave-last": splits.leave_last_split,
        "new-users": splits.new_user_split,
        "new-items": splits.new_item_split,
        "folds": splits.k_folds,
        "density": splits.density_sweep,
    }
    if how not in every:
        raise unknown("split", how, every)
    return every[how]


def _named(made: Any) -> Iterable[tuple[str, Split]]:
    """The splits of a density sweep by their share, those of k folds by their number."""
    if isinstance(made, dict):
        return [(f"train-{share:g}", part) for share, part in made.items()]
    return [(f"fold-{j}", part) for j, part in enumerate(made, start=1)]


def _write_split(
    cut: Split, folder: Path, whole: dict[str, Any], catalogue: pl.DataFrame | None
) -> dict[str, Any]:
    """Write the parts and what they are; the folder is there whole or not at all."""
    from recollect.system.atomic_files import replacing

    about = {
        "how": cut.how,
        "settings": cut.settings,
        "seed": cut.seed,
        **whole,
        "dropped": cut.dropped,
        "parts": {row["part"]: row for row in cut.table().to_dicts()},
    }
    with replacing(folder) as fresh:
        fresh.mkdir()
        for name, part in cut.parts.items():
            write_ratings(part, fresh / f"{name}.parquet")
        if catalogue is not None:
            catalogue.write_parquet(fresh / "items.parquet")
        (fresh / "split.json").write_text(json.dumps(about, indent=1))
    return about


def _sizes(cut: Split, name: str) -> RenderableType:
    rows = [
        (
            r["part"],
            r["ratings"],
            r["users"],
            r["items"],
            r["cold_users"],
            r["cold_items"],
            r["cold_ratings"],
        )
        for r in cut.table().to_dicts()
    ]
    rows += [
        (f"left out: {why}", count, None, None, None, None, None)
        for why, count in cut.dropped.items()
    ]
    names = (
        "part",
        "ratings",
        "users",
        "items",
        "users not in train",
        "items not in train",
        "ratings of these",
    )
    return table(names, rows, title=name or None)
