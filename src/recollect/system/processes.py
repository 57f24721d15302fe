"""One function over many inputs: here, or each in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from recollect.errors import SettingError, TrainingError


def run_each(
    function: Callable[[Any], Any], inputs: Iterable[Any], *, processes: int = 0
) -> Iterator[Any]:
    """The function's result for each input, in the order of the inputs, as soon as it is there.

    `processes=0` calls it here. Otherwise every input gets a fresh process, that many at a time, so that time and peak
    memory are that input's own; function, inputs and results must then be picklable, and a script needs the usual
    `if __name__ == "__main__":`. Inputs are taken as processes become free. An error in one ends all.

    Raises: SettingError for fewer than 0 processes; TrainingError if a process dies without a word.
    """
    if processes < 0:
        raise SettingError(f"processes is 0 (call it here) or more, found {processes}.")
    return map(function, inputs) if not processes else _apart(function, inputs, processes)


def _apart(function: Callable[[Any], Any], inputs: Iterable[Any], processes: int) -> Iterator[Any]:
    fresh = multiprocessing.get_context(
        "spawn"
    )  # a forked child would start with this process's memory
    running: deque[tuple[ProcessPoolExecutor, Future[Any]]] = deque()
    try:
        for one in inputs:
            pool = ProcessPoolExecutor(1, mp_context=fresh)
            running.append((pool, pool.submit(function, one)))
            if len(running) == processes:
                yield _first(running)
        while running:
            yield _first(running)
    finally:
        for pool, future in running:
            future.cancel()
            pool.shutdown(cancel_futures=True)


def _first(running: deque[tuple[ProcessPoolExecutor, Future[Any]]]) -> Any:
    pool, future = running[0]
    try:
        result = future.result()
    except BrokenProcessPool as problem:
        raise TrainingError(
            "A process ended without a word, most likely for lack of memory; take fewer processes at a "
            "time or a smaller model."
        ) from problem
    running.popleft()
    pool.shutdown()
    return result
