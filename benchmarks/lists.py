"""Rankers of large catalogues: python benchmarks/lists.py [lists] [fit]

lists: top 10 of some planted users among 50 thousand items, to Parquet, by each ranker in turn, and
how many users a minute that is; and the n best of rows of scores, beside a sort and torch's topk.
fit: EASE with half a percent of its weights on 100 thousand planted items and 10 million events, in
a process of its own.

Seconds of the clock, minimum and median; `processor_s` is the time of all cores, which other
programs on the machine disturb less.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import recollect as rc
from kernels import interleaved
from recollect.data.sources.planted import planted
from recollect.kernels.first_n import first_n
from recollect.kernels.reference.first_n import first_n as by_sorting
from recollect.run import peak_memory_mb
from recollect.system import allocator, processes

allocator.configure()

N = 10
N_ITEMS = 50_000
N_USERS = 10_000
N_EVENTS = 500_000
RANKERS: dict[str, dict[str, Any]] = {
    "ials": {"factors": 64, "epochs": 1},
    "ease": {"keep": 0.005, "neighbors": 250},
    "item_knn": {},
}


def main() -> None:
    """Print a JSON line for each figure."""
    wanted = sys.argv[1:] or list(PARTS)
    for name in wanted:
        for line in PARTS[name]():
            print(json.dumps({"part": name, **line}), flush=True)


def lists() -> list[dict[str, Any]]:
    """Lists of everyone, by each ranker; and the selection alone."""
    events = planted(N_USERS, N_ITEMS, N_EVENTS, rank=8, seed=1).ratings.events()
    fitted = {name: rc.make(name, **RANKERS[name]).fit(events) for name in RANKERS}

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lists.parquet"
        runs = {name: writer(model, path) for name, model in fitted.items()}
        lines = figures_of(runs, rounds=5)

    for line in lines:
        line["users_per_minute"] = round(60 * N_USERS / line["min_s"])

    scores = np.random.default_rng(0).standard_normal((160, N_ITEMS)).astype(np.float32)
    table = torch.from_numpy(scores)
    selections = {
        "first_n of 160 rows": lambda: first_n(scores, N),
        "sorting 160 rows": lambda: by_sorting(scores, N),
        "torch.topk of 160 rows": lambda: table.topk(N),
    }

    return lines + figures_of(selections, rounds=7)


def writer(model: rc.Model, path: Path) -> Callable[[], int]:
    """What writes the lists of everyone."""
    return lambda: rc.top_n_to_parquet(model, path, n=N)


def figures_of(runs: dict[str, Callable[[], Any]], *, rounds: int) -> list[dict[str, Any]]:
    """Minimum and median of the clock, and the minimum of the processor, of interleaved runs."""
    processor: dict[str, list[float]] = {name: [] for name in runs}

    def counted(name: str) -> Callable[[], None]:
        def run() -> None:
            start = time.process_time()
            runs[name]()
            processor[name].append(time.process_time() - start)

        return run

    seconds = interleaved({name: counted(name) for name in runs}, rounds=rounds)

    return [
        {
            "what": name,
            "min_s": round(min(times), 4),
            "median_s": round(statistics.median(times), 4),
            "processor_s": round(min(processor[name]), 4),
        }
        for name, times in seconds.items()
    ]


def fit() -> list[dict[str, Any]]:
    """The fits of EASE on many items, each in a process of its own."""
    shares = [0.0, 0.5]
    return list(processes.run_each(timed_fit, shares, processes=1))


def timed_fit(block_share: float) -> dict[str, Any]:
    events = planted(100_000, 100_000, 10_000_000, rank=8, seed=1, times=False).ratings.events()
    start = time.process_time()
    model = rc.make("ease", keep=0.005, block_share=block_share).fit(events)
    return {
        "what": f"ease keep=0.005 block_share={block_share}",
        "seconds": round(model.seconds_, 1),
        "processor_s": round(time.process_time() - start, 1),
        "peak_mb": peak_memory_mb(),
        "weights": model.net_.matrix().nnz,
    }


PARTS = {"lists": lists, "fit": fit}

if __name__ == "__main__":
    main()
