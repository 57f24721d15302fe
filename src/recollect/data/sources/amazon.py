"""Amazon reviews, 1996 to 2014: ratings of products with times, and what was written about them.

Source: McAuley, Targett, Shi, van den Hengel. "Image-Based Recommendations on Styles and
Substitutes." SIGIR 2015.
License: for research; cite the paper above. There are no published checksums.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from recollect.data import download
from recollect.data.builder import RatingsBuilder
from recollect.data.parsing import objects
from recollect.data.parsing.lines import blocks, check_file
from recollect.data.ratings import Ratings
from recollect.data.read import name_of
from recollect.data.read import read as read_table
from recollect.errors import DataError, unknown

log = logging.getLogger("recollect")

ADDRESS = "http://snap.stanford.edu/data/amazon/productGraph/categoryFiles/{}"
SCALE = (1.0, 5.0)
LONGEST_TIME = 1 << 62  # what a time of 64 bits can hold
FIELDS = ("reviewerID", "asin", "overall", "unixReviewTime")  # what every review must have


@dataclass(frozen=True)
class Variant:
    """One category of products."""

    title: str
    folder: str  # where its file is looked for, in the data homes
    reviews: str  # the file of reviews; packed, it ends in .gz as well
    ratings: str | None  # the file of ratings without texts, if there is one
    n_ratings: int  # as published

    def __str__(self) -> str:
        size = f"{self.n_ratings:,} ratings with reviews"
        return f"Amazon, {self.title}: {size}; 1 to 5; research use"


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
    """What a user wrote about an item, and when."""

    user_id: str
    item_id: str
    rating: float
    time: int  # seconds since 1970, the start of a day
    text: str  # may be empty


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The ratings of a category, from its file of reviews, or from that of ratings.

    If their number is not the published one, a note says so.

    Args:
        variant: a key of VARIANTS.
        folder: where to look for it and download it to; default: the data homes.

    Raises:
        FetchError: if neither is there and the reviews cannot be downloaded.
        DataError: if a line is damaged.
    """
    release = VARIANTS[variant]
    path = find(variant, folder) or _reviews(release, folder)
    ratings = read(path, name=f"amazon/{variant}")
    n = len(ratings)
    if n == release.n_ratings:
        return ratings

    note = f"There are {n:,} ratings of distinct pairs; published are {release.n_ratings:,}."
    log.info("%s: %s", ratings.name, note)

    return replace(ratings, notes=(*ratings.notes, note), checked=True)


