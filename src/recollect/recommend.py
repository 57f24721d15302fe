"""7 · Answers of a fitted model: predict, top_n, fold_in, similar. Ids in, frames out.

Nothing here needs the data the model was trained on beyond what the model carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32

from recollect.arguments import expect_number, expect_path, expect_whole
from recollect.data.catalogue import listed_fields
from recollect.data.ratings import AnyRatings, Side
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError, SettingError
from recollect.model import Model
from recollect.ranking import (
    BOTH,
    NEVER,
    by_both,
    checked_rank_by,
    everyones_best,
    first_n,
    hide_disliked,
    rankings,
)
from recollect.request import (
    a_few,
    excluded_items,
    given_of,
    ids_in,
    pairs_frame,
    ratings_of_new_user,
    row_of_new_user,
    times_of,
    with_earlier_ratings,
)
from recollect.shortage import Shortage
from recollect.system.atomic_files import replacing
from recollect.unseen import BLOCK_CELLS, default_of_new_users, flags_of

NEW = "new"  # the user_id of a new user, who is given by ratings alone


def predict(model: Model, pairs: Any, *, interval: float | None = None) -> pl.DataFrame:
    """The rating of each pair, in the order of `pairs`.

    Args:
        model: a fitted model.
        pairs: a frame with columns user_id and item_id (pandas, Polars, DuckDB, Arrow), or an
            iterable of (user_id, item_id). A column timestamp says when each rating is given
            (seconds since 1970, or ISO dates), which matters to models that go by time.
        interval: a probability; with it, the columns std, low and high follow: the standard
            deviation of the rating, and the bounds of its prediction interval.

    Returns: columns user_id, item_id, prediction, cold. `cold` marks pairs whose user or item is
        unknown; they get the default prediction, never an error.

    Raises:
        DataError: if the columns are missing, something is no pair, or a time cannot be read.
        SettingError: if the model does not estimate how sure it is.
    """
    given = given_of(model)
    frame = pairs_frame(pairs)
    user = given.users.rows(frame["user_id"])
    item = given.items.rows(frame["item_id"])
    times = times_of(frame["timestamp"]) if "timestamp" in frame.columns else None
    predicted = frame.with_columns(
        pl.Series("prediction", model.predict(user, item, times=times)),
        pl.Series("cold", model.is_cold(user, item)),
    )

    if interval is None:
        return predicted

    expect_number("interval", interval, "the probability that the rating lies within, such as 0.9")

    low, high = model.predict_interval(user, item, interval, times=times)

    return predicted.with_columns(
        pl.Series("std", model.predict_std(user, item, times=times)),
        pl.Series("low", low),
        pl.Series("high", high),
    )


def top_n(
    model: Model,
    *,
    user_ids: Iterable[object] | None = None,
    ratings: Mapping[Any, Any] | None = None,
    events: Iterable[Any] | None = None,
    n: int = 10,
    items: Iterable[object] | None = None,
    seen: bool = False,
    rank_by: str | None = None,
) -> pl.DataFrame:
    """The n best items for known users, or for a new one. Nothing is trained.

    Items that nobody rated are never recommended. A user_id the model does not know gets the items
    that are best for everyone, in the order of `ranking.everyones_best` and with the predictions
    that `predict` has for them.

    A RecollectWarning says who is unknown, which items are, and who gets fewer items than asked for
    because they have rated the others.

    Args:
        model: a fitted model.
        user_ids: known users. One user_id with ratings or events is a known user with newer ones:
            ratings replace earlier ones, events add to them.
        ratings: those of a new user: {item_id: rating}.
        events: of a new user, if the model learned from events: a list of item ids, or
            {item_id: count}.
        n: how many items.
        items: the candidates; default: all.
        seen: whether items are recommended that the user has rated.
        rank_by: "both", whether they will choose an item and whether they will like it; "rating",
            the predicted rating alone; None: "both" for a model of ratings, the scores of one of
            events.

    Returns: columns user_id, rank, item_id, title and other fields (if known), prediction.

    Raises:
        SettingError: if n is below 1, it is not clear for whom, or for an unknown `rank_by`.
        DataError: for a rating outside the scale, a count that is not above 0, or if the model
            knows none of `items`.
    """
    given_of(model)
    expect_whole("n", n, at_least=1, what="how many are wanted")
    excluded = excluded_items(model, items)
    asked: Any = {"n": n, "excluded": excluded, "seen": seen, "rank_by": rank_by}
    ids = None if user_ids is None else ids_in("user_ids", user_ids)
    if ratings is None and events is None:
        if ids is None:
            raise SettingError(
                "top_n takes user_ids, or the ratings or events of someone new; found none of them."
            )

        shortage = Shortage(model, n, excluded)
        shortage.warn_of_strangers(ids)
        frames = [_empty_list(model)]
        for part, frame in _ranked_blocks(model, ids, **asked):
            shortage.count(ids[part], frame)
            frames.append(frame)

        shortage.warn()

        return pl.concat(frames)

    newer = ratings_of_new_user(model, ratings, events)
    if ids is not None:
        newer = with_earlier_ratings(model, ids, newer)

    who = pl.Series([NEW]) if ids is None else ids
    frame = _ranked_for_new_user(model, who, row_of_new_user(model, newer), **asked)
    shortage = Shortage(model, n, excluded)
    shortage.count(who, frame)
    shortage.warn()

    return frame


def top_n_to_parquet(
    model: Model,
    path: str | Path,
    *,
    user_ids: Iterable[object] | None = None,
    n: int = 10,
    items: Iterable[object] | None = None,
    seen: bool = False,
    rank_by: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write `top_n` for all users to a Parquet file, block by block; returns how many rows.

    If it fails, the file is as it was.

    Args:
        model: a fitted model.
        path: of the file.
        user_ids: the users; default: all that the model knows.
        n: how many items each.
        items: the candidates; default: all.
        seen: whether items are recommended that the user has rated.
        rank_by: "both", whether they will choose an item and whether they will like it; "rating",
            the predicted rating alone; None: "both" for a model of ratings, the scores of one of
            events.
        progress: called with (users done, users in all) after each block.

    Raises:
        SettingError: as top_n.
        DataError: as top_n.
        OSError: if the file cannot be written.
    """
    import pyarrow.parquet as pq

    given = given_of(model)
    ids = given.users.ids if user_ids is None else ids_in("user_ids", user_ids)
    expect_whole("n", n, at_least=1, what="how many are wanted")
    expect_path("path", path)
    if Path(path).is_dir():
        example = Path(path) / "recommendations.parquet"
        raise SettingError(f"{path} is a folder; name a file, such as {example}.")

    excluded = excluded_items(model, items)
    asked: Any = {"n": n, "excluded": excluded, "seen": seen, "rank_by": rank_by}
    schema = _empty_list(model).to_arrow().schema
    n_rows = 0
    shortage = Shortage(model, n, excluded)
    shortage.warn_of_strangers(ids)

    with replacing(path) as fresh, pq.ParquetWriter(fresh, schema, compression="zstd") as out:
        for part, frame in _ranked_blocks(model, ids, **asked):
            out.write_table(frame.to_arrow().cast(schema))
            n_rows += len(frame)
            shortage.count(ids[part], frame)
            if progress:
                progress(min(part.stop, len(ids)), len(ids))

    shortage.warn()

    return n_rows


