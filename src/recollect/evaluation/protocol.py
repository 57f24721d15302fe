"""Protocols: show a fitted model what it may see, score what it says. All return `Scores`.

    held_out       ratings kept back: RMSE and MAE, per rating and per user
    full_ranking   every item ranked for every user: NDCG, recall, precision, MAP, MRR, hit rate; coverage
    new_users      held_out for people who were not there in fitting, from the ratings they give

A protocol refuses test ratings that the model may see, and says how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float, Int

from recollect import catalogue
from recollect.data.ratings import Ratings
from recollect.data.split import Split, shared_pairs
from recollect.errors import DataError, LeakError, SettingError
from recollect.evaluation import metrics
from recollect.evaluation.significance import Interval, bootstrap_interval
from recollect.model import BLOCK_CELLS, Model

RATING = ("rmse", "mae", "rmse_macro", "mae_macro")
RANKING: dict[str, Callable[..., np.ndarray]] = {
    "ndcg": metrics.ndcg_at, "recall": metrics.recall_at, "precision": metrics.precision_at,
    "map": metrics.average_precision_at, "mrr": metrics.reciprocal_rank_at, "hit": metrics.hit_at,
}


@dataclass(frozen=True)
class Scores:
    """Values per rating or per user, from which means, intervals and paired tests come; and what they were measured on.

    `values[name]` has one number per entry of `unit` ("rating" or "user"); for RMSE it is the squared error, whose mean's
    root is the figure. `group` is the user of each rating, for the macro figures.
    """

    values: dict[str, Float[np.ndarray, " units"]]
    unit: str
    about: dict[str, Any]                      # model, settings, data fingerprint, split, seed, counts
    whole: dict[str, float] = field(default_factory=dict)    # figures that are no mean, such as coverage
    group: Int[np.ndarray, " units"] | None = None

    def __getitem__(self, name: str) -> float:
        """The figure of that name."""
        if name in self.whole:
            return self.whole[name]
        values = self.of(name)
        mean = float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
        return mean**0.5 if name == "rmse" else mean

    def of(self, name: str) -> Float[np.ndarray, " _"]:
        """The values behind a figure: per rating, or per user for the macro ones.

        Raises: SettingError for a figure that was not measured, with those that were.
        """
        if name in self.values:
            return self.values[name]
        if name in RATING and self.group is not None:
            mean = metrics.mean_per_user(self.values[name.removesuffix("_macro")], self.group, int(self.group.max(initial=-1)) + 1)
            return np.sqrt(mean) if name == "rmse_macro" else mean
        known = [*self.names(), *self.whole]
        raise SettingError(f"{name!r} was not measured here; measured: {', '.join(known)}. Ratings and rankings have "
                           "different figures: held_out has errors, full_ranking has the ranking figures.")

    def names(self) -> list[str]:
        """The figures there are."""
        macro = [n for n in RATING if n.endswith("_macro") and self.group is not None]
        return [*self.values, *macro]

    def interval(self, name: str, *, level: float = 0.95, n: int = 1000, seed: int = 0) -> Interval:
        """The figure with its bootstrap interval over users: how far other people's ratings would move it."""
        values = self.of(name)
        fine = np.isfinite(values)
        group = self.group[fine] if self.group is not None and len(values) == len(self.group) else None
        return bootstrap_interval(values[fine], statistic="root_mean" if name == "rmse" else "mean", group=group, n=n,
                                  level=level, seed=seed)

    def table(self, *names: str, level: float = 0.95) -> pl.DataFrame:
        """metric, value, low, high: the figures and their intervals."""
        rows = []
        for name in names or (*self.names(), *self.whole):
            found = self.interval(name, level=level) if name not in self.whole else None
            rows.append({"metric": name, "value": self[name], "low": found.low if found else None,
                         "high": found.high if found else None})
        return pl.DataFrame(rows, schema={"metric": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64})


def held_out(model: Model, test: Ratings, *, given: Ratings | None = None, split: Split | None = None) -> Scores:
    """Errors on test ratings, predicted from `given` (by default what the model was fitted on). All of them are scored,
    also the cold ones, which are counted.

    Raises: LeakError if test shares pairs with what the model was fitted on or with `given`; DataError if test is empty or
    the model gives no ratings.
    """
    if model.output != "ratings":
        raise DataError(f"{type(model).__name__} gives scores without a unit: RMSE and MAE mean nothing for it; use "
                        "full_ranking.")
    _check(model, test, given)
    predicted = model.predict(test.user, test.item, given=given).astype(np.float64)
    error = predicted - test.value
    cold = model.is_cold(test.user, test.item, given=given)
    return Scores({"rmse": error**2, "mae": np.abs(error)}, "rating",
                  _about(model, test, split, n_cold=int(cold.sum()), clipped=model.clip), group=test.user.astype(np.int64))


