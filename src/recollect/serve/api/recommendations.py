"""Lists: for a user, for someone without an id, and what became of them."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from jaxtyping import Int64
from pydantic import Field
from starlette.exceptions import HTTPException

from recollect.errors import DataError, SettingError
from recollect.request import ratings_of_new_user
from recollect.serve.answers.catalogue import Items
from recollect.serve.answers.listing import Entry, Made, make_list
from recollect.serve.answers.wanted import MOST_ITEMS, Wanted
from recollect.serve.api.fields import Body, HowMany, Id, Number, PathId
from recollect.serve.api.needs import READ, OfService
from recollect.serve.learning.active import Choice
from recollect.serve.service import Service
from recollect.serve.store import lists, users
from recollect.serve.store.records import Person, ShownList, now

router = APIRouter(prefix="/v1", tags=["recommendations"])

CURSOR_SECONDS = 1800  # how long further pages of a list can be asked for
Share = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(gt=0, lt=1)]
WHERE = "Conditions on the items' fields, such as genre:Drama year>=1990 -title:Titanic seen."


class ReasonOut(Body):
    """A rating that spoke for an item."""

    item: str
    title: str | None
    value: float
    influence: float


class EntryOut(Body):
    """A place of a list."""

    item: Annotated[str, Field(examples=["296"])]
    rank: int
    title: Annotated[str | None, Field(examples=["Pulp Fiction (1994)"])]
    basis: Annotated[str, Field(description="That of the list, or fresh.", examples=["fold_in"])]
    score: float | None
    prediction: Annotated[float | None, Field(examples=[4.4])]
    std: float | None = None
    low: float | None = None
    high: float | None = None
    fields: dict[str, Any]
    reasons: list[ReasonOut] | None = None


class ListOut(Body):
    """A list, which model made it, and what from."""

    recommendation: Annotated[str, Field(description="Its id: send it with events that it led to.")]
    user: str | None
    model: Annotated[str, Field(description="The version that made it.", examples=["3"])]
    experiment: str | None
    arm: str | None
    basis: Annotated[
        str,
        Field(
            description="model: the user as the model learned them; fold_in: from ratings that are "
            "newer than the model; popular: nothing is known of them.",
            examples=["fold_in"],
        ),
    ]
    cursor: Annotated[str | None, Field(description="For the next page.")]
    notes: list[str]
    items: list[EntryOut]


class NewPersonIn(Body):
    """Someone without an id: what they rated or chose, and what the list is to be."""

    ratings: Annotated[
        dict[Id, Number] | None, Field(max_length=1000, examples=[{"296": 5, "593": 4}])
    ] = None
    events: Annotated[
        list[Id] | dict[Id, Number] | None,
        Field(max_length=1000, description="Of a model of events: items, or counts of each."),
    ] = None
    n: HowMany = 10
    cursor: Id | None = None
    allow: Annotated[list[Id] | None, Field(max_length=1000)] = None
    deny: Annotated[list[Id], Field(max_length=1000, default_factory=list)]
    where: Annotated[str | None, Field(max_length=1000, description=WHERE)] = None
    seen: bool = False
    rank_by: Annotated[str | None, Field(max_length=20)] = None
    at_most: Annotated[dict[str, int], Field(max_length=10, default_factory=dict)]
    diversity: Share = 0.0
    fresh: Share = 0.0
    explain: Annotated[int, Field(ge=0, le=10)] = 0


@router.get("/users/{user}/recommendations", dependencies=[READ])
def recommend(
    user: PathId,
    service: OfService,
    n: HowMany = 10,
    cursor: Annotated[Id | None, Query(description="Of the page before.")] = None,
    allow: Annotated[list[Id] | None, Query(description="Candidates; left out: all.")] = None,
    deny: Annotated[list[Id] | None, Query(description="Items that are no candidates.")] = None,
    where: Annotated[
        str | None, Query(max_length=1000, description=WHERE, examples=["genre:Drama year>=1990"])
    ] = None,
    seen: Annotated[bool, Query(description="List items that the user has rated, too.")] = False,
    rank_by: Annotated[str | None, Query(max_length=20, description="both or rating")] = None,
    at_most: Annotated[
        list[str] | None, Query(description="field=number: how many items may share a value.")
    ] = None,
    diversity: Annotated[Share, Query(description="0: by score alone; below 1.")] = 0.0,
    fresh: Annotated[Share, Query(description="The share of new items.")] = 0.0,
    explain: Annotated[int, Query(ge=0, le=10, description="Reasons for each item.")] = 0,
    interval: Annotated[
        Probability | None, Query(description="A probability: intervals of the predictions.")
    ] = None,
) -> ListOut:
    """The best items for a user, from every rating up to this moment.

    An unknown user gets what is best for everyone, and the basis says so. A further page, asked for
    by the cursor of the one before, has none of the items of earlier pages and the same wishes.
    """
    person = users.person(service.reader(), user)
    wanted = Wanted(
        n=n,
        allow=None if allow is None else tuple(allow),
        deny=tuple(deny or ()),
        where=where,
        seen=seen,
        rank_by=rank_by,
        at_most=_limits(at_most or []),
        diversity=diversity,
        fresh=fresh,
        explain=explain,
        interval=interval,
    )

    return answer_list(service, person, wanted, cursor)


@router.post("/recommendations", dependencies=[READ])
def recommend_to_someone(body: NewPersonIn, service: OfService) -> ListOut:
    """The best items for someone without an id, from ratings or events that are not stored."""
    model = service.models.for_user(None).served.model
    given: dict[str, float] = {}
    if body.ratings or body.events:
        given = ratings_of_new_user(model, body.ratings or None, body.events or None)

    items = service.items()
    rows = items.rows(list(given))
    values = np.array(list(given.values()), np.float64)
    person = Person(None, None, 0, rows[rows >= 0], values[rows >= 0])
    wanted = Wanted(
        n=body.n,
        allow=None if body.allow is None else tuple(body.allow),
        deny=tuple(body.deny),
        where=body.where,
        seen=body.seen,
        rank_by=body.rank_by,
        at_most=tuple(body.at_most.items()),
        diversity=body.diversity,
        fresh=body.fresh,
        explain=body.explain,
    )
    answer = answer_list(service, person, wanted, body.cursor)
    n_unknown = int((rows < 0).sum())
    if n_unknown:
        answer.notes.append(f"{n_unknown:,} of {len(rows):,} given items are unknown.")

    return answer


@router.post("/recommendations/{recommendation}/shown", dependencies=[READ])
def shown(recommendation: PathId, service: OfService) -> dict[str, str]:
    """Note that a list was seen by the person."""
    if not service.store.write(lambda session: lists.mark_shown(session, recommendation)):
        raise HTTPException(404, "There is no list of this id, or it is older than is kept.")

    return {"outcome": "accepted"}


def _limits(stated: list[str]) -> tuple[tuple[str, int], ...]:
    """Limits per field from field=number.

    Raises:
        SettingError: for anything else.
    """
    limits = []
    for text in stated:
        name, _, number = text.rpartition("=")
        if not name or not number.isascii() or not number.isdigit() or len(number) > 4:
            raise SettingError(f"at_most is field=number, such as genre=2; found {text!r}.")

        limits.append((name, int(number)))

    return tuple(limits)


def answer_list(service: Service, person: Person, wanted: Wanted, cursor: str | None) -> ListOut:
    """Make a list, keep it, and write it as an answer.

    Args:
        service: of this process.
        person: whose list it is.
        wanted: what it is to be; of a further page, what the first was to be.
        cursor: the list before; None: this is the first page.
    """
    items = service.items()
    earlier = None if cursor is None else _earlier(service, person, cursor)
    if earlier is not None:
        wanted = Wanted.from_json(earlier.query)

    choice = service.models.for_user(person.id)
    before = None if earlier is None else earlier.items
    made = make_list(choice.served, items, person, wanted, shown=before)
    listed = np.array([entry.item for entry in made.entries], np.int64)
    so_far = listed if before is None else np.concatenate([before, listed])
    list_id = _keep(service, choice, person, wanted, so_far, len(listed))
    service.metrics.lists.labels(made.basis).inc()
    for entry in made.entries:
        service.metrics.listed.labels(entry.basis).inc()

    has_more = len(listed) == wanted.n and len(so_far) < MOST_ITEMS

    return _written(person, choice, items, made, list_id, cursor=list_id if has_more else None)


def _keep(
    service: Service,
    choice: Choice,
    person: Person,
    wanted: Wanted,
    so_far: Int64[np.ndarray, " items"],
    n: int,
) -> str:
    """Keep a list for what may come of it; returns its id.

    Args:
        service: of this process.
        choice: who made it.
        person: whose it is.
        wanted: what it is to be.
        so_far: row numbers of the items of this page and those before.
        n: how many of them this page has.
    """
    kept = ShownList(
        id=uuid.uuid4().hex,
        user_row=person.row,
        version=choice.served.version.version,
        experiment=choice.experiment,
        arm=choice.arm,
        query=wanted.as_json(),
        n=n,
        items=so_far,
        made=now(),
    )
    # Nobody waits for it: a list that is lost with the process cannot be continued, no more.
    service.store.submit(lambda session: lists.add(session, kept))

    return kept.id


def _earlier(service: Service, person: Person, cursor: str) -> ShownList:
    """The list whose next page is asked for.

    Raises:
        DataError: if it is unknown, too old, or another user's.
    """
    deadline = time.monotonic() + 0.5
    found = lists.find(service.reader(), cursor)
    # It is written a moment after it was answered.
    while found is None and time.monotonic() < deadline:
        time.sleep(0.01)
        found = lists.find(service.reader(), cursor)

    if found is None or found.user_row != person.row or now() - found.made > CURSOR_SECONDS:
        raise DataError(
            "The cursor is of no list of this user, or older than half an hour; ask without it."
        )

    return found


def _written(
    person: Person,
    choice: Choice,
    items: Items,
    made: Made,
    list_id: str,
    *,
    cursor: str | None,
) -> ListOut:
    """A list as an answer.

    Args:
        person: whose it is.
        choice: who made it.
        items: the catalogue.
        made: the list.
        list_id: its id.
        cursor: for the next page; None: there is none.
    """
    return ListOut(
        recommendation=list_id,
        user=person.id,
        model=str(choice.served.version.version),
        experiment=choice.experiment,
        arm=choice.arm,
        basis=made.basis,
        cursor=cursor,
        notes=made.notes,
        items=[_entry(items, entry, rank + 1) for rank, entry in enumerate(made.entries)],
    )


def _entry(items: Items, entry: Entry, rank: int) -> EntryOut:
    reasons = [
        ReasonOut(
            item=items.ids[reason.item],
            title=items.titles[reason.item],
            value=reason.value,
            influence=reason.influence,
        )
        for reason in entry.reasons
    ]
    return EntryOut(
        item=items.ids[entry.item],
        rank=rank,
        title=items.titles[entry.item],
        basis=entry.basis,
        score=entry.score,
        prediction=entry.prediction,
        std=entry.std,
        low=entry.low,
        high=entry.high,
        fields=items.fields[entry.item],
        reasons=reasons or None,
    )
