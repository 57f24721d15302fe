"""Experiments: which share of the users gets which version."""

from __future__ import annotations

import json
from dataclasses import dataclass

from recollect.serve.store import meta, versions
from recollect.serve.store.database import Session
from recollect.serve.store.records import now


@dataclass(frozen=True)
class Arm:
    """A part of an experiment.

    Args:
        label: its name.
        version: of the model that answers; None: the active one.
        share: of the users, 0 to 1.
    """

    label: str
    version: int | None
    share: float


@dataclass(frozen=True)
class Experiment:
    """Arms that users are divided into by a hash of their id.

    Args:
        name: of the experiment.
        arms: their shares add up to 1.
        started: seconds since 1970.
        ended: seconds since 1970; None: it runs.
    """

    name: str
    arms: tuple[Arm, ...]
    started: int
    ended: int | None


def put(session: Session, name: str, arms: tuple[Arm, ...]) -> None:
    """Start an experiment, or change its arms. Others end: one runs at a time."""
    content = json.dumps([vars(arm) for arm in arms])
    session.run("UPDATE experiments SET ended = ? WHERE ended IS NULL AND name <> ?", (now(), name))
    session.run(
        "INSERT INTO experiments (name, arms, started) VALUES (?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET arms = excluded.arms, ended = NULL",
        (name, content, now()),
    )
    meta.count_up(session, versions.CHANGES)


def end(session: Session, name: str) -> bool:
    """End an experiment; returns whether it ran."""
    n = session.run(
        "UPDATE experiments SET ended = ? WHERE name = ? AND ended IS NULL", (now(), name)
    )
    meta.count_up(session, versions.CHANGES)
    return n > 0


def every(session: Session) -> list[Experiment]:
    """All experiments, the newest first."""
    return [
        Experiment(name, tuple(Arm(**arm) for arm in json.loads(arms)), started, ended)
        for name, arms, started, ended in session.rows(
            "SELECT name, arms, started, ended FROM experiments ORDER BY started DESC, name"
        )
    ]


def running(session: Session) -> Experiment | None:
    """The experiment that runs; None without one."""
    return next((one for one in every(session) if one.ended is None), None)
