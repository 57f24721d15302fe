"""The sparse products and a whole step of I-AutoRec, on three shapes, beside a plain dense PyTorch
step.

A figure says how many ratings a second a product does, which share of the machine's measured copy
bandwidth it would be if every rating fetched its row of the operand from memory (above 100%: from
the caches), and which share of the measured peak of a dense fp32 product its arithmetic is.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

import recollect as rc
from recollect.data.ratings import Rows
from recollect.errors import FetchError
from recollect.kernels import Block, observed, times_dense
from recollect.training.losses import add_ridge

HIDDEN = 500
DENSE = "plain dense step, PyTorch"
# Users, items, ratings.
SHAPES = {
    "ml-10m": (69_878, 10_677, 9_000_000),
    "netflix": (480_189, 17_770, 100_480_507),
}
# Of a larger dense matrix only so many cells are timed, and the time of all rows is inferred.
DENSE_CELLS = 250_000_000


def interleaved(runs: dict[str, Callable[[], Any]], *, rounds: int = 7) -> dict[str, list[float]]:
    """Seconds of each run, A B C A B C …, the first round not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratings_1m() -> rc.Ratings:
    try:
        return rc.load("movielens/1m")
    except FetchError:
        return rc.load("planted/medium")


def rows_of(name: str, share: float) -> Rows:
    """Item rows: nine tenths of MovieLens 1M, or made-up ones in the shape of a larger set; `share`
    of its users."""
    if name == "ml-1m":
        return rc.random_split(ratings_1m(), test=0.1, seed=0).train.by_item
    n_users, n_items, n_ratings = SHAPES[name]
    return made_up(round(n_users * share), n_items, round(n_ratings * share))


def made_up(n_users: int, n_items: int, n_ratings: int) -> Rows:
    """Item rows with a long tail on both sides, values 1 to 5 at random; an item at a time, in
    little memory."""
    random = np.random.default_rng(0)
    weight = 1 / (np.arange(n_items) + n_items / 100) ** 1.0
    counts = np.minimum(
        random.permutation(weight / weight.sum() * n_ratings).astype(np.int64) + 1, n_users // 2
    )
    name = random.permutation(n_users).astype(np.int32)
    columns = []
    for n in counts:
        users = name[distinct_users(random, n, n_users)]
        columns.append(np.sort(users))
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    value = random.integers(1, 6, start[-1]).astype(np.float32)
    return Rows(start, np.concatenate(columns), value, n_users)


def distinct_users(random: np.random.Generator, n: int, n_users: int) -> np.ndarray:
    """`n` of the users, some of whom rate much more than others: user i as 1/√i."""
    if n < n_users // 20:
        drawn = np.empty(0, np.int64)
        while len(drawn) < n:
            more = (random.random(2 * n) ** 2 * n_users).astype(np.int64)
            drawn = np.unique(np.concatenate([drawn, more]))

        return random.choice(drawn, n, replace=False)

    # The n earliest of arrivals at rates 1/√i are n draws without replacement. For the many users
    # of a popular item this is much faster than drawing until enough of them differ.
    arrival = random.exponential(size=n_users) * np.sqrt(np.arange(1, n_users + 1))

    return np.argpartition(arrival, n)[:n]


def ceilings() -> dict[str, float]:
    """What this machine does at best: copying (read + write) and dense products."""
    big, other = torch.rand(64 << 20), torch.empty(64 << 20)  # 256 MB each: beyond any cache
    a = torch.rand(2048, 2048)
    half = a.bfloat16()
    times = interleaved(
        {"copy": lambda: other.copy_(big), "fp32": lambda: a @ a, "bf16": lambda: half @ half},
        rounds=5,
    )
    return {
        "copy_bytes_per_s": 2 * 4 * len(big) / min(times["copy"]),
        "fp32_flop_per_s": 2 * 2048**3 / min(times["fp32"]),
        "bf16_flop_per_s": 2 * 2048**3 / min(times["bf16"]),
    }


