"""What models of rows share: codes kept for all threads, batches, fold-in."""

import threading

import numpy as np
import pytest

from recollect.models.autorec import AutoRec
from recollect.models.glocalk import GLocalK
from recollect.run import Run

SETTINGS = {"hidden": 6, "reg": 2.0, "epochs": 5}


def in_threads(n, function):
    """What the function returns in each of n threads that start together."""
    start = threading.Barrier(n)
    results = [None] * n

    def call(number):
        start.wait()
        results[number] = function()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture
def fitted(planted_small) -> AutoRec:
    return AutoRec(**SETTINGS).fit(planted_small.ratings, run=Run(threads=1))


def test_threads_that_ask_together_encode_the_items_once(fitted, monkeypatch):
    calls = []
    encode = fitted._encode
    monkeypatch.setattr(fitted, "_encode", lambda given: calls.append(1) or encode(given))
    users = np.arange(3)
    expected = (
        AutoRec(**SETTINGS).fit(fitted.given_, run=Run(threads=1)).scores(users, fitted.given_)
    )
    for scores in in_threads(4, lambda: fitted.scores(users, fitted.given_)):
        np.testing.assert_array_equal(scores, expected)
    assert len(calls) == 1


def test_threads_that_ask_together_fold_in_alike(fitted):
    rows = fitted.given_.by_user.take(np.arange(3))
    tables = in_threads(4, lambda: fitted.fold_in(rows))
    for table in tables[1:]:
        np.testing.assert_array_equal(table, tables[0])
    assert fitted.column_prior() is fitted.column_prior()


def test_a_second_fit_forgets_the_codes_of_the_first(fitted, planted_small):
    codes, _ = fitted.codes(fitted.given_)
    fitted.fit(planted_small.ratings, run=Run(seed=5, threads=1))
    assert not np.array_equal(fitted.codes(fitted.given_)[0].numpy(), codes.numpy())


def test_rows_are_predicted_in_batches_unless_they_depend_on_each_other(planted_small, monkeypatch):
    monkeypatch.setattr("recollect.families.row_model.BLOCK_ROWS", 7)
    ratings = planted_small.ratings
    independent = AutoRec(**SETTINGS).fit(ratings)
    together = GLocalK(hidden=4, pretrain_epochs=2, epochs=2).fit(ratings)
    counts = []
    for model in (independent, together):
        batches = list(model.batches(model.usable_rows(ratings), ratings.item, ratings.user))
        counts.append(len(batches))
        position = np.concatenate([batch.position for batch in batches])
        assert sorted(position) == list(range(len(ratings)))
    assert counts[0] > 1
    assert counts[1] == 1
