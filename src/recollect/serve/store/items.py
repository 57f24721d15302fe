"""The catalogue: what is known of items, and whether they may be listed."""

from __future__ import annotations

import json
from collections.abc import Sequence

from recollect.serve.store import meta
from recollect.serve.store.database import Row, Session
from recollect.serve.store.records import Item

CHANGES = "n_item_changes"  # counts up with every change of the catalogue
COLUMNS = "row, id, title, text, fields, available, starts, ends, changed"


def row_of_item(session: Session, item_id: str) -> tuple[int, bool]:
    """The row number of an item, and whether it is a new one."""
    row = session.one("SELECT row FROM items WHERE id = ?", (item_id,))
    if row is not None:
        return int(row[0]), False

    _write(session, Item(id=item_id), meta.count_up(session, CHANGES))
    row = session.one("SELECT row FROM items WHERE id = ?", (item_id,))
    assert row is not None

    return int(row[0]), True


def put_items(session: Session, items: Sequence[Item]) -> int:
    """Write items, replacing those of the same id; returns how many are new."""
    if not items:
        return 0

    change = meta.count_up(session, CHANGES)
    n_before = count(session)
    for item in items:
        _write(session, item, change)

    return count(session) - n_before


def _write(session: Session, item: Item, change: int) -> None:
    session.run(
        "INSERT INTO items (id, title, text, fields, available, starts, ends, changed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " title = excluded.title, text = excluded.text, fields = excluded.fields,"
        " available = excluded.available, starts = excluded.starts, ends = excluded.ends,"
        " changed = excluded.changed",
        (
            item.id,
            item.title,
            item.text,
            json.dumps(item.fields, ensure_ascii=False),
            int(item.available),
            item.starts,
            item.ends,
            change,
        ),
    )


def hide(session: Session, item_id: str) -> bool:
    """Take an item out of all lists; returns whether there is such an item.

    Its ratings stay: they say something of those who gave them.
    """
    change = meta.count_up(session, CHANGES)
    n = session.run("UPDATE items SET available = 0, changed = ? WHERE id = ?", (change, item_id))
    return n > 0


def item(session: Session, item_id: str) -> Item | None:
    """An item; None if it is unknown."""
    row = session.one(f"SELECT {COLUMNS} FROM items WHERE id = ?", (item_id,))
    return None if row is None else item_of(row)


def item_of(row: Row) -> Item:
    """An item from a row with COLUMNS."""
    _, id_, title, text, fields, available, starts, ends, _ = row
    return Item(
        id=id_,
        title=title,
        text=text,
        fields=json.loads(fields),
        available=bool(available),
        starts=starts,
        ends=ends,
    )


def count(session: Session) -> int:
    """How many items there are."""
    row = session.one("SELECT count(*) FROM items")
    return int(row[0]) if row else 0


def changed_since(session: Session, change: int) -> list[Row]:
    """The rows, with COLUMNS, of items that were changed after a state of the counter."""
    return session.rows(f"SELECT {COLUMNS} FROM items WHERE changed > ? ORDER BY row", (change,))


def n_changes(session: Session) -> int:
    """The counter of changes."""
    return int(meta.get(session, CHANGES) or 0)
