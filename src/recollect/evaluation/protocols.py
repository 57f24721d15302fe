"""Protocols: show a fitted model what it may see, score what it says. All return `Scores`.

    held_out       ratings kept back: RMSE and MAE, per rating and per user
    full_ranking   every item ranked for every user: NDCG, recall, precision, MAP, MRR, hit rate; coverage
    new_users      held_out for people who were not there in fitting, from the ratings they give
    new_users_ranking    full_ranking for them
    new_items      held_out for items that nobody had rated in fitting
    new_items_ranking    these items alone ranked, for those who rated some of them

A protocol refuses test ratings that the model may see, and says how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int64

from recollect import registry
from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.splitting import Split, shared_pairs
from recollect.errors import DataError, LeakError, SettingError
from recollect.evaluation import metrics
from recollect.evaluation.significance import (
    Difference,
    Interval,
    Statistic,
    bootstrap_interval,
    paired_bootstrap,
)
from recollect.model import Model
from recollect.ranking import NEVER, everyones_best, first_n, hits, scores_of

RATING = ("rmse", "mae", "rmse_macro", "mae_macro")
RANKING: dict[str, Callable[..., np.ndarray]] = {
    "ndcg": metrics.ndcg_at,
    "recall": metrics.recall_at,
    "capped_recall": metrics.capped_recall_at,
    "precision": metrics.precision_at,
    "map": metrics.average_precision_at,
    "mrr": metrics.reciprocal_rank_at,
    "hit": metrics.hit_at,
}
Table = tuple[
    slice, Float[np.ndarray, "some n_items"]
]  # scores of some of the users: of which, and of each item
MUST_AGREE = {
    "tested_on": "test ratings",
    "relevant_from": "rating from which on an item is relevant",
    "n_candidates": "number of items that were ranked",
}


@dataclass(frozen=True)
class Scores:
    """Values per rating or per user, for means, intervals and paired tests; and what they were measured on.

    `values[name]` has one number per entry of `unit` ("rating" or "user"); for RMSE it is the squared error, whose
    mean's root is the figure. A rating's values come with its user (`group`) and its pair (`pair`, as in Ratings).
    """

    values: dict[str, Float[np.ndarray, " units"]]
    unit: str
    about: dict[str, Any]  # model, settings, data fingerprint, split, seed, counts
    whole: dict[str, float] = field(
        default_factory=dict
    )  # figures that are no mean, such as coverage
    group: Int64[np.ndarray, " units"] | None = None
    pair: Int64[np.ndarray, " units"] | None = None

    def __getitem__(self, name: str) -> float:
        """The figure of that name; NaN if there is nothing to average."""
        if name in self.whole:
            return self.whole[name]
        values = self.of(name)
        mean = float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
        return mean**0.5 if name == "rmse" else mean

    def of(self, name: str) -> Float[np.ndarray, " _"]:
        """The values behind a figure: per rating, or per user for the macro ones (NaN for a user without ratings).

        Raises: SettingError for a figure that was not measured, with those that were.
        """
        if name in self.values:
            return self.values[name]
        if name not in self.names():
            raise SettingError(
                f"There are no values of {name!r} here, only of {', '.join(self.names())}. held_out "
                "measures errors, full_ranking the ranking figures."
            )
        assert self.group is not None
        values, n_users = (
            self.values[name.removesuffix("_macro")],
            int(self.group.max(initial=-1)) + 1,
        )
        mean = metrics.mean_per_user(values, self.group, n_users)
        return np.sqrt(mean) if name == "rmse_macro" else mean

    def names(self) -> list[str]:
        """The figures that have values."""
        macro = [n for n in RATING if n.endswith("_macro") and self.group is not None]
        return [*self.values, *macro]

    def interval(self, name: str, *, level: float = 0.95, n: int = 1000, seed: int = 0) -> Interval:
        """The figure with its bootstrap interval over users: how far other people's ratings would move it."""
        values = self.of(name)
        fine = np.isfinite(values)
        if not fine.any():
            return Interval(float("nan"), float("nan"), float("nan"))
        return bootstrap_interval(
            values[fine],
            statistic=_statistic(name),
            group=self._group_of(name, fine),
            n=n,
            level=level,
            seed=seed,
        )

    def versus(
        self, other: Scores, name: str, *, level: float = 0.95, n: int = 2000, seed: int = 0
    ) -> Difference:
        """This figure less the other model's, its interval and p: a paired bootstrap over users of the same ratings.

        Users for whom a figure is NaN are left out.

        Raises: DataError if the two were not measured on the same test ratings in the same way; SettingError for a
        figure that has no values in either.
        """
        for key, what in MUST_AGREE.items():
            mine, others = self.about.get(key), other.about.get(key)
            if mine != others or (key == "tested_on" and mine is None):
                raise DataError(
                    f"The {what} must be the same for both scores, found {mine} and {others}; score both "
                    "models on one split, in the same way."
                )
        a, b = self._in_order(name), other._in_order(name)
        fine = np.isfinite(a) & np.isfinite(b)
        group = self._group_of(name, self._order(name)[fine])
        return paired_bootstrap(
            a[fine], b[fine], statistic=_statistic(name), group=group, level=level, n=n, seed=seed
        )

    def table(self, *names: str, level: float = 0.95) -> pl.DataFrame:
        """metric, value, low, high: the figures and their intervals (none for a figure that is no mean)."""
        rows = []
        for name in names or (*self.names(), *self.whole):
            found = self.interval(name, level=level) if name not in self.whole else None
            rows.append(
                {
                    "metric": name,
                    "value": self[name],
                    "low": found.low if found else None,
                    "high": found.high if found else None,
                }
            )
        return pl.DataFrame(
            rows, schema={"metric": pl.String} | dict.fromkeys(("value", "low", "high"), pl.Float64)
        )

    def _group_of(self, name: str, which: np.ndarray) -> Int64[np.ndarray, " _"] | None:
        """The users of these values; None where a value is a user's already."""
        return self.group[which] if name in self.values and self.group is not None else None

    def _order(self, name: str) -> Int64[np.ndarray, " _"]:
        """The order of the values that does not depend on the order of the test ratings."""
        return (
            np.argsort(self.pair)
            if name in self.values and self.pair is not None
            else np.arange(len(self.of(name)))
        )

    def _in_order(self, name: str) -> Float[np.ndarray, " _"]:
        return self.of(name)[self._order(name)]