def find(variant: str, folder: Path | None = None) -> Path | None:
    """The file of reviews, else that of ratings, in `folder` or a data home; None without both."""
    release = VARIANTS[variant]
    path = download.found(_files(release), folder)
    if path is None and release.ratings:
        path = download.found([f"{release.folder}/{release.ratings}"], folder)
    return path


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Whether a category is in `folder` or one of the data homes."""
    return find(variant, folder) is not None


def how_to_get(variant: str) -> str:
    """What to do where a category is not here."""
    command = f"recollect data fetch amazon/{variant}"
    release = VARIANTS[variant]
    return f"`{command}` gets it, or put it at $RECOLLECT_DATA/{release.folder}"


def _files(release: Variant) -> list[str]:
    file = f"{release.folder}/{release.reviews}"
    return [f"{file}.gz", file]


def _reviews(release: Variant, folder: Path | None) -> Path:
    """The file of reviews, downloaded if it is not there."""
    existing = download.found(_files(release), folder)
    if existing is not None:
        return existing

    packed = f"{release.reviews}.gz"
    address = ADDRESS.format(packed)

    return download.file(f"{release.folder}/{packed}", address, None, folder=folder)


def read(path: str | Path, *, name: str | None = None) -> Ratings:
    """The ratings in a file of reviews, or of ratings, packed or not.

    Args:
        path: of reviews_*.json, or of *.csv with the columns user, item, rating, time.
        name: of the ratings; default: that of the file.

    Raises:
        DataError: if the file is missing or a line is damaged.
    """
    path = Path(path)
    name = name or name_of(path)
    if ".csv" in path.suffixes:
        return read_table(
            path,
            header=False,
            scale=SCALE,
            name=name,
        )

    rows = [(line, *review[:4]) for line, review in _numbered(path)]
    columns = ["line", "user", "item", "rating", "time"]
    table = pl.DataFrame(rows, schema=columns, orient="row")

    def locate(row: int) -> str:
        line = table["line"][row]
        return f"Line {line} of {path}"

    builder = RatingsBuilder(SCALE, time_is_required=True)
    builder.add(table.drop("line"), locate)

    return builder.ratings(name, str(path))


def reviews(path: str | Path) -> Iterator[Review]:
    """The reviews in a file, one at a time: JSON, or the Python literals that some files have.

    Raises:
        DataError: if the file is missing or a line is damaged.
    """
    for _, review in _numbered(Path(path)):
        yield review


def _numbered(path: Path) -> Iterator[tuple[int, Review]]:
    """The reviews of a file, each with the number of its line."""
    check_file(path, "reviews")
    number = 0

    for block in blocks(path):
        text = block.decode().removesuffix("\n")

        # Not splitlines: a review may hold other characters that divide lines in Unicode.
        for line in text.split("\n"):
            number += 1
            if line.strip():
                yield number, _review(line, f"Line {number} of {path}")


def _review(line: str, where: str) -> Review:
    """The review in a line; `where` says which line it is, for messages."""
    fields = _object(line, where)
    missing = [name for name in FIELDS if fields.get(name) in (None, "")]
    if missing:
        raise DataError(
            f"{where} has no {' and no '.join(missing)}; a review needs {', '.join(FIELDS)}. "
            "Correct or remove it."
        )

    user_id, item_id, rating, time = (fields[name] for name in FIELDS)
    text = str(fields.get("reviewText") or "")

    try:
        seconds = int(time)
        if abs(seconds) >= LONGEST_TIME:
            raise OverflowError

        return Review(str(user_id), str(item_id), float(rating), seconds, text)
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{where} has the rating {str(rating)[:40]!r} and the time {str(time)[:40]!r}; "
            "expected a number, and seconds since 1970. Correct or remove it."
        ) from None


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        return objects.parse(line)
    except ValueError as problem:
        raise DataError(
            f"{where} is not a review ({problem}: {line.strip()[:60]!r}); expected one object a "
            'line, such as {"reviewerID": "A2", "asin": "B1", "overall": 5.0, …}. Correct or '
            "remove it."
        ) from problem


def documents(
    source: str | Path, folder: Path | None = None, *, among: Ratings | None = None
) -> dict[str, str]:
    """The document of each item: all its reviews in one line, by time, then by user id.

    A review is written by the user whose rating is to be predicted, and says what they think of the
    item: a model that reads the reviews of test ratings has seen its answers. ConvMF's authors take
    all of them.

    Args:
        source: a category (a key of VARIANTS), or a file of reviews.
        folder: where to look for a category; default: the data homes.
        among: only reviews of these (user, item) pairs are taken, such as the ratings of train;
            default: all. An item of which nothing is left has no document.

    Returns: a text per item_id.

    Raises:
        SettingError: for a category that does not exist.
        FetchError: if it cannot be downloaded.
        DataError: if a line is damaged.
    """
    release = VARIANTS.get(str(source))
    if release is None and not Path(source).suffix:
        raise unknown("category of Amazon or file of reviews", str(source), VARIANTS)

    path = _reviews(release, folder) if release else source
    pairs = None if among is None else _pairs(among)
    by_item: dict[str, list[tuple[int, str, str]]] = {}

    for review in reviews(path):
        is_wanted = pairs is None or (review.user_id, review.item_id) in pairs
        if is_wanted and review.text.strip():
            written = (review.time, review.user_id, review.text)
            by_item.setdefault(review.item_id, []).append(written)

    documents_ = {}

    for item_id, written_of_item in sorted(by_item.items()):
        text = " ".join(text for _, _, text in sorted(written_of_item))
        documents_[item_id] = " ".join(text.split())

    return documents_


def _pairs(ratings: Ratings) -> set[tuple[str, str]]:
    """The (user_id, item_id) of each rating."""
    user_ids = ratings.users.at(ratings.user)
    item_ids = ratings.items.at(ratings.item)
    return set(zip(user_ids, item_ids, strict=True))
