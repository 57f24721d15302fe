"""How well updates keep up, and what they cost: the figures of docs/online.md.

    python benchmarks/online.py movielens --model bias --plot docs/online.png
    python benchmarks/online.py drift
    python benchmarks/online.py new-items

`movielens` is MovieLens 1M in order of time: the first 60% are fitted, the next 20% (13 days) are
predicted and learned from. `drift` plants a change of what is popular. `new-items` holds items out
whole, gives five people's events with each, and asks where the item stands in the lists of all
others who chose it.
"""

from __future__ import annotations

import argparse
import time

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


def new_items(models: dict[str, dict]) -> None:
    """Items of MovieLens 1M held out whole; five people's events with each are learned from.

    Of the others who chose such an item: its place in their list of all items, as a share of it,
    beside that of as many people who did not choose it.
    """
    events = rc.load("movielens/1m").events(from_=4, remember=False)
    random = np.random.default_rng(0)
    count = events.count("item")
    held = random.choice(np.flatnonzero(count >= 50), 100, replace=False)
    is_held = np.isin(events.item, held)
    rank = np.full(len(events), 0)
    order = random.permutation(len(events))
    for item in held:
        of_item = order[events.item[order] == item]
        rank[of_item] = np.arange(len(of_item))

    early = events.where(~is_held)
    five = events.where(is_held & (rank < CHOOSERS))
    later = events.where(is_held & (rank >= CHOOSERS))
    for name, settings in models.items():
        model = rc.make(name, **settings)
        started = time.perf_counter()
        model.fit(early, run=rc.Run(threads=1))
        fit = time.perf_counter() - started
        done = model.update(five)
        print(name, f"fit {fit:.1f} s, {done}")
        print(places(model, later, held, random))


def places(model: rc.Model, later: Ratings, held: np.ndarray, random: np.random.Generator) -> dict:
    """Where held-out items stand in lists, of those who chose them and of others."""
    users = random.choice(np.unique(later.user), 1000, replace=False)
    own = {"chose": [], "others": [], "first_100": [], "others_first_100": []}
    for part, scores in scores_of(model, users, model.given_):
        for user, row in zip(users[part], scores, strict=True):
            n_listed = int((row > NEVER).sum())
            chosen = later.item[later.user == user]
            other = np.setdiff1d(held, later.item[later.user == user])
            for kind, first, items in (
                ("chose", "first_100", chosen),
                ("others", "others_first_100", other),
            ):
                place = (row[None, :] > row[items][:, None]).sum(axis=1)[row[items] > NEVER]
                own[kind] += (place / n_listed).tolist()
                own[first] += (place < 100).tolist()

    return {kind: round(float(np.mean(values)), 4) for kind, values in own.items()}


def main() -> None:
    """Measure one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("movielens", "drift", "new-items"))
    parser.add_argument("--model", default="bias", help="Model and settings, as for compare.")
    parser.add_argument("--plot")
    arguments = parser.parse_args()
    from recollect.registry import from_text, name_of, settings

    recipe = from_text(arguments.model)
    if arguments.part == "movielens":
        movielens(name_of(recipe), dict(settings(recipe)), arguments.plot)
    elif arguments.part == "drift":
        drift()
    else:
        new_items({name_of(recipe): dict(settings(recipe))})


if __name__ == "__main__":
    main()
