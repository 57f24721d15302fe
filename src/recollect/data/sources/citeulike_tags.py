"""CiteULike with tags: users' libraries as lists of articles and of the tags of these.

A library has its ten most telling tags: those with the largest tf · idf, tf the articles of the
library that have the tag and idf = log(libraries / libraries with the tag), of tags that two of its
articles have. The files say which tags an article has, not who gave them.

Source: as `citeulike` ("t").
License: for research; cite that paper.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from recollect.data import download
from recollect.data.playlists import as_events
from recollect.data.ratings import Ratings
from recollect.data.sources import citeulike
from recollect.data.sources.citeulike import ADDRESS
from recollect.errors import DataError

ARTICLES = "tag-item.dat"
NAMES = "tags.dat"
MOST = 10  # tags of a library
LEAST = 2  # articles of a library that have a tag


class _Variant(citeulike.Variant):
    def __str__(self) -> str:
        return (
            "CiteULike: 7,947 libraries as lists of 25,975 articles and of ten of their tags; "
            "research use"
        )


VARIANTS = {"t": _Variant(**vars(citeulike.VARIANTS["t"]))}
PUBLISHED = {"t": {"lists": 7947, "articles in lists": 134_860}}


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The articles and tags of every library as events that count 1.

    Args:
        variant: a key of VARIANTS.
        folder: where to look for it and download it to; default: the data homes.

    Raises:
        FetchError: if a file is not there and cannot be downloaded.
        DataError: if a line is damaged or the counts are not the published ones.
    """
    likes = citeulike.load(variant, folder)
    likes_ = pl.DataFrame({"list": likes.user, "article": likes.item})
    articles = likes_.group_by("list").agg(pl.col("article").cast(pl.String))
    tags = _tags_of_libraries(likes_, _tags_of_articles(variant, folder))
    lists = pl.DataFrame({"list": np.arange(likes.n_users, dtype=np.int32)})
    lists = lists.join(articles, on="list", how="left", maintain_order="left")
    lists = lists.join(tags, on="list", how="left", maintain_order="left")
    lists = lists.rename({"list": "id", "article": "articles", "tag": "tags"})

    return as_events(
        lists.with_columns(pl.col("id").cast(pl.String)),
        name=f"citeulike_tags/{variant}",
        notes=(citeulike.NO_IDS, f"A library's tags are the {MOST} most telling of its articles."),
    )


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Whether the file of tags is in `folder` or one of the data homes."""
    path = download.found([f"{VARIANTS[variant].folder}/{ARTICLES}"], folder)
    return citeulike.is_here(variant, folder) and path is not None


def how_to_get(variant: str) -> str:
    """What to do where a set is not here."""
    command = f"recollect data fetch citeulike_tags/{variant}"
    return f"`{command}` gets it, or put it at $RECOLLECT_DATA/{VARIANTS[variant].folder}"


def _tags_of_articles(variant: str, folder: Path | None) -> pl.DataFrame:
    """A row for each article and tag."""
    home = VARIANTS[variant].folder
    paths = [
        download.file(f"{home}/{name}", ADDRESS.format(variant, name), None, folder=folder)
        for name in (NAMES, ARTICLES)
    ]
    names = paths[0].read_bytes().decode().replace("\r\n", "\n").removesuffix("\n").split("\n")
    lines = paths[1].read_text().splitlines()
    if len(names) != len(lines):
        raise DataError(
            f"{paths[0]} names {len(names):,} tags and {paths[1]} has lines for {len(lines):,}; "
            "expected one for each. Copy them again."
        )

    articles = [line.split()[1:] for line in lines]
    table = pl.DataFrame({"tag": names, "article": articles}).explode("article")

    return table.drop_nulls().with_columns(pl.col("article").cast(pl.Int32)).unique()


def _tags_of_libraries(likes: pl.DataFrame, tags: pl.DataFrame) -> pl.DataFrame:
    """The most telling tags of each library.

    Args:
        likes: columns list and article.
        tags: columns tag and article.
    """
    counts = likes.join(tags, on="article").group_by("list", "tag").agg(tf=pl.len())
    often = counts.filter(pl.col("tf") >= LEAST)
    n_lists = often["list"].n_unique()
    share = (pl.lit(n_lists) / pl.len().over("tag")).log()
    telling = often.with_columns(telling=pl.col("tf") * share)
    first = telling.sort(["list", "telling", "tag"], descending=[False, True, False])

    return first.group_by("list", maintain_order=True).agg(pl.col("tag").head(MOST))
