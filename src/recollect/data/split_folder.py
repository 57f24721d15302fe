"""A split as a folder: a Parquet file for each part, and split.json, which says how it was made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recollect.data.from_objects import from_frame
from recollect.data.ratings import Ratings
from recollect.data.read import read
from recollect.data.splitting import Split
from recollect.data.tables import write_ratings
from recollect.errors import DataError
from recollect.system.atomic_files import replacing

RECORD = "split.json"
ITEMS = "items.parquet"
PARTS = ("train", "valid", "given", "test")


def is_split(folder: str | Path) -> bool:
    """Whether a folder holds a split."""
    return (Path(folder) / RECORD).is_file()


def facts_of(ratings: Ratings) -> dict[str, Any]:
    """What the record of a split says about the whole: data, fingerprint, scale, implicit."""
    return {
        "data": ratings.name,
        "fingerprint": ratings.fingerprint,
        "scale": ratings.scale,
        "implicit": ratings.implicit,
    }


def write_split(
    split: Split,
    folder: str | Path,
    *,
    whole: dict[str, Any],
    catalogue: pl.DataFrame | None = None,
) -> dict[str, Any]:
    """Write a split; the folder is complete or does not exist.

    Args:
        split: the parts.
        folder: to make.
        whole: `facts_of` the ratings before they were split; the ratings themselves may be gone.
        catalogue: the titles of the items, to write beside the parts; None: none.

    Returns: the record, as split.json has it.
    """
    record = {
        "how": split.how,
        "settings": split.settings,
        "seed": split.seed,
        **whole,
        "dropped": split.dropped,
        "parts": {row["part"]: row for row in split.table().to_dicts()},
    }

    with replacing(folder) as fresh:
        fresh.mkdir()

        for name, part in split.parts.items():
            write_ratings(part, fresh / f"{name}.parquet")

        if catalogue is not None:
            catalogue.write_parquet(fresh / ITEMS)

        (fresh / RECORD).write_text(json.dumps(record, indent=1))

    return record


def read_split(
    folder: str | Path, *, prepare: Callable[[Ratings], Ratings] | None = None
) -> dict[str, Ratings]:
    """The parts of a split by name, all with the vocabularies of the whole.

    Args:
        folder: written by `write_split`.
        prepare: a function of the whole, such as one that adds texts; None: none.

    Raises:
        DataError: if a file is missing or damaged, or two parts share a pair.
    """
    folder = Path(folder)
    record = json.loads((folder / RECORD).read_text())
    names = [name for name in PARTS if name in record["parts"]]
    how: dict[str, Any] = {"scale": record["scale"]}
    if record.get("implicit"):
        how = {"implicit": True}

    frames = [read(folder / f"{name}.parquet", **how).frame() for name in names]
    sizes = [len(frame) for frame in frames]
    whole = from_frame(pl.concat(frames, how="diagonal"), **how, name=record["data"])
    if len(whole) != sum(sizes):
        raise DataError(
            f"The parts in {folder} share {sum(sizes) - len(whole):,} pairs; split again."
        )

    if (folder / ITEMS).is_file():
        whole = replace(whole, catalogue=pl.read_parquet(folder / ITEMS))

    if prepare is not None:
        whole = prepare(whole)

    part_of_rating = np.repeat(np.arange(len(names)), sizes)

    return {
        name: whole.where(part_of_rating == number, name=f"{record['data']} {name}")
        for number, name in enumerate(names)
    }
