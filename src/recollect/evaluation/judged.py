"""By which metric models are compared, and the intervals and tests of their figures.

The results of a model are one dictionary for each split, with the figures of the split and, where
tests are over users, the values behind them and whose they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from recollect.errors import SettingError, unknown
from recollect.evaluation import significance
from recollect.evaluation.metrics import find
from recollect.system.door import words

Over = Literal["splits", "users"]
Results = Sequence[Mapping[str, Any]]  # of a model, one for each split

RESAMPLES = 1000  # for the interval of a figure


@dataclass(frozen=True)
class Judged:
    """The metric by which models are compared, and over what.

    Args:
        name: of the metric, such as "rmse" or "ndcg".
        figure: its name among the figures: of lists with the length, "ndcg@10".
        n: length of the lists.
        over: "splits" or "users".
        of_lists: whether it is computed from lists.
    """

    name: str
    figure: str
    n: int
    over: Over
    of_lists: bool

    @classmethod
    def of(cls, name: str, *, n: int, over: str | None, n_splits: int) -> Judged:
        """The metric of this name.

        Args:
            name: of the metric.
            n: length of the lists.
            over: as asked for; None: the splits if there are several.
            n_splits: how many there are.

        Raises:
            SettingError: for an unknown metric, or one of all lists over users.
        """
        kinds = ("splits", "users")
        if over is not None and over not in kinds:
            raise unknown("kind of repetition", str(over), kinds)

        metric = find(name)
        chosen: Any = over or ("splits" if n_splits > 1 else "users")
        if metric.of == "catalogue" and chosen == "users":
            raise SettingError(
                f"{name} is one figure of all lists, so it has no values of single users to test; "
                f"compare it over several splits ({words('seeds=range(5)', '--repeat 5')}), or "
                "by a metric of each list, such as ndcg."
            )

        of_lists = metric.of != "ratings"

        return cls(name, f"{name}@{n}" if of_lists else name, n, chosen, of_lists)

    def interval(self, runs: Results, test_share: float) -> dict[str, float] | None:
        """The figure of a model and the limits of its interval; None if it has none.

        Args:
            runs: the results of the model.
            test_share: share of test ratings in each split.
        """
        if not self._has(runs):
            return None

        if self.over == "splits":
            figures = [self._figure(run) for run in runs]
            value, low, high = significance.mean_interval(figures, test_share=test_share)
            return {"value": value, "low": low, "high": high}

        values, group = self._values(runs)
        if group is None:
            values = values[np.isfinite(values)]

        value, low, high = significance.bootstrap_interval(
            values, statistic=self._statistic, group=group, n=RESAMPLES
        )

        return {"value": value, "low": low, "high": high}

    def differences(
        self, results: Mapping[str, Results], test_share: float
    ) -> list[dict[str, Any]]:
        """The difference of each pair of models that have the figure: interval, p, Holm's p.

        Args:
            results: of each model.
            test_share: share of test ratings in each split.

        Returns: rows with the columns of `significance.compare`; of lists over users also
            p_wilcoxon and p_wilcoxon_holm.
        """
        results = {name: runs for name, runs in results.items() if self._has(runs)}
        if len(results) < 2:
            return []

        if self.over == "splits":
            figures = {name: [self._figure(run) for run in runs] for name, runs in results.items()}
            table = significance.compare(figures, over="splits", test_share=test_share)
            return table.to_dicts()

        by_model = {name: self._values(runs) for name, runs in results.items()}
        values = {name: pair[0] for name, pair in by_model.items()}
        group = next(iter(by_model.values()))[1]
        if group is None:
            # Users with nothing relevant, or a list too short for the metric.
            in_all = np.all([np.isfinite(of_users) for of_users in values.values()], axis=0)
            values = {name: of_users[in_all] for name, of_users in values.items()}

        table = significance.compare(values, over="ratings", statistic=self._statistic, group=group)
        rows = table.to_dicts()
        if self.of_lists:
            _add_wilcoxon(rows, values)

        return rows

    def _has(self, runs: Results) -> bool:
        """Whether a model has the figure: one of events has no errors."""
        return all(np.isfinite(self._figure(run)) for run in runs)

    def _figure(self, run: Mapping[str, Any]) -> float:
        """The figure of a split; NaN if there is none."""
        figures = run["ranking"] if self.of_lists else run
        value = figures.get(self.figure)
        return float("nan") if value is None else float(value)

    @property
    def _statistic(self) -> significance.Statistic:
        return "root_mean" if find(self.name).root else "mean"

    def _values(
        self, runs: Results
    ) -> tuple[Float[np.ndarray, " values"], Int[np.ndarray, " values"] | None]:
        """The values of a model over its splits, and the user of each (None: one per user).

        Errors of ratings are those of all splits. Of lists, a user's value is the mean over the
        splits in which there is one; NaN for a user without any.
        """
        values = np.concatenate([run["values"][0] for run in runs])
        user = np.concatenate([run["values"][1] for run in runs])
        if not self.of_lists:
            return values, user

        is_value = np.isfinite(values)
        n_users = int(user.max(initial=-1)) + 1
        total = np.bincount(user[is_value], weights=values[is_value], minlength=n_users)
        count = np.bincount(user[is_value], minlength=n_users)
        means = np.full(n_users, np.nan)
        np.divide(total, count, out=means, where=count > 0)

        return means, None


def _add_wilcoxon(
    rows: list[dict[str, Any]], values: Mapping[str, Float[np.ndarray, " users"]]
) -> None:
    """Add Wilcoxon's p of each pair of models, and Holm's of these."""
    pairs = combinations(values.values(), 2)
    p_values = [significance.wilcoxon(first, second) for first, second in pairs]
    adjusted = significance.holm(p_values)

    for row, p, p_holm in zip(rows, p_values, adjusted, strict=True):
        row |= {"p_wilcoxon": p, "p_wilcoxon_holm": float(p_holm)}
