"""The processes that listen."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from recollect.errors import ProcessError, SettingError
from recollect.serve.metrics import SHARED_FOLDER, forget_process
from recollect.serve.settings import ServeSettings, is_loopback
from recollect.serve.store import keys
from recollect.serve.store.store import open_store
from recollect.system.processes import end_with_parent

log = logging.getLogger("recollect.serve")

SECONDS_TO_END = 10  # for requests that are under way when the service is stopped
SECONDS_TO_START = 5.0  # a process that dies sooner will hardly live longer the next time
MOST_QUICK_DEATHS = 3


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
        ProcessError: if several processes do not stay alive.
    """
    with ExitStack() as stack:
        listening = stack.enter_context(listen(settings))
        address, port = listening.getsockname()[:2]
        on_start(f"http://{f'[{address}]' if ':' in address else address}:{port}")
        if settings.workers == 1:
            answer(settings, listening)
            return

        os.environ[SHARED_FOLDER] = stack.enter_context(tempfile.TemporaryDirectory())
        Workers(settings, listening).run()


def answer(settings: ServeSettings, listening: socket.socket) -> None:
    """Answer in this process until it is told to end.

    Args:
        settings: what the service was started with.
        listening: the socket.
    """
    import uvicorn

    from recollect.serve.api.app import make_app
    from recollect.serve.process import prepare_process
    from recollect.serve.service import Service

    prepare_process()
    config = uvicorn.Config(
        make_app(Service(settings)),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_END,
        limit_concurrency=1000,
    )
    uvicorn.Server(config).run([listening])


def _answer_as_worker(settings: ServeSettings, listening: socket.socket) -> None:
    end_with_parent()
    answer(settings, listening)


class Workers:
    """Several processes that answer at one socket. One that dies is started again.

    Args:
        settings: what the service was started with.
        listening: the socket.
    """

    def __init__(self, settings: ServeSettings, listening: socket.socket) -> None:
        self.settings = settings
        self.listening = listening
        self.is_stopping = False
        self.n_quick_deaths = 0
        self.started: dict[SpawnProcess, float] = {}

    def run(self) -> None:
        """Answer until this process is told to end; then end the others.

        Raises:
            ProcessError: if they die again and again as soon as they are started.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

        for _ in range(self.settings.workers):
            self._start()

        try:
            while self.started and not self.is_stopping:
                wait([process.sentinel for process in self.started], timeout=0.5)
                self._replace_dead()
        finally:
            self._end()

    def _stop(self, number: int, frame: object) -> None:
        self.is_stopping = True

    def _start(self) -> None:
        process = multiprocessing.get_context("spawn").Process(
            target=_answer_as_worker, args=(self.settings, self.listening)
        )
        process.start()
        self.started[process] = time.monotonic()

    def _replace_dead(self) -> None:
        for process, since in list(self.started.items()):
            if process.is_alive() or self.is_stopping:
                continue

            del self.started[process]
            forget_process(process.pid or 0)
            log.error("worker_died", extra={"exit": process.exitcode})
            self.n_quick_deaths += time.monotonic() - since < SECONDS_TO_START
            if self.n_quick_deaths > MOST_QUICK_DEATHS:
                raise ProcessError(
                    f"{self.n_quick_deaths} processes died within {SECONDS_TO_START:g} seconds of "
                    "their start; what they wrote above says why."
                )

            self._start()

    def _end(self) -> None:
        for process in self.started:
            process.terminate()

        deadline = time.monotonic() + SECONDS_TO_END + 2
        for process in self.started:
            process.join(max(0.1, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