class Step:
    """One full-batch step of I-AutoRec: forward, squared error at the observed cells, λ, and all
    gradients."""

    def __init__(self, rows: Rows) -> None:
        torch.manual_seed(0)
        self.rows = rows
        self.V = torch.randn(rows.n_columns, HIDDEN).mul_(0.01).requires_grad_()
        self.W = torch.randn(rows.n_columns, HIDDEN).mul_(0.01).requires_grad_()
        self.mu = torch.zeros(HIDDEN, requires_grad=True)
        self.b = torch.zeros(rows.n_columns, requires_grad=True)

    def finish(self, error: torch.Tensor) -> None:
        error.backward()
        for weight in (self.V, self.W):
            add_ridge(weight, 400.0)
        for p in (self.V, self.W, self.mu, self.b):
            p.grad = None

    def sparse(self, block: Block) -> None:
        code = torch.sigmoid(times_dense(block, self.V) + self.mu)
        error = observed(block, code, self.W, self.b) - block.value
        self.finish(error @ error)

    def dense(self, n_rows: int) -> Callable[[], None]:
        """As tutorials write it: the filled matrix and a mask, for the first so many rows."""
        rows = self.rows.take(np.arange(n_rows))
        X = torch.zeros(n_rows, rows.n_columns)
        row = torch.as_tensor(rows.row).long()
        column = torch.as_tensor(rows.column).long()
        X[row, column] = torch.as_tensor(rows.value)
        M = (X > 0).float()

        def step() -> None:
            out = torch.sigmoid(X @ self.V + self.mu) @ self.W.t() + self.b
            self.finish(((out - X) * M).pow(2).sum())

        return step


def kernels(
    name: str, share: float, peak: dict[str, float], backends: tuple[str, ...]
) -> dict[str, Any]:
    """Products and steps of one shape; `dense_over_this` is the ratio to the dense step of the same
    run."""
    rows = rows_of(name, share)
    step = Step(rows)
    n = len(rows.column)
    blocks = {
        backend: Block(
            rows.start, rows.column, rows.value, n_columns=rows.n_columns, backend=backend
        )
        for backend in backends
    }
    rounds = 7 if n < 2_000_000 else 3
    with torch.no_grad():
        products = interleaved(product_runs(blocks, step), rounds=rounds)
    n_dense = min(len(rows), max(1, DENSE_CELLS // rows.n_columns))
    runs = {
        f"whole step{suffix}": lambda block=block: step.sparse(block)
        for suffix, block in with_suffixes(blocks)
    }
    steps = interleaved({**runs, DENSE: step.dense(n_dense)}, rounds=max(1, rounds - 2))
    # Rows are independent in a dense step, but for λ and the gradients' last sum.
    scale = len(rows) / n_dense
    steps[DENSE] = [seconds * scale for seconds in steps[DENSE]]
    yardstick = min(steps[DENSE])
    figures = {what: product_figures(seconds, n, peak) for what, seconds in products.items()}
    for what, seconds in steps.items():
        figures[what] = step_figures(what, seconds, n, peak, yardstick)
    about = {
        "rows": len(rows),
        "columns": rows.n_columns,
        "ratings": n,
        "hidden": HIDDEN,
        "share_of_users": share,
        "dense_rows_timed": n_dense,
    }
    return {"about": about, "rows": figures}


def with_suffixes(blocks: dict[str, Block]) -> Iterator[tuple[str, Block]]:
    """What to add to a label, nothing for the first backend, and the block."""
    for index, (backend, block) in enumerate(blocks.items()):
        yield (f", {backend}" if index else ""), block


def product_runs(blocks: dict[str, Block], step: Step) -> dict[str, Callable[[], Any]]:
    H = torch.rand(len(step.rows), HIDDEN)

    def transposed(block: Block) -> torch.Tensor:
        value = block.by_column(block.value)
        return block.backend.times_dense(block.columns[0], value, H)

    runs: dict[str, Callable[[], Any]] = {}
    for suffix, block in with_suffixes(blocks):
        runs[f"rows × dense{suffix}"] = partial(times_dense, block, step.V)
        runs[f"rowsᵀ × dense{suffix}"] = partial(transposed, block)
        runs[f"at the cells{suffix}"] = partial(observed, block, H, step.W)
    return runs


def product_figures(
    seconds: list[float], n: int, peak: dict[str, float], passes: int = 1
) -> dict[str, float | None]:
    """Of something that multiplies every rating's row of the operand so many times."""
    fastest = min(seconds)
    numbers = passes * n * HIDDEN
    return {
        "min_s": fastest,
        "median_s": statistics.median(seconds),
        "million_ratings_per_s": n / fastest / 1e6,
        "of_copy_bandwidth": numbers * 4 / fastest / peak["copy_bytes_per_s"],
        "of_fp32_peak": numbers * 2 / fastest / peak["fp32_flop_per_s"],
        "dense_over_this": None,
    }


def step_figures(
    what: str, seconds: list[float], n: int, peak: dict[str, float], yardstick: float
) -> dict[str, float | None]:
    """Of a whole step, which has five products."""
    figures = product_figures(seconds, n, peak, passes=5)
    if what == DENSE:
        figures["of_copy_bandwidth"] = None
        figures["of_fp32_peak"] = None
    figures["dense_over_this"] = yardstick / min(seconds)
    return figures
