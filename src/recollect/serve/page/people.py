"""A person, or someone without a name: what they rated, and their list as it changes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.responses import RedirectResponse

from recollect.serve.answers.wanted import Wanted
from recollect.serve.api.fields import Body, Id, Number, PathId
from recollect.serve.api.needs import READ
from recollect.serve.api.recommendations import ListOut, answer_list
from recollect.serve.page.render import page, refusal, service_of
from recollect.serve.store import users
from recollect.serve.store.records import Person

router = APIRouter(include_in_schema=False)

N = 10
REASONS = 2
TO_RATE = 12  # items that a newcomer is shown
Search = Annotated[str, Query(max_length=200)]


class Given(Body):
    """The ratings of someone without a name."""

    ratings: Annotated[dict[Id, Number], Field(max_length=1000, default_factory=dict)]


@router.get("/")
def home(request: Request, search: Search = "") -> Response:
    """Find a person, or begin without a name."""
    if asked := refusal(request):
        return asked

    service = service_of(request)
    found = users.search(service.reader(), search.strip(), 12)
    return page(
        request, "home.html", search=search, found=found, n_items=len(service.items().row_of)
    )


@router.get("/people")
def find_person(request: Request, user: Annotated[Id, Query()]) -> Response:
    """Go to a person's page."""
    return RedirectResponse(request.url_for("person", user=user), 303)


@router.get("/people/{user}")
def person(request: Request, user: PathId, search: Search = "") -> Response:
    """What a person rated, their list, and what they may rate."""
    if asked := refusal(request):
        return asked

    service = service_of(request)
    session = service.reader()
    known = users.person(session, user)
    rated = []
    if known.row is not None:
        rated = users.ratings_page(session, known.row, after=0, n=1000)

    given = {item: value for _, item, _, value, _ in rated}

    return page(
        request,
        "person.html",
        user=user,
        answer=_list_of(request, known),
        rated=[(item, title or item, value) for _, item, title, value, _ in rated],
        to_rate=_to_rate(request, search, given),
        search=search,
    )


@router.get("/people/{user}/list", dependencies=[READ])
def list_of_person(request: Request, user: PathId) -> Response:
    """The list alone, for the script."""
    known = users.person(service_of(request).reader(), user)
    return page(request, "list.html", answer=_list_of(request, known))


@router.get("/try")
def someone(request: Request, search: Search = "") -> Response:
    """Rate a few items without a name; nothing is stored."""
    if asked := refusal(request):
        return asked

    nobody = Person(None, None, 0, users.NO_ITEMS, users.NO_VALUES)
    return page(
        request,
        "person.html",
        user=None,
        answer=_list_of(request, nobody),
        rated=[],
        to_rate=_to_rate(request, search, {}),
        search=search,
    )


@router.post("/try/list", dependencies=[READ])
def list_of_someone(request: Request, body: Given) -> Response:
    """The list alone, for the script."""
    items = service_of(request).items()
    rows = items.rows(list(body.ratings))
    values = np.array(list(body.ratings.values()), np.float64)
    known = rows >= 0
    guest = Person(None, None, 0, rows[known], values[known])

    return page(request, "list.html", answer=_list_of(request, guest))


def _list_of(request: Request, known: Person) -> ListOut:
    wanted = Wanted(n=N, explain=REASONS)
    return answer_list(service_of(request), known, wanted, None)


def _to_rate(
    request: Request, search: str, given: dict[str, float]
) -> list[tuple[str, str, float | None]]:
    """Items with their titles and the ratings that were given: those found, or popular ones."""
    service = service_of(request)
    items = service.items()
    wanted = search.strip().lower()
    if wanted:
        ids = [
            id_
            for id_, row in items.row_of.items()
            if wanted in (items.titles[row] or "").lower() or wanted == id_.lower()
        ][:TO_RATE]
    else:
        # The most rated are those that most people can say something of.
        served = service.models.for_user(None).served
        order = np.argsort(-served.model.given_.count("item"), kind="stable")
        rows = served.store_rows(items)[order[: 3 * TO_RATE]]
        ids = [items.ids[row] for row in rows if row >= 0 and items.available[row]][:TO_RATE]

    return [(id_, items.titles[items.row_of[id_]] or id_, given.get(id_)) for id_ in ids]
