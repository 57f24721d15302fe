"""What the service learned when: its versions with their figures, its fits, its health."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from recollect.serve.page.curve import HEIGHT, WIDTH, curves
from recollect.serve.page.render import page, refusal, service_of
from recollect.serve.report import hit_rates
from recollect.serve.store import jobs, log, versions

router = APIRouter(include_in_schema=False)


@router.get("/service")
def state(request: Request) -> Response:
    """Health, versions, fits and experiments."""
    if asked := refusal(request):
        return asked

    service = service_of(request)
    session = service.reader()
    active = versions.active(session)
    every = versions.every(session)
    now_active = service.models.state.loaded[service.models.state.active]
    people = session.one("SELECT count(*) FROM users")

    return page(
        request,
        "service.html",
        active=active,
        before=None if active is None else versions.before(session, active),
        versions=[(one, curves(one.figures.get("curve", {}))) for one in every],
        history=versions.history(session, 12),
        jobs=jobs.latest(session, 8),
        report=hit_rates(session),
        n_ratings=log.n_ratings(session),
        n_users=people[0] if people else 0,
        n_items=len(service.items().row_of),
        n_newer=log.n_events_since(session, now_active.upto_seq),
        queue=service.store.writer.depth,
        hours=(time.time() - service.started) / 3600,
        width=WIDTH,
        height=HEIGHT,
    )
