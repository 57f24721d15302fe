"""7 · Answers of a fitted model: predict, top_n, fold_in. Ids in, frames out.

Nothing here needs the data the model was trained on beyond what the model carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float32, Int64

from recollect.arguments import expect_number, expect_path
from recollect.data.by_kind import checked_kinds, items_of_kind
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import UNKNOWN
from recollect.errors import SettingError
from recollect.lists.frames import list_frame, with_titles
from recollect.lists.selection import Selection
from recollect.lists.wishes import Where, Wishes
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
from recollect.unseen import default_of_new_users, flags_of

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
    exclude: Iterable[object] | PathLike[str] | None = None,
    where: Where | None = None,
    at_most: Mapping[str, int] | None = None,
    diversity: float = 0.0,
    fresh: float = 0.0,
    kinds: Sequence[str] | None = None,
) -> pl.DataFrame:
    """The n best items for known users, or for a new one. Nothing is trained.

    Items that nobody rated are never recommended. A user_id the model does not know gets the items
    that are best for everyone, in the order of `ranking.everyones_best` and with the predictions
    that `predict` has for them. All other lists are in the order that `rank_by` says, unless
    `at_most`, `diversity` or `fresh` changes it. Equal ones go by item row.

    A RecollectWarning says who is unknown, which items are, and who gets fewer items than asked for
    because they have rated the others.

    Args:
        model: a fitted model.
        user_ids: known users. One user_id with ratings or events is a known user with newer ones:
            ratings replace earlier ones, events add to them.
        ratings: those of a new user: {item_id: rating}.
        events: of a new user, if the model learned from events: a list of item ids,
            {item_id: count}, or lists of ids by kind, with the title of the list if it has one:
            {"songs": [17, 4], "tags": ["rainy day"], "title": "for the train"}.
        n: how many items.
        items: the candidates; default: all.
        seen: whether items are recommended that the user has rated.
        rank_by: "both", whether they will choose an item and whether they will like it; "rating",
            the predicted rating alone; None: "both" for a model of ratings, the scores of one of
            events.
        exclude: items that are no candidates: their ids, or the path of a file of them.
        where: conditions on the items' fields: a query such as "genre:Drama year>=1990 -seen", a
            mapping of fields to values, or a Polars expression over the catalogue.
        at_most: how many items of a list may share a value of a field: {"artist": 2}.
        diversity: how much an item's similarity to those above it counts against it, from 0, the
            order of the scores, to below 1.
        fresh: the least share of fresh items in a list: the tenth of the items that came last or,
            where no times are known, those with fewer than 10 events.
        kinds: the kinds of items, n of each, kind by kind; None: n items of any kind.

    Returns: columns user_id, rank, item_id, title and other fields (if known), prediction.

    Raises:
        SettingError: if n is below 1, it is not clear for whom, or a wish cannot be read.
        DataError: for a rating outside the scale, a count that is not above 0, or if the wishes
            leave no item.
    """
    given = given_of(model)
    if kinds is not None:
        among = None if items is None else given.items.canonical(ids_in("items", items))
        pools = [items_of_kind(given.kinds, kind, among) for kind in checked_kinds(kinds)]
        wanted: dict[str, Any] = {
            "user_ids": user_ids,
            "ratings": ratings,
            "events": events,
            "n": n,
            "seen": seen,
            "rank_by": rank_by,
            "exclude": exclude,
            "where": where,
            "at_most": at_most,
            "diversity": diversity,
            "fresh": fresh,
        }
        return pl.concat([top_n(model, items=pool, **wanted) for pool in pools])

    wishes = Wishes(
        n=n,
        items=items,
        seen=seen,
        rank_by=rank_by,
        exclude=exclude,
        where=where,
        at_most=at_most,
        diversity=diversity,
        fresh=fresh,
    )
    selection = Selection(model, wishes)
    ids = None if user_ids is None else ids_in("user_ids", user_ids)
    if ratings is None and events is None:
        if ids is None:
            raise SettingError(
                "top_n takes user_ids, or the ratings or events of someone new; found none of them."
            )

        return _lists_of_known(model, ids, selection)

    newer = ratings_of_new_user(model, ratings, events)
    if ids is not None:
        newer = with_earlier_ratings(model, ids, newer)

    return _list_of_new(model, pl.Series([NEW]) if ids is None else ids, newer, selection)


def _lists_of_known(model: Model, ids: pl.Series, selection: Selection) -> pl.DataFrame:
    """The lists of users by their ids."""
    shortage = Shortage(model, selection)
    shortage.warn_of_strangers(ids)
    frames = [_empty_list(model)]
    for part, frame in _ranked_blocks(model, ids, selection):
        shortage.count(ids[part], frame)
        frames.append(frame)

    shortage.warn()

    return pl.concat(frames)


def _list_of_new(
    model: Model, user_id: pl.Series, ratings: dict[str, float], selection: Selection
) -> pl.DataFrame:
    """The list of one user from their ratings.

    Args:
        model: a fitted model.
        user_id: one id, for the list.
        ratings: a rating or count per item_id.
        selection: how the list is chosen.
    """
    row = row_of_new_user(model, ratings)
    is_unknown = row.counts == 0
    predicted = _scores_of_new_user(model, row)
    scores = ranked_by(model, predicted, row, selection.rank_by)

    if not selection.seen:
        scores[row.row, row.column] = NEVER
        hide_disliked(model.given_, model.given_.users.rows(user_id), scores)

    frame = _ranked_frame(model, user_id, predicted, selection.ranked(scores), is_unknown)
    shortage = Shortage(model, selection)
    shortage.count(user_id, frame)
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
    exclude: Iterable[object] | PathLike[str] | None = None,
    where: Where | None = None,
    at_most: Mapping[str, int] | None = None,
    diversity: float = 0.0,
    fresh: float = 0.0,
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
        exclude: items that are no candidates: their ids, or the path of a file of them.
        where: conditions on the items' fields: a query such as "genre:Drama year>=1990 -seen", a
            mapping of fields to values, or a Polars expression over the catalogue.
        at_most: how many items of a list may share a value of a field: {"artist": 2}.
        diversity: how much an item's similarity to those above it counts against it, from 0, the
            order of the scores, to below 1.
        fresh: the least share of fresh items in a list: the tenth of the items that came last or,
            where no times are known, those with fewer than 10 events.
        progress: called with (users done, users in all) after each block.

    Raises:
        SettingError: as top_n.
        DataError: as top_n.
        OSError: if the file cannot be written.
    """
    import pyarrow.parquet as pq

    given = given_of(model)
    ids = given.users.ids if user_ids is None else ids_in("user_ids", user_ids)
    wishes = Wishes(
        n=n,
        items=items,
        seen=seen,
        rank_by=rank_by,
        exclude=exclude,
        where=where,
        at_most=at_most,
        diversity=diversity,
        fresh=fresh,
    )
    expect_path("path", path)
    if Path(path).is_dir():
        example = Path(path) / "recommendations.parquet"
        raise SettingError(f"{path} is a folder; name a file, such as {example}.")

    selection = Selection(model, wishes)
    schema = _empty_list(model).to_arrow().schema
    n_rows = 0
    shortage = Shortage(model, selection)
    shortage.warn_of_strangers(ids)

    with replacing(path) as new, pq.ParquetWriter(new, schema, compression="zstd") as out:
        for part, frame in _ranked_blocks(model, ids, selection):
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

    return with_titles(given, frame, "item_id")