def full_ranking(model: Model, test: Ratings, *, n: int = 10, relevant: float | None = None,
                 given: Ratings | None = None, split: Split | None = None) -> Scores:
    """Rank the whole catalogue for each user with test ratings, less what they have in `given`; score the first n.

    A test item is relevant from a rating of `relevant` on, by default the upper 3/8 of the scale (4 of 1 to 5). Users with
    nothing relevant count in no mean (their values are NaN). Items without ratings are ranked too, at the cold value.

    Raises: as held_out; SettingError if n is below 1.
    """
    if n < 1:
        raise SettingError(f"n is the length of the ranking, 1 or more; found {n}.")
    _check(model, test, given)
    low, high = test.scale
    least = low + 0.75 * (high - low) if relevant is None else relevant
    seen = (model.given_ if given is None else given).by_user
    good = test.where(test.value >= least).by_user
    people = np.flatnonzero(test.count("user") > 0).astype(np.int64)
    ranked, shown, n_good = [], [], good.counts[people]
    step = max(1, BLOCK_CELLS // max(1, test.n_items))
    for first in range(0, len(people), step):
        user = people[first:first + step]
        best = _first_n(_all_scores(model, user, given), seen.take(user), n)
        hit = np.zeros((len(user), test.n_items), bool)
        rows = good.take(user)
        hit[rows.row, rows.column] = True
        ranked.append(np.take_along_axis(hit, np.maximum(best, 0), axis=1) & (best >= 0))
        shown.append(best)
    hits, lists = np.concatenate(ranked), np.concatenate(shown)
    values = {f"{name}@{n}": f(n, hits, n_good) for name, f in RANKING.items()}
    about = _about(model, test, split, n=n, relevant_from=float(least), n_users=len(people),
                   n_without_relevant=int((n_good == 0).sum()))
    return Scores(values, "user", about, whole={f"coverage@{n}": metrics.coverage(lists, test.n_items)})


def new_users(model: Model, split: Split) -> Scores:
    """`held_out` for people who were not there in fitting, from the ratings that `new_user_split` gives of them.

    Raises: DataError if the split gives none.
    """
    if split.given is None:
        raise DataError(f"{split!r} gives no ratings of new users; make it with new_user_split.")
    return held_out(model, split.test, given=model.given_.union(split.given), split=split)


def _check(model: Model, test: Ratings, given: Ratings | None) -> None:
    if not len(test):
        raise DataError("There is no test rating to score.")
    for what, part in (("the ratings the model was fitted on", model.given_), ("given", given)):
        shared = shared_pairs(test, part) if part is not None else 0
        if shared:
            raise LeakError(f"test shares {shared} pairs with {what}; a model must not see the ratings it is scored on: "
                            "split again, or pass given= without them.")


def _all_scores(model: Model, user: np.ndarray, given: Ratings | None) -> np.ndarray:
    """Every item for these users, not clipped (a clipped list has ties at the top), cold ones at the cold value."""
    seen = model.given_ if given is None else given
    table = np.full((len(user), seen.n_items), model.cold_value, np.float32)
    known = seen.count("user")[user] > 0
    if known.any():
        table[known] = model.scores(user[known], seen)
    table[:, model.given_.count("item") == 0] = model.cold_value
    return table


def _first_n(table: np.ndarray, seen: Any, n: int) -> Int[np.ndarray, "users n"]:
    """Columns of each row's n largest, largest first, without those seen; -1 where there are fewer."""
    table[seen.row, seen.column] = -np.inf
    n = min(n, table.shape[1])
    place = np.argpartition(-table, n - 1, axis=1)[:, :n]
    value = np.take_along_axis(table, place, axis=1)
    order = np.lexsort((place, -value), axis=1)
    best = np.take_along_axis(place, order, axis=1)
    return np.where(np.isfinite(np.take_along_axis(table, best, axis=1)), best, -1)


def _about(model: Model, test: Ratings, split: Split | None, **more: Any) -> dict[str, Any]:
    cut = {} if split is None else {"split": split.how, "split_seed": split.seed, "split_settings": split.settings}
    return {"model": catalogue.name_of(model), "settings": catalogue.settings(model), "seed": model.seed_,
            "data": model.given_.name, "trained_on": model.given_.fingerprint, "tested_on": test.fingerprint,
            "n_train": len(model.given_), "n_test": len(test), **cut, **more}
