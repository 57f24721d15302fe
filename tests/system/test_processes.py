"""One function over many inputs, in processes of their own."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recollect.errors import SettingError, TrainingError
from recollect.system.processes import run_each


def process_id(_: int) -> int:
    return os.getpid()


def test_results_come_in_the_order_of_the_inputs() -> None:
    assert list(run_each(math.sqrt, [9.0, 4.0, 1.0])) == [3, 2, 1]
    assert list(run_each(math.sqrt, [9.0, 4.0, 1.0], processes=2)) == [3, 2, 1]


def test_each_input_gets_a_fresh_process() -> None:
    ids = list(run_each(process_id, [1, 2], processes=1))
    assert len({*ids, os.getpid()}) == 3


def test_inputs_are_taken_as_they_are_needed() -> None:
    taken = []
    inputs = (taken.append(x) or x for x in [4.0, 9.0, 16.0])
    first = next(iter(run_each(math.sqrt, inputs, processes=1)))
    assert (first, taken) == (2, [4])


def test_an_error_in_a_process_is_raised_as_itself() -> None:
    with pytest.raises(ValueError, match=r"math domain|nonnegative"):
        list(run_each(math.sqrt, [4.0, -1.0], processes=1))


def test_a_process_that_dies_is_reported() -> None:
    with pytest.raises(TrainingError, match="worker process died"):
        list(run_each(os._exit, [3], processes=1))


def test_fewer_than_0_processes_are_refused() -> None:
    with pytest.raises(SettingError, match="or more"):
        run_each(math.sqrt, [], processes=-1)


ORPHANS = """
import signal, sys, time
from recollect.system.processes import run_each

def work(path):
    open(path, "w").write(str(__import__("os").getpid()))
    time.sleep(300)

if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it, for all that it starts
    for _ in run_each(work, sys.argv[1:], processes=2):
        pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_no_process_outlives_its_parent(number, tmp_path) -> None:
    script = tmp_path / "work.py"
    script.write_text(ORPHANS)
    files = [tmp_path / "a", tmp_path / "b"]
    parent = subprocess.Popen([sys.executable, script, *files], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: all(file.exists() and file.read_text() for file in files))
        children = [int(file.read_text()) for file in files]
    finally:
        parent.send_signal(number)
        parent.wait(timeout=30)
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)
