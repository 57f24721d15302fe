"""A list for a person: what may be listed, in which order, page by page, and why."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
from jaxtyping import Float32, Int64

from recollect.lists.reasons import explain_list
from recollect.ranking import NEVER, hide_disliked
from recollect.serve.answers.catalogue import Items
from recollect.serve.answers.scoring import Basis, Scored, score
from recollect.serve.answers.served import Served
from recollect.serve.answers.wanted import Wanted
from recollect.serve.store.records import Person

SOMEONE = "\0"  # an id that no user has


@dataclass(frozen=True)
class Reason:
    """A rating that spoke for an item.

    Args:
        item: row number of the rated item, in the store.
        value: the rating.
        influence: by how much it raised the item's rank score.
    """

    item: int
    value: float
    influence: float


@dataclass(frozen=True)
class Entry:
    """A place of a list.

    Args:
        item: row number in the store.
        basis: "fresh" for an item that the model does not know yet; else that of the list.
        score: by which it was ranked; None of a fresh one.
        prediction: the rating that is predicted; None of a fresh one, and of models of events.
        std: standard deviation of the rating; None: not asked for, or not estimated.
        low: lower bound of the interval; None likewise.
        high: upper bound.
        reasons: the ratings that spoke for it most.
    """

    item: int
    basis: Basis
    score: float | None = None
    prediction: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Made:
    """A list.

    Args:
        basis: of its scores.
        entries: in order.
        notes: what the caller may want to know, a sentence each.
    """

    basis: Basis
    entries: list[Entry]
    notes: list[str] = field(default_factory=list)


def make_list(
    served: Served,
    items: Items,
    person: Person,
    wanted: Wanted,
    *,
    shown: Int64[np.ndarray, " rows"] | None = None,
) -> Made:
    """The best items for a person.

    Args:
        served: the model.
        items: the catalogue.
        person: as the store knows them now.
        wanted: what the list is to be.
        shown: row numbers of items that earlier pages had, in the store; None: this is the first.

    Raises:
        SettingError: for a wish that cannot be read or fulfilled.
        DataError: if the wishes leave no item.
    """
    selection = served.selection(wanted, items)
    scored = score(served, items, person, wanted.rank_by)
    scores = scored.scores
    if not selection.seen:
        scores[0, scored.row.column] = NEVER
        user = served.user_rows.get(person.id or "", -1)
        hide_disliked(served.model.given_, np.array([user]), scores)

    notes = _exclude(served, items, wanted, scores, shown)
    ranked = selection.ranked(scores)[0]
    columns = ranked[ranked >= 0]
    entries = _entries(served, items, scored, columns, scores)
    if wanted.fresh:
        entries = _with_new_items(entries, served, items, wanted, person, shown)

    if wanted.interval is not None:
        entries = _with_intervals(entries, served, items, scored, wanted.interval)

    if wanted.explain:
        entries = _with_reasons(entries, served, items, scored, wanted)

    notes += _notes(scored, wanted, len(entries))

    return Made(scored.basis, entries, notes)


def _exclude(
    served: Served,
    items: Items,
    wanted: Wanted,
    scores: Float32[np.ndarray, "1 n_items"],
    shown: Int64[np.ndarray, " rows"] | None,
) -> list[str]:
    """Take out what must not be listed; returns notes on ids that are unknown.

    Args:
        served: the model.
        items: the catalogue.
        wanted: has the allowed and denied ids.
        scores: changed in place.
        shown: row numbers of items of earlier pages.
    """
    notes = []
    allowed = served.known_items & served.listed_columns(items, int(time.time()))
    columns = served.columns(items)
    if wanted.allow is not None:
        rows = items.rows(list(wanted.allow))
        is_candidate = np.zeros(len(allowed), bool)
        column = columns[rows[rows >= 0]]
        is_candidate[column[column >= 0]] = True
        allowed &= is_candidate
        n_unknown = len(rows) - int((column >= 0).sum())
        if n_unknown:
            notes.append(f"{n_unknown:,} of {len(rows):,} allowed items are unknown to the model.")

    denied = items.rows(list(wanted.deny))
    left_out = denied[denied >= 0]
    if shown is not None:
        left_out = np.concatenate([left_out, shown])

    column = columns[left_out]
    allowed[column[column >= 0]] = False

    scores[0, ~allowed] = NEVER

    return notes


def _entries(
    served: Served,
    items: Items,
    scored: Scored,
    columns: Int64[np.ndarray, " places"],
    scores: Float32[np.ndarray, "1 n_items"],
) -> list[Entry]:
    """The places of a list that the model ranked."""
    rows = served.store_rows(items)[columns]
    if scored.basis == "popular":
        predicted = served.defaults[columns]
    else:
        predicted = served.model.within_scale(scored.predicted[0, columns])

    is_of_ratings = served.model.output == "ratings"

    return [
        Entry(
            item=int(row),
            basis=scored.basis,
            score=float(scores[0, column]),
            prediction=float(prediction) if is_of_ratings else None,
        )
        for row, column, prediction in zip(rows, columns, predicted, strict=True)
    ]


def _with_new_items(
    entries: list[Entry],
    served: Served,
    items: Items,
    wanted: Wanted,
    person: Person,
    shown: Int64[np.ndarray, " rows"] | None,
) -> list[Entry]:
    """The list with items that the model does not know yet, up to the share of fresh ones.

    They are drawn at random among those that may be listed, and spread over the list. With `where`
    or `allow` only items that the model knows are listed.
    """
    if wanted.where or wanted.allow is not None:
        return entries

    may = items.may_be_listed(int(time.time())) & (served.columns(items) < 0)
    may[person.items] = False
    may[items.rows([id_ for id_ in wanted.deny if id_ in items.row_of])] = False
    if shown is not None:
        may[shown] = False

    new = np.flatnonzero(may)
    n_new = min(math.ceil(wanted.fresh * wanted.n - 1e-9), len(new))
    chosen = np.random.default_rng().choice(new, n_new, replace=False)
    places = [(number + 1) * wanted.n // max(1, n_new) - 1 for number in range(n_new)]
    mixed = entries[: wanted.n - n_new]
    for place, row in zip(places, chosen, strict=True):
        mixed.insert(place, Entry(item=int(row), basis="fresh"))

    return mixed


def _with_intervals(
    entries: list[Entry], served: Served, items: Items, scored: Scored, level: float
) -> list[Entry]:
    """The list with prediction intervals, where the model estimates them for this person.

    Raises:
        SettingError: if the model does not estimate them at all.
    """
    if scored.user < 0:
        return entries

    columns = served.columns(items)[[entry.item for entry in entries]]
    user = np.full(len(columns), scored.user)
    low, high = served.model.predict_interval(user, columns, level)
    std = served.model.predict_std(user, columns)

    return [
        entry
        if column < 0
        else replace(entry, std=float(std[j]), low=float(low[j]), high=float(high[j]))
        for j, (entry, column) in enumerate(zip(entries, columns, strict=True))
    ]


def _with_reasons(
    entries: list[Entry], served: Served, items: Items, scored: Scored, wanted: Wanted
) -> list[Entry]:
    """The list with the ratings that spoke for each item."""
    explained = [entry for entry in entries if entry.basis != "fresh"]
    if scored.basis == "popular" or not explained:
        return entries

    vocab = served.model.given_.items
    row = scored.row
    given = dict(zip(vocab.at(row.column).to_list(), row.value.tolist(), strict=True))
    asked = pl.DataFrame(
        {
            "user_id": [SOMEONE] * len(explained),
            "item_id": [items.ids[entry.item] for entry in explained],
        }
    )
    given_as = "events" if served.model.given_.implicit else "ratings"
    frame = explain_list(
        served.model, asked, n=wanted.explain, rank_by=wanted.rank_by, **{given_as: given}
    )
    value = "count" if served.model.given_.implicit else "rating"
    reasons: dict[int, list[Reason]] = {}
    for item_id, because, number, influence in frame.select(
        "item_id", "because_id", value, "influence"
    ).iter_rows():
        reason = Reason(items.row_of[because], float(number), float(influence))
        reasons.setdefault(items.row_of[item_id], []).append(reason)

    return [replace(entry, reasons=tuple(reasons.get(entry.item, ()))) for entry in entries]


def _notes(scored: Scored, wanted: Wanted, n_listed: int) -> list[str]:
    """What is said with a list.

    Args:
        scored: the person's scores.
        wanted: what the list was to be.
        n_listed: how many items it has.
    """
    notes = []
    if scored.basis == "popular":
        notes.append("Nothing is known of this person's taste; these are the best for everyone.")

    if scored.n_left_out:
        notes.append(
            f"{scored.n_left_out:,} of the rated items are unknown to the model and are not "
            "learned from yet."
        )

    if n_listed < wanted.n:
        notes.append(f"{n_listed:,} of {wanted.n:,} items: there are no more that may be listed.")

    return notes
