"""ALS and item neighbors for events beside those of implicit: seconds of a fit and NDCG@10.

python benchmarks/peers_of_events.py [--data ml-1m citeulike-t] [--big] [--sweeps 15] [--threads 2]

Both libraries get the same split, the same number of threads and sweeps, and minimize the same
sum: of pairs without an event implicit counts each as 1 and an event as alpha, so that alpha is
1 / b here and its λ is λ / b. A line for each fit, in JSON; fits of a data set follow each other,
twice, and the lesser time counts. implicit is needed for this script alone:

pip install implicit
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.splitting import Split
from recollect.data.vocab import Vocab
from recollect.evaluation.metrics import ndcg_at
from recollect.system import allocator

allocator.configure()

SEED = 20260
N = 10  # length of the lists
FACTORS = 64
NEIGHBORS = 100
REG = 10.0  # λ of every row
ABSENT = 0.2  # b
USERS, ITEMS, EVENTS, GROUPS = 100_000, 50_000, 10_000_000, 100  # planted
BLOCK = 4096  # users whose lists are made at once

Fit = Callable[[Split, argparse.Namespace], tuple[float, float]]  # seconds and NDCG@10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="*", default=["citeulike-t", "ml-1m"], choices=list(DATA))
    parser.add_argument("--big", action="store_true", help="100,000 users, 10 million events, too")
    parser.add_argument("--sweeps", type=int, default=15, help="of ALS (default: 15)")
    parser.add_argument("--threads", type=int, default=2, help="of a fit (default: 2)")
    arguments = parser.parse_args()
    version = implicit_version()
    names = [*arguments.data, *(["planted"] if arguments.big else [])]

    for name in names:
        split = rc.random_split({**DATA, "planted": planted}[name](), test=0.2, seed=SEED)
        for line in lines(name, split, arguments):
            print(json.dumps({**line, "implicit": version}), flush=True)


def implicit_version() -> str:
    """The version of implicit.

    Raises: SystemExit with how to install it.
    """
    # A script of that name lies beside this one, and would be imported instead.
    here = Path(__file__).resolve().parent
    sys.path[:] = [place for place in sys.path if Path(place).resolve() != here]

    try:
        import implicit
    except ImportError as problem:
        raise SystemExit(
            "implicit is not installed, and this script measures it: pip install implicit"
        ) from problem

    return str(implicit.__version__)


def lines(name: str, split: Split, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The lesser time and the figure of each fit, made twice in turn."""
    seconds: dict[str, float] = {}
    figures = {}

    for _ in range(2):
        for label, fit in FITS.items():
            measured, figures[label] = fit(split, arguments)
            seconds[label] = min(measured, seconds.get(label, np.inf))

    for label, figure in figures.items():
        yield {
            "data": name,
            "fit": label,
            "events": len(split.train),
            "seconds": round(seconds[label], 2),
            "ndcg@10": round(figure, 4),
            "threads": arguments.threads,
        }


# --- fits -----------------------------------------------------------------------------------------


def als(split: Split, arguments: argparse.Namespace) -> tuple[float, float]:
    """Our ALS, all sweeps."""
    settings = {"reg_user": REG, "reg_item": REG, "reg_power": 0.0, "absent_weight": ABSENT}
    model = rc.make("ials", factors=FACTORS, epochs=arguments.sweeps, **settings)
    return fit_own(model, split, arguments)


def item_cosine(split: Split, arguments: argparse.Namespace) -> tuple[float, float]:
    """Our item neighbors, without shrinkage."""
    model = rc.make("item_knn", neighbors=NEIGHBORS, shrinkage=0.0)
    return fit_own(model, split, arguments)


def fit_own(model: rc.Model, split: Split, arguments: argparse.Namespace) -> tuple[float, float]:
    """Seconds and NDCG of one of our models, by the protocol of the library."""
    model.fit(split.train, None, rc.Run(seed=SEED, threads=arguments.threads))
    scores = rc.full_ranking(model, split.test, n=N)
    return model.seconds_, scores[f"ndcg@{N}"]


