"""Amazon reviews, 1996 to 2014: ratings of products with times, and what was written about them.

Source: McAuley, Targett, Shi, van den Hengel. "Image-Based Recommendations on Styles and Substitutes." SIGIR 2015.
Licence: for research; cite the paper above. There are no published checksums.
"""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from recollect.data import download
from recollect.data.builder import RatingsBuilder
from recollect.data.parsing.lines import blocks
from recollect.data.ratings import Ratings
from recollect.data.read import name_of
from recollect.data.read import read as read_table
from recollect.errors import DataError, unknown

log = logging.getLogger("recollect")

ADDRESS = "http://snap.stanford.edu/data/amazon/productGraph/categoryFiles/{}"
SCALE = (1.0, 5.0)
FIELDS = ("reviewerID", "asin", "overall", "unixReviewTime")  # what every review must have


@dataclass(frozen=True)
class Variant:
    """One category of products."""

    title: str
    folder: str  # where its file is looked for, in the homes of data
    reviews: str  # the file of reviews; packed it ends in .gz besides
    ratings: str | None  # the file of ratings without texts, if there is one
    n_ratings: int  # as published

    def __str__(self) -> str:
        return (
            f"Amazon, {self.title}: {self.n_ratings:,} ratings with reviews; 1 to 5; research use"
        )


VARIANTS = {
    "musical-instruments": Variant(
        "musical instruments (users and items with 5 or more)",
        "amazon-musical-instruments",
        "reviews_Musical_Instruments_5.json",
        None,
        10_261,
    ),
    "instant-video": Variant(
        "instant video",
        "amazon-instant-video",
        "reviews_Amazon_Instant_Video.json",
        "ratings_Amazon_Instant_Video.csv",
        583_933,
    ),
}


class Review(NamedTuple):
    """What a user wrote of an item, and when."""

    user_id: str
    item_id: str
    rating: float
    time: int  # seconds since 1970, the start of a day
    text: str  # may be empty


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The ratings of a category, from its file of reviews, or from that of ratings if only this is there. If their number is
    not the published one, a note says so.

    Raises: FetchError if neither is there and the reviews cannot be downloaded; DataError if a line is damaged.
    """
    release = VARIANTS[variant]
    ratings = read(find(variant, folder) or _reviews(release, folder), name=f"amazon/{variant}")
    if len(ratings) == release.n_ratings:
        return ratings
    note = f"There are {len(ratings):,} ratings of distinct pairs; published are {release.n_ratings:,}."
    log.info("%s: %s", ratings.name, note)
    return replace(ratings, notes=(*ratings.notes, note), checked=True)


def find(variant: str, folder: Path | None = None) -> Path | None:
    """The file of reviews in `folder` or one of the homes, else the file of ratings; None if neither is there."""
    release = VARIANTS[variant]
    return download.found(_files(release), folder) or (
        download.found([f"{release.folder}/{release.ratings}"], folder) if release.ratings else None
    )


def _files(release: Variant) -> list[str]:
    return [f"{release.folder}/{release.reviews}{packed}" for packed in (".gz", "")]


def _reviews(release: Variant, folder: Path | None) -> Path:
    there, packed = download.found(_files(release), folder), f"{release.reviews}.gz"
    return there or download.file(
        f"{release.folder}/{packed}", ADDRESS.format(packed), None, folder=folder
    )


def read(path: str | Path, *, name: str | None = None) -> Ratings:
    """The ratings in a file of reviews (reviews_*.json), or in one of ratings (*.csv: user, item, rating, time), packed or not.

    Raises: DataError if the file is missing or a line is damaged.
    """
    path = Path(path)
    name = name or name_of(path)
    if ".csv" in path.suffixes:
        return read_table(path, header=False, scale=SCALE, name=name)
    rows = [(line, *review[:4]) for line, review in _numbered(path)]
    table = pl.DataFrame(rows, schema=["line", "user", "item", "rating", "time"], orient="row")
    intake = RatingsBuilder(SCALE, time_is_required=True)
    intake.add(table.drop("line"), lambda row: f"Line {table['line'][row]} of {path}")
    return intake.ratings(name, str(path))


def reviews(path: str | Path) -> Iterator[Review]:
    """The reviews in a file, one at a time, as they stand: JSON, or the literals of Python that some of the files have.

    Raises: DataError if the file is missing or a line is damaged.
    """
    return (review for _, review in _numbered(Path(path)))


def _numbered(path: Path) -> Iterator[tuple[int, Review]]:
    """The reviews of a file, each with the number of its line."""
    if not path.is_file():
        raise DataError(
            f"There is no file {path} (looked in {path.absolute().parent}); check the path."
        )
    number = 0
    for block in blocks(path, quoted=False):
        for line in block.decode().removesuffix("\n").split("\n"):
            number += 1
            if line.strip():
                yield number, _review(line, f"Line {number} of {path}")


def _review(line: str, where: str) -> Review:
    found = _object(line, where)
    missing = [name for name in FIELDS if found.get(name) in (None, "")]
    if missing:
        raise DataError(
            f"{where} has no {' and no '.join(missing)}; a review needs {', '.join(FIELDS)}. Correct or remove it."
        )
    user_id, item_id, rating, time = (found[name] for name in FIELDS)
    try:
        return Review(
            str(user_id), str(item_id), float(rating), int(time), str(found.get("reviewText") or "")
        )
    except (TypeError, ValueError):
        raise DataError(
            f"{where} has the rating {rating!r} and the time {time!r}; expected a number, and seconds since 1970. "
            "Correct or remove it."
        ) from None


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        try:
            found = ast.literal_eval(line.strip())  # nothing is run: only literals are read
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found = None
    if not isinstance(found, dict):
        raise DataError(
            f"{where} is not a review ({line.strip()[:60]!r}); expected one object a line, such as "
            '{"reviewerID": "A2", "asin": "B1", "overall": 5.0, …}. Correct or remove it.'
        )
    return found


def documents(
    source: str | Path, folder: Path | None = None, *, among: Ratings | None = None
) -> dict[str, str]:
    """What was written of each item (item_id: text), of a category or of a file of reviews: its reviews in the order of their
    times, and of equal times of their users' ids, in one line.

    A review is written by the user whose rating is to be predicted, and says what they think of the item. With `among`, such
    as the ratings of train, only reviews of these (user, item) pairs are taken; without it the documents hold what users said
    with their test ratings, and a model that reads them has looked at its answers. ConvMF's authors take all of them. An item
    of which nothing is left has no document: nobody has written of a new item.

    Raises: SettingError for a category that does not exist; FetchError if it cannot be downloaded; DataError if a line is
    damaged.
    """
    release = VARIANTS.get(str(source))
    if release is None and not Path(source).suffix:
        raise unknown("category of Amazon or file of reviews", str(source), VARIANTS)
    pairs = (
        None
        if among is None
        else set(zip(among.users.at(among.user), among.items.at(among.item), strict=True))
    )
    written: dict[str, list[tuple[int, str, str]]] = {}
    for review in reviews(_reviews(release, folder) if release else source):
        if review.text.strip() and (pairs is None or (review.user_id, review.item_id) in pairs):
            written.setdefault(review.item_id, []).append(
                (review.time, review.user_id, review.text)
            )
    return {
        item_id: " ".join(" ".join(text for *_, text in sorted(found)).split())
        for item_id, found in sorted(written.items())
    }
