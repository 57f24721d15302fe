"""Ratings and items into the store and out of it, as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from recollect.data.ratings import Ratings
from recollect.serve.store import items, meta
from recollect.serve.store.database import Session
from recollect.serve.store.records import IMPORT, Item, Kind, now
from recollect.serve.store.users import forgotten, hashed

OWN_COLUMNS = {"fields", "available", "starts", "ends"}  # of an exported table of items


@dataclass(frozen=True)
class Imported:
    """What came of an import.

    Args:
        seq: its place in the log.
        n_ratings: how many were written.
        n_users: how many users are new.
        n_items: how many items are new.
        n_forgotten: ratings that were left out, as their users were forgotten.
    """

    seq: int
    n_ratings: int
    n_users: int
    n_items: int
    n_forgotten: int


def import_ratings(session: Session, ratings: Ratings) -> Imported:
    """Write ratings to the store, with what is known of their items.

    A rating replaces one of the same user and item. Users who were forgotten stay so.

    Args:
        session: in a transaction.
        ratings: in memory.

    Raises:
        StoreError: if the store holds ratings on another scale, or events beside ratings.
    """
    low, high = ratings.scale
    if ratings.implicit:
        # The highest count so far bounds nothing.
        low, high = 0.0, 0.0

    meta.set_kind(session, Kind(low, high, ratings.implicit, ratings.name))
    keep, n_forgotten = _without_forgotten(session, ratings)
    has_ratings = np.bincount(ratings.user[keep], minlength=ratings.n_users) > 0
    user_rows, n_users = _add_users(session, ratings.users.ids, has_ratings)
    item_rows, n_items = _add_items(session, ratings)
    [seq] = session.rows(
        "INSERT INTO events (id, kind, value, time, received) VALUES (?, ?, ?, ?, ?) RETURNING seq",
        (f"{IMPORT}:{meta.count_up(session, 'n_imports')}", IMPORT, len(keep), now(), now()),
    )[0]
    _write_ratings(session, ratings, keep, user_rows, item_rows, int(seq))

    return Imported(int(seq), len(keep), n_users, n_items, n_forgotten)


def _without_forgotten(session: Session, ratings: Ratings) -> tuple[np.ndarray, int]:
    """The places of the ratings of users who were not forgotten, and how many others there are."""
    hashes = forgotten(session)
    if not hashes:
        return np.arange(len(ratings)), 0

    salt = meta.salt(session)
    is_kept = np.array([hashed(salt, id_) not in hashes for id_ in ratings.users.ids], bool)
    keep = np.flatnonzero(is_kept[ratings.user])

    return keep, len(ratings) - len(keep)


def _add_users(session: Session, ids: pl.Series, wanted: np.ndarray) -> tuple[np.ndarray, int]:
    """Row numbers of users, those who are new written first; and how many were new.

    Args:
        session: in a transaction.
        ids: of users.
        wanted: which of them have ratings to be written.
    """
    known: dict[str, int] = dict(session.rows("SELECT id, row FROM users"))
    listed = ids.to_list()
    new = [
        id_ for id_, is_wanted in zip(listed, wanted, strict=True) if is_wanted and id_ not in known
    ]
    session.insert("users", ("id", "first_seen", "changed"), ((id_, now(), 0) for id_ in new))
    if new:
        known = dict(session.rows("SELECT id, row FROM users"))

    return np.array([known.get(id_, -1) for id_ in listed], np.int64), len(new)


def _add_items(session: Session, ratings: Ratings) -> tuple[np.ndarray, int]:
    """Row numbers of the items, those that are new written first; and how many were new."""
    known: dict[str, int] = dict(session.rows("SELECT id, row FROM items"))
    listed = ratings.items.ids.to_list()
    facts = _facts(ratings)
    # What the store knows of an item is newer than what came with its ratings.
    new = [facts.get(id_, Item(id=id_)) for id_ in listed if id_ not in known]
    items.put_items(session, new)
    if new:
        known = dict(session.rows("SELECT id, row FROM items"))

    return np.array([known[id_] for id_ in listed], np.int64), len(new)


def _facts(ratings: Ratings) -> dict[str, Item]:
    """What came with the ratings of each item: title, fields, and the words of its text."""
    texts = _texts(ratings)
    if ratings.catalogue is None:
        return {id_: Item(id=id_, text=text) for id_, text in texts.items()}

    table = ratings.catalogue.unique("item_id", keep="first")
    return {item.id: item for item in items_of_table(table, texts)}


def _texts(ratings: Ratings) -> dict[str, str]:
    """The words of each item's document that the vocabulary has, in order; blanks between."""
    corpus = ratings.text
    if corpus is None:
        return {}

    words = corpus.words.at(corpus.word).to_list()
    bounds = zip(corpus.start[:-1], corpus.start[1:], strict=True)

    return {
        id_: " ".join(words[first:last])
        for id_, (first, last) in zip(ratings.items.ids.to_list(), bounds, strict=True)
        if last > first
    }


