"""Factor models on MovieLens 1M: turns of ALS, passes of descent and ConvMF's filters, each beside
plain PyTorch; an epoch of
others; and, where the films' texts are found, a whole fit of ConvMF in a process of its own."""

import statistics
from itertools import pairwise
from typing import Any

import numpy as np
import torch

import recollect as rc
from kernels import interleaved, ratings_1m
from recollect.data.sources import movielens
from recollect.errors import DataError
from recollect.kernels import Block
from recollect.kernels.convolution import convolution_by_torch, max_pooled_convolution
from recollect.kernels.ridge import Equations, ridge, solve_together
from recollect.nn import Factors
from recollect.run import peak_memory_mb
from recollect.system import processes
from recollect.training.sgd import FactorSGD

K = 50
RECOLLECT = "Recollect"
PLAIN = "plain"
# Models whose epochs are timed.
EPOCHS: dict[str, tuple[str, dict[str, Any]]] = {
    "a pass of BiasedMF, k = 128": ("biased_mf", {"patience": None}),
    "a pass of SVD++, k = 64": ("svdpp", {"patience": None}),
    "a pass of timeSVD++, k = 64": ("timesvdpp", {"patience": None}),
    "a draw of BayesMF, 32 factors, bags": (
        "bayes_mf",
        {"burn_in": 0, "time": False, "probit": False},
    ),
    "the same, days and ordered probit": ("bayes_mf", {"burn_in": 0, "time": True, "probit": True}),
}
LENGTHS = (39, 3883)  # words of a plot that are kept, on average, and plots


def factors() -> dict[str, Any]:
    """Seconds of each, interleaved, with a ratio to the plain one of the same run; and a fit of
    ConvMF.
    """
    train = rc.random_split(ratings_1m(), test=0.1, seed=0).train
    timings = {
        "one turn of ALS, k = 50": turns(train),
        "one pass of SGD, k = 50": passes(train),
        "filters on 128 texts": texts(),
    }
    rows = {}
    for what, runs in timings.items():
        for name, seconds in runs.items():
            rows[f"{what}, {name}"] = figures_of(seconds)
    for what, (name, settings) in EPOCHS.items():
        rows[what] = figures_of(epochs_of(train, name, settings))
    for what, runs in timings.items():
        ratio = min(runs[PLAIN]) / min(runs[RECOLLECT])
        rows[f"{what}, {RECOLLECT}"]["plain_over_this"] = ratio
    try:
        movielens.documents("1m")
    except DataError:
        return {"data": train.name, "rows": rows}
    return {
        "data": train.name,
        "rows": rows,
        "a fit of ConvMF": next(processes.run_each(_fit, [None], processes=1)),
    }


def figures_of(seconds: list[float]) -> dict[str, float]:
    return {"min_s": min(seconds), "median_s": statistics.median(seconds)}


def epochs_of(train: rc.Ratings, name: str, settings: dict[str, Any]) -> list[float]:
    """Seconds of each epoch of a short fit but the first, in which loops may be compiled."""
    model = rc.make(name, epochs=9, **settings).fit(train)
    finished = [figures["seconds"] for figures in model.history_.epochs]
    return [after - before for before, after in pairwise(finished)]


def turns(train: rc.Ratings) -> dict[str, list[float]]:
    """Users and items solved once: in the core's cache, and padded together by PyTorch."""
    sides = [
        (
            Block(rows.start, rows.column, rows.value, n_columns=rows.n_columns),
            torch.randn(rows.n_columns, K) * 0.3,
            torch.full((len(rows),), 5.0),
        )
        for rows in (train.by_user, train.by_item)
    ]

    def compiled() -> None:
        for block, features, reg in sides:
            ridge(block, features, reg=reg)

    def plain() -> None:
        for block, features, reg in sides:
            equations = Equations(
                block=block,
                value=block.value,
                features=features,
                base=torch.zeros(K, K),
                reg=reg,
                pull=torch.zeros(block.n_rows, K),
            )
            solve_together(equations)

    return interleaved({RECOLLECT: compiled, PLAIN: plain})


def passes(train: rc.Ratings) -> dict[str, list[float]]:
    """A step on every rating; of PyTorch, steps on batches of 10,000 ratings, whose rows it gathers
    and scatters.
    """
    net = Factors(train.n_users, train.n_items, K, offsets=True)
    learner = FactorSGD(
        net,
        train,
        reg_user=torch.ones(train.n_users),
        reg_item=torch.ones(train.n_items),
        learning_rate=0.005,
    )
    U = torch.randn(train.n_users, K) * 0.1
    V = torch.randn(train.n_items, K) * 0.1
    user = torch.from_numpy(train.user).long()
    item = torch.from_numpy(train.item).long()
    value = torch.from_numpy(train.value)

    def plain() -> None:
        for part in torch.randperm(len(value)).split(10_000):
            u = U[user[part]]
            v = V[item[part]]
            error = 0.005 * (value[part] - (u * v).sum(dim=1))[:, None]
            U.index_add_(0, user[part], error * v - 0.0003 * u)
            V.index_add_(0, item[part], error * u - 0.0003 * v)

    return interleaved({RECOLLECT: lambda: learner.epoch(1), PLAIN: plain})


def texts() -> dict[str, list[float]]:
    """The answers of 300 filters over 3, 4 and 5 words to a batch, with all gradients."""
    random = np.random.default_rng(0)
    n = np.maximum(1, random.poisson(LENGTHS[0], 128))
    start = np.concatenate([[0], np.cumsum(n)])
    word = np.minimum(random.zipf(1.3, n.sum()), 8000).astype(np.int32) - 1
    table = torch.randn(8000, 200, requires_grad=True)
    weight = torch.randn(1200, 200, requires_grad=True)

    def step(answers: Any) -> None:
        table.grad = weight.grad = None
        answers().square().sum().backward()

    return interleaved(
        {
            RECOLLECT: lambda: step(
                lambda: max_pooled_convolution(start, word, table, weight, (3, 4, 5))
            ),
            PLAIN: lambda: step(
                lambda: convolution_by_torch(start, word, table, weight, (3, 4, 5))
            ),
        }
    )


def _fit(_: None) -> dict[str, Any]:
    ratings = rc.with_texts(rc.load("movielens/1m"), movielens.documents("1m"))
    split = rc.covering_split(ratings, seed=0)
    model = rc.make("convmf").fit(split.train, split.valid)
    return {
        "seconds": model.seconds_,
        "turns": len(model.history_),
        "peak_mb": peak_memory_mb(),
        "test_rmse": rc.held_out(model, split.test)["rmse"],
    }
