"""Answers to questions: of each kind the best items that a list does not have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from jaxtyping import Float32, Int64

from recollect.data.kinds import Kinds
from recollect.data.playlists import WORDS, rows_of_lists
from recollect.data.ratings import AnyRatings
from recollect.data.sparse_rows import Rows
from recollect.errors import DataError, warn
from recollect.evaluation.playlists.questions import most_of
from recollect.model import Model
from recollect.ranking import NEVER, everyones_best, first_n
from recollect.unseen import BLOCK_CELLS

ISSUED = "issued"  # the field of the item table with the day of issue, as the number 20200131
DAY = "%Y%m%d"


def answer(
    model: Model,
    questions: pl.DataFrame,
    *,
    kinds: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """For each question 100 items of each kind (10 tags), the best first; nothing is trained.

    No item stands twice or is shown in the question. Items that were issued after the list's date,
    where both are known, are left out. A list of which the model knows nothing gets what most lists
    have. A RecollectWarning counts items that the model does not know.

    Args:
        model: fitted on lists; any model of events.
        questions: a table of lists.
        kinds: the kinds to name; default: those that the model knows, without words of titles.
        progress: called with (questions done, questions in all) after each block.

    Raises:
        DataError: if there are fewer items than an answer has.
        SettingError: for a kind that the model does not know.
    """
    given = model.given()
    known_kinds = given.kinds
    rows, n_unknown = rows_of_lists(questions, known_kinds)
    _warn_of_unknown(n_unknown)
    names = kinds or [name for name in known_kinds.names if name != WORDS]
    pool = {name: _ranked_items(model, known_kinds, name) for name in names}
    issued, dates = _days(given, questions)
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    step = max(1, BLOCK_CELLS // max(1, given.n_items))

    for first in range(0, len(rows), step):
        part = np.arange(first, min(first + step, len(rows)))
        scores = _scores(model, rows.take(part))
        if issued is not None and dates is not None:
            scores[issued[None, :] > dates[part][:, None]] = NEVER

        for name, items in pool.items():
            found[name].append(items[first_n(most_of(name), scores[:, items])])

        if progress:
            progress(int(part[-1]) + 1, len(rows))

    own = [_named(known_kinds, name, np.concatenate(found[name])) for name in names if found[name]]

    return questions.select("id").with_columns(own)


def _scores(model: Model, rows: Rows) -> Float32[np.ndarray, "lists n_items"]:
    """The scores of every item; of what a list has, the lowest."""
    rows = rows.only_columns(model.known_items())
    scores = model.fold_in(rows)
    is_empty = rows.counts == 0
    if is_empty.any():
        scores[is_empty] = everyones_best(model.given_)

    scores[rows.row, rows.column] = NEVER

    return scores


def _ranked_items(model: Model, kinds: Kinds, name: str) -> Int64[np.ndarray, " some"]:
    """The items of a kind that can be answered.

    Raises:
        DataError: if they are fewer than an answer has.
    """
    items = np.flatnonzero(kinds.mask(name) & model.known_items())
    if len(items) < 2 * most_of(name):
        raise DataError(
            f"The model knows {len(items):,} {name}; an answer has {most_of(name)}, and as many "
            "may be shown in a question."
        )

    return items


def _days(
    given: AnyRatings, questions: pl.DataFrame
) -> tuple[Int64[np.ndarray, " n_items"] | None, Int64[np.ndarray, " lists"] | None]:
    """The day of issue of each item and the date of each list, as numbers such as 20200131.

    An item without a day is of day 0, which is before every date. None: not known.
    """
    table = given.catalogue
    if table is None or ISSUED not in table.columns or "time" not in questions.columns:
        return None, None

    facts = table.select("item_id", ISSUED).unique("item_id", keep="first")
    ids = given.items.ids.alias("item_id").to_frame()
    joined = ids.join(facts, on="item_id", how="left", maintain_order="left")
    moment = pl.from_epoch(questions["time"].cast(pl.Int64), "s")

    return (
        joined[ISSUED].fill_null(0).cast(pl.Int64).to_numpy(),
        moment.dt.strftime(DAY).cast(pl.Int64).to_numpy(),
    )


def _named(kinds: Kinds, name: str, items: Int64[np.ndarray, "lists n"]) -> pl.Series:
    """Answers by the ids within their kind."""
    own = kinds.own_ids.gather(items.ravel()).to_numpy().reshape(items.shape)
    return pl.Series(name, [list(row) for row in own], dtype=pl.List(pl.String))


def _warn_of_unknown(n_unknown: dict[str, int]) -> None:
    counted = [f"{n:,} {kind}" for kind, n in n_unknown.items() if n]
    if counted:
        warn(f"{' and '.join(counted)} in the questions are unknown to this model and left out.")
