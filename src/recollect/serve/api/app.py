"""The application of one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from recollect.serve.api import (
    events,
    experiments,
    export,
    health,
    items,
    models,
    predictions,
    ratings,
    recommendations,
    users,
)
from recollect.serve.api.errors import PROBLEMS, add_handlers
from recollect.serve.api.middleware import AroundRequests
from recollect.serve.learning.policy import Learner
from recollect.serve.service import Service
from recollect.serve.settings import is_loopback

THREADS = 16  # requests that one process works at
LOCAL_NAMES = ["127.0.0.1", "localhost", "[::1]", "testserver"]
ABOUT = """Every answer knows the rating sent a millisecond ago.

Writes are durable when they are answered, and may be sent again: nothing is counted twice. Errors
are `application/problem+json`; their `detail` says what was found, what was expected, and what to
do."""
GROUPS = (
    health,
    ratings,
    events,
    recommendations,
    predictions,
    items,
    users,
    models,
    experiments,
    export,
)


@asynccontextmanager
async def _while_open(app: FastAPI) -> AsyncIterator[None]:
    """Around the time in which an application answers: its service is open, and learns."""
    service = app.state.service
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    await anyio.to_thread.run_sync(service.open)
    learner = Learner(service)
    learner.start()

    try:
        yield
    finally:
        learner.stop()
        await anyio.to_thread.run_sync(service.close)


def make_app(service: Service) -> FastAPI:
    """The application around a service that is not open yet."""
    app = FastAPI(
        title="Recollect",
        version=version("recollect"),
        description=ABOUT,
        lifespan=_while_open,
        responses=PROBLEMS,
    )
    app.state.service = service
    for group in GROUPS:
        app.include_router(group.router)

    if service.settings.page:
        from recollect.serve.page.routes import add_page

        add_page(app)

    add_handlers(app)
    if is_loopback(service.settings.host):
        # A page of another site must not reach a service without keys by a name of its own.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_NAMES)

    app.add_middleware(
        AroundRequests, metrics=service.metrics, body_bytes=service.settings.body_bytes
    )

    return app
