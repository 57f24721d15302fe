"""One function over many inputs: in this process, or each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from recollect.errors import SettingError, TrainingError

Running = deque[tuple[ProcessPoolExecutor, Future[Any]]]


def run_each(
    function: Callable[[Any], Any], inputs: Iterable[Any], *, processes: int = 0
) -> Iterator[Any]:
    """The function's results in the order of the inputs, each as soon as it is there.

    Every input gets a fresh process, so that time and peak memory are that input's own. An error in
    one ends all, and no process outlives this one, however it ends.

    Args:
        function: picklable if `processes` is not 0; a script then needs the usual
            `if __name__ == "__main__":`.
        inputs: taken as processes become free; picklable, like the results.
        processes: how many run at a time; 0 calls the function in this process.

    Raises:
        SettingError: for fewer than 0 processes.
        TrainingError: if a process dies without an error of its own.
    """
    if processes < 0:
        raise SettingError(f"processes must be 0 (run in this process) or more, found {processes}.")
    if processes == 0:
        return map(function, inputs)
    return _run_apart(function, inputs, processes)


def _run_apart(
    function: Callable[[Any], Any], inputs: Iterable[Any], processes: int
) -> Iterator[Any]:
    # A forked child would start with the memory of this process.
    spawn = multiprocessing.get_context("spawn")
    running: Running = deque()

    try:
        for one_input in inputs:
            pool = ProcessPoolExecutor(1, mp_context=spawn)
            running.append((pool, pool.submit(_call, function, one_input)))
            if len(running) == processes:
                yield _wait_for_first(running)

        while running:
            yield _wait_for_first(running)
    finally:
        for pool, future in running:
            future.cancel()
            pool.shutdown(cancel_futures=True)


def _call(function: Callable[[Any], Any], one_input: Any) -> Any:
    """Call the function in a process that ends with its parent."""
    end_with_parent()
    return function(one_input)


def end_with_parent() -> None:
    """End this process as soon as its parent ends: a killed command leaves no fit behind."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="recollect-parent", daemon=True).start()


def _wait_for_first(running: Running) -> Any:
    pool, future = running[0]

    try:
        result = future.result()
    except BrokenProcessPool as problem:
        raise TrainingError(
            "A worker process died, probably out of memory; use fewer processes at a time, or a "
            "smaller model."
        ) from problem

    running.popleft()
    pool.shutdown()

    return result
