"""Lists of models of ratings beside rankers: python benchmarks/lists_from_ratings.py DATA MODEL…

DATA is a data set by name, such as movielens/100k. A random fifth of its ratings is test and a
twentieth of the rest validation (seed 78). NDCG@10 of items rated 4 and more in test, among all
items that a user has not rated, with the 95% interval over users.
"""

import json
import sys
import time
from typing import Any

import recollect as rc

SEED = 78
RANKERS: dict[str, dict[str, Any]] = {"popularity": {}, "ease": {}}


def main() -> None:
    data, *names = sys.argv[1:]
    train, valid, test = rc.random_split(rc.load(data), test=0.2, valid=0.05, seed=SEED)
    both = train.union(valid)

    for remember in (False, True):
        for name, settings in RANKERS.items():
            events = both.events(from_=4, remember=remember)
            model = rc.make(name, **settings).fit(events)
            show(name, model, test.events(from_=4), remembers=remember)

    for name in names:
        begun = time.perf_counter()
        model = rc.make(name).fit(train, valid)
        seconds = round(time.perf_counter() - begun, 1)
        rmse = rc.held_out(model, test)["rmse"]

        for rank_by in ("rating", "both"):
            show(name, model, test, rank_by=rank_by, rmse=rmse, fit_seconds=seconds)


def show(name: str, model: rc.Model, test: rc.Ratings, **about: Any) -> None:
    """Print the figure of a model's lists as a line of JSON."""
    how = {key: value for key, value in about.items() if key == "rank_by"}
    table = rc.full_ranking(model, test, n=10, **how).table()
    figure = table.filter(table["metric"] == "ndcg@10").to_dicts()[0]
    print(json.dumps({"model": name, **about, **figure}, default=str), flush=True)


if __name__ == "__main__":
    main()