def items_of_table(table: pl.DataFrame, texts: dict[str, str] | None = None) -> Iterator[Item]:
    """The items in a table with item_id and, as far as known, title, text and other fields.

    A table that `items_table` made gives the items that it was made from.

    Args:
        table: a row for each item.
        texts: of items whose row has none; None: there are none.
    """
    is_ours = set(table.columns) >= OWN_COLUMNS
    others = [name for name in table.columns if name not in ("item_id", "title", "text")]
    for row in table.iter_rows(named=True):
        text = row.get("text") or (texts or {}).get(row["item_id"])
        about = {"id": row["item_id"], "title": row.get("title"), "text": text}
        if is_ours:
            yield Item(
                **about,
                fields=json.loads(row["fields"]),
                available=bool(row["available"]),
                starts=row["starts"],
                ends=row["ends"],
            )
            continue

        fields = {name: plain(row[name]) for name in others if row[name] is not None}
        yield Item(**about, fields=fields)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: dates as text, lists as lists."""
    if isinstance(value, list):
        return [plain(one) for one in value]

    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return str(value)

    return value


def _write_ratings(
    session: Session,
    ratings: Ratings,
    keep: np.ndarray,
    user_rows: np.ndarray,
    item_rows: np.ndarray,
    seq: int,
) -> None:
    """Write ratings; those of pairs that the store has are replaced.

    Args:
        session: in a transaction.
        ratings: to write.
        keep: the places of those that are written.
        user_rows: the store's row number of each user.
        item_rows: the store's row number of each item.
        seq: of the import.
    """
    users = user_rows[ratings.user[keep]]
    # In the order of the table's key, so that it grows at its end.
    columns = item_rows[ratings.item[keep]]
    order = np.lexsort((columns, users))
    # As the caller wrote it: 4.1, and not the nearest number of 32 bits.
    values = np.array([float(str(value)) for value in np.unique(ratings.value[keep])])
    value = values[np.unique(ratings.value[keep], return_inverse=True)[1]]
    times = None if ratings.time is None else ratings.time[keep][order].tolist()
    n_before = session.one("SELECT count(*) FROM ratings")
    if n_before and n_before[0]:
        pairs = zip(users.tolist(), columns.tolist(), strict=True)
        for pair in pairs:
            session.run("DELETE FROM ratings WHERE user_row = ? AND item_row = ?", pair)

    rows = zip(
        users[order].tolist(),
        columns[order].tolist(),
        value[order].tolist(),
        times or [None] * len(keep),
        [seq] * len(keep),
        strict=True,
    )
    session.insert("ratings", ("user_row", "item_row", "value", "time", "seq"), rows)
    session.run(
        "UPDATE users SET changed = ? WHERE row IN"
        " (SELECT DISTINCT user_row FROM ratings WHERE seq = ?)",
        (seq, seq),
    )


def ratings_table(session: Session, *, since: int = 0, upto: int | None = None) -> pl.DataFrame:
    """The ratings as they are now: user_id, item_id, rating, timestamp, seq.

    Args:
        session: in a snapshot.
        since: only those given or changed after this place in the log.
        upto: and not after this one; None: all.
    """
    last = np.iinfo(np.int64).max if upto is None else upto
    frames = []
    for block in session.blocks(
        "SELECT user_row, item_row, value, time, seq FROM ratings WHERE seq > ? AND seq <= ?",
        (since, int(last)),
    ):
        frames.append(pl.DataFrame(block, schema=RATING_COLUMNS, orient="row"))

    rows = pl.concat([pl.DataFrame(schema=RATING_COLUMNS), *frames])
    users = _id_table(session, "users", "user")
    listed = _id_table(session, "items", "item")
    joined = rows.join(users, on="user_row", maintain_order="left").join(
        listed, on="item_row", maintain_order="left"
    )

    return joined.select("user_id", "item_id", "rating", "timestamp", "seq")


RATING_COLUMNS = {
    "user_row": pl.Int64,
    "item_row": pl.Int64,
    "rating": pl.Float64,
    "timestamp": pl.Int64,
    "seq": pl.Int64,
}


def _id_table(session: Session, table: str, side: str) -> pl.DataFrame:
    schema = {f"{side}_row": pl.Int64, f"{side}_id": pl.String}
    return pl.DataFrame(session.rows(f"SELECT row, id FROM {table}"), schema=schema, orient="row")


def items_table(session: Session) -> pl.DataFrame:
    """The catalogue: item_id, title, text, fields as JSON, available, starts, ends."""
    schema = {
        "item_id": pl.String,
        "title": pl.String,
        "text": pl.String,
        "fields": pl.String,
        "available": pl.Int64,
        "starts": pl.Int64,
        "ends": pl.Int64,
    }
    rows = session.rows(
        "SELECT id, title, text, fields, available, starts, ends FROM items ORDER BY row"
    )
    return pl.DataFrame(rows, schema=schema, orient="row")


def events_table(session: Session, *, since: int = 0) -> pl.DataFrame:
    """The log: seq, event_id, user_id, item_id, kind, value, timestamp, received, recommendation.

    Args:
        session: in a snapshot.
        since: only what came after this place in the log.
    """
    schema = {
        "seq": pl.Int64,
        "event_id": pl.String,
        "user_id": pl.String,
        "item_id": pl.String,
        "kind": pl.String,
        "value": pl.Float64,
        "timestamp": pl.Int64,
        "received": pl.Int64,
        "recommendation": pl.String,
    }
    query = (
        "SELECT e.seq, e.id, u.id, i.id, e.kind, e.value, e.time, e.received, e.recommendation"
        " FROM events e LEFT JOIN users u ON u.row = e.user_row"
        " LEFT JOIN items i ON i.row = e.item_row WHERE e.seq > ? ORDER BY e.seq"
    )
    frames = [
        pl.DataFrame(block, schema=schema, orient="row")
        for block in session.blocks(query, (since,))
    ]

    return pl.concat([pl.DataFrame(schema=schema), *frames])
