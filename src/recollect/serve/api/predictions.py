"""Predictions of pairs, with intervals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from recollect.serve.answers.predictions import Pair, predict_pairs
from recollect.serve.api.fields import Body, Id, Time
from recollect.serve.api.needs import READ, OfService
from recollect.serve.api.recommendations import Probability
from recollect.serve.store import users

router = APIRouter(prefix="/v1", tags=["predictions"])


class PairIn(Body):
    """A user and an item."""

    user: Annotated[Id, Field(examples=["ann"])]
    item: Annotated[Id, Field(examples=["296"])]
    time: Annotated[Time | None, Field(description="When it is rated.")] = None


class PredictionOut(Body):
    """What is predicted of a pair."""

    user: str
    item: str
    model: str
    prediction: float
    cold: Annotated[bool, Field(description="The user or the item is unknown to the model.")]
    basis: str
    std: float | None = None
    low: float | None = None
    high: float | None = None


@router.post("/predictions", dependencies=[READ])
def predict(
    body: Annotated[list[PairIn], Field(min_length=1, max_length=1000)],
    service: OfService,
    interval: Annotated[
        Probability | None,
        Query(description="A probability: std, low and high of the rating, where estimated."),
    ] = None,
) -> list[PredictionOut]:
    """The rating of each pair, from every rating up to this moment.

    Unknown users and items get the default prediction and are marked as cold.
    """
    session = service.reader()
    people = {user: users.person(session, user) for user in {pair.user for pair in body}}
    items = service.items()
    # Users of an experiment may have models of their own.
    of_version: dict[int, list[int]] = {}
    choices = {user: service.models.for_user(user) for user in people}
    for place, pair in enumerate(body):
        version = choices[pair.user].served.version.version
        of_version.setdefault(version, []).append(place)

    out: dict[int, PredictionOut] = {}
    for version, places in of_version.items():
        served = choices[body[places[0]].user].served
        pairs = [Pair(people[body[j].user], body[j].item, body[j].time) for j in places]
        for j, predicted in zip(places, predict_pairs(served, items, pairs, interval), strict=True):
            out[j] = PredictionOut(
                user=body[j].user, item=body[j].item, model=str(version), **vars(predicted)
            )

    return [out[j] for j in range(len(body))]