def implicit_als(
    split: Split, arguments: argparse.Namespace, *, exact: bool = True
) -> tuple[float, float]:
    """ALS of implicit, with exact solutions, or with conjugate gradients as by default."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=FACTORS,
        regularization=REG / ABSENT,
        alpha=1 / ABSENT,
        iterations=arguments.sweeps,
        use_cg=not exact,
        num_threads=arguments.threads,
        random_state=SEED,
    )
    return fit_implicit(model, split)


def implicit_als_cg(split: Split, arguments: argparse.Namespace) -> tuple[float, float]:
    """ALS of implicit by its default, three steps of conjugate gradients for each row."""
    return implicit_als(split, arguments, exact=False)


def implicit_cosine(split: Split, arguments: argparse.Namespace) -> tuple[float, float]:
    """Item cosine of implicit; an item is among its own neighbors there, and not counted."""
    from implicit.nearest_neighbours import CosineRecommender

    model = CosineRecommender(K=NEIGHBORS + 1, num_threads=arguments.threads)
    return fit_implicit(model, split)


def fit_implicit(model: Any, split: Split) -> tuple[float, float]:
    """Seconds and NDCG of a model of implicit."""
    train = matrix(split.train)
    # As it asks for: it starts threads of its own, which those of BLAS would hinder.
    with threadpool_limits(1, "blas"):
        begun = time.perf_counter()
        model.fit(train, show_progress=False)
        seconds = time.perf_counter() - begun

    return seconds, ndcg(model, split, train)


def ndcg(model: Any, split: Split, train: csr_matrix) -> float:
    """NDCG@10 of the lists of implicit, the mean over users with test events.

    A user without train events has no list there, and none of the events is found.
    """
    test = matrix(split.test)
    people = np.flatnonzero(np.diff(test.indptr))
    hits = np.zeros((len(people), N), bool)

    for first in range(0, len(people), BLOCK):
        users = people[first : first + BLOCK]
        items, _ = model.recommend(users, train[users], N=N, filter_already_liked_items=True)
        is_item = (items >= 0) & (items < test.shape[1])
        row = np.repeat(users, items.shape[1])
        found = np.asarray(test[row, np.where(is_item, items, 0).ravel()]).reshape(items.shape)
        hits[first : first + BLOCK, : items.shape[1]] = (found > 0) & is_item

    return float(np.nanmean(ndcg_at(N, hits, np.diff(test.indptr)[people])))


def matrix(events: Ratings) -> csr_matrix:
    """Users × items, with 1 for an event."""
    one = np.ones(len(events), np.float32)
    return csr_matrix((one, (events.user, events.item)), shape=(events.n_users, events.n_items))


FITS: dict[str, Fit] = {
    "ials": als,
    "implicit, ALS, exact": implicit_als,
    "implicit, ALS, conjugate gradients": implicit_als_cg,
    "item_knn": item_cosine,
    "implicit, item cosine": implicit_cosine,
}


# --- data -----------------------------------------------------------------------------------------


def planted() -> Ratings:
    """10 million events of 100,000 users and 50,000 items, some items far more popular.

    Four of five are of the user's own group of items.
    """
    rng = np.random.default_rng(SEED)
    n_drawn = int(1.35 * EVENTS)
    user = rng.integers(USERS, size=n_drawn)
    rank = (ITEMS // GROUPS * rng.random(n_drawn) ** 3).astype(np.int64)
    is_own = rng.random(n_drawn) < 0.8
    group = np.where(is_own, user % GROUPS, rng.integers(GROUPS, size=n_drawn))
    pair = np.unique(user * ITEMS + rank * GROUPS + group)
    pair = rng.permutation(pair)[:EVENTS]
    user, item = np.divmod(pair, ITEMS)
    value = np.ones(len(pair), np.float32)

    return Ratings(
        user.astype(np.int32),
        item.astype(np.int32),
        value,
        Vocab(range(USERS)),
        Vocab(range(ITEMS)),
        scale=(0.0, 1.0),
        implicit=True,
        name="planted",
    )


DATA: dict[str, Callable[[], Ratings]] = {
    "citeulike-t": lambda: rc.load("citeulike/t"),
    "ml-1m": lambda: rc.load("movielens/1m").events(from_=4, remember=False),
}


if __name__ == "__main__":
    main()
