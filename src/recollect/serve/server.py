"""The processes that listen."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack

from recollect.errors import SettingError
from recollect.serve.metrics import SHARED_FOLDER
from recollect.serve.settings import ServeSettings, is_loopback
from recollect.serve.store import keys
from recollect.serve.store.store import open_store

SECONDS_TO_END = 10  # for requests that are under way when the service is stopped


def check_host(settings: ServeSettings) -> None:
    """Refuse to be reached from other machines without keys.

    Raises:
        SettingError: if the address is not of the loopback and the store has no valid key.
        StoreError: if it cannot be opened.
    """
    if is_loopback(settings.host):
        return

    with open_store(settings.db) as store:
        if any(key.revoked is None for key in keys.every(store.reader())):
            return

    raise SettingError(
        f"Without a key everyone who reaches {settings.host} could read and write. Make one first: "
        "recollect keys add NAME --db …; or listen at 127.0.0.1."
    )


def listen(settings: ServeSettings) -> socket.socket:
    """A socket that listens at the address.

    Raises:
        SettingError: if another program does, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    try:
        listening.bind((settings.host, settings.port))
    except OSError as problem:
        listening.close()
        raise SettingError(
            f"{settings.host}:{settings.port} cannot be listened at ({problem.strerror}); choose "
            "another port: --port 0 takes any free one."
        ) from problem

    listening.listen(2048)
    listening.set_inheritable(True)

    return listening


def run(settings: ServeSettings, on_start: Callable[[str], None]) -> None:
    """Answer until the process is told to end (SIGTERM or Ctrl-C).

    Args:
        settings: what the service is started with.
        on_start: called with the address once it is listened at.

    Raises:
        SettingError: if the address cannot be used.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from recollect.serve.api.app import Application

    with ExitStack() as stack:
        listening = stack.enter_context(listen(settings))
        if settings.workers > 1:
            os.environ[SHARED_FOLDER] = stack.enter_context(tempfile.TemporaryDirectory())

        config = uvicorn.Config(
            Application(settings),  # type: ignore[arg-type]
            factory=True,
            workers=settings.workers,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SECONDS_TO_END,
            limit_concurrency=1000,
        )
        address, port = listening.getsockname()[:2]
        on_start(f"http://{f'[{address}]' if ':' in address else address}:{port}")
        server = uvicorn.Server(config)
        if settings.workers == 1:
            server.run([listening])
        else:
            Multiprocess(config, target=server.run, sockets=[listening]).run()
