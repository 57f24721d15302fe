"""What must be fast, measured: make bench, or python benchmarks/run.py [read] [kernels] [fit] [predict] [big] [folds].

Times are interleaved, with minimum and median, and a ratio to a yardstick measured in the same run: a plain dense PyTorch
AutoRec step, as tutorials write it. Every fit runs in a fresh process, so that its peak memory is its own. Data: MovieLens
1M where it is found, else planted ratings of its shape. Results go to the screen and to runs/bench.json.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import recollect as rc
from recollect import jobs
from recollect.cli import give_memory_back
from recollect.data.parts import Split
from recollect.data.sources import movielens
from recollect.errors import FetchError
from recollect.evaluation.significance import mean_interval
from recollect.kernels import Block, observed, times_dense
from recollect.run import peak_memory_mb
from recollect.training.losses import square

HIDDEN = 500
DENSE = "plain dense PyTorch"
screen = Console(highlight=False, width=None if sys.stdout.isatty() else 110)


def ratings_1m() -> rc.Ratings:
    try:
        return rc.load("movielens/1m")
    except FetchError:
        return rc.load("planted/medium")


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


def read() -> dict[str, Any]:
    """Reading ratings into memory, vocabularies and duplicate check included."""
    ratings = ratings_1m()
    times = interleaved({"load": ratings_1m}, rounds=5)["load"]
    return {"ratings": len(ratings), "data": ratings.name, "min_s": min(times), "median_s": statistics.median(times)}


def kernels() -> dict[str, Any]:
    """The sparse products, and a whole step (forward, loss, both gradients), beside the dense step."""
    ratings = rc.random_split(ratings_1m(), test=0.1, seed=0).train
    rows = ratings.by_item
    block = Block(rows.start, rows.column, rows.value, n_columns=rows.n_columns)
    columns, _ = block.columns
    V, W = (torch.randn(rows.n_columns, HIDDEN).mul_(0.01).requires_grad_() for _ in range(2))
    mu, b = torch.zeros(HIDDEN, requires_grad=True), torch.zeros(rows.n_columns, requires_grad=True)
    H = torch.rand(len(rows), HIDDEN)
    X = torch.zeros(len(rows), rows.n_columns)
    X[torch.as_tensor(rows.row).long(), torch.as_tensor(rows.column).long()] = torch.as_tensor(rows.value)
    M = (X > 0).float()

    def finish(error: torch.Tensor) -> None:
        (error + 200 * (square(V) + square(W))).backward()
        for p in (V, W, mu, b):
            p.grad = None

    def sparse_step() -> None:
        code = torch.sigmoid(times_dense(block, V) + mu)
        error = observed(block, code, W, b) - block.value
        finish(error @ error)

    def dense_step() -> None:
        out = torch.sigmoid(X @ V + mu) @ W.t() + b
        finish(((out - X) * M).pow(2).sum())

    back = block.backend
    with torch.no_grad():
        products = interleaved({
            "rows × dense": lambda: times_dense(block, V),
            "rowsᵀ × dense": lambda: back.times_dense(columns, block.by_column(block.value), H),
            "dense · dense at the cells": lambda: observed(block, H, W),
        })
    steps = interleaved({"sparse step": sparse_step, DENSE: dense_step}, rounds=5)
    yardstick = min(steps[DENSE])
    return {"data": ratings.name, "ratings": len(ratings), "hidden": HIDDEN, "rows": {
        name: {"min_s": min(t), "median_s": statistics.median(t), "ratings_per_s": len(ratings) / min(t),
               "dense_over_this": yardstick / min(t) if "step" in name or name == DENSE else None}
        for name, t in {**products, **steps}.items()}}


def timed_fit(job: tuple[str, dict[str, Any], Split]) -> dict[str, Any]:
    name, settings, split = job
    model = rc.make(name, **settings).fit(split.train, split.valid)
    seen = model.history_.column("valid_rmse")
    seconds = dict(model.history_.column("seconds"))
    near = next((epoch for epoch, error in seen if error <= model.history_.best_valid_rmse + 0.001), None)
    return {"model": name, "settings": settings, "seconds": model.seconds_, "peak_mb": peak_memory_mb(),
            "epochs": len(model.history_), "best_valid_rmse": model.history_.best_valid_rmse if seen else None,
            "seconds_to_within_0.001": seconds[near] if near else None,
            "test_rmse": rc.held_out(model, split.test)["rmse"]}


def fit() -> dict[str, Any]:
    """One fit of I-AutoRec: seconds until the validation RMSE is within 0.001 of the best, and peak memory."""
    split = rc.random_split(ratings_1m(), test=0.1, valid=0.05, seed=0)
    settings = {"side": "item", "hidden": HIDDEN, "reg": 200.0, "reg_input": 800.0}   # chosen on validation: docs/log.md
    (found,) = jobs.each(timed_fit, [("autorec", settings, split)], processes=1)
    return found


def predict() -> dict[str, Any]:
    """Pairs predicted a second, and lists of ten for everyone."""
    train = rc.random_split(ratings_1m(), test=0.1, seed=0).train
    model = rc.make("autorec", hidden=HIDDEN, epochs=3).fit(train)
    random = np.random.default_rng(0)
    user, item = random.integers(0, train.n_users, 1_000_000), random.integers(0, train.n_items, 1_000_000)
    times = interleaved({"pairs": lambda: model.predict(user, item), "lists": lambda: rc.top_n(model, user_ids=train.users.ids)},
                        rounds=3)
    return {"pairs_per_s": 1_000_000 / min(times["pairs"]), "top_10_of_everyone_s": min(times["lists"]), "users": train.n_users}


def big() -> dict[str, Any]:
    """500,000 users × 100,000 items, 5 million ratings: dense would be 200 GB. A fit in a process of its own."""
    (found,) = jobs.each(big_fit, [None], processes=1)
    return found


def big_fit(_: None) -> dict[str, Any]:
    split = rc.random_split(rc.load("planted/big"), test=0.1, valid=0.02, seed=0)
    settings = {"side": "item", "hidden": 100, "optimizer": "adam", "batch_size": 5000, "learning_rate": 0.001, "epochs": 5,
                "center": True, "reg": 20.0, "look_every": 1}
    bias = rc.held_out(rc.make("bias").fit(split.train), split.test)["rmse"]
    return {**timed_fit(("autorec", settings, split)), "bias_rmse": bias}


FOLDS: dict[str, tuple[str, dict[str, Any]]] = {  # settings chosen on 10% of the train ratings of u1
    "bias": ("bias", {}),
    "I-AutoRec": ("autorec", {"side": "item", "reg": 200.0}),
    "U-AutoRec": ("autorec", {"side": "user", "reg": 120.0}),
    "U-AutoRec, centred": ("autorec", {"side": "user", "reg": 120.0, "center": True}),
}


def folds() -> dict[str, Any]:
    """MovieLens 100K, the published folds u1 to u5; 5% of train is validation, then a refit on all of it."""
    found: dict[str, Any] = {}
    for label, (name, settings) in FOLDS.items():
        errors = []
        for k in range(1, 6):
            train, test = movielens.fold(k)
            part = rc.random_split(train, test=0.05, seed=k)
            model = rc.make(name, **settings, refit=True).fit(part.train, part.test)
            scores = rc.held_out(model, test)
            errors.append((scores["rmse"], scores["mae"], scores.about["n_cold"]))
        interval = mean_interval([e[0] for e in errors], test_share=0.2)
        found[label] = {"low": interval.low, "high": interval.high,
                        "rmse_per_fold": [round(e[0], 4) for e in errors], "rmse": statistics.mean(e[0] for e in errors),
                        "mae": statistics.mean(e[1] for e in errors), "cold": sum(e[2] for e in errors)}
    return found


def plain(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else "" if value is None else str(value)


def show(name: str, found: dict[str, Any]) -> None:
    """A row per thing measured; a single thing, a row per figure."""
    table = Table(title=name, title_justify="left", min_width=60, show_header=False)
    rows = found.get("rows") or (found if all(isinstance(v, dict) for v in found.values()) else None)
    if rows is None:
        for figure, value in found.items():
            table.add_row(figure, plain(value))
    else:
        table.show_header = True
        columns = list(dict.fromkeys(k for row in rows.values() for k in row))
        for column in ("", *columns):
            table.add_column(column)
        for label, row in rows.items():
            table.add_row(label, *(plain(row.get(c)) for c in columns))
    screen.print(table)


def main() -> None:
    give_memory_back()  # as the command line does; also for the processes started here
    measures = {"read": read, "kernels": kernels, "fit": fit, "predict": predict, "big": big, "folds": folds}
    asked = sys.argv[1:] or ["read", "kernels", "predict", "fit"]
    unknown = [name for name in asked if name not in measures]
    if unknown:
        sys.exit(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(measures)}.")
    results: dict[str, Any] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "torch": torch.__version__,
                               "threads": torch.get_num_threads()}
    for name in asked:
        results[name] = measures[name]()
        show(name, results[name])
    path = Path("runs/bench.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1))
    print(f"Written to {path}.")


if __name__ == "__main__":
    main()