def fold_in(
    model: Model, ratings: Mapping[Any, Any] | None = None, *, events: Iterable[Any] | None = None
) -> pl.DataFrame:
    """What a new user would rate every item. Nothing is trained.

    Args:
        model: a fitted model.
        ratings: {item_id: rating}.
        events: if the model learned from events: a list of item ids, or {item_id: count}.

    Returns: columns item_id, title (if known), prediction; items without training ratings get the
        default prediction.

    Raises:
        SettingError: if neither or both are given.
        DataError: for a rating outside the scale or a count that is not above 0.
    """
    given = given_of(model)
    newer = ratings_of_new_user(model, ratings, events)
    row = row_of_new_user(model, newer)
    if row.n_cells:
        raw = model.fold_in(row)[0]
        # What is left of an item without ratings is the user's offset, as in `predict`.
        cold = ~model.known_items()
        raw[cold] = default_of_new_users(model, row)[0]
    else:
        raw = _defaults(model)

    predictions = model.within_scale(raw)
    frame = pl.DataFrame({"item_id": given.items.ids, "prediction": predictions})

    return _with_titles(given, frame, "item_id")


def similar(
    model: Model,
    *,
    item_ids: Iterable[object] | None = None,
    user_ids: Iterable[object] | None = None,
    n: int = 10,
) -> pl.DataFrame:
    """The n most similar items of each item, or users of each user.

    Similarity is the cosine of the model's vectors, −1 to 1; items and users without ratings have
    none and are left out.

    Args:
        model: a fitted model.
        item_ids: the items; or
        user_ids: the users.
        n: how many each.

    Returns: columns item_id (user_id), rank, neighbor_id, title (of items), similarity.

    Raises:
        SettingError: if n is below 1, or neither or both are given.
        DataError: for an id that the model does not know.
    """
    if (item_ids is None) == (user_ids is None):
        raise SettingError("similar takes either item_ids or user_ids, one of the two.")

    given = given_of(model)
    if item_ids is not None:
        frame = _neighbors(model, "item", ids_in("item_ids", item_ids), n)
        return _with_titles(given, frame, "neighbor_id")

    return _neighbors(model, "user", ids_in("user_ids", user_ids), n)


