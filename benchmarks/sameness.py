"""Whether a change of the code changed a number: every model, fitted small, compared to the bit
with an earlier run.

    python benchmarks/sameness.py before.npz             # fits everything and writes the results
    python benchmarks/sameness.py before.npz --compare   # compares; exit code 1 if a bit differs
    python benchmarks/sameness.py before.npz --compare --only svdpp

Each model and variant of the contract tests learns planted ratings (or events) and, with fewer
epochs, the published fold 1 of MovieLens 100K if that is here. Kept are predictions, scores, lists,
fold-ins, vectors, intervals, the metrics and the curve. One thread and one seed: with two threads
sums are split differently, and the last bits differ by design.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from tests.cases import VARIANTS, made

import recollect as rc
from recollect.data.sources.planted import planted, planted_texts
from recollect.run import Run

FEW_EPOCHS = {"epochs": 4, "pretrain_epochs": 3, "text_epochs": 1, "burn_in": 1}


def cases(only: list[str]) -> Iterator[tuple[str, Callable[[], Any], bool]]:
    """A label, a function that makes the unfitted model, and whether it has so few epochs that
    MovieLens is quick."""
    seen: dict[str, int] = {}
    for name, changes in VARIANTS:
        number = seen[name] = seen.get(name, -1) + 1
        if not only or name in only:
            yield (
                f"{name}/{number}",
                lambda name=name, changes=changes: made((name, changes)),
                number == 0,
            )


def quick(model: Any) -> Any:
    """The same model with a few epochs only."""
    names = {field.name for field in dataclasses.fields(model)}
    return dataclasses.replace(
        model, **{key: value for key, value in FEW_EPOCHS.items() if key in names}
    )


def results(model: Any, parts: Any) -> dict[str, np.ndarray]:
    """Fit the model and give everything that users can ask of it."""
    train, valid, test = parts
    model.fit(train, valid, Run(seed=7, threads=1))
    some = np.flatnonzero(train.count("user") > 0)[:25]
    out: dict[str, Any] = {
        "predictions": model.predict(test.user, test.item, times=test.time),
        "without times": model.predict(test.user, test.item),
        "scores": model.scores(some, model.given_),
        "fold-in": model.fold_in(train.by_user.take(some)),
        "cold": model.predict(np.array([-1, 0]), np.array([0, -1])),
    }
    if type(model).__name__ not in ("Bias", "Popularity"):  # these have no vectors
        out |= {f"{side} vectors": model.vectors(side) for side in ("user", "item")}
    if type(model).__name__ == "BayesMF":
        out["std"] = model.predict_std(test.user, test.item, times=test.time)
        out["low"], out["high"] = model.predict_interval(test.user, test.item, times=test.time)
    ids = train.users.ids.to_list()
    lists = rc.top_n(model, user_ids=[ids[j] for j in some[:10]], n=10)
    out["list items"] = np.array(lists["item_id"].to_list())
    out["list scores"] = lists[lists.columns[-1]].to_numpy()
    protocol = rc.held_out if model.output == "ratings" else rc.full_ranking
    scores = protocol(model, test)
    names = (
        ("rmse", "mae", "rmse_macro", "mae_macro")
        if model.output == "ratings"
        else ("ndcg@10", "recall@10", "hit@10")
    )
    out["metrics"] = np.array([scores[name] for name in names if name in scores.values])
    for name in (model.history_.train_name, model.history_.valid_name, "objective"):
        out[f"curve {name.partition('_')[0]}"] = np.array(model.history_.column(name))
    out["network"] = np.concatenate(
        [
            np.zeros(1),
            *(t.detach().double().flatten().numpy() for t in model.net_.state_dict().values()),
        ]
    )
    return {key: np.asarray(value) for key, value in out.items()}


def planted_parts() -> tuple[Any, Any]:
    """Splits of planted ratings with texts, and of the higher half of them as events."""
    made = planted(120, 80, 3600, rank=2, noise=0.2, seed=1, popularity=0.6, activity=0.4)
    ratings = rc.with_texts(made.ratings, planted_texts(made.truth, made.ratings.items))
    events = ratings.events(from_=ratings.mean)
    return tuple(rc.random_split(part, test=0.2, valid=0.1, seed=0) for part in (ratings, events))


def movielens_parts() -> tuple[Any, Any] | None:
    """Splits of MovieLens 100K whose texts are the titles, and of its ratings from 4 as events;
    None where it is not here."""
    try:
        ratings = rc.load("movielens/100k")
    except rc.RecollectError:
        return None
    ids = ratings.items.ids.to_list()
    titles = dict(zip(ids, ratings.titles(ids), strict=True))
    ratings = rc.with_texts(ratings, {key: title or "nothing" for key, title in titles.items()})
    return tuple(
        rc.random_split(part, test=0.2, valid=0.05, seed=0)
        for part in (ratings, ratings.events(from_=4))
    )


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--planted-only", action="store_true")
    given = parser.parse_args()
    before = dict(np.load(given.file, allow_pickle=False)) if given.compare else {}
    homes = {
        "planted": planted_parts(),
        "ml-100k": None if given.planted_only else movielens_parts(),
    }
    after: dict[str, np.ndarray] = {}
    wrong: list[str] = []
    for label, make, first in cases(given.only):
        for home, splits in homes.items():
            if splits is None or (home == "ml-100k" and not first):
                continue
            model = make() if home == "planted" else quick(make())
            begun = time.monotonic()
            found = results(model, splits["events" in model.capabilities.needs])
            differing = [
                key
                for key, value in found.items()
                if given.compare and not same(before.get(f"{label}/{home}/{key}"), value)
            ]
            wrong += [f"{label}/{home}/{key}" for key in differing]
            verdict = f"DIFFERS: {', '.join(differing)}" if differing else ""
            print(f"{label} {home}: {time.monotonic() - begun:.1f} s {verdict}", flush=True)
            after |= {f"{label}/{home}/{key}": value for key, value in found.items()}
    if not given.compare:
        np.savez_compressed(given.file, **after)
        print(f"{len(after)} arrays written to {given.file}")
        return 0
    print("\n".join(wrong) or f"All {len(after)} arrays are equal to the bit.")
    return int(bool(wrong))


def same(before: np.ndarray | None, after: np.ndarray) -> bool:
    """Equal in shape, type and every bit."""
    return (
        before is not None
        and before.shape == after.shape
        and before.dtype == after.dtype
        and before.tobytes() == after.tobytes()
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
