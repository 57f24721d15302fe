"""Around each request: the size of its body, its seconds, and its line in the log.

The line has the route as it is written in the code, and so no id of a user or an item.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from typing import Any
from urllib.parse import unquote

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recollect.serve.api.fields import SLASH
from recollect.serve.metrics import Metrics

log = logging.getLogger("recollect.serve.requests")

SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
)
OWN_PAGES = ("/docs", "/openapi.json")  # FastAPI's page of the endpoints loads scripts of others


class TooLarge(HTTPException):
    """The body is larger than is read."""

    def __init__(self, most: int) -> None:
        super().__init__(413, f"The body is larger than {most:,} bytes; send it in parts.")


class AroundRequests:
    """The outermost layer of the application.

    Args:
        app: what answers.
        metrics: where the seconds are counted.
        body_bytes: the largest body that is read.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, body_bytes: int) -> None:
        self.app = app
        self.metrics = metrics
        self.body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = time.perf_counter()
        request_id = uuid.uuid4().hex[:16]
        status = 500
        _keep_slashes(scope)

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                if scope["path"] not in OWN_PAGES:
                    headers += SECURITY
                message["headers"] = headers

            await send(message)

        try:
            if _stated_length(scope) > self.body_bytes:
                await _refuse(send_on, TooLarge(self.body_bytes))
            else:
                await self.app(scope, _limited(receive, self.body_bytes), send_on)
        finally:
            self._note(scope, status, time.perf_counter() - started, request_id)

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        """Count a request, and write its line.

        Args:
            scope: of the request.
            status: of the answer.
            seconds: that it took.
            request_id: that the answer has.
        """
        route = getattr(scope.get("route"), "path", "none")
        name = f"{scope['method']} {route}"
        self.metrics.requests.labels(name, str(status)).observe(seconds)
        log.info(
            "request",
            extra={
                "route": name,
                "status": status,
                "ms": round(seconds * 1000, 2),
                "request": request_id,
                "caller": scope.get("state", {}).get("caller"),
            },
        )


def _keep_slashes(scope: Scope) -> None:
    """Let an id with a slash (`%2F`) be one part of the path."""
    raw = scope.get("raw_path") or b""
    if b"%2f" in raw.lower():
        text = raw.decode("ascii", "replace").replace("%2F", "%2f")
        scope["path"] = unquote(text.replace("%2f", SLASH))


def _stated_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)

    return 0


def _limited(receive: Receive, most: int) -> Receive:
    """The body of a request, as long as it is not too large."""
    n_bytes = 0

    async def receive_on() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > most:
            raise TooLarge(most)

        return message

    return receive_on


async def _refuse(send: Send, error: TooLarge) -> None:
    """Answer without reading the body."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": "Content Too Large",
        "status": error.status_code,
        "detail": error.detail,
    }
    body = json.dumps(content).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": error.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
