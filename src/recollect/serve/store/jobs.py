"""Jobs: fits beside the service, what they do and what came of them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from recollect.serve.store.database import Row, Session
from recollect.serve.store.records import now

COLUMNS = "id, kind, state, made, ended, detail"
WAITING = "waiting"
RUNNING = "running"


@dataclass(frozen=True)
class Job:
    """A job.

    Args:
        id: of the job.
        kind: "refit".
        state: "waiting", "running", "done", "set aside" or "failed".
        made: seconds since 1970.
        ended: seconds since 1970; None: it runs.
        detail: what is known of it.
    """

    id: str
    kind: str
    state: str
    made: int
    ended: int | None
    detail: dict[str, Any]


def _job(row: Row) -> Job:
    job_id, kind, state, made, ended, detail = row
    return Job(job_id, kind, state, made, ended, json.loads(detail))


def add(session: Session, kind: str, detail: dict[str, Any]) -> str:
    """Note a job that is to be done; returns its id. One that waits already is the same job."""
    waiting = session.one("SELECT id FROM jobs WHERE kind = ? AND state = ?", (kind, WAITING))
    if waiting is not None:
        return str(waiting[0])

    job_id = uuid.uuid4().hex
    session.run(
        "INSERT INTO jobs (id, kind, state, made, detail) VALUES (?, ?, ?, ?, ?)",
        (job_id, kind, WAITING, now(), json.dumps(detail)),
    )
    return job_id


def next_one(session: Session) -> Job | None:
    """The job that waits longest; None without any."""
    row = session.one(f"SELECT {COLUMNS} FROM jobs WHERE state = ? ORDER BY made", (WAITING,))
    return None if row is None else _job(row)


def set_state(session: Session, job_id: str, state: str) -> None:
    """Note that a job began."""
    session.run("UPDATE jobs SET state = ? WHERE id = ?", (state, job_id))


def end(session: Session, job_id: str, state: str, detail: dict[str, Any]) -> None:
    """Note what came of a job."""
    session.run(
        "UPDATE jobs SET state = ?, ended = ?, detail = ? WHERE id = ?",
        (state, now(), json.dumps(detail), job_id),
    )


def end_those_of_killed(session: Session) -> int:
    """Note that jobs which ran in a process that is no more have failed; returns how many."""
    detail = json.dumps({"problem": "The process that it ran in ended."})
    return session.run(
        "UPDATE jobs SET state = 'failed', ended = ?, detail = ? WHERE state = ?",
        (now(), detail, RUNNING),
    )


def find(session: Session, job_id: str) -> Job | None:
    """A job by its id; None if there is none."""
    row = session.one(f"SELECT {COLUMNS} FROM jobs WHERE id = ?", (job_id,))
    return None if row is None else _job(row)


def latest(session: Session, n: int = 20) -> list[Job]:
    """The last jobs, the newest first."""
    rows = session.rows(f"SELECT {COLUMNS} FROM jobs ORDER BY made DESC, id LIMIT ?", (n,))
    return [_job(row) for row in rows]
