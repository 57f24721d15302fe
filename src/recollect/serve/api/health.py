"""Is it alive, can it answer, and how does it do."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Response

from recollect.errors import RecollectError
from recollect.serve.api.errors import problem
from recollect.serve.api.needs import READ, OfService
from recollect.serve.store import meta

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process is alive. Needs no key."""
    return {"status": "alive"}


@router.get("/readyz")
def ready(service: OfService) -> Any:
    """A model is loaded and the store can be written. Needs no key."""
    if not service.models.is_ready:
        return problem(503, "No model is loaded yet.", headers={"Retry-After": "1"})

    started = time.perf_counter()

    try:
        service.store.write(lambda session: meta.put(session, "ready", str(int(time.time()))))
    except RecollectError as error:
        return problem(503, str(error), headers={"Retry-After": "1"})

    return {
        "status": "ready",
        "model": str(service.models.state.active),
        "store_ms": round((time.perf_counter() - started) * 1000, 2),
    }


@router.get("/metrics", dependencies=[READ])
def metrics(service: OfService) -> Response:
    """All figures in Prometheus' text format."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
