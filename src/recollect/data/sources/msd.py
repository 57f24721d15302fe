"""The Million Song Dataset's Taste Profile: how often users have played songs.

Source: Bertin-Mahieux, Ellis, Whitman, Lamere. "The Million Song Dataset." ISMIR 2011.
License: for research, not commercial; cite the paper above.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recollect.data import download
from recollect.data.ratings import Ratings
from recollect.data.read import read
from recollect.errors import FetchError

FILES = ("train_triplets.txt", "train_triplets.txt.gz")


@dataclass(frozen=True)
class Variant:
    """One of its sets of plays."""

    folder: str  # where its file is looked for, in the data homes

    def __str__(self) -> str:
        return "Million Song Dataset, Taste Profile: counts of plays, without times; research use"


VARIANTS = {"taste-profile": Variant("msd")}


def load(variant: str, folder: Path | None = None) -> Ratings:
    """The plays as events, each with its count. A line of the file is user, song and count.

    Args:
        variant: a key of VARIANTS.
        folder: where to look for it; default: the data homes.

    Raises:
        FetchError: if the file is not there: it is not downloaded.
        DataError: if a line is damaged.
    """
    path = _file(variant, folder)
    if path is None:
        raise FetchError(f"msd/{variant} is not here; {how_to_get(variant)}.")

    return read(
        path,
        user=0,
        item=1,
        rating=2,
        header=False,
        separator="\t",
        implicit=True,
        name=f"msd/{variant}",
    )


def is_here(variant: str, folder: Path | None = None) -> bool:
    """Whether the file is in `folder` or one of the data homes."""
    return _file(variant, folder) is not None


def how_to_get(variant: str) -> str:
    """What to do where the file is not here."""
    home = VARIANTS[variant].folder
    return f"put your copy of {FILES[0]} at $RECOLLECT_DATA/{home}, plain or packed by gzip"


def _file(variant: str, folder: Path | None) -> Path | None:
    home = VARIANTS[variant].folder
    return download.found([f"{home}/{file}" for file in FILES], folder)
