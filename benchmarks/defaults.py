"""Settings from which a model's defaults are chosen, on data of different size: validation RMSE, or
NDCG@10 of events.

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
from recollect.ranking import mean_ndcg
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
    of_events = grid in EVENT_GRIDS
    if of_events and not ratings.implicit:
        ratings = ratings.events(from_=4, remember=False)

    share = 0.1 if of_events else 0.05
    train, valid, _ = rc.random_split(ratings, test=0.1, valid=share, seed=SEED)
    print_fit(data, train, valid, "popularity" if of_events else "bias", {})
    for model, settings in GRIDS[grid](train):
        print_fit(data, train, valid, model, settings)


def print_fit(data: str, train: Ratings, valid: Ratings, model: str, settings: Settings) -> None:
    """Fit, and print what the validation ratings say."""
    begun = time.perf_counter()
    # With refit the validation ratings would be training ratings.
    fitted = rc.make(model, refit=False, **settings).fit(train, valid)
    seconds = time.perf_counter() - begun
    line = {
        "data": data,
        "model": model,
        **settings,
        "valid": round(validation_figure(fitted, train, valid), 5),
        "epoch": fitted.history_.best_epoch,
        "seconds": round(seconds, 1),
    }
    print(json.dumps(line), flush=True)


def validation_figure(fitted: rc.Model, train: Ratings, valid: Ratings) -> float:
    """NDCG@10 of events, RMSE of ratings."""
    if train.implicit:
        return mean_ndcg(fitted, valid, train, n=10)

    predicted = fitted.predict(valid.user, valid.item, times=valid.time)
    error = (predicted - valid.value).astype(np.float64)

    return float(np.sqrt(np.mean(error**2)))


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


def deeprec(train: Ratings) -> Iterator[tuple[str, Settings]]:
    """The default, one change at a time, and what was tuned before there were offsets."""
    yield "deeprec", {}
    for change in (
        {"activation": "elu"},
        {"activation": "sigmoid"},
        {"reg": 200.0},
        {"reg": 800.0},
        {"reg": 1600.0},
        {"dropout": 0.3},
        {"input_dropout": 0.1},
        {"input_dropout": 0.6},
        {"learning_rate": 0.001},
        {"hidden": 512},
        {"hidden": (512, 512)},
        {"side": "item"},
    ):
        yield "deeprec", change
    yield "deeprec", {"center": True, "activation": "elu", "dropout": 0.3, "reg": 800.0}


def deeprec_of_events(train: Ratings) -> Iterator[tuple[str, Settings]]:
    """The settings of Mult-DAE, and those for ratings."""
    yield "deeprec", {"loss": "multinomial"}
    for reg in (0.0, 800.0):
        of_ratings = {"hidden": (256, 256), "input_dropout": 0.3, "learning_rate": 0.0003}
        yield "deeprec", {"loss": "multinomial", "batch_size": 128, "reg": reg, **of_ratings}


def ease(train: Ratings) -> Iterator[tuple[str, Settings]]:
    """By λ, the noise and how much active users count."""
    for dropout, activity in ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.33, 0.5), (0.67, 0.5)):
        for reg in (10, 30, 100, 250, 500, 1000):
            yield "ease", {"reg": float(reg), "dropout": dropout, "activity": activity}


def ease_sparse(train: Ratings) -> Iterator[tuple[str, Settings]]:
    """By the share of the weights and of the blocks."""
    for keep in (0.005, 0.02, 0.1):
        for block_share in (0.0, 0.25, 0.5):
            yield "ease", {"keep": keep, "block_share": block_share}


def elsa(train: Ratings) -> Iterator[tuple[str, Settings]]:
    """By factors, rate and batch."""
    for factors in (64, 256):
        for learning_rate in (0.003, 0.01, 0.03):
            for batch_size in (64, 256):
                yield (
                    "elsa",
                    {"factors": factors, "learning_rate": learning_rate, "batch_size": batch_size},
                )


def item_knn(train: Ratings) -> Iterator[tuple[str, Settings]]:
    """By k, shrinkage and α, with both weightings."""
    names = ("neighbors", "shrinkage", "asymmetry")
    for weighting in ("none", "bm25"):
        for values in (
            (20, 20.0, 0.5),
            (100, 20.0, 0.5),
            (100, 100.0, 0.5),
            (100, 0.0, 0.5),
            (300, 20.0, 0.5),
            (100, 20.0, 0.3),
            (100, 20.0, 0.7),
        ):
            yield "item_knn", {**dict(zip(names, values, strict=True)), "weighting": weighting}


def ials(train: Ratings) -> Iterator[tuple[str, Settings]]:
    """By λ and b."""
    pairs = ((3, 1), (10, 1), (10, 2), (10, 3), (5, 3), (30, 1), (30, 3))
    for thousandths, tenths in pairs:
        reg = thousandths / 1000
        yield "ials", {"reg_user": reg, "reg_item": reg, "absent_weight": tenths / 10}


def multvae(train: Ratings) -> Iterator[tuple[str, Settings]]:
    """The default, one change at a time; and RecVAE by γ."""
    yield "multvae", {}
    for change in (
        {"beta": 0.1},
        {"beta": 0.5},
        {"beta": 1.0},
        {"anneal_steps": 0},
        {"anneal_steps": 1000},
        {"batch_size": 50},
        {"batch_size": 100},
        {"batch_size": 200},
        {"learning_rate": 0.003},
        {"learning_rate": 0.003, "anneal_steps": 0},
        {"learning_rate": 0.003, "beta": 1.0},
        {"input_dropout": 0.3},
        {"input_dropout": 0.7},
        {"hidden": 200},
        {"decoder": ()},
        {"factors": 64},
    ):
        yield "multvae", change
    for gamma in (0.0025, 0.005, 0.01, 0.02):
        yield "multvae", {"like": "recvae", "gamma": gamma}
    yield "multvae", {"like": "recvae", "gamma": 0.01, "learning_rate": 0.002}


GRIDS: dict[str, Callable[[Ratings], Iterator[tuple[str, Settings]]]] = {
    "autorec-item": lambda train: autorec(train, "item"),
    "autorec-user": lambda train: autorec(train, "user"),
    "bayes_mf": bayes_mf,
    "deeprec": deeprec,
    "deeprec-events": deeprec_of_events,
    "ease": ease,
    "ease-sparse": ease_sparse,
    "elsa": elsa,
    "item_knn": item_knn,
    "ials": ials,
    "multvae": multvae,
}
EVENT_GRIDS = ("deeprec-events", "ease", "ease-sparse", "elsa", "item_knn", "ials", "multvae")


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
