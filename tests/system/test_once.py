"""A value that is computed once, however many threads ask."""

import threading
import time

import pytest

from recollect.system.once import Once


def test_threads_that_ask_together_get_one_value_computed_once():
    once = Once()
    calls = []
    start = threading.Barrier(4)
    values = [None] * 4

    def compute():
        calls.append(1)
        time.sleep(0.05)  # long enough for the others to ask meanwhile
        return object()

    def ask(thread):
        start.wait()
        values[thread] = once.get(compute)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert all(value is values[0] for value in values)


def test_an_error_is_not_kept():
    once = Once()

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        once.get(fail)
    assert once.get(lambda: 3) == 3
