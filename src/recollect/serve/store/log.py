"""Events and ratings: the log, and what is true now."""

from __future__ import annotations

from collections.abc import Sequence

from recollect.serve.store import meta
from recollect.serve.store.database import Row, Session
from recollect.serve.store.items import row_of_item
from recollect.serve.store.records import (
    FORGOTTEN,
    RATING,
    RETRACT,
    Answer,
    Event,
    Kind,
    now,
)
from recollect.serve.store.users import row_of_user


def add_events(session: Session, events: Sequence[Event]) -> list[Answer]:
    """Write events to the log, and what they change to the ratings.

    Of a store of ratings, an event of kind "rating" sets the rating unless one with a later time is
    there, and other kinds only stand in the log. Of a store of events, every one adds its count.
    Unknown users and items are new ones.

    Args:
        session: in a transaction.
        events: checked by the caller; the values lie within the store's scale.

    Returns: what became of each.
    """
    kind = meta.expect_kind(session)
    return [_add(session, event, kind) for event in events]


def _add(session: Session, event: Event, kind: Kind) -> Answer:
    received = now()
    time = received if event.time is None else event.time
    earlier = session.one(
        "SELECT e.seq, u.id, i.id, e.kind, e.value FROM events e"
        " LEFT JOIN users u ON u.row = e.user_row LEFT JOIN items i ON i.row = e.item_row"
        " WHERE e.id = ?",
        (event.id,),
    )
    if earlier is not None:
        return _again(event, earlier)

    user_row = row_of_user(session, event.user)
    item_row, is_new_item = row_of_item(session, event.item)
    about = (event.kind, event.value, time, received, event.recommendation)
    [seq] = session.rows(
        "INSERT INTO events (id, user_row, item_row, kind, value, time, received, recommendation)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
        (event.id, user_row, item_row, *about),
    )[0]
    rated = _rate(session, kind, event, user_row, item_row, time, seq)
    if rated:
        session.run("UPDATE users SET changed = ? WHERE row = ?", (seq, user_row))

    reason = "The item was unknown and is a new one now." if is_new_item else None

    return Answer("accepted", seq, reason, rated)


def _again(event: Event, earlier: Row) -> Answer:
    """What becomes of an event whose id is in the log: nothing, if it is the same event."""
    seq, user, item, kind, value = earlier
    is_forgotten = kind == FORGOTTEN
    same = (user, item, kind, value) == (event.user, event.item, event.kind, event.value)
    if same or is_forgotten:
        return Answer("duplicate", seq)

    return Answer(
        "refused",
        None,
        "An event with this id and other content is in the log; ids must be unique, such as UUIDs.",
    )


def _rate(
    session: Session,
    kind: Kind,
    event: Event,
    user_row: int,
    item_row: int,
    time: int,
    seq: int,
) -> bool:
    """Write what an event says of a rating.

    Args:
        session: in a transaction.
        kind: of the store.
        event: in the log.
        user_row: of its user.
        item_row: of its item.
        time: seconds since 1970.
        seq: of the event.

    Returns: whether the rating is another one now.
    """
    if not kind.implicit and event.kind != RATING:
        return False

    value = 1.0 if event.value is None else event.value
    then = "excluded.value"
    only = " WHERE ratings.time IS NULL OR excluded.time >= ratings.time"
    if kind.implicit:
        then = "ratings.value + excluded.value"
        only = ""

    n_changed = session.run(
        "INSERT INTO ratings (user_row, item_row, value, time, seq) VALUES (?, ?, ?, ?, ?)"
        f" ON CONFLICT (user_row, item_row) DO UPDATE SET value = {then},"
        f" time = excluded.time, seq = excluded.seq{only}",
        (user_row, item_row, value, time, seq),
    )

    return n_changed > 0


def set_rating(session: Session, event: Event) -> Answer:
    """Set a rating (or a count) to a value, whatever it was; the same again changes nothing.

    Args:
        session: in a transaction.
        event: with a value; a rating without a time is given now.
    """
    kind = meta.expect_kind(session)
    current = session.one(
        "SELECT r.value, r.time FROM ratings r JOIN users u ON u.row = r.user_row"
        " JOIN items i ON i.row = r.item_row WHERE u.id = ? AND i.id = ?",
        (event.user, event.item),
    )
    if current is not None:
        value, time = current
        if value == event.value and event.time in (None, time):
            return Answer("unchanged")

        if event.time is not None and time is not None and event.time < time:
            return Answer("unchanged", None, "A later rating of this item is in the store.")

        if kind.implicit:
            # A count that is set replaces the sum.
            session.run(
                "DELETE FROM ratings WHERE user_row = (SELECT row FROM users WHERE id = ?)"
                " AND item_row = (SELECT row FROM items WHERE id = ?)",
                (event.user, event.item),
            )

    return _add(session, event, kind)


def retract(session: Session, user: str, item: str, event_id: str) -> Answer:
    """Take a rating back; "unchanged" if there is none.

    Args:
        session: in a transaction.
        user: id of the user.
        item: id of the item.
        event_id: a new id for the log.
    """
    found = session.one(
        "SELECT r.user_row, r.item_row FROM ratings r JOIN users u ON u.row = r.user_row"
        " JOIN items i ON i.row = r.item_row WHERE u.id = ? AND i.id = ?",
        (user, item),
    )
    if found is None:
        return Answer("unchanged", None, "There is no rating of this item by this user.")

    session.run("DELETE FROM ratings WHERE user_row = ? AND item_row = ?", found)
    [seq] = session.rows(
        "INSERT INTO events (id, user_row, item_row, kind, time, received)"
        " VALUES (?, ?, ?, ?, ?, ?) RETURNING seq",
        (event_id, *found, RETRACT, now(), now()),
    )[0]
    session.run("UPDATE users SET changed = ? WHERE row = ?", (seq, found[0]))

    return Answer("accepted", seq, None, True)


def last_seq(session: Session) -> int:
    """The place of the last event in the log; 0 of an empty one."""
    row = session.one("SELECT max(seq) FROM events")
    return int(row[0] or 0) if row else 0


def n_ratings(session: Session) -> int:
    """How many ratings there are now."""
    row = session.one("SELECT count(*) FROM ratings")
    return int(row[0]) if row else 0


def n_events_since(session: Session, seq: int) -> int:
    """How many ratings were given or changed after a place in the log."""
    row = session.one("SELECT count(*) FROM ratings WHERE seq > ?", (seq,))
    return int(row[0]) if row else 0
