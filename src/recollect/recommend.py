"""7 · From a fitted model to answers: predict, top_n, fold_in, similar. Ids in, frames out.

Nothing here needs the data the model was trained on beyond what the model carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Int64

from recollect.data.parsing import columns as roles
from recollect.data.ratings import AnyRatings, titles
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import UNKNOWN, Vocab, as_text
from recollect.errors import DataError, SettingError
from recollect.model import BLOCK_CELLS, Model
from recollect.ranking import NEVER, everyones_best, first_n, scores_of
from recollect.system.atomic_files import replacing

NEW = "new"  # the user_id of someone who is given by their ratings alone


def predict(model: Model, pairs: Any, *, interval: float | None = None) -> pl.DataFrame:
    """The rating of each pair: user_id, item_id, prediction, cold; in the order of `pairs`.

    `pairs` is a frame with columns user_id and item_id (pandas, Polars, DuckDB, Arrow), or an iterable of (user_id,
    item_id). A column timestamp says when each rating is given (seconds since 1970, or ISO dates), which matters to models that
    go by time. `cold` marks the pairs whose user or item the model knows no rating of; they get the model's cold policy,
    never an error. With `interval`, a probability, the columns std, low and high follow: the standard deviation of the rating,
    and between what it lies with that probability.

    Raises: DataError if the columns are not there, something is no pair, or a time cannot be read; SettingError if the model
    does not say how sure it is.
    """
    given, frame = _fitted(model), _pairs(pairs)
    user, item = given.users.rows(frame["user_id"]), given.items.rows(frame["item_id"])
    times = _times(frame["timestamp"]) if "timestamp" in frame.columns else None
    found = frame.with_columns(
        pl.Series("prediction", model.predict(user, item, times=times)),
        pl.Series("cold", model.is_cold(user, item)),
    )
    if interval is None:
        return found
    low, high = model.predict_interval(user, item, interval, times=times)
    return found.with_columns(
        pl.Series("std", model.predict_std(user, item, times=times)),
        pl.Series("low", low),
        pl.Series("high", high),
    )


def _times(column: pl.Series) -> Int64[np.ndarray, " pairs"]:
    """Whole seconds since 1970."""
    found = roles.seconds(column)
    if np.isnan(found).any():
        row = int(np.isnan(found).argmax())
        raise DataError(
            f"Pair {row + 1}: the timestamp is {column[row]!r}; expected seconds since 1970 or an ISO date. Leave "
            "the column out if times are not known."
        )
    whole = np.floor(found).astype(np.int64)
    return whole // roles.unit(whole)[0]


def top_n(
    model: Model,
    *,
    user_ids: Iterable[object] | None = None,
    ratings: Mapping[Any, Any] | None = None,
    events: Iterable[Any] | None = None,
    n: int = 10,
    items: Iterable[object] | None = None,
    seen: bool = False,
) -> pl.DataFrame:
    """The n best items: user_id, rank, item_id, title (if known), prediction.

    For people the model knows (`user_ids`), or for someone new, given by their `ratings` of items ({item_id: rating}), or,
    if the model learned from events, by their `events`: a list of item ids, or how often of each ({item_id: count}). One
    user_id with ratings or events stands for someone known with newer ones: ratings replace earlier ones, events add to
    them. Nothing is trained.

    Items they have rated are left out unless `seen`; `items` restricts the choice; items that nobody rated are never
    chosen. A user_id the model does not know gets the items that are best on the whole (see `everyones_best`), as
    nothing is known of them. The order is that of the raw predictions: several may be kept to the top of the scale.

    Raises: SettingError if n is below 1 or it is not clear for whom; DataError for a rating outside the scale, a count that
    is not above 0, or if none of `items` is known.
    """
    _fitted(model)
    banned = _banned(model, items)
    ids = None if user_ids is None else as_text(_listed("user_ids", user_ids))
    if ratings is None and events is None:
        if ids is None:
            raise SettingError(
                "top_n takes user_ids, or of someone new their ratings or events; found none of them."
            )
        return pl.concat(
            [
                _none_ranked(model),
                *(f for _, f in _ranked_for(model, ids, n=n, banned=banned, seen=seen)),
            ]
        )
    newer = _stated(model, ratings, events)
    if ids is not None:
        newer = _with_earlier(model, ids, newer)
    scores, row = _of_someone_new(model, newer)
    scores[:, banned] = NEVER
    if not seen:
        scores[row.row, row.column] = NEVER
    return _ranked(model, pl.Series([NEW]) if ids is None else ids, scores, n)


def top_n_to_parquet(
    model: Model,
    path: str | Path,
    *,
    user_ids: Iterable[object] | None = None,
    n: int = 10,
    items: Iterable[object] | None = None,
    seen: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write `top_n` for everyone (or for user_ids) to a Parquet file, and return how many rows.

    It works block by block, so memory stays flat; `progress(done, all)` is called after each block of users. If it
    fails, the file is as it was.

    Raises: as top_n; OSError if the file cannot be written.
    """
    import pyarrow.parquet as pq

    given = _fitted(model)
    ids = given.users.ids if user_ids is None else as_text(_listed("user_ids", user_ids))
    if Path(path).is_dir():
        raise SettingError(
            f"{path} is a folder; name a file, such as {Path(path) / 'recommendations.parquet'}."
        )
    banned, written, empty = _banned(model, items), 0, _none_ranked(model).to_arrow().schema
    with replacing(path) as fresh, pq.ParquetWriter(fresh, empty, compression="zstd") as out:
        for done, block in _ranked_for(model, ids, n=n, banned=banned, seen=seen):
            out.write_table(block.to_arrow().cast(empty))
            written += len(block)
            if progress:
                progress(done, len(ids))
    return written