def _statistic(name: str) -> Statistic:
    return "root_mean" if name == "rmse" else "mean"


def held_out(
    model: Model, test: Ratings, *, given: AnyRatings | None = None, split: Split | None = None
) -> Scores:
    """Errors on test ratings, predicted for their times from `given` (by default what the model was fitted on). All of them are
    scored, also the cold ones, which are counted.

    Raises: LeakError if test shares pairs with what the model was fitted on or with `given`; DataError if test is empty
    or the model gives no ratings.
    """
    if model.output != "ratings":
        raise DataError(
            f"{type(model).__name__} gives scores without a unit: RMSE and MAE mean nothing for it; use "
            "full_ranking."
        )
    _check(model, test, given)
    predicted = model.predict(test.user, test.item, given=given, times=test.time)
    values = {
        "rmse": metrics.squared_errors(test.value, predicted),
        "mae": metrics.absolute_errors(test.value, predicted),
    }
    cold = model.is_cold(test.user, test.item, given=given)
    return Scores(
        values,
        "rating",
        _about(model, test, split, n_cold=int(cold.sum()), clipped=model.clip),
        group=test.user.astype(np.int64),
        pair=test.pair,
    )


def full_ranking(
    model: Model,
    test: Ratings,
    *,
    n: int = 10,
    relevant: int | float | None = None,
    given: AnyRatings | None = None,
    split: Split | None = None,
) -> Scores:
    """Rank the whole catalogue for each user with test ratings, as `recommend.top_n` does; score the first n.

    What a user has in `given` (by default what the model was fitted on) is not ranked, nor are items that were not
    there in fitting; someone of whom nothing is known gets what is best on the whole. A test item is relevant from a
    rating of `relevant` on, by default from three quarters up the scale (4 of 1 to 5); of events, every one is by default. Users
    with nothing relevant count in no mean (their values are NaN).

    Raises: LeakError and DataError as held_out; SettingError if n is below 1.
    """
    _check(model, test, given, n=n)
    given = model.given_ if given is None else given
    people = np.flatnonzero(test.count("user") > 0)
    return _ranked(
        model, test, given, scores_of(model, people, given), n=n, relevant=relevant, split=split
    )