def _neighbors(model: Model, side: Side, ids: pl.Series, n: int) -> pl.DataFrame:
    """The n entries of a side whose vectors are most similar to those of each id."""
    given = model.given_
    vocab = given.items if side == "item" else given.users
    known = model.known_items() if side == "item" else given.count("user") > 0
    rows = vocab.rows(ids)
    is_unknown = (rows == UNKNOWN) | ~known[rows]
    unknown = ids.filter(pl.Series(is_unknown, dtype=pl.Boolean))
    if len(unknown):
        preposition = "by user" if side == "user" else "of item"
        n_known = int(known.sum())
        examples = vocab.at(np.flatnonzero(known)[:3])
        raise DataError(
            f"The model knows no rating {preposition} {a_few(unknown)}; it knows "
            f"{n_known:,} {side}s such as {a_few(examples)}."
        )

    unit = _unit_vectors(model, side)
    frames = []
    step = max(1, BLOCK_CELLS // len(vocab))

    for first in range(0, max(1, len(rows)), step):
        block = rows[first : first + step]
        cosine = np.clip(unit[block] @ unit.T, -1, 1).astype(np.float32, copy=False)
        cosine[:, ~known] = NEVER
        cosine[np.arange(len(block)), block] = NEVER  # nobody is their own neighbor
        frame = _first_n_frame(ids[first : first + step], cosine, n, vocab)
        frames.append(frame)

    names = {"of": f"{side}_id", "id": "neighbor_id", "score": "similarity"}

    return pl.concat(frames).drop("row", "column").rename(names)


def _unit_vectors(model: Model, side: Side) -> Float32[np.ndarray, "entries k"]:
    """The model's vectors scaled to length 1; one of zeros stays as it is."""
    vectors = model.vectors(side)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)

    return vectors / np.maximum(length, np.float32(1e-12))


def _ranked_for_new_user(
    model: Model,
    who: pl.Series,
    row: Rows,
    *,
    n: int,
    excluded: Bool[np.ndarray, " n_items"],
    seen: bool,
    rank_by: str | None,
) -> pl.DataFrame:
    """The list of someone given by a row of ratings or events.

    Args:
        model: a fitted model.
        who: the user_id of the list.
        row: what they have rated.
        n: how many items.
        excluded: the items that are no candidates.
        seen: whether items of the row are listed.
        rank_by: as `top_n`.
    """
    predicted = _scores_of_new_user(model, row)
    is_unknown = row.counts == 0
    scores = predicted.copy()
    if checked_rank_by(model, rank_by) == BOTH:
        scores = by_both(model, predicted, row, known=~is_unknown)

    scores[:, excluded] = NEVER
    if not seen:
        scores[row.row, row.column] = NEVER
        hide_disliked(model.given_, model.given_.users.rows(who), scores)

    return _ranked_frame(model, who, scores, predicted, n, is_unknown)


