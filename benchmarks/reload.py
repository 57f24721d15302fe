"""Whether a reader ever sees half of two models: loads beside saves into the same folder.

    python benchmarks/reload.py                       # 50,000 loads, some minutes
    python benchmarks/reload.py --loads 2000 --folder /dev/shm
    python benchmarks/reload.py --two-renames         # as where folders cannot be exchanged at once

One process saves two models in turn, with different ratings and weights; others load what stands
there. A load is whole (ratings and weights of one model), refused (an error of ours), or mixed,
which must never happen. Exit code 1 if one was.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

import recollect as rc
from recollect.errors import CheckpointError
from recollect.run import Run
from recollect.system import atomic_files

PAUSES = (0.0, 0.01, 0.1)  # seconds between two saves
READERS = 2
MIXED = "mixed"
WHOLE = "whole"


def models() -> list[rc.Model]:
    """Two models that differ in ratings and in weights."""
    ratings = rc.load("planted/tiny")
    parts = rc.random_split(ratings, test=0.5, seed=0)

    return [
        rc.make("pmf", factors=4, epochs=2).fit(part, run=Run(seed=seed, threads=1))
        for seed, part in enumerate((parts.train, parts.test))
    ]


def identity(model: rc.Model) -> tuple[str, float]:
    """What tells the two models apart: that of the ratings, and that of the weights."""
    weights = [weight.double().abs().sum() for weight in model.net_.state_dict().values()]
    return model.given_.fingerprint, float(torch.stack(weights).sum())


def save_in_turn(folder: Path, pause: float, is_over: Any, n_saves: Any, two_renames: bool) -> None:
    """Save one model and the other until it is over."""
    if two_renames:
        atomic_files.exchange = lambda one, other: False

    both = models()

    while not is_over.is_set():
        rc.save(both[n_saves.value % 2], folder)
        n_saves.value += 1
        time.sleep(pause)


def load_often(
    folder: Path, loads: int, known: set[tuple[str, float]], counts: Any, is_begun: Any
) -> None:
    """Load so often, and count what came of it."""
    is_begun.wait()
    outcomes: Counter[str] = Counter()

    for _ in range(loads):
        try:
            outcomes[WHOLE if identity(rc.load_model(folder)) in known else MIXED] += 1
        except CheckpointError as problem:
            outcomes[f"refused: {str(problem).replace(str(folder), 'RUN')}"] += 1

    counts.put(outcomes)


def count(
    folder: Path, *, loads: int, pause: float, two_renames: bool = False
) -> tuple[int, Counter[str]]:
    """How often the model was saved meanwhile, and the outcomes of so many loads.

    Args:
        folder: of the model.
        loads: in all.
        pause: seconds between two saves.
        two_renames: whether folders are exchanged by two renames.
    """
    spawn = multiprocessing.get_context("spawn")
    is_over, is_begun, n_saves = spawn.Event(), spawn.Event(), spawn.Value("q", 0)
    counts = spawn.Queue()
    known = {identity(model) for model in models()}
    writer = spawn.Process(target=save_in_turn, args=(folder, pause, is_over, n_saves, two_renames))
    readers = [
        spawn.Process(target=load_often, args=(folder, loads // READERS, known, counts, is_begun))
        for _ in range(READERS)
    ]

    for process in (writer, *readers):
        process.start()

    while n_saves.value < 2 and writer.is_alive():
        time.sleep(0.01)

    before = n_saves.value
    is_begun.set()
    outcomes: Counter[str] = Counter()

    for _ in readers:
        outcomes += counts.get()

    saves = n_saves.value - before
    is_over.set()

    for process in (writer, *readers):
        process.join()

    return saves, outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=50_000)
    parser.add_argument("--two-renames", action="store_true")
    parser.add_argument("--folder", help="where; in memory (/dev/shm) saves are quickest")
    options = parser.parse_args()
    n_mixed = 0

    for pause in PAUSES:
        with tempfile.TemporaryDirectory(dir=options.folder) as home:
            saves, outcomes = count(
                Path(home) / "m",
                loads=options.loads // len(PAUSES),
                pause=pause,
                two_renames=options.two_renames,
            )

        n_mixed += outcomes[MIXED]
        refused = sum(n for outcome, n in outcomes.items() if outcome not in (WHOLE, MIXED))
        print(
            f"{pause:g} s between saves, {saves:,} saves: {outcomes.total():,} loads, "
            f"{outcomes[WHOLE]:,} whole, {refused:,} refused, {outcomes[MIXED]:,} mixed",
            flush=True,
        )

        for outcome, n in outcomes.most_common():
            if outcome not in (WHOLE, MIXED):
                print(f"    {n:,} {outcome}")

    return int(n_mixed > 0)


if __name__ == "__main__":
    sys.exit(main())
