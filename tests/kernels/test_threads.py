"""How compiled loops share the cores: equal work, torch's threads, a notice while compiling."""

import logging

import numba
import numpy as np
import pytest
import torch

from recollect.kernels.compiled import threads


def test_shares_have_about_equal_work():
    work = np.concatenate([[0], np.cumsum([1, 1, 1, 1, 4, 4])])
    assert threads.equal_shares(work, 3).tolist() == [0, 4, 5, 6]


def test_rows_without_work_at_either_end_are_in_a_share():
    work = np.array([0, 0, 0, 5, 10, 10, 10])
    first = threads.equal_shares(work, 2)
    assert first[0] == 0
    assert first[-1] == 6


def test_shares_of_no_work_hold_every_row():
    first = threads.equal_shares(np.zeros(4, np.int64), 2)
    assert (first[0], first[-1]) == (0, 3)


def test_loops_have_as_many_threads_as_torch():
    with threads.one_at_a_time() as n_threads:
        expected = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)
        assert n_threads == numba.get_num_threads() == expected


@pytest.mark.parametrize(
    ("module", "n_notices"),
    [("recollect.kernels.compiled.sparse_products", 1), ("another_package.loops", 0)],
)
def test_compiling_the_loops_is_logged_once(module, n_notices, caplog, monkeypatch):
    monkeypatch.setattr(threads.notice, "given", False)

    def plus_one(x):
        return x + 1

    plus_one.__module__ = module
    loop = numba.njit(plus_one)
    with caplog.at_level(logging.INFO, "recollect"):
        assert loop(1) == 2
        assert loop(1.5) == 2.5  # the second type is compiled, too
    notices = [record for record in caplog.records if "some ten seconds" in record.message]
    assert len(notices) == n_notices