def fold_in(
    model: Model, ratings: Mapping[Any, Any] | None = None, *, events: Iterable[Any] | None = None
) -> pl.DataFrame:
    """What someone new would rate every item: item_id, title (if known), prediction. No training.

    They are given by their ratings or events, as in `top_n`. Items that the model knows no rating of get its cold value.

    Raises: SettingError if neither or both are given; DataError for a rating outside the scale or a count that is not above 0.
    """
    given = _fitted(model)
    scores = _of_someone_new(model, _stated(model, ratings, events))[0][0]
    scores[~model.known_items()] = model.cold_value
    frame = pl.DataFrame({"item_id": given.items.ids, "prediction": model.within_scale(scores)})
    return _with_titles(given, frame, "item_id")


def similar(
    model: Model,
    *,
    item_ids: Iterable[object] | None = None,
    user_ids: Iterable[object] | None = None,
    n: int = 10,
) -> pl.DataFrame:
    """The n items (or users) most like each one: item_id (user_id), rank, neighbor_id, title (of items), similarity.

    Likeness is the cosine of the model's vectors, −1 to 1; those without ratings have none and are left out.

    Raises: SettingError if n is below 1 or neither or both are given; DataError for an id that the model does not know.
    """
    if (item_ids is None) == (user_ids is None):
        raise SettingError("similar takes either item_ids or user_ids, one of the two.")
    given = _fitted(model)
    if item_ids is not None:
        frame = _neighbors(model, "item", given.items, as_text(_listed("item_ids", item_ids)), n)
        return _with_titles(given, frame, "neighbor_id")
    return _neighbors(model, "user", given.users, as_text(_listed("user_ids", user_ids)), n)


