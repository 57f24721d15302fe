"""7 · From a fitted model to answers: predict, top_n, fold_in, similar. Ids in, frames out.

Nothing here needs the data the model was trained on beyond what the model carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32

from recollect.data.ratings import Rows, titles
from recollect.data.vocab import UNKNOWN, as_text
from recollect.errors import DataError, SettingError
from recollect.files import replacing
from recollect.model import BLOCK_CELLS, Model

NEW = "new"      # the user_id of someone who is given by their ratings alone


def predict(model: Model, pairs: Any) -> pl.DataFrame:
    """The rating of each pair: user_id, item_id, prediction, cold; in the order of `pairs`.

    `pairs` is a frame with columns user_id and item_id, or an iterable of (user_id, item_id). `cold` marks the pairs
    whose user or item the model knows no rating of; they get the model's cold policy, never an error.

    Raises: DataError if the columns are not there.
    """
    frame = _pairs(pairs)
    given = model.given_
    user, item = given.users.rows(frame["user_id"]), given.items.rows(frame["item_id"])
    return frame.with_columns(pl.Series("prediction", model.predict(user, item)),
                              pl.Series("cold", model.is_cold(user, item)))


def top_n(model: Model, *, user_ids: Iterable[object] | None = None, ratings: Mapping[Any, float] | None = None,
          n: int = 10, items: Iterable[object] | None = None, seen: bool = False) -> pl.DataFrame:
    """The n best items: user_id, rank, item_id, title (if known), prediction.

    For people the model knows (`user_ids`), or for someone new, given by their `ratings` of items ({item_id: rating}).
    Items they have rated are left out unless `seen`; `items` restricts the choice. A user_id the model does not know
    gets the items that are best on the whole (see `everyones_best`), as nothing is known of them.

    Raises: SettingError if n is below 1 or neither or both of user_ids and ratings are given; DataError for a rating
    outside the scale.
    """
    if (user_ids is None) == (ratings is None):
        raise SettingError("top_n takes either user_ids or ratings (of someone new), one of the two.")
    allowed = _allowed(model, items)
    _check_n(n)
    if ratings is not None:
        rows = new_rows(model, ratings)
        table = model.fold_in(rows) if len(rows.column) else everyones_best(model)[None, :]
        return _frame(model, [NEW], _best(table, _leave_out(rows, allowed, seen=seen), n))
    ids = as_text(() if user_ids is None else user_ids)
    return pl.concat([_empty(model), *_blocks(model, ids, n=n, allowed=allowed, seen=seen)])


def top_n_to_parquet(model: Model, path: str | Path, *, user_ids: Iterable[object] | None = None, n: int = 10,
                     items: Iterable[object] | None = None, seen: bool = False,
                     progress: Callable[[int, int], None] | None = None) -> int:
    """Write `top_n` for everyone (or for user_ids) to a Parquet file, block by block; memory stays flat. Returns the rows.

    `progress(done, all)` is called after each block of users.
    """
    import pyarrow.parquet as pq

    _check_n(n)
    ids = model.given_.users.ids if user_ids is None else as_text(user_ids)
    allowed, written, done = _allowed(model, items), 0, 0
    schema = _empty(model).to_arrow().schema
    with replacing(path) as fresh, pq.ParquetWriter(fresh, schema, compression="zstd") as out:
        for block in _blocks(model, ids, n=n, allowed=allowed, seen=seen):
            out.write_table(block.to_arrow().cast(schema))
            written, done = written + len(block), done + block["user_id"].n_unique()
            if progress:
                progress(done, len(ids))
    return written


def fold_in(model: Model, ratings: Mapping[Any, float]) -> pl.DataFrame:
    """What someone new would rate every item: item_id, title (if known), prediction. No training.

    Raises: DataError for a rating outside the scale.
    """
    rows = new_rows(model, ratings)
    table = model.within_scale(model.fold_in(rows))[0] if len(rows.column) else everyones_best(model)
    ids = model.given_.items.ids.alias("item_id")
    return _with_titles(model, pl.DataFrame({"item_id": ids, "prediction": table}))


def similar(model: Model, *, item_ids: Iterable[object] | None = None, user_ids: Iterable[object] | None = None,
            n: int = 10) -> pl.DataFrame:
    """The n items (or users) most like each one: id, rank, neighbour, title (of items, if known), similarity (−1 to 1).

    Likeness is the cosine of the model's vectors; those without ratings have none and are left out.

    Raises: SettingError if neither or both are given; DataError for an id that the model does not know.
    """
    if (item_ids is None) == (user_ids is None):
        raise SettingError("similar takes either item_ids or user_ids, one of the two.")
    _check_n(n)
    what = "item" if user_ids is None else "user"
    vocab = model.given_.items if what == "item" else model.given_.users
    asked = as_text(item_ids if user_ids is None else user_ids)  # type: ignore[arg-type]
    known = model.given_.count(what) > 0  # type: ignore[arg-type]
    row = vocab.rows(asked)
    without = [i for i, r in zip(asked, row, strict=True) if r == UNKNOWN or not known[r]]
    if without:
        raise DataError(f"The model knows nothing of {what} {', '.join(map(repr, without[:5]))}"
                        f"{' …' if len(without) > 5 else ''}; it knows {int(known.sum()):,} {what}s such as "
                        f"{', '.join(map(repr, vocab.ids.head(3)))}.")
    vector = model.vectors(what)  # type: ignore[arg-type]
    unit = vector / np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), 1e-12)
    likeness = np.where(known, unit[row] @ unit.T, -np.inf).astype(np.float32)
    likeness[np.arange(len(row)), row] = -np.inf
    place, value = _best(likeness, np.isfinite(likeness), n)
    each = (place >= 0).sum(axis=1)
    chosen = place >= 0
    frame = pl.DataFrame({f"{what}_id": asked.gather(np.repeat(np.arange(len(row)), each)),
                          "rank": _ranks(chosen), "neighbour_id": vocab.at(place[chosen]), "similarity": value[chosen]})
    return _with_titles(model, frame, key="neighbour_id") if what == "item" else frame


def new_rows(model: Model, ratings: Mapping[Any, float]) -> Rows:
    """One sparse row of someone new, without the items that the model does not know.

    Raises: DataError for a rating that is no number or outside the scale.
    """
    low, high = model.given_.scale
    for item_id, value in ratings.items():
        if not isinstance(value, int | float | np.number) or not low <= value <= high:  # also refuses NaN
            raise DataError(f"The rating of item {str(item_id)!r} is {value!r}; this model's scale is {low:g} to {high:g}.")
    row = model.given_.items.rows(list(ratings))
    known = row != UNKNOWN
    value = np.array(list(ratings.values()), np.float32)
    rows, _ = Rows.group(np.zeros(int(known.sum()), np.int64), row[known], value[known], n_rows=1,
                         n_columns=model.given_.n_items)
    return rows.only_columns(model.given_.count("item") > 0)


def everyones_best(model: Model) -> Float32[np.ndarray, " n_items"]:
    """What to expect of each item when nothing is known of the person: its mean, drawn to the mean of all by 10 ratings."""
    given = model.given_
    total = np.bincount(given.item, weights=given.value, minlength=given.n_items)
    return ((total + 10 * given.mean) / (given.count("item") + 10)).astype(np.float32)


def _pairs(pairs: Any) -> pl.DataFrame:
    if hasattr(pairs, "__arrow_c_stream__") or hasattr(pairs, "columns"):
        frame = pairs if isinstance(pairs, pl.DataFrame) else pl.DataFrame(pairs)
        missing = {"user_id", "item_id"} - set(frame.columns)
        if missing:
            raise DataError(f"Pairs need the columns user_id and item_id, found {', '.join(frame.columns)}; rename them.")
        user, item = as_text(frame["user_id"]), as_text(frame["item_id"])
    else:
        both = [tuple(pair) for pair in pairs]
        if any(len(pair) != 2 for pair in both):
            raise DataError("Each pair is (user_id, item_id); found one of another length.")
        user, item = as_text([u for u, _ in both]), as_text([i for _, i in both])
    return pl.DataFrame({"user_id": user, "item_id": item})


def _check_n(n: int) -> None:
    if n < 1:
        raise SettingError(f"n is how many items to recommend, 1 or more; found {n}.")


def _allowed(model: Model, items: Iterable[object] | None) -> Bool[np.ndarray, " n_items"]:
    """Items that may be recommended: those with ratings, and among the candidates if there are any."""
    allowed = model.given_.count("item") > 0
    if items is None:
        return allowed
    row = model.given_.items.rows(items)
    wanted = np.zeros(len(allowed), bool)
    wanted[row[row != UNKNOWN]] = True
    if not (allowed & wanted).any():
        raise DataError(f"None of the {len(row)} candidate items has ratings in this model; check their ids, such as "
                        f"{', '.join(map(repr, model.given_.items.ids.head(3)))}.")
    return allowed & wanted


def _blocks(model: Model, ids: pl.Series, *, n: int, allowed: np.ndarray, seen: bool) -> Iterator[pl.DataFrame]:
    given = model.given_
    step = max(1, BLOCK_CELLS // max(1, given.n_items))
    active = given.count("user") > 0
    for first in range(0, len(ids), step):
        part = ids[first:first + step]
        user = given.users.rows(part)
        known = (user != UNKNOWN) & active[user]
        table = np.empty((len(part), given.n_items), np.float32)
        table[known] = model.scores(user[known].astype(np.int64), given)
        table[~known] = everyones_best(model)
        may = _leave_out(given.by_user.take(np.where(known, user, UNKNOWN).astype(np.int64)), allowed, seen=seen)
        yield _frame(model, part.to_list(), _best(table, may, n))


def _leave_out(rows: Rows, allowed: np.ndarray, *, seen: bool) -> Bool[np.ndarray, "people n_items"]:
    may = np.repeat(allowed[None, :], len(rows), axis=0)
    if not seen:
        may[rows.row, rows.column] = False
    return may


def _best(table: np.ndarray, may: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and values of each row's n largest, largest first, equal ones by column; -1 where fewer than n may be."""
    n = min(n, table.shape[1])
    held = np.where(may, table, -np.inf)
    cut = np.partition(held, -n, axis=1)[:, -n][:, None]
    place = np.full((len(table), n), -1, np.int64)
    value = np.full((len(table), n), -np.inf, np.float32)
    for j in range(len(table)):
        found = np.flatnonzero((held[j] >= cut[j]) & may[j])
        found = found[np.argsort(-held[j][found], kind="stable")][:n]
        place[j, :len(found)], value[j, :len(found)] = found, held[j][found]
    return place, value


def _ranks(chosen: np.ndarray) -> np.ndarray:
    return (np.cumsum(chosen, axis=1)[chosen]).astype(np.int32)


def _frame(model: Model, people: list[str], best: tuple[np.ndarray, np.ndarray]) -> pl.DataFrame:
    place, value = best  # ranked as they came: once kept within the scale, many would share its top
    chosen = place >= 0
    who = pl.Series("user_id", people, dtype=pl.String).gather(np.repeat(np.arange(len(people)), chosen.sum(axis=1)))
    frame = pl.DataFrame({"user_id": who, "rank": _ranks(chosen), "item_id": model.given_.items.at(place[chosen]),
                          "prediction": model.within_scale(value[chosen])})
    return _with_titles(model, frame)


def _with_titles(model: Model, frame: pl.DataFrame, *, key: str = "item_id") -> pl.DataFrame:
    if model.given_.catalogue is None:
        return frame
    named = pl.Series("title", titles(model.given_.catalogue, frame[key]), dtype=pl.String)
    return frame.insert_column(frame.columns.index(key) + 1, named)


def _empty(model: Model) -> pl.DataFrame:
    none = np.full((0, 1), -1, np.int64), np.zeros((0, 1), np.float32)
    return _frame(model, [], none)