def _scores_of_new_user(model: Model, row: Rows) -> Float32[np.ndarray, "1 n_items"]:
    """Raw predictions of every item for a new user; without ratings, what is best for everyone."""
    if row.n_cells == 0:
        best = everyones_best(model.given_)
        return best[None, :]

    return model.fold_in(row)


def _ranked_blocks(
    model: Model,
    ids: pl.Series,
    *,
    n: int,
    excluded: Bool[np.ndarray, " n_items"],
    seen: bool,
    rank_by: str | None,
) -> Iterator[tuple[slice, pl.DataFrame]]:
    """The lists of a block of users at a time, and which users these are."""
    given = model.given_
    rows = given.users.rows(ids)

    is_unknown = ~flags_of(given.count("user") > 0, rows)

    for ranking in rankings(model, rows, given, seen=seen, rank_by=rank_by):
        part, scores = ranking.part, ranking.scores
        scores[:, excluded] = NEVER
        yield part, _ranked_frame(model, ids[part], scores, ranking.predicted, n, is_unknown[part])


def _ranked_frame(
    model: Model,
    user_ids: pl.Series,
    scores: Float32[np.ndarray, "people n_items"],
    predicted: Float32[np.ndarray, "people n_items"],
    n: int,
    is_unknown: Bool[np.ndarray, " people"],
) -> pl.DataFrame:
    """The lists of some users, with predictions within the scale.

    Args:
        model: a fitted model.
        user_ids: of the rows of scores.
        scores: what the items are ranked by.
        predicted: raw predictions.
        n: how many.
        is_unknown: the users of whom nothing is known. Their items are ranked by what is best for
            everyone, and the predictions are those of `predict`.
    """
    frame = _first_n_frame(user_ids, scores, n, model.given_.items)
    frame = frame.rename({"of": "user_id", "id": "item_id", "score": "prediction"})
    raw = predicted[frame["row"].to_numpy(), frame["column"].to_numpy()]
    if is_unknown.any():
        of_unknown = is_unknown[frame["row"].to_numpy()]
        raw = np.where(of_unknown, _defaults(model)[frame["column"].to_numpy()], raw)

    clipped = pl.Series("prediction", model.within_scale(raw))
    frame = frame.with_columns(clipped).drop("row", "column")

    return _with_titles(model.given_, frame, "item_id")


def _defaults(model: Model) -> Float32[np.ndarray, " n_items"]:
    """What is predicted of each item for a user of whom nothing is known."""
    items = np.arange(model.given_.n_items)
    nobody = np.full(len(items), UNKNOWN)
    return model.predict_cold(nobody, items)


def _empty_list(model: Model) -> pl.DataFrame:
    """A list of no users: the columns and their types."""
    nobody = pl.Series([], dtype=pl.String)
    scores = np.zeros((0, model.given_.n_items), np.float32)
    return _ranked_frame(model, nobody, scores, scores, 1, np.zeros(0, bool))


def _first_n_frame(of: pl.Series, scores: np.ndarray, n: int, vocab: Vocab) -> pl.DataFrame:
    """The n best of each row of scores.

    Args:
        of: the id that each row belongs to.
        scores: a row per id, a column per entry of the vocabulary.
        n: how many.
        vocab: the ids of the columns.

    Returns: columns of, rank, id, score; and row and column, the place of the score.
    """
    expect_whole("n", n, at_least=1, what="how many are wanted")

    ranked = first_n(min(n, len(vocab)), scores)
    row, rank = np.nonzero(ranked >= 0)
    column = ranked[row, rank]

    return pl.DataFrame(
        {
            "of": of.gather(row),
            "rank": (rank + 1).astype(np.int32),
            "id": vocab.at(column),
            "score": scores[row, column],
            "row": row,
            "column": column,
        }
    )


def _with_titles(given: AnyRatings, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    """The frame with titles and other fields after the column of item ids, as far as known."""
    fields = listed_fields(given.catalogue, frame[key])
    place = frame.columns.index(key) + 1

    for number, column in enumerate(fields):
        frame.insert_column(place + number, column)

    return frame
