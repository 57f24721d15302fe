"""Who may ask, and how often."""

from __future__ import annotations

import hmac
import threading
import time

from recollect.serve.store import keys
from recollect.serve.store.database import Session
from recollect.serve.store.keys import SCOPES, Key, hashed

LOCAL = "local"  # whoever asks a service that has no keys


class RefusedError(Exception):
    """A request that is not answered.

    Args:
        status: of HTTP.
        detail: why, and what to do.
        retry_after: seconds until it may be sent again; None: never as it is.
    """

    def __init__(self, status: int, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after


class Access:
    """The keys of the store, and what each has asked lately.

    Args:
        rate: requests a second for each key; 0: any.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._number = -1
        self._keys: list[Key] = []
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when it was so

    @property
    def has_keys(self) -> bool:
        """Whether a key is needed: one was made, even if it was revoked."""
        return bool(self._keys)

    def refresh(self, session: Session) -> None:
        """Read the keys again if they have changed."""
        number = keys.n_changes(session)
        if number != self._number:
            self._keys = keys.every(session)
            self._number = number

    def check(self, key: str | None, scope: str) -> str:
        """The name of who asks.

        Args:
            key: that was sent; None: none.
            scope: that is needed.

        Raises:
            RefusedError: without a key or with an unknown one (401), one of too small a scope
                (403), or too many requests (429).
        """
        name = LOCAL
        if self.has_keys:
            found = self._find(key)
            name = found.name
            if SCOPES.index(found.scope) < SCOPES.index(scope):
                raise RefusedError(
                    403, f"This needs a key of scope {scope}; yours has the scope {found.scope}."
                )

        self._take(name)

        return name

    def _find(self, key: str | None) -> Key:
        if not key:
            raise RefusedError(401, "This needs a key: send the header Authorization: Bearer KEY.")

        digest = hashed(key)
        found = None
        # All are compared, each in constant time.
        for known in self._keys:
            if hmac.compare_digest(known.hash, digest):
                found = known

        if found is None or found.revoked is not None:
            raise RefusedError(401, "The key is unknown or was revoked; ask for a new one.")

        return found

    def _take(self, name: str) -> None:
        """Count a request: a bucket holds as many as a second allows, and fills steadily."""
        if not self.rate:
            return

        most = max(1.0, self.rate)
        now = time.monotonic()

        with self._lock:
            left, since = self._buckets.get(name, (most, now))
            left = min(most, left + (now - since) * self.rate)
            if left < 1:
                self._buckets[name] = (left, now)
                seconds = (1 - left) / self.rate
                raise RefusedError(
                    429,
                    f"More than {self.rate:g} requests a second; send it again later.",
                    seconds,
                )

            self._buckets[name] = (left - 1, now)