def _ranked(
    model: Model,
    test: Ratings,
    given: AnyRatings,
    tables: Iterable[Table],
    *,
    n: int,
    relevant: int | float | None,
    split: Split | None,
) -> Scores:
    """Judge the first n by these scores, a row for each user with test ratings in turn."""
    low, high = test.scale
    usual = low if test.implicit else low + 0.75 * (high - low)
    least = float(usual if relevant is None else relevant)
    good, people = test.where(test.value >= least).by_user, np.flatnonzero(test.count("user") > 0)
    shown, hit = np.empty((len(people), n), np.int64), np.empty((len(people), n), bool)
    for part, scores in tables:
        shown[part] = first_n(n, scores)
        hit[part] = hits(good.take(people[part]), shown[part])
    n_good = good.counts[people]
    values = {f"{name}@{n}": metric(n, hit, n_good) for name, metric in RANKING.items()}
    about = _about(
        model,
        test,
        split,
        n=n,
        relevant_from=least,
        n_users=len(people),
        n_without_relevant=int((n_good == 0).sum()),
        n_cold=int((given.count("user")[people] == 0).sum()),
    )
    return Scores(
        values, "user", about, whole={f"coverage@{n}": metrics.coverage(shown, test.n_items)}
    )


def new_users(model: Model, split: Split) -> Scores:
    """`held_out` for people who were not there in fitting, from the ratings that `new_user_split` gives of them.

    Raises: DataError if the split gives none.
    """
    return held_out(model, split.test, given=_with_given(model, split), split=split)


def new_users_ranking(
    model: Model, split: Split, *, n: int = 10, relevant: int | float | None = None
) -> Scores:
    """`full_ranking` for people who were not there in fitting, from what `new_user_split` gives of them: strong
    generalization, as Liang et al. 2018 measure.

    Raises: DataError if the split gives nothing.
    """
    return full_ranking(
        model, split.test, n=n, relevant=relevant, given=_with_given(model, split), split=split
    )


def new_items(model: Model, split: Split) -> Scores:
    """`held_out` for items that nobody had rated in fitting (`new_item_split`). To a model that knows
    nothing else of them all of these items are alike; `about["n_cold"]` counts the ratings of which it can say nothing.

    Raises: LeakError and DataError as held_out; DataError if a test item has ratings in train.
    """
    _check_new_items(model, split)
    return held_out(model, split.test, split=split)


