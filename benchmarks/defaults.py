"""Settings from which a model's defaults are chosen: validation RMSE on data of different size.

python benchmarks/defaults.py GRID [--only DATA ...] prints a JSON line a fit. The test part of each
split is set aside unread, so that defaults are chosen here and measured elsewhere.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import recollect as rc
from recollect.data.ratings import Ratings, Side
from recollect.system import allocator

allocator.configure()

SEED = 71  # of every split; the tables of docs/ use other seeds

Settings = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("grid", choices=list(GRIDS), help="settings to compare")
    parser.add_argument("--only", nargs="*", default=list(DATA), choices=list(DATA), metavar="DATA")
    arguments = parser.parse_args()
    for name in arguments.only:
        print_fits(name, DATA[name](), arguments.grid)


def print_fits(data: str, ratings: Ratings, grid: str) -> None:
    """One line a fit, by the validation part of a split whose test part nobody reads."""
    train, valid, _ = rc.random_split(ratings, test=0.1, valid=0.05, seed=SEED)
    print_fit(data, train, valid, "bias", {})
    for model, settings in GRIDS[grid](train):
        print_fit(data, train, valid, model, settings)


def print_fit(data: str, train: Ratings, valid: Ratings, model: str, settings: Settings) -> None:
    """Fit, and print what the validation ratings say."""
    begun = time.perf_counter()
    # With refit the validation ratings would be training ratings.
    fitted = rc.make(model, refit=False, **settings).fit(train, valid)
    seconds = time.perf_counter() - begun
    predicted = fitted.predict(valid.user, valid.item, times=valid.time)
    error = (predicted - valid.value).astype(np.float64)
    line = {
        "data": data,
        "model": model,
        **settings,
        "valid": round(float(np.sqrt(np.mean(error**2))), 5),
        "epoch": fitted.history_.best_epoch,
        "seconds": round(seconds, 1),
    }
    print(json.dumps(line), flush=True)


def autorec(train: Ratings, side: Side) -> Iterator[tuple[str, Settings]]:
    """With offsets by the λ of W and the factor of V's λ; in the paper's form by both λ."""
    fixed = {"side": side}
    per_row = len(train) / np.count_nonzero(train.count(side))
    for reg in (200.0, 400.0, 800.0):
        for factor in (2, 4, 8):
            reg_input = round(factor * per_row, 1)
            yield "autorec", {**fixed, "offsets": True, "reg": reg, "reg_input": reg_input}
    for reg in (50.0, 100.0, 200.0, 400.0):
        for ratio in (1, 4):
            yield "autorec", {**fixed, "offsets": False, "reg": reg, "reg_input": ratio * reg}


def bayes_mf(train: Ratings) -> Iterator[tuple[str, Settings]]:
    """With and without days and categories."""
    few_values = len(np.unique(train.value)) <= 20
    for use_time in (False, True) if train.time is not None else (False,):
        for probit in (False, True) if few_values else (False,):
            yield "bayes_mf", {"time": use_time, "probit": probit}


GRIDS: dict[str, Callable[[Ratings], Iterator[tuple[str, Settings]]]] = {
    "autorec-item": lambda train: autorec(train, "item"),
    "autorec-user": lambda train: autorec(train, "user"),
    "bayes_mf": bayes_mf,
}


def part_of_1m(share: float) -> Ratings:
    """A random part of the ratings of MovieLens 1M."""
    ratings = rc.load("movielens/1m")
    return ratings.where(np.random.default_rng(SEED).random(len(ratings)) < share)


def some_users_of_1m(share: float) -> Ratings:
    """All ratings by a random part of the users of MovieLens 1M."""
    ratings = rc.load("movielens/1m")
    is_kept = np.random.default_rng(SEED).random(ratings.n_users) < share
    return ratings.where(is_kept[ratings.user])


DATA: dict[str, Callable[[], Ratings]] = {
    "amazon": lambda: rc.load("amazon/musical-instruments"),
    "100k": lambda: rc.load("movielens/100k"),
    "1m-tenth": lambda: part_of_1m(0.1),
    "1m-users": lambda: some_users_of_1m(0.2),
    "1m-third": lambda: part_of_1m(0.33),
    "1m": lambda: part_of_1m(1.0),
}

if __name__ == "__main__":
    main()
