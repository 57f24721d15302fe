"""Templates, and who may see a page."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from recollect.serve.access import RefusedError
from recollect.serve.api.needs import key_of
from recollect.serve.service import Service
from recollect.serve.store import meta

HERE = Path(__file__).parent
MOST_STEPS = 10  # of a scale that is shown as buttons


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = moment
    environment.filters["part"] = lambda id_: quote(str(id_), safe="")
    environment.filters["facts"] = facts

    return environment


def moment(seconds: int) -> str:
    """A time in words that everyone reads alike."""
    return time.strftime("%d %b %Y, %H:%M UTC", time.gmtime(seconds))


def facts(fields: dict[str, Any]) -> str:
    """The fields of an item in one line."""
    parts = []
    for value in fields.values():
        members = value if isinstance(value, list) else [value]
        text = ", ".join(str(one) for one in members if one not in (None, ""))
        if text and len(text) < 80:
            parts.append(text)

    return " · ".join(parts)


def service_of(request: Request) -> Service:
    """The service of this process."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def steps(service: Service) -> list[float]:
    """The ratings that are offered: whole numbers of the scale; none for events."""
    kind = meta.expect_kind(service.reader())
    if kind.implicit or kind.high - kind.low >= MOST_STEPS or not float(kind.low).is_integer():
        return []

    return [kind.low + j for j in range(int(kind.high - kind.low) + 1)]


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page.

    Args:
        request: that asked for it.
        template: its name.
        status: of HTTP.
        values: for the template.
    """
    service = service_of(request)
    shared = {"steps": steps(service), "implicit": meta.expect_kind(service.reader()).implicit}
    html = _templates().get_template(template).render(**shared, **values)

    return HTMLResponse(html, status, {"Cache-Control": "no-store"})


def refusal(request: Request) -> Response | None:
    """A page that asks for a key, if one is needed and was not sent; None: go on."""
    try:
        service_of(request).access.check(key_of(request), "read")
    except RefusedError as problem:
        return page(request, "key.html", problem.status, problem=problem.detail)

    return None
