"""Experiments: users divided by a hash of their id, each part with a version of its own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.exceptions import HTTPException

from recollect.errors import DataError
from recollect.serve.api.fields import Body, PathId
from recollect.serve.api.needs import ADMIN, READ, OfService
from recollect.serve.report import ArmFigures, hit_rates
from recollect.serve.store import experiments, versions
from recollect.serve.store.experiments import Arm
from recollect.serve.store.versions import REMOVED

router = APIRouter(prefix="/v1", tags=["experiments"])


class ArmIn(Body):
    """A part of an experiment."""

    version: Annotated[
        int | None, Field(ge=1, description="That answers; left out: the active one.")
    ] = None
    share: Annotated[float, Field(gt=0, le=1, examples=[0.5])]


class ExperimentIn(Body):
    """The arms by name; their shares add up to 1."""

    arms: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")], ArmIn],
        Field(
            min_length=2,
            max_length=10,
            examples=[{"now": {"share": 0.5}, "newer": {"version": 3, "share": 0.5}}],
        ),
    ]


class ArmOut(Body):
    """A part of an experiment, and how often its lists led to an event."""

    arm: str
    version: str | None
    share: float


class ExperimentOut(Body):
    """An experiment."""

    name: str
    started: int
    ended: int | None
    arms: list[ArmOut]


class FiguresOut(Body):
    """How many lists were answered and how many led to an event, by version and arm."""

    model: str
    experiment: str | None
    arm: str | None
    lists: int
    hits: int
    rate: float
    low: Annotated[float, Field(description="Of the 95% interval of the rate.")]
    high: float


@router.get("/experiments", dependencies=[READ])
def list_experiments(service: OfService) -> list[ExperimentOut]:
    """All experiments, the newest first; one without an end runs."""
    return [
        ExperimentOut(
            name=one.name,
            started=one.started,
            ended=one.ended,
            arms=[
                ArmOut(
                    arm=arm.label,
                    version=None if arm.version is None else str(arm.version),
                    share=arm.share,
                )
                for arm in one.arms
            ],
        )
        for one in experiments.every(service.reader())
    ]


@router.put("/experiments/{name}", dependencies=[ADMIN])
def put_experiment(name: PathId, body: ExperimentIn, service: OfService) -> list[ExperimentOut]:
    """Start an experiment, or change its arms. One runs at a time: the one before ends."""
    total = sum(arm.share for arm in body.arms.values())
    if abs(total - 1) > 1e-6:
        raise DataError(f"The shares of the arms add up to {total:g}; expected 1.")

    session = service.reader()
    for arm in body.arms.values():
        found = None if arm.version is None else versions.find(session, arm.version)
        if arm.version is not None and (found is None or found.state == REMOVED):
            raise DataError(f"There is no version {arm.version}, or it was removed.")

    arms = tuple(Arm(label, arm.version, arm.share) for label, arm in body.arms.items())
    service.store.write(lambda session: experiments.put(session, name, arms))
    service.models.refresh()

    return list_experiments(service)


@router.delete("/experiments/{name}", dependencies=[ADMIN])
def end_experiment(name: PathId, service: OfService) -> list[ExperimentOut]:
    """End an experiment: everyone gets the active version."""
    if not service.store.write(lambda session: experiments.end(session, name)):
        raise HTTPException(404, "No experiment of this name runs.")

    service.models.refresh()

    return list_experiments(service)


@router.get("/report", dependencies=[READ])
def report(service: OfService) -> list[FiguresOut]:
    """How often lists led to an event that named them, by version and arm, with intervals."""
    return [_figures(one) for one in hit_rates(service.reader())]


def _figures(one: ArmFigures) -> FiguresOut:
    return FiguresOut(
        model=str(one.version),
        experiment=one.experiment,
        arm=one.arm,
        lists=one.n_lists,
        hits=one.n_hits,
        rate=one.rate,
        low=one.low,
        high=one.high,
    )
