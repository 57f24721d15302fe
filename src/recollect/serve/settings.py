"""What a service is started with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from recollect.errors import SettingError

PORT = 8000
BODY_BYTES = 1_000_000
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class RefitPolicy:
    """When a model is fitted again beside the service.

    Args:
        enabled: whether it is, unless asked for.
        least_events: newer ratings that are enough.
        share: the share of all ratings that is enough, if that is more.
        most_hours: after which any newer rating is enough.
        rest: how many times as long as the last fit took the next one waits.
    """

    enabled: bool = True
    least_events: int = 1000
    share: float = 0.01
    most_hours: float = 24.0
    rest: float = 10.0


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """What a service is started with; it is sent to its processes.

    Args:
        db: the path of a file, or postgresql://….
        versions: the folder that versions of the model are written to.
        host: the address to listen at.
        port: the port; 0: any free one.
        workers: how many processes answer.
        rate: requests a second that each key (without keys: all together) may send; 0: any.
        body_bytes: the largest body of a request.
        refit: when a model is fitted again.
        trusted: models from outside the package that may be loaded, by name.
        page: whether the page at `/` is served.
    """

    db: str
    versions: Path
    host: str = LOOPBACK
    port: int = PORT
    workers: int = 1
    rate: float = 1000.0
    body_bytes: int = BODY_BYTES
    refit: RefitPolicy = field(default_factory=RefitPolicy)
    trusted: tuple[str, ...] = ()
    page: bool = True

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise SettingError(f"workers must be 1 or more, found {self.workers}.")

        if self.rate < 0:
            raise SettingError(f"rate must be 0 (no limit) or more, found {self.rate:g}.")

        if not 0 <= self.port < 65536:
            raise SettingError(f"port must be from 0 to 65535, found {self.port}.")


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
