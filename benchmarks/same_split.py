"""A model on the split that other libraries' runners use: test = default_rng(seed).random(n) < 0.1, in file order.

python benchmarks/same_split.py [SEED] [--model NAME] [--set KEY=VALUE ...] [--refit] prints one JSON line; run the other
library's script before and after it on the same machine. 5% of train are validation; --refit learns from all in the end.
"""

import argparse
import json
import time

import numpy as np

import recollect as rc
from recollect.cli.output.screen import settings_of
from recollect.system import allocator

allocator.configure()

AUTOREC = {"reg": 200.0, "reg_input": 800.0}


def main() -> None:
    from recollect.run import peak_memory_mb

    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked.add_argument("seed", type=int, nargs="?", default=20260)
    asked.add_argument("--model", default="autorec")
    asked.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    asked.add_argument("--refit", action="store_true")
    given = asked.parse_args()
    settings = {**(AUTOREC if given.model == "autorec" else {}), **settings_of(given.set)}

    ratings = rc.load("movielens/1m")
    is_test = np.random.default_rng(given.seed).random(len(ratings)) < 0.1
    train, test = ratings.where(~is_test), ratings.where(is_test)
    part = rc.random_split(train, test=0.05, seed=given.seed)
    start = time.perf_counter()
    model = rc.make(given.model, **settings, refit=given.refit).fit(part.train, part.test)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    scores = rc.held_out(model, test)
    print(
        json.dumps(
            {
                "peer": "recollect",
                "model": given.model,
                "settings": settings,
                "seed": given.seed,
                "rmse": round(scores["rmse"], 5),
                "mae": round(scores["mae"], 5),
                "fit_s": round(seconds, 1),
                "predict_s": round(time.perf_counter() - start, 2),
                "peak_rss_mb": round(peak_memory_mb(), 1),
                "n_train": len(train),
                "n_test": len(test),
                "n_cold": scores.about["n_cold"],
                "epochs": len(model.history_),
            }
        )
    )


if __name__ == "__main__":
    main()
