"""The catalogue: items, what is known of them, what is similar."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, Field
from starlette.exceptions import HTTPException

from recollect.serve.answers.catalogue import OWN_NAMES
from recollect.serve.answers.similar import similar_items
from recollect.serve.api.fields import Body, HowMany, Id, PathId, Time
from recollect.serve.api.needs import READ, WRITE, OfService
from recollect.serve.store import items as store_items
from recollect.serve.store.records import Item

router = APIRouter(prefix="/v1", tags=["items"])

LONGEST_FIELDS = 20_000  # characters of an item's fields as JSON
LONGEST_TEXT = 100_000
UNKNOWN_ITEM = "There is no item of this id in the catalogue."


def _checked_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields whose names are free and whose values are a text, a number, yes or no, or a list."""
    for name, value in fields.items():
        if name in OWN_NAMES or not name.isprintable() or not name:
            raise ValueError(f"a field cannot be called {name!r}")

        members = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str | int | float | bool | None) for one in members):
            raise ValueError(f"{name!r} is neither a text, a number, yes or no, nor a list of them")

    if len(json.dumps(fields)) > LONGEST_FIELDS:
        raise ValueError(f"the fields have more than {LONGEST_FIELDS:,} characters")

    return fields


class ItemIn(Body):
    """What is known of an item. What is left out is removed."""

    title: Annotated[str | None, Field(max_length=1000, examples=["Pulp Fiction (1994)"])] = None
    text: Annotated[
        str | None,
        Field(
            max_length=LONGEST_TEXT,
            description="What is written about it: to a model that reads texts, enough to "
            "recommend it within seconds.",
        ),
    ] = None
    fields: Annotated[
        dict[str, Any],
        AfterValidator(_checked_fields),
        Field(
            description="Anything else, to ask for with where.",
            max_length=50,
            default_factory=dict,
            examples=[{"genre": ["Crime"], "year": 1994}],
        ),
    ]
    available: Annotated[bool, Field(description="Whether it may be listed.")] = True
    starts: Annotated[Time | None, Field(description="From when on.")] = None
    ends: Annotated[Time | None, Field(description="Until when.")] = None


class ItemOfMany(ItemIn):
    """An item with its id."""

    id: Id


class ItemOut(Body):
    """An item of the catalogue."""

    id: str
    title: str | None
    text: str | None
    fields: dict[str, Any]
    available: bool
    starts: int | None
    ends: int | None


class ItemsOut(Body):
    """How many items were written."""

    written: int
    new: int


class FoundOut(Body):
    """Items whose title or id has a text."""

    id: str
    title: str | None


class SimilarItem(Body):
    """An item that is similar to another."""

    item: str
    rank: int
    title: str | None
    similarity: float
    fields: dict[str, Any]


class SimilarOut(Body):
    """The items most similar to one."""

    item: str
    model: str
    notes: list[str]
    items: list[SimilarItem]


def _item(item_id: str, body: ItemIn) -> Item:
    return Item(id=item_id, **body.model_dump(exclude={"id"}))


@router.get("/items", dependencies=[READ])
def find_items(
    service: OfService, search: Annotated[str, Field(max_length=200)] = "", n: HowMany = 10
) -> list[FoundOut]:
    """Items whose title or id has a text, in the order of their ids' arrival."""
    items = service.items()
    wanted = search.lower()
    out: list[FoundOut] = []
    for item_id, row in items.row_of.items():
        title = items.titles[row]
        if wanted in (title or "").lower() or wanted == item_id.lower():
            out.append(FoundOut(id=item_id, title=title))
            if len(out) == n:
                break

    return out


@router.post("/items", dependencies=[WRITE])
def put_items(
    body: Annotated[list[ItemOfMany], Field(min_length=1, max_length=1000)], service: OfService
) -> ItemsOut:
    """Write many items, replacing those of the same id."""
    items = [_item(one.id, one) for one in body]
    n_new: int = service.store.write(lambda session: store_items.put_items(session, items))
    return ItemsOut(written=len(items), new=n_new)


@router.get("/items/{item}", dependencies=[READ])
def get_item(item: PathId, service: OfService) -> ItemOut:
    """An item of the catalogue."""
    found = store_items.item(service.reader(), item)
    if found is None:
        raise HTTPException(404, UNKNOWN_ITEM)

    return ItemOut(**vars(found))


@router.put("/items/{item}", dependencies=[WRITE])
def put_item(item: PathId, body: ItemIn, service: OfService) -> ItemsOut:
    """Write an item, replacing what was known of it. It counts for the next list."""
    one = _item(item, body)
    n_new: int = service.store.write(lambda session: store_items.put_items(session, [one]))
    return ItemsOut(written=1, new=n_new)


@router.delete("/items/{item}", dependencies=[WRITE])
def hide_item(item: PathId, service: OfService) -> dict[str, str]:
    """Take an item out of all lists. Its ratings stay, as they say something of their users."""
    if not service.store.write(lambda session: store_items.hide(session, item)):
        raise HTTPException(404, UNKNOWN_ITEM)

    return {"outcome": "hidden"}


@router.get("/items/{item}/similar", dependencies=[READ])
def similar(item: PathId, service: OfService, n: HowMany = 10) -> SimilarOut:
    """The items that are most similar to one, by the model's vectors."""
    items = service.items()
    if item not in items.row_of:
        raise HTTPException(404, UNKNOWN_ITEM)

    served = service.models.for_user(None).served
    pairs = similar_items(served, items, item, n)
    notes = [] if pairs is not None else ["The model has not learned of this item yet."]
    found = [
        SimilarItem(
            item=items.ids[row],
            rank=place + 1,
            title=items.titles[row],
            similarity=value,
            fields=items.fields[row],
        )
        for place, (row, value) in enumerate(pairs or ())
    ]

    return SimilarOut(item=item, model=str(served.version.version), notes=notes, items=found)