def _neighbors(
    model: Model, what: Literal["user", "item"], vocab: Vocab, asked: pl.Series, n: int
) -> pl.DataFrame:
    row = vocab.rows(asked)
    known = model.known_items() if what == "item" else model.given_.count("user") > 0
    strange = asked.filter(pl.Series((row == UNKNOWN) | ~known[row], dtype=pl.Boolean))
    if len(strange):
        raise DataError(
            f"The model knows no rating {'by user' if what == 'user' else 'of item'} {_some(strange)}; it "
            f"knows {int(known.sum()):,} {what}s such as {_some(vocab.at(np.flatnonzero(known)[:3]))}."
        )
    vector = model.vectors(what)
    unit = vector / np.maximum(np.linalg.norm(vector, axis=1, keepdims=True), np.float32(1e-12))
    frames, step = [], max(1, BLOCK_CELLS // len(vocab))
    for first in range(0, max(1, len(row)), step):
        mine = row[first : first + step]
        likeness = np.clip(unit[mine] @ unit.T, -1, 1).astype(np.float32, copy=False)
        likeness[:, ~known] = NEVER
        likeness[np.arange(len(mine)), mine] = NEVER
        frames.append(_ranks(asked[first : first + step], likeness, n, vocab))
    return pl.concat(frames).rename(
        {"asked": f"{what}_id", "found": "neighbor_id", "score": "similarity"}
    )


def _fitted(model: Model) -> AnyRatings:
    """What the model was fitted on; an error if it was not."""
    return model.given()


def _listed(name: str, ids: Any) -> Any:
    """A list of ids as it is. A text is no list: its letters would pass for ids."""
    if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
        raise SettingError(f"{name} is a list of ids, found {ids!r}; write [{ids!r}].")
    return ids


def _some(ids: pl.Series) -> str:
    return f"{', '.join(map(repr, ids.head(5)))}{' …' if len(ids) > 5 else ''}"


def _pairs(pairs: Any) -> pl.DataFrame:
    if isinstance(pairs, pl.LazyFrame):
        pairs = pairs.collect()
    is_pandas = type(pairs).__module__.partition(".")[0] == "pandas"
    if not is_pandas and not hasattr(pairs, "__arrow_c_stream__"):
        both = list(_listed("pairs", pairs))
        for pair in both:
            if (
                not isinstance(pair, Sequence | np.ndarray)
                or isinstance(pair, str)
                or len(pair) != 2
            ):
                raise DataError(f"Each pair is (user_id, item_id); found {pair!r}.")
        return pl.DataFrame(
            {"user_id": as_text([u for u, _ in both]), "item_id": as_text([i for _, i in both])}
        )
    frame = pairs if is_pandas else pl.DataFrame(pairs)
    missing = {"user_id", "item_id"} - set(frame.columns)
    if missing:
        raise DataError(
            f"Pairs need the columns user_id and item_id, found {', '.join(map(str, frame.columns))}; "
            "rename them."
        )
    ids = pl.DataFrame({name: as_text(_column(frame[name])) for name in ("user_id", "item_id")})
    if "timestamp" not in frame.columns:
        return ids
    return ids.with_columns(pl.Series("timestamp", _column(frame["timestamp"])))


def _column(column: Any) -> Any:
    """A column of a Polars or pandas frame as as_text takes it; a pandas one may hold 1 and "a" at once."""
    if isinstance(column, pl.Series):
        return column
    return column.to_numpy() if column.dtype == object else pl.from_pandas(column)


def _banned(model: Model, items: Iterable[object] | None) -> Bool[np.ndarray, " n_items"]:
    """The items that are not among the candidates; none, if there are no candidates."""
    given = model.given_
    banned = np.zeros(given.n_items, bool)
    if items is not None:
        row = given.items.rows(as_text(_listed("items", items)))
        banned[:] = True
        banned[row[row != UNKNOWN]] = False
        if not model.known_items()[~banned].any():
            raise DataError(
                f"None of the {len(row)} candidate items has ratings in this model; check their ids, "
                f"such as {_some(given.items.ids.head(3))}."
            )
    return banned


def _stated(
    model: Model, ratings: Mapping[Any, Any] | None, events: Iterable[Any] | None
) -> dict[str, float]:
    """What someone is given by: item_id and rating, or how often.

    Raises: SettingError if both or neither are given, or ratings of a model that learned from events, or the other way round.
    """
    if (ratings is None) == (events is None):
        raise SettingError("Someone new is given by ratings or by events, one of the two.")
    if events is not None and not model.given_.implicit:
        raise SettingError(
            f"This {type(model).__name__} learned from ratings on a scale, and events have none; give ratings="
            "{item_id: rating}."
        )
    if events is not None and not isinstance(events, Mapping):
        counted = as_text(_listed("events", events)).value_counts(sort=False)
        return dict(
            zip(counted["id"].to_list(), counted["count"].cast(pl.Float64).to_list(), strict=True)
        )
    stated = ratings if events is None else events
    assert isinstance(stated, Mapping)
    _check_values(model, stated)
    ids = as_text(list(stated))
    if ids.is_duplicated().any():
        raise DataError(
            f"Item {_some(ids.filter(ids.is_duplicated()).unique())} is rated twice, as text and as a number; rate "
            "it once."
        )
    return dict(zip(ids.to_list(), map(float, stated.values()), strict=True))


def _with_earlier(model: Model, ids: pl.Series, newer: dict[str, float]) -> dict[str, float]:
    """What the model knows of one user, and what is newer: ratings replace, events add up."""
    given = model.given_
    if len(ids) != 1:
        raise SettingError(
            f"Newer ratings or events are of one person; found {len(ids)} user_ids: ask for each of them."
        )
    mine = given.by_user.take(given.users.rows(ids))
    found = dict(zip(given.items.at(mine.column).to_list(), mine.value.tolist(), strict=True))
    for item_id, value in newer.items():
        found[item_id] = found.get(item_id, 0.0) + value if given.implicit else value
    return found


def _check_values(model: Model, ratings: Mapping[Any, Any]) -> None:
    low, high = model.given_.scale
    for item_id, value in ratings.items():
        if model.given_.implicit:
            if not isinstance(value, int | float | np.number) or not 0 < value < np.inf:
                raise DataError(
                    f"The count of item {str(item_id)!r} is {value!r}; expected a number above 0."
                )
        elif (
            not isinstance(value, int | float | np.number) or not low <= value <= high
        ):  # also refuses NaN
            raise DataError(
                f"The rating of item {str(item_id)!r} is {value!r}; this model's scale is {low:g} to "
                f"{high:g}."
            )


def _of_someone_new(
    model: Model, ratings: dict[str, float]
) -> tuple[Float32[np.ndarray, "1 n_items"], Rows]:
    """Raw predictions of every item, and the sparse row they come from: that of the items the model knows."""
    given = model.given_
    column, rated = given.items.rows(list(ratings)), np.array(list(ratings.values()), np.float32)
    known = (column != UNKNOWN) & model.known_items()[column]
    row, _ = Rows.group(
        np.zeros(int(known.sum()), np.int64),
        column[known],
        rated[known],
        n_rows=1,
        n_columns=given.n_items,
    )
    return (model.fold_in(row) if known.any() else everyones_best(given)[None, :]), row


def _ranked_for(
    model: Model, ids: pl.Series, *, n: int, banned: Bool[np.ndarray, " n_items"], seen: bool
) -> Iterator[tuple[int, pl.DataFrame]]:
    """How many of the people are done, and the lists of the latest."""
    for part, scores in scores_of(model, model.given_.users.rows(ids), model.given_, seen=seen):
        scores[:, banned] = NEVER
        yield min(part.stop, len(ids)), _ranked(model, ids[part], scores, n)


def _ranked(
    model: Model, people: pl.Series, scores: Float32[np.ndarray, "people n_items"], n: int
) -> pl.DataFrame:
    frame = _ranks(people, scores, n, model.given_.items)
    frame = frame.rename({"asked": "user_id", "found": "item_id", "score": "prediction"})
    shown = pl.Series("prediction", model.within_scale(frame["prediction"].to_numpy()))
    return _with_titles(model.given_, frame.with_columns(shown), "item_id")


def _none_ranked(model: Model) -> pl.DataFrame:
    return _ranked(
        model, pl.Series([], dtype=pl.String), np.zeros((0, model.given_.n_items), np.float32), 1
    )


def _ranks(asked: pl.Series, scores: np.ndarray, n: int, vocab: Vocab) -> pl.DataFrame:
    """asked, rank, found, score: the n best of each row of scores."""
    if n < 1:
        raise SettingError(f"n is how many are wanted, 1 or more; found {n}.")
    place = first_n(min(n, len(vocab)), scores)
    row, rank = np.nonzero(place >= 0)
    column = place[row, rank]
    return pl.DataFrame(
        {
            "asked": asked.gather(row),
            "rank": (rank + 1).astype(np.int32),
            "found": vocab.at(column),
            "score": scores[row, column],
        }
    )


def _with_titles(given: AnyRatings, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    if given.catalogue is None:
        return frame
    named = pl.Series("title", titles(given.catalogue, frame[key]), dtype=pl.String)
    return frame.insert_column(frame.columns.index(key) + 1, named)
