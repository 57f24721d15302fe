"""A user's rating of an item: set it, take it back."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from recollect.errors import DataError
from recollect.serve.api.fields import Body, Number, PathId, Time
from recollect.serve.api.needs import WRITE, OfService
from recollect.serve.service import Service
from recollect.serve.store import log, meta
from recollect.serve.store.records import RATING, Answer, Event, Kind

router = APIRouter(prefix="/v1", tags=["ratings"])


class RatingIn(Body):
    """A rating; of a service of events, the count."""

    value: Annotated[Number, Field(examples=[4.5])]
    time: Annotated[Time | None, Field(description="When it was given; left out: now.")] = None


class RatingOut(Body):
    """What became of it."""

    outcome: Annotated[str, Field(examples=["accepted"], description="accepted or unchanged")]
    seq: Annotated[int | None, Field(description="Its place in the log.")] = None
    note: str | None = None


def kind_of(service: Service) -> Kind:
    """What the store's ratings are."""
    return meta.expect_kind(service.reader())


def why_not(kind: Kind, item: str, value: float) -> str | None:
    """Why a value cannot be a rating here; None: it can."""
    if kind.implicit:
        if value > 0:
            return None
        return f"The count of item {item!r} is {value:g}; expected a number above 0."

    if kind.low <= value <= kind.high:
        return None

    return f"The rating of item {item!r} is {value:g}; the scale is {kind.low:g} to {kind.high:g}."


def _out(service: Service, answer: Answer) -> RatingOut:
    service.metrics.events.labels(answer.outcome).inc()
    return RatingOut(outcome=answer.outcome, seq=answer.seq, note=answer.reason)


@router.put("/users/{user}/ratings/{item}", dependencies=[WRITE])
def set_rating(user: PathId, item: PathId, body: RatingIn, service: OfService) -> RatingOut:
    """Set a rating, whatever it was. The same again changes nothing.

    When the answer comes, it is on the disk, and the next list knows it.
    """
    refusal = why_not(kind_of(service), item, body.value)
    if refusal:
        raise DataError(refusal)

    event = Event(
        id=uuid.uuid4().hex, user=user, item=item, kind=RATING, value=body.value, time=body.time
    )
    answer: Answer = service.store.write(lambda session: log.set_rating(session, event))

    return _out(service, answer)


@router.delete("/users/{user}/ratings/{item}", dependencies=[WRITE])
def take_back(user: PathId, item: PathId, service: OfService) -> RatingOut:
    """Take a rating back. Without one nothing changes."""
    new_id = uuid.uuid4().hex
    answer: Any = service.store.write(lambda session: log.retract(session, user, item, new_id))
    return _out(service, answer)
