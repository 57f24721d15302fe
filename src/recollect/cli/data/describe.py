"""The verb data describe: ratings in figures."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType

import recollect as rc
from recollect.cli.options import texts as text_options
from recollect.cli.options.source import Columns, Source, any_ratings_from, netflix_folder
from recollect.cli.options.texts import Texts
from recollect.cli.output.screen import Answer, Screen
from recollect.cli.output.tables import facts, table

BAR = 40  # characters of the longest bar


def describe(screen: Screen, source: Source, columns: Columns, texts: Texts) -> Answer:
    """Describe ratings: sizes, scale, values, times, ratings per user and item, and texts."""
    from recollect.data import description, sources
    from recollect.data.sources import netflix

    ratings = texts.attach(any_ratings_from(source, columns))
    data = description.describe(ratings)
    data["scale_from"] = _scale_from(ratings, columns)
    if ratings.text is not None:
        data["texts"] = text_options.describe_texts(ratings.text)

    counts = sources.published(source)
    if counts:
        data["published_counts"] = description.compare_published(ratings, counts)

    if isinstance(ratings, rc.Ratings) and netflix_folder(source) is not None:
        data["published"] = netflix.published(ratings)

    return Answer(data, _shown(data, description.QUANTILES))


def _scale_from(ratings: rc.Ratings | rc.StoredRatings, columns: Columns) -> str:
    """Where the scale comes from."""
    if any("inferred" in note for note in ratings.notes):
        return "the ratings"
    return "stated" if columns.scale else "the data set"


def _shown(data: dict[str, Any], quantiles: tuple[float, ...]) -> list[RenderableType]:
    of_what = "pairs" if data["implicit"] else "ratings"
    least_to_most = ["least", *(f"{q:.0%}" for q in quantiles[1:-1]), "most"]
    counts = [(side, *row) for side, row in data["counts"].items()]
    shown: list[RenderableType] = [
        facts(_facts(data, of_what), title=data["name"]),
        "",
        _values(data),
        table((of_what, *least_to_most), counts),
    ]

    if data["kinds"]:
        names = ("kind", "items", "pairs", "users", "median per user")
        shown.append(table(names, [tuple(row.values()) for row in data["kinds"]]))

    if "published_counts" in data:
        rows = [tuple(row.values()) for row in data["published_counts"]]
        shown.append(table(("count", "found", "published", "verdict"), rows))

    if "texts" in data:
        shown += [text_options.texts_table(data["texts"]), ""]

    if "published" in data:
        rows = [tuple(row.values()) for row in data["published"]]
        columns = ("part", "users", "published", "ratings", "published", "verdict: users, ratings")
        shown.append(table(columns, rows))

    return shown


def _facts(data: dict[str, Any], of_what: str) -> dict[str, Any]:
    """Names and values, one below the other."""
    low, high = data["scale"]
    origin = data["scale_from"] if data["scale_from"] == "stated" else f"from {data['scale_from']}"
    scale = {"scale": f"{low:g} to {high:g} ({origin})"}
    if data["implicit"]:
        scale = {"highest count": high}

    # Only the first of several notes has a name beside it; the others have blanks.
    notes = {" " * number or "note": note for number, note in enumerate(data["notes"])}

    return {
        of_what: data["ratings"],
        "users": data["users"],
        "items": data["items"],
        "density": f"{data['density']:.3%} of all pairs",
        **scale,
        "mean": data["mean"],
        "times": " to ".join(data["times"]) if data["times"] else "none",
        "titles": data["titles"],
        "fingerprint": data["fingerprint"],
        **notes,
    }


def _values(data: dict[str, Any]) -> RenderableType:
    """How often each value occurs, with bars."""
    most = max(data["values"].values())
    rows = []

    for value, count in data["values"].items():
        bar = "█" * round(BAR * count / most) or "▏"
        rows.append((value, count, bar))

    columns = ("count", "pairs", "") if data["implicit"] else ("rating", "count", "")

    return table(columns, rows)
