"""Events: what users did, many at a time, each counted once however often it is sent."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Annotated, Literal

from fastapi import APIRouter, Header
from pydantic import Field

from recollect.serve.api.fields import Body, Id, Number, Time
from recollect.serve.api.needs import WRITE, OfService
from recollect.serve.api.ratings import kind_of, why_not
from recollect.serve.store import log
from recollect.serve.store.records import OURS, RATING, Answer, Event, Kind

router = APIRouter(prefix="/v1", tags=["events"])

MOST = 1000  # events in a request


class EventIn(Body):
    """What a user did with an item."""

    id: Annotated[
        Id | None,
        Field(
            description="Unique for ever, such as a UUID. Sent again it changes nothing.",
            examples=["5b2c8f6e-9d1b-4a0c-8a62-1b7a3f0c2d11"],
        ),
    ] = None
    user: Annotated[Id, Field(examples=["ann"])]
    item: Annotated[Id, Field(examples=["296"])]
    value: Annotated[
        Number | None, Field(description="The rating, or the count of an event.", examples=[4.5])
    ] = None
    kind: Annotated[
        str | None,
        Field(
            max_length=40,
            pattern=r"^[a-z][a-z0-9_-]*$",
            description="rating, or any word for what happened; left out: rating if there is a "
            "value, else event.",
            examples=["rating"],
        ),
    ] = None
    time: Time | None = None
    recommendation: Annotated[
        Id | None, Field(description="The id of the list that led to it.")
    ] = None


class EventOut(Body):
    """What became of an event."""

    id: str | None
    outcome: Literal["accepted", "duplicate", "refused"]
    seq: int | None = None
    reason: str | None = None


class EventsOut(Body):
    """What became of each event, in the order in which they were sent."""

    accepted: int
    duplicate: int
    refused: int
    events: list[EventOut]


@router.post("/events", dependencies=[WRITE])
def add_events(
    body: Annotated[list[EventIn], Field(min_length=1, max_length=MOST)],
    service: OfService,
    idempotency_key: Annotated[str | None, Header(max_length=256)] = None,
) -> EventsOut:
    """Add events; each is accepted, a duplicate, or refused with the reason.

    When the answer comes, those that were accepted are on the disk, and the next list knows them.
    An event without an id gets one from the header Idempotency-Key, its place and its content.
    """
    kind = kind_of(service)
    checked = [
        _checked(one, kind, None if idempotency_key is None else f"{idempotency_key}:{place}")
        for place, one in enumerate(body)
    ]
    events = [one for one in checked if isinstance(one, Event)]
    answers: list[Answer] = []
    if events:
        answers = service.store.write(lambda session: log.add_events(session, events))

    written = iter(answers)
    out = []
    for one, event in zip(checked, body, strict=True):
        if isinstance(one, str):
            out.append(EventOut(id=event.id, outcome="refused", reason=one))
        else:
            answer = next(written)
            outcome = "duplicate" if answer.outcome == "unchanged" else answer.outcome
            out.append(EventOut(id=one.id, outcome=outcome, seq=answer.seq, reason=answer.reason))

    counted = Counter(one.outcome for one in out)
    for outcome, n in counted.items():
        service.metrics.events.labels(outcome).inc(n)

    return EventsOut(
        accepted=counted["accepted"],
        duplicate=counted["duplicate"],
        refused=counted["refused"],
        events=out,
    )


def _checked(event: EventIn, kind: Kind, key: str | None) -> Event | str:
    """The event for the store, or why it is refused.

    Args:
        event: as it was sent.
        kind: of the store.
        key: what an id is made of where there is none; None: nothing.
    """
    content = event.model_dump(exclude={"id"})
    event_id = event.id
    if event_id is None:
        if key is None:
            return "It has no id; state one (a UUID), or send the header Idempotency-Key."
        event_id = hashlib.sha256(f"{key}:{json.dumps(content)}".encode()).hexdigest()

    name = event.kind or (RATING if event.value is not None or kind.implicit else "event")
    if name in OURS:
        return f"The kind {name!r} is the service's own; choose another word."

    if name == RATING and event.value is None and not kind.implicit:
        return "A rating has a value; state it."

    if event.value is not None and (kind.implicit or name == RATING):
        refusal = why_not(kind, event.item, event.value)
        if refusal:
            return refusal

    return Event(**{**content, "id": event_id, "kind": name})