def ranked_by(
    model: Model,
    predicted: Float32[np.ndarray, "people n_items"],
    rows: Rows,
    rank_by: str | None,
) -> Float32[np.ndarray, "people n_items"]:
    """The scores by which every item is ranked for some people, as a new array.

    Args:
        model: a fitted model.
        predicted: its raw predictions; of people without ratings, `everyones_best`.
        rows: what each of them has rated, of items that the model knows.
        rank_by: as `top_n`.

    Raises:
        SettingError: as `top_n`.
    """
    if checked_rank_by(model, rank_by) == BOTH:
        return by_both(model, predicted, rows, known=rows.counts > 0)

    return predicted.copy()


def _scores_of_new_user(model: Model, row: Rows) -> Float32[np.ndarray, "1 n_items"]:
    """Raw predictions of every item for a new user; without ratings, what is best for everyone."""
    if row.n_cells == 0:
        best = everyones_best(model.given_)
        return best[None, :]

    return model.fold_in(row)


def _ranked_blocks(
    model: Model, ids: pl.Series, selection: Selection
) -> Iterator[tuple[slice, pl.DataFrame]]:
    """The lists of a block of users at a time, and which users these are."""
    given = model.given_
    rows = given.users.rows(ids)

    is_unknown = ~flags_of(given.count("user") > 0, rows)

    how: Any = {"seen": selection.seen, "rank_by": selection.rank_by}

    for ranking in rankings(model, rows, given, **how):
        part = ranking.part
        ranked = selection.ranked(ranking.scores)
        yield part, _ranked_frame(model, ids[part], ranking.predicted, ranked, is_unknown[part])


def _ranked_frame(
    model: Model,
    user_ids: pl.Series,
    predicted: Float32[np.ndarray, "people n_items"],
    ranked: Int64[np.ndarray, "people n"],
    is_unknown: Bool[np.ndarray, " people"],
) -> pl.DataFrame:
    """The lists of some users, with predictions within the scale.

    Args:
        model: a fitted model.
        user_ids: of the rows of scores.
        predicted: raw predictions of every item.
        ranked: the items of each list in order; -1 where there are no more.
        is_unknown: the users of whom nothing is known. Their items are ranked by what is best for
            everyone, and the predictions are those of `predict`.
    """
    frame = list_frame(user_ids, predicted, ranked, model.given_.items)
    frame = frame.rename({"of": "user_id", "id": "item_id", "score": "prediction"})
    raw = frame["prediction"].to_numpy()
    if is_unknown.any():
        of_unknown = is_unknown[frame["row"].to_numpy()]
        raw = np.where(of_unknown, _defaults(model)[frame["column"].to_numpy()], raw)

    clipped = pl.Series("prediction", model.within_scale(raw))
    frame = frame.with_columns(clipped).drop("row", "column")

    return with_titles(model.given_, frame, "item_id")


def _defaults(model: Model) -> Float32[np.ndarray, " n_items"]:
    """What is predicted of each item for a user of whom nothing is known."""
    items = np.arange(model.given_.n_items)
    nobody = np.full(len(items), UNKNOWN)
    return model.predict_cold(nobody, items)


def _empty_list(model: Model) -> pl.DataFrame:
    """A list of no users: the columns and their types."""
    nobody = pl.Series([], dtype=pl.String)
    scores = np.zeros((0, model.given_.n_items), np.float32)
    return _ranked_frame(model, nobody, scores, first_n(1, scores), np.zeros(0, bool))
