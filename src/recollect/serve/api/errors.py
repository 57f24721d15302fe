"""One shape for all errors: `application/problem+json` (RFC 9457) in the library's own words."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from recollect.errors import (
    CheckpointError,
    DataError,
    RecollectError,
    SettingError,
    StoreError,
    TrainingError,
)
from recollect.serve.access import RefusedError
from recollect.serve.process import place_of

log = logging.getLogger("recollect.serve")

STATUS: tuple[tuple[type[RecollectError], int], ...] = (
    (StoreError, 503),
    (CheckpointError, 503),
    (TrainingError, 503),
    (DataError, 422),
    (SettingError, 422),
)


class Problem(BaseModel):
    """What is wrong, and what to do."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["The rating of item '296' is 7.0; this model's scale is 1 to 5."])
    errors: list[dict[str, Any]] | None = None


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The request cannot be answered."},
    "5XX": {"model": Problem, "description": "The service cannot answer now."},
}


def problem(
    status: int, detail: str, *, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """An answer that says what is wrong.

    Args:
        status: of HTTP.
        detail: what was found, what was expected, what to do.
        headers: of the answer.
        more: further fields.
    """
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Error"

    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}

    return JSONResponse(content, status, headers, media_type="application/problem+json")


def add_handlers(app: FastAPI) -> None:
    """Answer every error in this shape."""
    app.add_exception_handler(RecollectError, _own)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _own(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    headers = {"Retry-After": "1"} if status == 503 else None
    return problem(status, str(error), headers=headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"

    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))

    return problem(error.status, error.detail, headers=headers)


def _invalid(request: Request, error: Exception) -> Response:
    """What pydantic found, without the values, which may be anything."""
    assert isinstance(error, RequestValidationError)
    found = [
        {"where": ".".join(str(part) for part in one["loc"]), "problem": str(one["msg"])}
        for one in error.errors()
    ]
    first = found[0]
    detail = f"{first['where']}: {first['problem']}."
    if len(found) > 1:
        detail += f" There are {len(found) - 1} further problems in errors."

    return problem(422, detail, errors=found)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if error.status_code == 404 and detail == "Not Found":
        detail = "There is no such address; /docs lists those that there are."
    elif error.status_code == 405:
        detail = "This address has no such method; /docs lists those that it has."

    return problem(error.status_code, detail, headers=dict(error.headers or {}))


def _unexpected(request: Request, error: Exception) -> Response:
    """An error of ours: the log gets its kind and place, not its message, which may have ids."""
    log.error("error", extra={"kind": type(error).__name__, "place": place_of(error)})
    return problem(500, "This is an error in Recollect; the log of the service says where.")
