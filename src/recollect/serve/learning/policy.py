"""When it is time for a fit, and who does it: one process of all that serve a store."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from recollect.errors import RecollectError
from recollect.serve.learning.folders import new_folder, remove, to_remove
from recollect.serve.learning.refit import REFIT, FitRequest, Fitted, fit_version
from recollect.serve.process import place_of
from recollect.serve.service import Service
from recollect.serve.settings import RefitPolicy
from recollect.serve.store import jobs, lists, log, meta, versions
from recollect.serve.store.database import Session
from recollect.serve.store.jobs import Job
from recollect.serve.store.records import now
from recollect.system.processes import run_each

events = logging.getLogger("recollect.serve")

LOOK_SECONDS = 1.0
HOUR = 3600
TIDY_SECONDS = 600.0  # between two removals of old lists
FORGOTTEN = "n_forgotten"  # counts users who were forgotten


def why_now(session: Session, policy: RefitPolicy) -> str | None:
    """Why a fit is due; None: it is not.

    Args:
        session: to read with.
        policy: of the service.
    """
    active = versions.active(session)
    found = None if active is None else versions.find(session, active)
    if not policy.enabled or found is None:
        return None

    last = next(iter(jobs.latest(session, 1)), None)
    if last is not None:
        # Also after one that failed, or was set aside: it would come to the same.
        lasted = (last.ended or now()) - last.made
        if now() - (last.ended or now()) < policy.rest * max(1, lasted):
            return None

    n_newer = log.n_events_since(session, found.upto_seq)
    # All are counted only if it can matter: that reads the whole table.
    if n_newer >= policy.least_events and n_newer >= policy.share * log.n_ratings(session):
        return f"{n_newer:,} ratings are newer than the model"

    is_old = now() - found.made > policy.most_hours * HOUR
    n_forgotten = int(meta.get(session, FORGOTTEN) or 0)
    if is_old and n_forgotten > found.figures.get(FORGOTTEN, 0):
        return "users were forgotten since the last fit"

    if is_old and n_newer:
        return f"the model is older than {policy.most_hours:g} hours"

    return None


class Learner:
    """Fits new versions, in the one process that leads.

    Args:
        service: of this process.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.is_leading = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="recollect-learner", daemon=True)
        self._tidied = 0.0

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; a fit that is under way goes on until it ends or the process does."""
        self._stop.set()

    def _work(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self._look()
            except RecollectError as problem:
                events.warning("learner_failed", extra={"problem": str(problem)})

    def _look(self) -> None:
        store = self.service.store
        if not self.is_leading:
            if not store.database.lead():
                return
            self.is_leading = True
            store.write(jobs.end_those_of_killed)

        if time.monotonic() - self._tidied > TIDY_SECONDS:
            store.write(lists.remove_old)
            self._tidied = time.monotonic()

        session = store.reader()
        reason = why_now(session, self.service.settings.refit)
        job = jobs.next_one(session)
        if job is None and reason is not None:
            store.write(lambda session: jobs.add(session, REFIT, {"why": reason}))
            job = jobs.next_one(session)

        if job is not None:
            self._do(job)

    def _do(self, job: Job) -> None:
        """Fit a version, and note what came of it."""
        store = self.service.store
        store.write(lambda session: jobs.set_state(session, job.id, jobs.RUNNING))
        events.info("refit_begins", extra={"job": job.id, "why": job.detail.get("why")})

        try:
            detail, state = self._fit(job)
        except RecollectError as problem:
            detail, state = {"problem": str(problem)}, "failed"
        except Exception as problem:
            # What a library raised must not end the service's learning.
            events.error(
                "refit_error", extra={"kind": type(problem).__name__, "place": place_of(problem)}
            )
            detail, state = {"problem": f"{type(problem).__name__}; the log says where."}, "failed"

        store.write(lambda session: jobs.end(session, job.id, state, {**job.detail, **detail}))
        events.info("refit_ended", extra={"job": job.id, "state": state})

    def _fit(self, job: Job) -> tuple[dict[str, object], str]:
        """What came of a fit, and the state of its job."""
        settings = self.service.settings
        session = self.service.store.reader()
        active = versions.active(session)
        found = None if active is None else versions.find(session, active)
        assert found is not None
        n_forgotten = int(meta.get(session, FORGOTTEN) or 0)
        folder = new_folder(settings.versions).resolve()
        request = FitRequest(settings.db, found, folder, settings.trusted)
        [fitted] = run_each(fit_version, [request], processes=1)
        fitted.figures[FORGOTTEN] = n_forgotten
        version = self._take_over(fitted, folder, str(job.detail.get("why")))
        self._measure(fitted)

        return (
            {"version": str(version), "gate": fitted.why},
            "done" if fitted.passes else versions.SET_ASIDE,
        )

    def _take_over(self, fitted: Fitted, folder: object, why: str) -> int:
        """Write a version to the store; let it answer if it may; remove those beyond the kept."""
        service = self.service

        def write(session: Session) -> int:
            version = versions.add(
                session,
                folder=str(folder),
                digest=fitted.digest,
                kind=fitted.kind,
                upto_seq=fitted.upto_seq,
                figures=fitted.figures,
                state=versions.KEPT if fitted.passes else versions.SET_ASIDE,
            )
            if fitted.passes:
                versions.activate(session, version, f"refit: {why}")

            return version

        version = service.store.write(write)
        service.models.refresh()
        for old_folder in service.store.write(_note_removed):
            remove(old_folder, service.settings.versions)

        return version

    def _measure(self, fitted: Fitted) -> None:
        metrics = self.service.metrics
        metrics.fit_seconds.set(fitted.figures["seconds"])
        figure = fitted.figures["gate"]["new"]
        if figure is not None:
            metrics.gate_figure.set(figure)


def _note_removed(session: Session) -> list[Path]:
    """Note the versions beyond those that are kept as removed; returns their folders.

    In one transaction, so that none of them becomes active meanwhile.
    """
    older = to_remove(session)
    for version, _ in older:
        versions.set_state(session, version, versions.REMOVED)

    return [folder for _, folder in older]
