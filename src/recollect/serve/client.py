"""A client of the service. What it sends again after a failure is counted once.

Events get their ids here, before they are sent for the first time; setting a rating twice is the
same as once. So every request may be repeated, and is: when the connection breaks, when the service
starts again, when it asks to wait. It needs nothing but Python.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from recollect.errors import ServiceError

AGAIN = (429, 502, 503, 504)  # answers after which a request is sent again
FIRST_PAUSE = 0.05  # seconds; each is twice as long as the one before, up to LONGEST_PAUSE
LONGEST_PAUSE = 2.0
MOST_EVENTS = 1000  # in one request


class Client:
    """A connection to a service. Threads may share it: each has a connection of its own.

    Args:
        url: where the service is, such as http://127.0.0.1:8000.
        key: of the service; None: it has none.
        timeout: seconds that one attempt may take.
        patience: seconds after which a request that always fails is given up.

    Raises:
        ServiceError: if the address is none of http or https.
    """

    def __init__(
        self, url: str, key: str | None = None, *, timeout: float = 10.0, patience: float = 30.0
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServiceError(
                f"The address of a service begins with http:// or https://; found {url!r}."
            )

        self.url = url.rstrip("/")
        self.timeout = timeout
        self.patience = patience
        self._parts = parts
        self._headers = {"Accept": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"

        self._of_thread = threading.local()

    def __repr__(self) -> str:
        return f"Client({self.url})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection of this thread."""
        connection = getattr(self._of_thread, "connection", None)
        if connection is not None:
            connection.close()
            self._of_thread.connection = None

    def recommend(self, user: object, n: int = 10, **wishes: Any) -> dict[str, Any]:
        """The list of a user.

        Args:
            user: id of the user.
            n: how many items.
            wishes: as the endpoint has them: where, allow, deny, seen, rank_by, at_most
                ({field: number}), diversity, fresh, explain, interval, cursor.

        Raises:
            ServiceError: if the service refuses, or cannot be reached.
        """
        limits = wishes.pop("at_most", None) or {}
        wishes["at_most"] = [f"{name}={most}" for name, most in limits.items()]
        return self._ask("GET", f"/v1/users/{_part(user)}/recommendations", {"n": n, **wishes})

    def recommend_to_someone(
        self,
        ratings: Mapping[Any, float] | None = None,
        events: Iterable[Any] | None = None,
        n: int = 10,
        **wishes: Any,
    ) -> dict[str, Any]:
        """The list of someone without an id; nothing of them is stored.

        Args:
            ratings: {item: rating}.
            events: of a model of events: items, or {item: count}.
            n: how many items.
            wishes: as `recommend`.

        Raises:
            ServiceError: as `recommend`.
        """
        body: dict[str, Any] = {"n": n, **wishes}
        if ratings is not None:
            body["ratings"] = {str(item): value for item, value in ratings.items()}
        if isinstance(events, Mapping):
            body["events"] = {str(item): value for item, value in events.items()}
        elif events is not None:
            body["events"] = [str(item) for item in events]

        return self._ask("POST", "/v1/recommendations", body=body)

    def rate(
        self, user: object, item: object, value: float, *, time: int | None = None
    ) -> dict[str, Any]:
        """Set a user's rating of an item; durable when it returns.

        Args:
            user: id of the user.
            item: id of the item.
            value: the rating.
            time: seconds since 1970; None: now, by the clock of this machine.

        Raises:
            ServiceError: as `recommend`.
        """
        # Stated, so that what is sent again late does not replace a later rating.
        moment = int(_now()) if time is None else time
        path = f"/v1/users/{_part(user)}/ratings/{_part(item)}"

        return self._ask("PUT", path, body={"value": value, "time": moment})

    def take_back(self, user: object, item: object) -> dict[str, Any]:
        """Take a rating back.

        Args:
            user: id of the user.
            item: id of the item.

        Raises:
            ServiceError: as `recommend`.
        """
        return self._ask("DELETE", f"/v1/users/{_part(user)}/ratings/{_part(item)}")

    def send(self, events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Send events; durable when it returns. Those without an id get one.

        Args:
            events: each with user and item and, as they apply, id, value, kind, time (seconds
                since 1970) and recommendation.

        Returns: what became of each: id, outcome ("accepted", "duplicate", "refused"), reason.

        Raises:
            ServiceError: as `recommend`.
        """
        stamped = [{"id": str(uuid.uuid4()), "time": int(_now()), **event} for event in events]
        answers: list[dict[str, Any]] = []
        for first in range(0, len(stamped), MOST_EVENTS):
            part = stamped[first : first + MOST_EVENTS]
            answers += self._ask("POST", "/v1/events", body=part)["events"]

        return answers

    def predict(
        self, pairs: Iterable[tuple[object, object]], *, interval: float | None = None
    ) -> list[dict[str, Any]]:
        """The rating of each pair of a user and an item.

        Args:
            pairs: up to 1,000.
            interval: a probability; with it come std, low and high where they are estimated.

        Raises:
            ServiceError: as `recommend`.
        """
        body = [{"user": str(user), "item": str(item)} for user, item in pairs]
        answer: list[dict[str, Any]] = self._ask(
            "POST", "/v1/predictions", {"interval": interval}, body
        )
        return answer

    def similar_items(self, item: object, n: int = 10) -> dict[str, Any]:
        """The items most similar to one.

        Args:
            item: id of the item.
            n: how many.

        Raises:
            ServiceError: as `recommend`.
        """
        return self._ask("GET", f"/v1/items/{_part(item)}/similar", {"n": n})

    def put_item(self, item: object, **facts: Any) -> dict[str, Any]:
        """Write an item of the catalogue.

        Args:
            item: id of the item.
            facts: title, text, fields, available, starts, ends.

        Raises:
            ServiceError: as `recommend`.
        """
        return self._ask("PUT", f"/v1/items/{_part(item)}", body=facts)

    def models(self) -> dict[str, Any]:
        """The versions of the model, and which answers.

        Raises:
            ServiceError: as `recommend`.
        """
        return self._ask("GET", "/v1/models")

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> Any:
        """Send a request until it is answered, and return the answer.

        Args:
            method: of HTTP.
            path: below the address.
            query: values of the address; those that are None are left out.
            body: for JSON; None: none.
        """
        wanted = {name: value for name, value in (query or {}).items() if value is not None}
        address = self._parts.path.rstrip("/") + path
        if wanted:
            address += "?" + urlencode(_plain(wanted), doseq=True)

        content = None if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + self.patience
        pause = FIRST_PAUSE

        while True:
            status, answer, wait = self._attempt(method, address, content)
            if status is not None and status not in AGAIN:
                break

            if time.monotonic() > deadline:
                raise ServiceError(f"{self.url} does not answer: {_detail(status, answer)}")

            # At random, so that many clients do not come back at the same moment.
            time.sleep(max(wait, pause * random.uniform(0.5, 1.0)))
            pause = min(2 * pause, LONGEST_PAUSE)

        if status >= 400:
            raise ServiceError(_detail(status, answer))

        return json.loads(answer)

    def _attempt(
        self, method: str, address: str, content: bytes | None
    ) -> tuple[int | None, bytes, float]:
        """One attempt: the status (None: the connection broke), the answer, seconds to wait."""
        headers = dict(self._headers)
        if content is not None:
            headers["Content-Type"] = "application/json"

        try:
            connection = self._connection()
            connection.request(method, address, content, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            return None, str(problem).encode(), 0.0

        wait = answer.headers.get("Retry-After", "0")

        return answer.status, body, float(wait) if wait.isdigit() else 0.0

    def _connection(self) -> http.client.HTTPConnection:
        connection = getattr(self._of_thread, "connection", None)
        if connection is None:
            kind = (
                http.client.HTTPSConnection
                if self._parts.scheme == "https"
                else http.client.HTTPConnection
            )
            connection = kind(self._parts.hostname or "", self._parts.port, timeout=self.timeout)
            self._of_thread.connection = connection

        return connection


def connect(
    url: str, key: str | None = None, *, timeout: float = 10.0, patience: float = 30.0
) -> Client:
    """A client of a service that `recollect serve` runs.

    Args:
        url: where it is, such as http://127.0.0.1:8000.
        key: of the service; None: it has none.
        timeout: seconds that one attempt may take.
        patience: seconds after which a request that always fails is given up.

    Raises:
        ServiceError: if the address is none of http or https.
    """
    return Client(url, key, timeout=timeout, patience=patience)


def _part(id_: object) -> str:
    """An id as a part of a path."""
    return quote(str(id_), safe="")


def _plain(query: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they are written in an address."""
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
    }


def _detail(status: int | None, answer: bytes) -> str:
    """What a service said, in words."""
    if status is None:
        return answer.decode(errors="replace") or "the connection broke."

    try:
        return str(json.loads(answer)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}."


def _now() -> float:
    return time.time()
