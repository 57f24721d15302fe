"""Fits in several threads end with the weights that they have in one."""

import threading

import pytest
import torch

import recollect as rc
from recollect.run import Run

SETTINGS = {
    "autorec": {"hidden": 6, "epochs": 3, "optimizer": "adam", "batch_size": 9, "dropout": 0.3},
    "pmf": {"factors": 3, "epochs": 3},
    "bayes_mf": {"factors": 3, "burn_in": 1, "n_samples": 2},
    "rbm": {"hidden": 6, "epochs": 2},
}


def weights(name, ratings, seed):
    model = rc.make(name, **SETTINGS[name]).fit(ratings, run=Run(seed=seed, threads=1))
    return {key: value.clone() for key, value in model.net_.state_dict().items()}


@pytest.mark.parametrize(
    "name",
    ["autorec", *(pytest.param(name, marks=pytest.mark.slow) for name in list(SETTINGS)[1:])],
)
def test_two_fits_in_threads_equal_two_in_turn(name, planted_small):
    ratings = planted_small.ratings
    alone = [weights(name, ratings, seed) for seed in range(2)]
    together = {}

    def fit(seed):
        together[seed] = weights(name, ratings, seed)

    threads = [threading.Thread(target=fit, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, expected in enumerate(alone):
        for key, value in expected.items():
            assert torch.equal(value, together[seed][key]), (seed, key)


def test_a_fit_within_a_fit_does_not_wait_for_itself(planted_small):
    ratings = planted_small.ratings

    def watch(figures):
        rc.make("pmf", factors=2, epochs=1).fit(ratings, run=Run(threads=1))

    rc.make("autorec", hidden=2, epochs=2).fit(ratings, run=Run(threads=1, watchers=(watch,)))
