"""What must be fast, measured: make bench, or python benchmarks/run.py [read] [kernels] [predict]
[fit] [read-large] [epochs] [big] [folds] [deeprec] [factors].

Times are interleaved, with minimum and median, and a ratio to a yardstick measured in the same run:
a plain dense PyTorch AutoRec step, as tutorials write it. Every fit runs in a fresh process, so
that its peak memory is its own. Data: MovieLens 1M where it is found, else planted ratings of its
shape. Results go to the screen, to runs/bench.json and to runs/bench.png.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import torch
import typer
from deeprec import deeprec
from epochs import epochs
from factors import factors
from rich.console import Console
from rich.table import Table

import recollect as rc
from kernels import HIDDEN, ceilings, interleaved, kernels, ratings_1m
from recollect.data.sources import movielens
from recollect.data.splitting import Split
from recollect.evaluation.significance import mean_interval
from recollect.run import peak_memory_mb
from recollect.system import allocator, processes

LARGE = 20_000_000  # rows, as in MovieLens 20M
HEADS = {
    "million_ratings_per_s": "M ratings/s",
    "of_copy_bandwidth": "of copy bw",
    "of_fp32_peak": "of fp32 peak",
    "dense_over_this": "× dense",
    "plain_over_this": "× plain",
}
screen = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def read() -> dict[str, Any]:
    """Reading ratings into memory, vocabularies and duplicate check included."""
    ratings = ratings_1m()
    times = interleaved({"load": ratings_1m}, rounds=5)["load"]
    return {
        "ratings": len(ratings),
        "data": ratings.name,
        "min_s": min(times),
        "median_s": statistics.median(times),
    }


def read_large() -> dict[str, Any]:
    """Reading 20 million made-up rows of CSV, in any order and by user, each in its own process."""
    generator = np.random.default_rng(0)
    rows = pl.DataFrame(
        {
            "user_id": generator.integers(1, 138_494, LARGE),
            "item_id": generator.integers(1, 26_745, LARGE),
            "rating": generator.integers(1, 11, LARGE) / 2,
            "timestamp": generator.integers(789_652_009, 1_427_784_002, LARGE),
        }
    )
    figures = {}

    with tempfile.TemporaryDirectory() as folder:
        for name, table in {"any order": rows, "by user": rows.sort("user_id")}.items():
            path = Path(folder) / "ratings.csv"
            table.write_csv(path)
            (figures[name],) = processes.run_each(timed_read, [path], processes=1)

    return {"rows": figures, "about": {"rows": LARGE}}


def timed_read(path: Path) -> dict[str, Any]:
    """Seconds that a file takes to be read, and the peak memory of the process in MB."""
    start = time.perf_counter()
    rc.read(path)
    return {"seconds": time.perf_counter() - start, "peak_memory_mb": peak_memory_mb()}


def products(share: float) -> dict[str, Any]:
    """The sparse products and whole steps on three shapes; of Netflix a share of the users."""
    peak = ceilings()
    backends = ("cpu", "cpu16", "csr")
    every = {"ml-1m": (1.0, backends), "ml-10m": (1.0, backends), "netflix": (share, backends[:2])}
    return {
        "machine": {"rows": {"measured": peak}},
        **{name: kernels(name, part, peak, backends) for name, (part, backends) in every.items()},
    }


# The paper's form, by which earlier versions can be compared.
PAPERS_FORM = {"offsets": False, "init": 0.01, "refit": False}


def timed_fit(job: tuple[str, dict[str, Any], Split]) -> dict[str, Any]:
    name, settings, split = job
    model = rc.make(name, **settings).fit(split.train, split.valid)
    validations = model.history_.column("valid_rmse")
    seconds = dict(model.history_.column("seconds"))
    enough = model.history_.best_valid_rmse + 0.001
    near = next((epoch for epoch, error in validations if error <= enough), None)
    return {
        "model": name,
        "settings": settings,
        "seconds": model.seconds_,
        "peak_mb": peak_memory_mb(),
        "epochs": len(model.history_),
        "best_valid_rmse": model.history_.best_valid_rmse if validations else None,
        "seconds_to_within_0.001": seconds[near] if near else None,
        "test_rmse": rc.held_out(model, split.test)["rmse"],
    }


def fit() -> dict[str, Any]:
    """One fit of I-AutoRec: seconds until the validation RMSE is within 0.001 of the best, and peak
    memory."""
    split = rc.random_split(ratings_1m(), test=0.1, valid=0.05, seed=0)
    settings = {
        "side": "item",
        "hidden": HIDDEN,
        "reg": 200.0,
        "reg_input": 800.0,
        **PAPERS_FORM,
    }  # chosen on validation: docs/log.md
    (figures,) = processes.run_each(timed_fit, [("autorec", settings, split)], processes=1)
    return figures


def predict() -> dict[str, Any]:
    """Pairs predicted a second, and lists of ten for everyone."""
    train = rc.random_split(ratings_1m(), test=0.1, seed=0).train
    model = rc.make("autorec", hidden=HIDDEN, epochs=3).fit(train)
    random = np.random.default_rng(0)
    user = random.integers(0, train.n_users, 1_000_000)
    item = random.integers(0, train.n_items, 1_000_000)
    times = interleaved(
        {
            "pairs": lambda: model.predict(user, item),
            "lists": lambda: rc.top_n(model, user_ids=train.users.ids),
        },
        rounds=3,
    )
    return {
        "pairs_per_s": 1_000_000 / min(times["pairs"]),
        "top_10_of_everyone_s": min(times["lists"]),
        "users": train.n_users,
    }


def big() -> dict[str, Any]:
    """500,000 users × 100,000 items, 5 million ratings: dense would be 200 GB. A fit in a process
    of its own."""
    (figures,) = processes.run_each(big_fit, [None], processes=1)
    return figures


def big_fit(_: None) -> dict[str, Any]:
    split = rc.random_split(rc.load("planted/big"), test=0.1, valid=0.02, seed=0)
    settings = {
        "side": "item",
        "hidden": 100,
        "optimizer": "adam",
        "batch_size": 5000,
        "learning_rate": 0.001,
        "epochs": 5,
        "center": True,
        "reg": 20.0,
        "validate_every": 1,
        **PAPERS_FORM,
    }
    bias = rc.held_out(rc.make("bias").fit(split.train), split.test)["rmse"]
    return {**timed_fit(("autorec", settings, split)), "bias_rmse": bias}


# Settings chosen on 10% of the train ratings of u1.
FOLDS: dict[str, tuple[str, dict[str, Any]]] = {
    "bias": ("bias", {}),
    "I-AutoRec": ("autorec", {**PAPERS_FORM, "side": "item", "reg": 200.0}),
    "U-AutoRec": ("autorec", {**PAPERS_FORM, "side": "user", "reg": 120.0}),
    "U-AutoRec, centered": (
        "autorec",
        {**PAPERS_FORM, "side": "user", "reg": 120.0, "center": True},
    ),
}


def folds() -> dict[str, Any]:
    """MovieLens 100K, the published folds u1 to u5; 5% of train is validation, then a refit on all
    of it."""
    figures: dict[str, Any] = {}
    for label, (name, settings) in FOLDS.items():
        errors = []
        for k in range(1, 6):
            train, test = movielens.fold(k)
            part = rc.random_split(train, test=0.05, seed=k)
            model = rc.make(name, **{**settings, "refit": True}).fit(part.train, part.test)
            scores = rc.held_out(model, test)
            errors.append((scores["rmse"], scores["mae"], scores.about["n_cold"]))
        interval = mean_interval([e[0] for e in errors], test_share=0.2)
        figures[label] = {
            "low": interval.low,
            "high": interval.high,
            "rmse_per_fold": [round(e[0], 4) for e in errors],
            "rmse": statistics.mean(e[0] for e in errors),
            "mae": statistics.mean(e[1] for e in errors),
            "cold": sum(e[2] for e in errors),
        }
    return figures


def plain(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def show(name: str, found: dict[str, Any]) -> None:
    """A row per thing measured; a single thing, a row per figure; a table of tables, one after the
    other."""
    if found and all(isinstance(v, dict) and "rows" in v for v in found.values()):
        for part, table in found.items():
            about = ", ".join(f"{k} {plain(v)}" for k, v in table.get("about", {}).items())
            show(f"{name}: {part}{f' ({about})' if about else ''}", table)
        return
    table = Table(title=name, title_justify="left", min_width=60, show_header=False)
    rows = found.get("rows") or (
        found if all(isinstance(v, dict) for v in found.values()) else None
    )
    if rows is None:
        for figure, value in found.items():
            table.add_row(figure, plain(value))
    else:
        table.show_header = True
        columns = list(dict.fromkeys(k for row in rows.values() for k in row))
        for column in ("", *columns):
            table.add_column(HEADS.get(column, column.replace("_", " ")), no_wrap=True)
        for label, row in rows.items():
            table.add_row(label, *(plain(row.get(c)) for c in columns))
    screen.print(table)


def draw(found: dict[str, Any], path: Path) -> None:
    """Millions of ratings a second of whole steps, a group of bars per shape."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    shapes = [name for name in found if name != "machine"]
    steps = list(
        dict.fromkeys(what for name in shapes for what in found[name]["rows"] if "step" in what)
    )
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    width = 0.8 / len(steps)
    for j, what in enumerate(steps):
        bars = [
            found[name]["rows"].get(what, {}).get("million_ratings_per_s") or 0.0 for name in shapes
        ]
        place = np.arange(len(shapes)) + (j - (len(steps) - 1) / 2) * width
        drawn = axes.bar(place, bars, width, label=what.replace("whole step", "Recollect"))
        axes.bar_label(drawn, labels=[f"{b:.2g}" if b else "" for b in bars], fontsize=8)
    axes.set_xticks(
        range(len(shapes)),
        [f"{n}\n{found[n]['about']['ratings'] / 1e6:.1f} million ratings" for n in shapes],
    )
    axes.set_ylabel("million ratings a second")
    axes.set_title(
        f"One full-batch step of I-AutoRec, k = {HIDDEN}, {torch.get_num_threads()} threads"
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="read, kernels, predict, fit, read-large, epochs, big, folds, deeprec, "
            "factors; the first four if nothing is named."
        ),
    ] = None,
    peer: Annotated[
        str | None,
        typer.Option(
            help="For deeprec: a command that fits another implementation and prints a "
            "JSON line with rmse and notes.seconds_per_epoch."
        ),
    ] = None,
    share: Annotated[
        float, typer.Option(help="Share of the users of the Netflix shape; 1 is all.")
    ] = 0.05,
) -> None:
    """Measure what must be fast."""
    allocator.configure()  # as the command line does; also for the processes started here
    measures = {
        "read": read,
        "kernels": lambda: products(share),
        "predict": predict,
        "fit": fit,
        "read-large": read_large,
        "epochs": lambda: epochs(share),
        "big": big,
        "folds": folds,
        "deeprec": lambda: deeprec(peer),
        "factors": factors,
    }
    names = what or ["read", "kernels", "predict", "fit"]
    unknown = [name for name in names if name not in measures]
    if unknown:
        raise typer.BadParameter(
            f"There is no benchmark {', '.join(unknown)}; there are {', '.join(measures)}."
        )
    results: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    path = Path("runs/bench.json")
    path.parent.mkdir(exist_ok=True)
    for name in names:
        results[name] = measures[name]()
        show(name, results[name])
        path.write_text(json.dumps(results, indent=1))
    if "kernels" in results:
        draw(results["kernels"], path.with_suffix(".png"))
        print(f"Drawn in {path.with_suffix('.png')}.")
    print(f"Written to {path}.")


if __name__ == "__main__":
    typer.run(main)
