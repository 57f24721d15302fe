"""Versions of the model: which there are, which answers, a new fit, back to the one before."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.exceptions import HTTPException

from recollect.serve.api.fields import Body, PathId
from recollect.serve.api.needs import ADMIN, READ, OfService
from recollect.serve.learning.refit import request_refit
from recollect.serve.service import Service
from recollect.serve.store import jobs, versions
from recollect.serve.store.database import Session
from recollect.serve.store.records import Version

router = APIRouter(prefix="/v1", tags=["models"])

Number = Annotated[int, Field(ge=1, le=2**53)]


class VersionOut(Body):
    """A fitted model."""

    version: str
    model: Annotated[str, Field(examples=["autorec"])]
    state: Annotated[str, Field(description="active, kept, set aside (by the gate) or removed.")]
    made: int
    upto_seq: Annotated[int, Field(description="The last event that it learned from.")]
    figures: dict[str, Any]


class Activation(Body):
    """When a version took over, and why."""

    version: str
    since: int
    why: str


class VersionsOut(Body):
    """All versions, the newest first."""

    active: str
    versions: list[VersionOut]
    history: list[Activation]


class JobOut(Body):
    """A job and what came of it."""

    job: str
    kind: str
    state: Annotated[str, Field(description="running, done, set aside or failed.")]
    made: int
    ended: int | None
    detail: dict[str, Any]


class ActiveOut(Body):
    """The version that answers now."""

    active: str
    before: str


def _out(version: Version, active: int | None) -> VersionOut:
    return VersionOut(
        version=str(version.version),
        model=version.kind,
        state="active" if version.version == active else version.state,
        made=version.made,
        upto_seq=version.upto_seq,
        figures=version.figures,
    )


@router.get("/models", dependencies=[READ])
def list_models(service: OfService) -> VersionsOut:
    """All versions, which answers, and when each took over."""
    session = service.reader()
    active = versions.active(session)
    history = [
        Activation(version=str(version), since=since, why=why)
        for version, since, why in versions.history(session)
    ]
    return VersionsOut(
        active=str(active),
        versions=[_out(version, active) for version in versions.every(session)],
        history=history,
    )


@router.post("/models", status_code=202, dependencies=[ADMIN])
def refit(service: OfService) -> JobOut:
    """Fit the model again on all ratings, beside the service; the answer names the job.

    A new version takes over by itself if it is not worse on the newest ratings.
    """
    job_id = request_refit(service.store, why="asked")
    return _job(service, job_id)


@router.post("/models/{version}/activate", dependencies=[ADMIN])
def activate(version: Number, service: OfService) -> ActiveOut:
    """Let a version answer, also one that the gate has set aside."""
    return _activate(service, version, "asked")


@router.post("/models/{version}/rollback", dependencies=[ADMIN])
def roll_back(version: Number, service: OfService) -> ActiveOut:
    """Let the version answer that did before this one, which must be the active one."""
    session = service.reader()
    if versions.active(session) != version:
        raise HTTPException(409, f"Version {version} is not the active one; nothing was changed.")

    before = versions.before(session, version)
    if before is None:
        raise HTTPException(409, "No version was active before that is still kept.")

    return _activate(service, before, "rollback")


def _activate(service: Service, version: int, why: str) -> ActiveOut:
    """Activate a version in the store and in this process; the others follow at once.

    It is loaded first: one that cannot be changes nothing.
    """
    session = service.reader()
    found = _kept(session, version)
    before = versions.active(session)
    if version not in service.models.state.loaded:
        service.models.load(found)

    def write(session: Session) -> None:
        # It may have been removed meanwhile.
        _kept(session, version)
        versions.activate(session, version, why)

    service.store.write(write)
    service.models.refresh()

    return ActiveOut(active=str(version), before=str(before))


def _kept(session: Session, version: int) -> Version:
    """A version whose folder is there.

    Raises:
        HTTPException: if there is none, or it was removed.
    """
    found = versions.find(session, version)
    if found is None or found.state == versions.REMOVED:
        raise HTTPException(404, f"There is no version {version}, or it was removed.")

    return found


@router.get("/jobs", dependencies=[READ])
def list_jobs(service: OfService) -> list[JobOut]:
    """The last jobs, the newest first."""
    return [JobOut(job=job.id, **_fields(job)) for job in jobs.latest(service.reader())]


@router.get("/jobs/{job}", dependencies=[READ])
def get_job(job: PathId, service: OfService) -> JobOut:
    """A job and what came of it."""
    return _job(service, job)


def _job(service: Service, job_id: str) -> JobOut:
    found = jobs.find(service.reader(), job_id)
    if found is None:
        raise HTTPException(404, "There is no job of this id.")

    return JobOut(job=found.id, **_fields(found))


def _fields(job: jobs.Job) -> dict[str, Any]:
    return {name: value for name, value in vars(job).items() if name != "id"}
