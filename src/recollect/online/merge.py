"""The ratings of a fit with further ones, or without some of them.

A rating of a pair that has one takes its place; the counts of an event add up. The row numbers of
users and items stay, and new ones get the next.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from jaxtyping import Bool, Int64

from recollect.data.numbering import numbered_like
from recollect.data.ratings import Ratings, Side
from recollect.data.sparse_rows import Rows
from recollect.data.vocab import UNKNOWN, Vocab
from recollect.errors import DataError
from recollect.online.change import Change
from recollect.online.merged_rows import Grouped, of_size, places_of, with_cells, without_cells
from recollect.system.door import words

OLDER = "older than the rating that the model has of the pair"
NOT_THERE = "the model has no such rating"


def merge(given: Ratings, new: Ratings) -> Change:
    """The ratings with further ones.

    Args:
        given: those that the model has learned from.
        new: the further ones, with ids of their own or the same vocabularies.

    Raises:
        DataError: for events where ratings are expected or the reverse, or a rating that lies
            outside the scale.
    """
    _check_kind(given, new)
    _check_scale(given, new)
    joined, notes = _with_times_like(given, _numbered(given, new))
    users, items = joined.users, joined.items
    base = _of_size(given, users, items)
    place, is_there = places_of(base.by_user, joined.user, joined.item)
    entry = base.entry("user")[place[is_there]]
    is_used = np.ones(len(joined), bool)
    if joined.time is not None and base.time is not None and not given.implicit:
        is_used[is_there] = joined.time[is_there] >= base.time[entry]

    is_new = is_used & ~is_there
    is_again = is_used & is_there
    after = _with_new(_replaced(base, joined, is_again, entry[is_used[is_there]]), joined, is_new)
    if after.implicit and (after.disliked is not None or new.disliked is not None):
        after = _with_disliked(after, new)

    n_older = int((~is_used).sum())

    return Change(
        before=given,
        after=after,
        user=joined.user[is_used],
        item=joined.item[is_used],
        dropped={OLDER: n_older} if n_older else {},
        notes=notes,
    )


def take_back(given: Ratings, gone: Ratings) -> Change:
    """The ratings without some of them; of events, the counts are taken off.

    Args:
        given: those that the model has learned from.
        gone: those that are taken back. Of ratings the pair counts, whatever its value.

    Raises:
        DataError: for events where ratings are expected or the reverse.
    """
    _check_kind(given, gone)
    user = given.users.rows(gone.users.ids)[gone.user]
    item = given.items.rows(gone.items.ids)[gone.item]
    is_known = (user != UNKNOWN) & (item != UNKNOWN)
    place, is_there = places_of(given.by_user, user[is_known], item[is_known])
    entry = given.entry("user")[place[is_there]]
    n_lacking = len(gone) - len(entry)
    value = given.value.copy()
    is_kept = np.ones(len(given), bool)
    if given.implicit:
        value[entry] -= gone.value[is_known][is_there]
        is_kept[entry] = value[entry] > 0
    else:
        is_kept[entry] = False

    left = _with_value(given, value) if given.implicit else given

    return Change(
        before=given,
        after=_without(left, is_kept),
        user=user[is_known][is_there],
        item=item[is_known][is_there],
        dropped={NOT_THERE: n_lacking} if n_lacking else {},
    )


def _check_kind(given: Ratings, new: Ratings) -> None:
    if given.implicit and not new.implicit:
        how = words("ratings.events(from_=4)", "--events-from 4")
        raise DataError(
            f"The model has learned from events (who chose what), and {new!r} are ratings; take "
            f"the high ones as events: {how}."
        )

    if new.implicit and not given.implicit:
        raise DataError(
            f"The model has learned from ratings, and {new!r} are events; give it ratings."
        )


def _check_scale(given: Ratings, new: Ratings) -> None:
    if given.implicit or not len(new):
        return

    low, high = given.scale
    is_outside = (new.value < np.float32(low)) | (new.value > np.float32(high))
    if not is_outside.any():
        return

    first = int(is_outside.argmax())
    [user_id] = new.users.at([new.user[first]])
    [item_id] = new.items.at([new.item[first]])
    raise DataError(
        f"{int(is_outside.sum())} ratings lie outside the scale {low:g} to {high:g} of those that "
        f"the model has learned from, the first is {new.value[first]:g} by user {user_id!r} of "
        f"item {item_id!r}; correct them, or fit again with the scale that the ratings have."
    )


def _numbered(given: Ratings, new: Ratings) -> Ratings:
    """The new ratings under the row numbers of the given ones; ids without a rating are left out"""
    if new.users is given.users and new.items is given.items:
        return new

    # Parts of a split have the ids of the whole: only those with a rating count.
    users, user = _used(new.users, new.user)
    items, item = _used(new.items, new.item)
    used = replace(
        new, users=users, items=items, user=user, item=item, text=None, disliked=None, notes=()
    )

    return replace(numbered_like(used, given), catalogue=new.catalogue, checked=True)


def _used(vocab: Vocab, row: np.ndarray) -> tuple[Vocab, np.ndarray]:
    used, number = np.unique(row, return_inverse=True)
    return Vocab(vocab.at(used)), number.astype(np.int32)


def _with_times_like(given: Ratings, new: Ratings) -> tuple[Ratings, tuple[str, ...]]:
    """The new ratings with times if the given ones have them, and without if they have none."""
    if given.time is None:
        note = "The model's ratings have no times; those of the new ones are left out."
        return replace(new, time=None, checked=True), (note,) if new.time is not None else ()

    if new.time is not None:
        return new, ()

    newest = int(given.time.max(initial=0))
    note = f"The new ratings have no times; they count as given at {newest}, the newest time known."

    return replace(new, time=np.full(len(new), newest, np.int64), checked=True), (note,)


def _of_size(given: Ratings, users: Vocab, items: Vocab) -> Ratings:
    """The ratings with longer vocabularies; texts and disliked items have empty rows behind."""
    if users is given.users and items is given.items:
        return given

    n_users, n_items = len(users), len(items)
    n_more = n_items - given.n_items
    text = given.text
    if text is not None and n_more:
        text = text.joined(text.read(pl.Series([None] * n_more, dtype=pl.String)))

    disliked = given.disliked
    if disliked is not None:
        disliked = of_size(disliked, n_rows=n_users, n_columns=n_items)

    longer = replace(given, users=users, items=items, text=text, disliked=disliked, checked=True)
    by_user, by_item = _grouped(given)
    _keep_rows(
        longer,
        (of_size(by_user[0], n_rows=n_users, n_columns=n_items), by_user[1]),
        (of_size(by_item[0], n_rows=n_items, n_columns=n_users), by_item[1]),
    )

    return longer


def _replaced(
    base: Ratings,
    new: Ratings,
    is_again: Bool[np.ndarray, " new"],
    entry: Int64[np.ndarray, " again"],
) -> Ratings:
    """The ratings with new values of pairs that they have; counts of events add up.

    Args:
        base: the ratings.
        new: the new ones.
        is_again: which of them are of pairs that `base` has.
        entry: where they stand in `base`.
    """
    if not len(entry):
        return base

    value = base.value.copy()
    if base.implicit:
        value[entry] += new.value[is_again]
    else:
        value[entry] = new.value[is_again]

    time = base.time
    if time is not None and new.time is not None:
        time = time.copy()
        time[entry] = np.maximum(time[entry], new.time[is_again])

    return _with_value(base, value, time)


def _with_value(base: Ratings, value: np.ndarray, time: np.ndarray | None = None) -> Ratings:
    time = base.time if time is None else time
    changed = replace(base, value=value, time=time, scale=_scale(base, value), checked=True)
    (by_user, of_user), (by_item, of_item) = _grouped(base)
    _keep_rows(
        changed,
        (replace(by_user, value=value[of_user]), of_user),
        (replace(by_item, value=value[of_item]), of_item),
    )

    return changed


def _scale(base: Ratings, value: np.ndarray) -> tuple[float, float]:
    """The scale; of events up to the highest count."""
    return (0.0, float(value.max(initial=0))) if base.implicit else base.scale


def _with_new(base: Ratings, new: Ratings, is_new: Bool[np.ndarray, " new"]) -> Ratings:
    """The ratings followed by those of the new ones that are of new pairs."""
    user, item, value = new.user[is_new], new.item[is_new], new.value[is_new]
    time = base.time
    if time is not None and new.time is not None:
        time = np.concatenate([time, new.time[is_new]])

    all_values = np.concatenate([base.value, value])
    longer = replace(
        base,
        user=np.concatenate([base.user, user]),
        item=np.concatenate([base.item, item]),
        value=all_values,
        time=time,
        scale=_scale(base, all_values),
        catalogue=_joined_catalogue(base.catalogue, new.catalogue),
        checked=True,
    )
    by_user, by_item = _grouped(base)
    _keep_rows(
        longer,
        with_cells(by_user, user, item, value, first=len(base)),
        with_cells(by_item, item, user, value, first=len(base)),
    )

    return longer


def _with_disliked(after: Ratings, new: Ratings) -> Ratings:
    """The events with what their users have rated too low, then or now, and not chosen since."""
    n_items = after.n_items
    known = [after.disliked] if after.disliked is not None else []
    pairs = [rows.row.astype(np.int64) * n_items + rows.column for rows in known]
    if new.disliked is not None:
        user = after.users.rows(new.users.ids)[new.disliked.row]
        item = after.items.rows(new.items.ids)[new.disliked.column]
        is_known = (user != UNKNOWN) & (item != UNKNOWN)
        pairs.append(user[is_known].astype(np.int64) * n_items + item[is_known])

    user, item = np.divmod(np.setdiff1d(np.concatenate(pairs), after.pair), n_items)
    disliked, _ = Rows.group(user, item, n_rows=after.n_users, n_columns=n_items)
    told = replace(after, disliked=disliked, checked=True)
    _keep_rows(told, *_grouped(after))

    return told


def _without(base: Ratings, is_kept: Bool[np.ndarray, " ratings"]) -> Ratings:
    """The ratings of a mask."""
    part = base.where(is_kept)
    if base.implicit:
        part = replace(part, scale=_scale(base, part.value))

    by_user, by_item = _grouped(base)
    _keep_rows(part, without_cells(by_user, is_kept), without_cells(by_item, is_kept))

    return part


def _joined_catalogue(known: pl.DataFrame | None, new: pl.DataFrame | None) -> pl.DataFrame | None:
    """The facts about items, with those of items that have none yet."""
    if known is None or new is None or new is known:
        return new if known is None else known

    further = new.filter(~new["item_id"].is_in(known["item_id"].implode()))
    if further.is_empty():
        return known

    same = [name for name in further.columns if further.schema[name] == known.schema.get(name)]

    return pl.concat([known, further.select(same)], how="diagonal")


def _grouped(ratings: Ratings) -> tuple[Grouped, Grouped]:
    """The rows of users and of items, each with the number of every cell's rating."""
    sides: tuple[Side, Side] = ("user", "item")
    by_user, by_item = ((ratings.rows(side), ratings.entry(side)) for side in sides)
    return by_user, by_item


def _keep_rows(ratings: Ratings, by_user: Grouped, by_item: Grouped) -> None:
    """Give ratings their rows and counts, which are then not computed from the columns."""
    counts = {"_count_by_user": by_user[0].counts, "_count_by_item": by_item[0].counts}
    vars(ratings).update(_by_user=by_user, _by_item=by_item, **counts)
