"""What endpoints need: the service, and a key of a scope."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request

from recollect.serve.service import Service

COOKIE = "recollect_key"  # of the page; a browser sends it to this site alone


def _service(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


async def _of(request: Request) -> Service:
    return _service(request)


OfService = Annotated[Service, Depends(_of)]


def key_of(request: Request) -> str | None:
    """The key of a request: of its header, or of the page's cookie."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key:
        return key.strip()

    return request.cookies.get(COOKIE)


def needs(scope: str) -> Callable[[Request], Coroutine[Any, Any, None]]:
    """A dependency that refuses requests without a key of this scope."""

    # Asynchronous, as others wait for a thread.
    async def check(request: Request) -> None:
        request.state.caller = _service(request).access.check(key_of(request), scope)

    return check


READ = Depends(needs("read"))
WRITE = Depends(needs("write"))
ADMIN = Depends(needs("admin"))
