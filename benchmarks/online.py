"""How well updates keep up, and what they cost: the figures of docs/online.md.

    python benchmarks/online.py movielens --model bias --plot docs/online.png
    python benchmarks/online.py cost --model bias
    python benchmarks/online.py drift
    python benchmarks/online.py new-items --data movielens/100k --model item_knn

`movielens` is MovieLens 1M in order of time: the first 60% are fitted, the next 20% (13 days) are
predicted and learned from. `cost` is what an event takes by itself and in batches. `drift` plants a
change of what is popular. `new-items` holds items out whole, gives five people's events with each,
and asks where the item stands for all others who chose it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import polars as pl

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.evaluation.prequential.result import Prequential
from recollect.ranking import NEVER, scores_of
from recollect.report.prequential_curve import draw

CHOOSERS = 5


def movielens(model: str, settings: dict, plot: str | None) -> None:
    """MovieLens 1M: daily fits beside updates of 100 events at a time."""
    ratings = rc.load("movielens/1m")
    order = np.argsort(ratings.time, kind="stable")
    n = len(order)
    part = ratings.where(order[: round(0.8 * n)])
    recipe = rc.make(model, **settings)
    run = rc.Run(threads=1)
    result = rc.prequential(recipe, part, start=0.75, run=run)
    print(result.about)
    print(result.table())
    daily = rc.prequential(
        recipe, part, start=0.75, ways=("update",), batch=len(result.time) // 13, run=run
    )
    print("update once a day:", daily.figure("update"))
    if plot:
        draw(result, plot, window=10_000, title=f"{model}, MovieLens 1M in order of time")


def cost(model: rc.Model) -> None:
    """Milliseconds an event takes of an update of MovieLens 1M, by how many come at a time."""
    ratings = rc.load("movielens/1m")
    order = np.argsort(ratings.time, kind="stable")
    n = round(0.6 * len(order))
    fitted = model.fit(ratings.where(np.sort(order[:n])), run=rc.Run(threads=1))
    fitted.update(ratings.where(order[n : n + 100]))  # compiles what is compiled at the first call
    n += 100
    for batch in (1, 10, 100, 1000):
        times = 30 if batch < 1000 else 10
        wall = time.perf_counter()
        processor = time.process_time()
        for _ in range(times):
            fitted.update(ratings.where(order[n : n + batch]))
            n += batch

        spent = (time.perf_counter() - wall, time.process_time() - processor)
        milliseconds = [round(1000 * seconds / times / batch, 3) for seconds in spent]
        print(f"{batch} at a time: {milliseconds[0]} ms an event, {milliseconds[1]} of a processor")


def planted_drift(n_days: int = 60, per_day: int = 400, n_items: int = 300) -> Ratings:
    """Events of as many people each day; after two thirds of the days popularity is turned round.

    An item of popularity rank r is chosen with a probability of 1 / (r + 5).
    """
    random = np.random.default_rng(0)
    chance = 1 / (np.arange(n_items) + 5)
    chance /= chance.sum()
    rows = []
    for day in range(n_days):
        order = np.arange(n_items) if day < 2 * n_days // 3 else np.arange(n_items)[::-1]
        item = order[random.choice(n_items, per_day, p=chance)]
        user = random.integers(0, 4000, per_day)
        second = day * 86_400 + np.sort(random.integers(0, 86_400, per_day))
        rows.append(pl.DataFrame({"user_id": user, "item_id": item, "timestamp": second}))

    frame = pl.concat(rows).unique(["user_id", "item_id"], keep="first", maintain_order=True)
    frame = frame.with_columns(timestamp=pl.col("timestamp") + 1_000_000_000)

    return rc.from_frame(frame, implicit=True, name="planted drift")


def days_to_follow(result: Prequential, way: str, *, per_day: int) -> float | None:
    """Days after the change until the gain of a day is 90% of what it was before; None: never."""
    gain = result.value[way]
    change = int(np.searchsorted(result.time, 1_000_000_000 + 40 * 86_400))
    before = gain[:change].mean()
    for first in range(change, len(gain) - per_day, per_day // 4):
        if gain[first : first + per_day].mean() >= 0.9 * before:
            return (first - change) / per_day

    return None


def drift() -> None:
    """How many days popularity takes to follow, by its half-life."""
    events = planted_drift()
    for half_life in (None, 1.0, 2.0, 4.0):
        model = rc.make("popularity", half_life=half_life)
        result = rc.prequential(
            model, events, start=0.5, ways=("frozen", "update"), batch=20, valid=0, n=20
        )
        days = {way: days_to_follow(result, way, per_day=380) for way in result.value}
        print(half_life, {way: result.figure(way) for way in result.value}, days)


def new_items(model: rc.Model, data: str) -> None:
    """Items held out whole; five people's events with each are learned from, by update and by fit.

    Of the others who chose such an item it is asked where the item stands for them.
    """
    events = rc.load(data).events(from_=4, remember=False)
    random = np.random.default_rng(0)
    order = random.permutation(len(events))
    held = random.choice(np.flatnonzero(events.count("item") >= 30), 100, replace=False)
    rank = np.full(len(events), -1)
    for item in held:
        of_item = order[events.item[order] == item]
        rank[of_item] = np.arange(len(of_item))

    early = events.where(rank < 0)
    five = events.where((rank >= 0) & (rank < CHOOSERS))
    later = events.where(rank >= CHOOSERS)
    run = rc.Run(threads=1)
    fitted = replace(model).fit(early, run=run)
    print(fitted.update(five))
    users = random.choice(np.unique(later.user), min(600, later.n_users), replace=False)
    print("update", places(fitted, later, held, users))
    again = replace(model).fit(early.union(five), run=run)
    print("fit   ", places(again, later, held, users))


def places(
    model: rc.Model, later: Ratings, held: np.ndarray, users: np.ndarray
) -> dict[str, float]:
    """Where new items stand in the lists of those who chose them.

    Returns: of an item in a list of all items its place, as a share of it, and how often it is
        among the first 100; the same among the new items alone, and how often it is in their first
        tenth.
    """
    figures: dict[str, list[float]] = {
        name: [] for name in ("place", "first_100", "among_new", "first_tenth")
    }
    for part, scores in scores_of(model, users, model.given_):
        for user, row in zip(users[part], scores, strict=True):
            listed = row[row > NEVER]
            new = row[held]
            for own in row[later.item[later.user == user]]:
                place = float((listed > own).sum() + ((listed == own).sum() - 1) / 2)
                among = float((new > own).sum() + ((new == own).sum() - 1) / 2)
                figures["place"].append(place / len(listed))
                figures["first_100"].append(place < 100)
                figures["among_new"].append(among / (len(new) - 1))
                figures["first_tenth"].append(among < len(new) / 10)

    return {name: round(float(np.mean(values)), 4) for name, values in figures.items()}


def main() -> None:
    """Measure one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("movielens", "cost", "drift", "new-items"))
    parser.add_argument("--model", default="bias", help="Model and settings, as for compare.")
    parser.add_argument("--data", default="movielens/1m", help="Of new-items.")
    parser.add_argument("--plot")
    arguments = parser.parse_args()
    from recollect.registry import from_text, name_of, settings

    recipe = from_text(arguments.model)
    if arguments.part == "movielens":
        movielens(name_of(recipe), dict(settings(recipe)), arguments.plot)
    elif arguments.part == "cost":
        cost(recipe)
    elif arguments.part == "drift":
        drift()
    else:
        new_items(recipe, arguments.data)


if __name__ == "__main__":
    main()
