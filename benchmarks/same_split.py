"""A model on the split that other libraries' runners use: test = default_rng(seed).random(n) < 0.1,
in file order.

python benchmarks/same_split.py [SEED] [--model NAME] [--set KEY=VALUE ...] [--refit] prints one
JSON line; run the other library's script before and after it on the same machine. 5% of train are
validation; --refit learns from all in the end.
"""

import argparse
import json
import time

import numpy as np

import recollect as rc
from recollect.cli.options.settings import settings_of
from recollect.run import peak_memory_mb
from recollect.system import allocator

allocator.configure()

AUTOREC = {"reg": 200.0, "reg_input": 800.0}


def main() -> None:
    arguments = parse_arguments()
    settings = settings_of(arguments.set)
    if arguments.model == "autorec":
        settings = {**AUTOREC, **settings}
    ratings = rc.load("movielens/1m")
    is_test = np.random.default_rng(arguments.seed).random(len(ratings)) < 0.1
    train = ratings.where(~is_test)
    test = ratings.where(is_test)
    split = rc.random_split(train, test=0.05, seed=arguments.seed)
    model = rc.make(arguments.model, **settings, refit=arguments.refit)
    start = time.perf_counter()
    model.fit(split.train, split.test)
    fitted = time.perf_counter()
    scores = rc.held_out(model, test)
    predicted = time.perf_counter()
    line = {
        "peer": "recollect",
        "model": arguments.model,
        "settings": settings,
        "seed": arguments.seed,
        "rmse": round(scores["rmse"], 5),
        "mae": round(scores["mae"], 5),
        "fit_s": round(fitted - start, 1),
        "predict_s": round(predicted - fitted, 2),
        "peak_rss_mb": round(peak_memory_mb(), 1),
        "n_train": len(train),
        "n_test": len(test),
        "n_cold": scores.about["n_cold"],
        "epochs": len(model.history_),
    }
    print(json.dumps(line))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("seed", type=int, nargs="?", default=20260)
    parser.add_argument("--model", default="autorec")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--refit", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