def new_items_ranking(
    model: Model, split: Split, *, n: int = 10, relevant: int | float | None = None
) -> Scores:
    """Rank the items of the test part alone, which nobody had rated in fitting, for each user with test ratings.

    Figures are those of `full_ranking`, which see; coverage is the share of these items. What the model can say nothing of is
    ranked by what is best on the whole, which is the same for all such items, so that they come in the order of the vocabulary;
    `about["n_unknown_items"]` counts them. `about` also has what to beat, `random_ndcg@n` and `random_recall@n`: what is to be
    expected of the same items in random order.

    Raises: LeakError and DataError as full_ranking; DataError if a test item has ratings in train; SettingError if n is below 1.
    """
    _check_new_items(model, split, n=n)
    new = split.test.count("item") > 0
    unknown = new & ~model.known_items()
    people = np.flatnonzero(split.test.count("user") > 0)
    tables = _only(
        new, unknown, everyones_best(model.given_), scores_of(model, people, model.given_)
    )
    found = _ranked(model, split.test, model.given_, tables, n=n, relevant=relevant, split=split)
    n_new, liked = int(new.sum()), split.test.value >= found.about["relevant_from"]
    n_good = split.test.where(liked).count("user")[people]
    about = {
        "n_candidates": n_new,
        "n_unknown_items": int(unknown.sum()),
        f"random_ndcg@{n}": _random_ndcg(n, n_good, n_new),
        f"random_recall@{n}": min(n, n_new) / n_new,
    }
    coverage = f"coverage@{n}"
    return replace(
        found,
        about=found.about | about,
        whole={coverage: found[coverage] * split.test.n_items / n_new},
    )


def _only(
    items: Bool[np.ndarray, " n_items"],
    unknown: Bool[np.ndarray, " n_items"],
    best: Float[np.ndarray, " n_items"],
    tables: Iterable[Table],
) -> Iterator[Table]:
    """The scores, with nothing but these items to be ranked, the unknown among them by what is best on the whole."""
    for part, table in tables:
        table[:, unknown] = best[unknown]
        table[:, ~items] = NEVER
        yield part, table


def _random_ndcg(n: int, n_relevant: Int64[np.ndarray, " users"], n_items: int) -> float:
    """The expected NDCG@n of n_items in random order, the mean over users with anything relevant: each place is a hit with
    probability n_relevant / n_items. NaN if nobody has."""
    n_good = n_relevant[n_relevant > 0]
    gain = np.cumsum(1 / np.log2(np.arange(2, n + 2)))
    expected = n_good / n_items * gain[min(n, n_items) - 1]
    return (
        float(np.mean(expected / gain[np.minimum(n, n_good) - 1])) if len(n_good) else float("nan")
    )


def _check_new_items(model: Model, split: Split, *, n: int = 1) -> None:
    _check(model, split.test, None, n=n)
    tested = split.test.count("item") > 0
    old = tested & ((split.train.count("item") > 0) | (model.given().count("item") > 0))
    if old.any():
        raise DataError(
            f"{int(old.sum()):,} of the {int(tested.sum()):,} items in test have ratings in train, so they are not "
            "new; make the split with new_item_split, or use held_out or full_ranking."
        )


def _with_given(model: Model, split: Split) -> Ratings:
    if split.given is None:
        raise DataError(f"{split!r} gives no ratings of new users; make it with new_user_split.")
    return model.given().union(split.given)


def _check(model: Model, test: Ratings, given: AnyRatings | None, *, n: int = 1) -> None:
    if n < 1:
        raise SettingError(f"n is the length of the ranking, 1 or more; found {n}.")
    fitted = model.given()
    if not len(test):
        raise DataError("There is no test rating to score.")
    for what, part in (("the ratings the model was fitted on", fitted), ("given", given)):
        shared = shared_pairs(test, part) if part is not None else 0
        if shared:
            raise LeakError(
                f"test shares {shared} pairs with {what}; a model must not see the ratings it is scored "
                "on: split again, or pass given= without them."
            )


def _about(model: Model, test: Ratings, split: Split | None, **more: Any) -> dict[str, Any]:
    cut = (
        {}
        if split is None
        else {"split": split.how, "split_seed": split.seed, "split_settings": split.settings}
    )
    return {
        "model": registry.name_of(model),
        "settings": registry.settings(model),
        "seed": model.seed_,
        "data": model.given_.name,
        "trained_on": model.given_.fingerprint,
        "tested_on": test.fingerprint,
        "n_train": len(model.given_),
        "n_test": len(test),
        **cut,
        **more,
    }
