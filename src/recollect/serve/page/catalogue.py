"""Items on the page: found, shown with similar ones, added by a text."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from recollect.errors import RecollectError
from recollect.serve.answers.similar import similar_items
from recollect.serve.api.fields import PathId
from recollect.serve.page.render import page, refusal, service_of
from recollect.serve.store import items as store_items

router = APIRouter(include_in_schema=False)

SIMILAR = 8
FOUND = 30


@router.get("/items")
def items(request: Request, search: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Find an item, or add one."""
    if asked := refusal(request):
        return asked

    catalogue = service_of(request).items()
    wanted = search.strip().lower()
    found = [
        (id_, catalogue.titles[row] or id_, catalogue.fields[row])
        for id_, row in catalogue.row_of.items()
        if wanted in (catalogue.titles[row] or id_).lower()
    ][:FOUND]
    served = service_of(request).models.for_user(None).served
    reads_texts = "text" in served.model.capabilities.needs

    return page(request, "items.html", search=search, found=found, reads_texts=reads_texts)


@router.get("/items/{item}")
def item(request: Request, item: PathId) -> Response:
    """An item, and what is similar."""
    if asked := refusal(request):
        return asked

    service = service_of(request)
    found = store_items.item(service.reader(), item)
    if found is None:
        return page(request, "missing.html", 404, what=item)

    catalogue = service.items()
    note = None
    pairs: list[tuple[int, float]] | None = []

    try:
        pairs = similar_items(service.models.for_user(None).served, catalogue, item, SIMILAR)
    except RecollectError as problem:
        note = str(problem)

    if pairs is None:
        note = "The model has not learned of this item yet."

    similar = [
        (catalogue.ids[row], catalogue.titles[row] or catalogue.ids[row], value)
        for row, value in pairs or ()
    ]

    return page(request, "item.html", item=found, similar=similar, note=note)
