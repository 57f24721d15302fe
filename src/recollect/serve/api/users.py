"""Users: what the service knows of one, who is similar, and how to be forgotten."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.exceptions import HTTPException

from recollect.serve.answers.similar import similar_users
from recollect.serve.api.fields import Body, HowMany, PathId
from recollect.serve.api.needs import ADMIN, READ, OfService
from recollect.serve.store import users

router = APIRouter(prefix="/v1", tags=["users"])

UNKNOWN_USER = "There is no user of this id in the store."


class UserRating(Body):
    """A rating."""

    item: str
    title: str | None
    value: float
    time: int | None


class UserOut(Body):
    """What the service knows of a user."""

    user: str
    n_ratings: int
    ratings: list[UserRating]
    cursor: Annotated[str | None, Field(description="For the next page.")]


class FoundUser(Body):
    """A user."""

    user: str
    n_ratings: int


class SimilarUser(Body):
    """A user who is similar to another."""

    user: str
    rank: int
    similarity: float


class ForgottenOut(Body):
    """What was deleted."""

    ratings: int
    note: str


@router.get("/users", dependencies=[READ])
def find_users(
    service: OfService,
    search: Annotated[str, Query(max_length=200, description="How the id begins.")] = "",
    n: HowMany = 10,
) -> list[FoundUser]:
    """Users whose id begins with a text."""
    found = users.search(service.reader(), search, n)
    return [FoundUser(user=id_, n_ratings=count) for id_, count in found]


@router.get("/users/{user}", dependencies=[READ])
def get_user(
    user: PathId,
    service: OfService,
    n: HowMany = 100,
    cursor: Annotated[int, Query(ge=0, le=2**62, description="Of the page before.")] = 0,
) -> UserOut:
    """All that the service knows of a user, page by page."""
    session = service.reader()
    person = users.person(session, user)
    if person.row is None:
        raise HTTPException(404, UNKNOWN_USER)

    rows = users.ratings_page(session, person.row, after=cursor, n=n)
    ratings = [
        UserRating(item=item, title=title, value=value, time=time)
        for _, item, title, value, time in rows
    ]

    return UserOut(
        user=user,
        n_ratings=len(person.items),
        ratings=ratings,
        cursor=str(rows[-1][0]) if len(rows) == n else None,
    )


@router.delete("/users/{user}", dependencies=[ADMIN])
def forget(user: PathId, service: OfService) -> ForgottenOut:
    """Forget a user: ratings, events and lists are deleted, and no import brings them back."""
    n_ratings = service.store.write(lambda session: users.forget(session, user))
    if n_ratings is None:
        raise HTTPException(404, UNKNOWN_USER)

    return ForgottenOut(
        ratings=n_ratings,
        note="Versions that were fitted before hold these ratings until they are removed; the next "
        "fit does not.",
    )


@router.get("/users/{user}/similar", dependencies=[READ])
def similar(user: PathId, service: OfService, n: HowMany = 10) -> list[SimilarUser]:
    """The users who are most similar to one, by the model's vectors."""
    session = service.reader()
    if users.person(session, user).row is None:
        raise HTTPException(404, UNKNOWN_USER)

    pairs = similar_users(service.models.for_user(user).served, session, user, n)
    if pairs is None:
        raise HTTPException(404, "The model has not learned of this user yet; the next fit will.")

    return [
        SimilarUser(user=id_, rank=place + 1, similarity=value)
        for place, (id_, value) in enumerate(pairs)
    ]
