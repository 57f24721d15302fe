"""The addresses of the page."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

from recollect.serve.access import RefusedError
from recollect.serve.api.needs import COOKIE
from recollect.serve.page import catalogue, people, state
from recollect.serve.page.render import HERE, page, service_of

router = APIRouter(include_in_schema=False)
COOKIE_SECONDS = 30 * 86_400


@router.post("/key")
async def take_key(request: Request) -> Response:
    """Keep a key in a cookie that scripts cannot read and other sites cannot use."""
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    key = fields.get("key", [""])[0].strip()

    try:
        service_of(request).access.check(key, "read")
    except RefusedError as problem:
        return page(request, "key.html", problem.status, problem=problem.detail)

    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        COOKIE,
        key,
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )

    return answer


def add_page(app: FastAPI) -> None:
    """Add the page to an application."""
    for part in (router, people.router, catalogue.router, state.router):
        app.include_router(part)

    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
