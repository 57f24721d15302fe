"""The ratings that a saved model predicts from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
from safetensors import numpy as numpy_file

from recollect.checkpoint.layout import STORED
from recollect.checkpoint.open_folder import OpenFolder
from recollect.data.on_disk import files, stored_ratings
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.data.text.corpus import Corpus
from recollect.data.text.tokenizer import tokenizer_of
from recollect.data.text.word_vectors import WordVectors
from recollect.data.vocab import Vocab, check_rows
from recollect.errors import CheckpointError

GIVEN = "given.safetensors"
Types = dict[str, type[np.generic]]  # by column
COLUMNS: Types = {
    "user": np.int32,
    "item": np.int32,
    "value": np.float32,
    "time": np.int64,
    "disliked_user": np.int32,
    "disliked_item": np.int32,
}
TEXT_COLUMNS: Types = {
    "start": np.int64,
    "word": np.int32,
    "in_documents": np.int32,
    "table": np.float32,
    "found": np.bool_,
}


def read_given(about: dict[str, Any], opened: OpenFolder) -> AnyRatings:
    """The ratings in the folder of a model.

    Args:
        about: the content of model.json.
        opened: the folder, whose sums have been compared.

    Raises:
        CheckpointError: if what was edited there could not be the ratings of a model.
        DataError: as `Ratings`.
    """
    if f"{STORED}/{files.ABOUT}" in about["checksums"]:
        return stored_ratings.open_stored(opened.folder / STORED)

    columns = _read_columns(opened, GIVEN, COLUMNS)
    ids = json.loads(opened.read("vocab.json"))
    catalogue = None
    if "catalogue.parquet" in about["checksums"]:
        catalogue = pl.read_parquet(opened.read("catalogue.parquet"))
        _expect("item_id" in catalogue.columns, "catalogue.parquet", "has no column item_id")

    low, high = about["scale"]
    users = Vocab(pl.Series(ids["users"], dtype=pl.String))
    items = Vocab(pl.Series(ids["items"], dtype=pl.String))

    return Ratings(
        columns["user"],
        columns["item"],
        columns["value"],
        users,
        items,
        time=columns.get("time"),
        scale=(low, high),
        implicit=bool(about.get("implicit", False)),
        name=about["data"],
        catalogue=catalogue,
        text=_read_text(opened) if "text.json" in about["checksums"] else None,
        disliked=_read_disliked(columns, users, items),
    )


def _read_disliked(columns: dict[str, np.ndarray], users: Vocab, items: Vocab) -> Rows | None:
    """What each user has rated too low to be an event, if the folder has it.

    Args:
        columns: of given.safetensors.
        users: the ids of users.
        items: the ids of items.

    Raises:
        CheckpointError: for a row number without an id.
    """
    if "disliked_user" not in columns or "disliked_item" not in columns:
        return None

    user = columns["disliked_user"]
    item = columns["disliked_item"]
    _expect(len(user) == len(item), GIVEN, "has disliked users and items of different length")
    if len(user):
        check_rows("user", user, users)
        check_rows("item", item, items)

    rows, _ = Rows.group(user, item, n_rows=len(users), n_columns=len(items))

    return rows


def _read_text(opened: OpenFolder) -> Corpus:
    about = json.loads(opened.read("text.json"))
    columns = _read_columns(opened, "text.safetensors", TEXT_COLUMNS)
    words = Vocab(pl.Series(about["words"], dtype=pl.String))
    _check_documents(columns, n_words=len(words))
    vectors = None
    if about["vectors"] is not None:
        vectors = WordVectors(columns["table"], columns["found"], str(about["vectors"]))

    return Corpus(
        words,
        columns["start"],
        columns["word"],
        columns["in_documents"],
        tokenizer_of(about["reading"]),
        vectors,
        tuple(map(str, about["notes"])),
        float(about["out_of_vocabulary"]),
    )


def _read_columns(opened: OpenFolder, name: str, types: Types) -> dict[str, np.ndarray]:
    columns = numpy_file.load_file(opened.path(name))

    for column, values in columns.items():
        _expect(column in types, name, f"has a column {column!r}, which no save writes")
        _expect(
            values.dtype == types[column],
            name,
            f"has {values.dtype} in column {column!r}, expected {np.dtype(types[column])}",
        )

    return columns


def _check_documents(columns: dict[str, np.ndarray], *, n_words: int) -> None:
    """Refuse documents of words that there are not: an index of -1 would read the last one."""
    start = columns["start"]
    word = columns["word"]
    name = "text.safetensors"
    _expect(start.ndim == word.ndim == 1 and len(start) > 0, name, "has no documents")
    _expect(
        start[0] == 0 and start[-1] == len(word) and bool((np.diff(start) >= 0).all()),
        name,
        f"has documents that do not follow each other in {len(word):,} words",
    )
    _expect(
        not len(word) or (int(word.min()) >= 0 and int(word.max()) < n_words),
        name,
        f"has numbers of words outside 0 to {n_words - 1}",
    )
    _expect(
        columns["in_documents"].shape == (n_words,),
        name,
        f"counts documents of {columns['in_documents'].shape} words, expected {n_words:,}",
    )


def _expect(is_right: bool, name: str, what: str) -> None:
    if not is_right:
        raise CheckpointError(f"{name} was edited: it {what}; copy the folder again or fit anew.")
