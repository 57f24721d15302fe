"""I-AutoRec on the split that other libraries' runners use: test = default_rng(seed).random(n) < 0.1, in file order.

python benchmarks/same_split.py [SEED] [--refit] prints one JSON line; run the other library's script before and after it on
the same machine. 5% of the train ratings are validation; --refit fits again on all of them.
"""

import json
import sys
import time

import numpy as np

import recollect as rc
from recollect import machine

machine.share()


def main() -> None:
    from recollect.run import peak_memory_mb

    seed = int(next((a for a in sys.argv[1:] if a.isdigit()), "20260"))
    ratings = rc.load("movielens/1m")
    is_test = np.random.default_rng(seed).random(len(ratings)) < 0.1
    train, test = ratings.where(~is_test), ratings.where(is_test)
    part = rc.random_split(train, test=0.05, seed=seed)
    start = time.perf_counter()
    model = rc.make("autorec", reg=200.0, reg_input=800.0, refit="--refit" in sys.argv).fit(part.train, part.test)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    scores = rc.held_out(model, test)
    print(json.dumps({"peer": "recollect", "model": "autorec", "seed": seed, "rmse": round(scores["rmse"], 5),
                      "mae": round(scores["mae"], 5), "fit_s": round(seconds, 1),
                      "predict_s": round(time.perf_counter() - start, 2),
                      "peak_rss_mb": round(peak_memory_mb(), 1), "n_train": len(train), "n_test": len(test),
                      "n_cold": scores.about["n_cold"], "epochs": len(model.history_)}))


if __name__ == "__main__":
    main()
