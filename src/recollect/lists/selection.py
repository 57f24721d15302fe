"""Which of a user's candidates make the list, and in which order.

Without a limit per value, diversity or fresh items it is the n largest scores. With them, a list is
built from the top: each place goes to the admissible candidate with the largest

    (1 − diversity) · relevance  −  diversity · max similarity to the items above

Relevance is the score, scaled to 0 … 1 between the worst and the best of the user's POOL best
candidates (10 n if that is more), among which the items are chosen; where `at_most` admits too few
of them, among twice as many. Ties go by the order of scores, and equal scores by item row.

Source: Carbonell, Goldstein. "The Use of MMR, Diversity-Based Reranking for Reordering Documents
and Producing Summaries." SIGIR 1998 (λ is 1 − diversity).
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from jaxtyping import Float32, Float64, Int64

from recollect.errors import warn
from recollect.lists.candidates import excluded_by
from recollect.lists.fields import ItemFields
from recollect.lists.fresh import fresh_items
from recollect.lists.similarity import Similarity, item_similarity
from recollect.lists.wishes import Wishes
from recollect.model import Model
from recollect.ranking import NEVER, first_n

POOL = 200  # best candidates of a user among which a diverse list is chosen


class Selection:
    """The candidates, and how a list is chosen from scores.

    Args:
        model: a fitted model.
        wishes: what was asked for.
        fields: of the model's items; None: those that it was fitted with.

    Raises:
        SettingError: for an unknown field, a condition that cannot be read, or diversity where
            nothing says how similar items are.
        DataError: if no item is left, or none is fresh.
    """

    def __init__(self, model: Model, wishes: Wishes, fields: ItemFields | None = None) -> None:
        fields = fields or ItemFields(model.given_)
        self.wishes = wishes
        self.seen = wishes.seen
        self.rank_by = wishes.rank_by
        self.excluded = excluded_by(model, wishes, fields)
        self.n = min(wishes.n, len(self.excluded))
        self.limits = [_Limit(fields, name, most) for name, most in (wishes.at_most or {}).items()]
        self.fresh = np.zeros(len(self.excluded), bool)
        if wishes.fresh:
            self.fresh = fresh_items(model)

        self.similarity: Similarity | None = None
        if wishes.diversity:
            self.similarity = item_similarity(model, fields)

        self.n_few_fresh = 0  # lists that had too few fresh candidates

    def ranked(self, scores: Float32[np.ndarray, "users n_items"]) -> Int64[np.ndarray, "users n"]:
        """The items of each user's list in order; -1 where there are no more.

        Args:
            scores: of every item; `NEVER` of those that may not be listed. Excluded items get it.
        """
        scores[:, self.excluded] = NEVER
        if not self.wishes.rearranges:
            return first_n(self.n, scores)

        ranked = np.full((len(scores), self.n), -1, np.int64)
        size = max(POOL, 10 * self.n)
        people = np.arange(len(scores))

        while len(people):
            pools = self._pools(scores[people], size)
            too_short = np.zeros(len(people), bool)
            for place, (person, pool) in enumerate(zip(people, pools, strict=True)):
                chosen = self._chosen(pool, scores[person, pool])
                ranked[person] = -1
                ranked[person, : len(chosen)] = chosen
                too_short[place] = len(chosen) < self.n

            people = people[too_short] if size < scores.shape[1] else people[:0]
            size *= 2

        self._count_fresh(ranked)

        return ranked

    def _pools(
        self, scores: Float32[np.ndarray, "users n_items"], size: int
    ) -> list[Int64[np.ndarray, " pool"]]:
        """Each user's best candidates and best fresh ones, by score and then by item row."""
        size = min(size, scores.shape[1])
        best = first_n(size, scores)
        if not self.fresh.any():
            return [row[row >= 0] for row in best]

        of_fresh = np.where(self.fresh, scores, np.float32(NEVER))
        best_fresh = first_n(size, of_fresh)
        pools = []
        for row, items in enumerate(np.concatenate([best, best_fresh], axis=1)):
            pool = np.unique(items[items >= 0])
            pools.append(pool[np.argsort(-scores[row, pool], kind="stable")])

        return pools

    def _chosen(
        self, pool: Int64[np.ndarray, " pool"], scores: Float32[np.ndarray, " pool"]
    ) -> list[int]:
        """The list of one user, from the top.

        Args:
            pool: the candidates by score.
            scores: theirs, descending.
        """
        relevance = _scaled(scores)
        nearest = np.zeros(len(pool))  # the largest similarity to an item above
        is_open = np.ones(len(pool), bool)
        is_fresh = self.fresh[pool]
        counts = [Counter[str]() for _ in self.limits]
        chosen: list[int] = []
        n_fresh = 0

        while len(chosen) < self.n and is_open.any():
            may = is_open
            if n_fresh < self._fresh_until(len(chosen) + 1) and (is_open & is_fresh).any():
                may = is_open & is_fresh

            gain = self._gain(relevance, nearest)
            place = int(np.argmax(np.where(may, gain, -np.inf)))
            is_open[place] = False
            item = int(pool[place])
            limited = list(zip(self.limits, counts, strict=True))
            if not all(limit.admits(count, item) for limit, count in limited):
                continue

            for limit, count in limited:
                count.update(limit.values_of(item))

            nearest = self._nearest(nearest, item, pool, is_first=not chosen)
            chosen.append(item)
            n_fresh += int(is_fresh[place])

        return chosen

    def _gain(
        self, relevance: Float64[np.ndarray, " pool"], nearest: Float64[np.ndarray, " pool"]
    ) -> Float64[np.ndarray, " pool"]:
        """What the next place is worth for each candidate."""
        diversity = self.wishes.diversity
        return (1 - diversity) * relevance - diversity * nearest

    def _nearest(
        self,
        nearest: Float64[np.ndarray, " pool"],
        item: int,
        pool: Int64[np.ndarray, " pool"],
        *,
        is_first: bool,
    ) -> Float64[np.ndarray, " pool"]:
        """The largest similarity of each candidate to the list, with a further item.

        Args:
            nearest: without it.
            item: the one that is added.
            pool: the candidates.
            is_first: whether the list was empty.
        """
        if self.similarity is None:
            return nearest

        cosine = self.similarity.of(item, pool)
        return cosine if is_first else np.maximum(nearest, cosine)

    def _fresh_until(self, n: int) -> int:
        """How many of the first n places must be fresh: their share, spread over the list."""
        # Less than a hair, as 0.1 · 30 is more than 3 in floating point.
        in_all = math.ceil(self.wishes.fresh * self.n - 1e-9)
        return in_all * n // self.n

    def warn(self) -> None:
        """Warn of lists with fewer fresh items than were asked for."""
        if self.n_few_fresh:
            warn(
                f"{self.n_few_fresh:,} lists have fewer fresh items than a share of "
                f"{self.wishes.fresh:g}: the users have no more fresh candidates."
            )

    def _count_fresh(self, ranked: Int64[np.ndarray, "users n"]) -> None:
        """Count the lists with fewer fresh items than were asked for."""
        is_listed = ranked >= 0
        n_fresh = (self.fresh[ranked] & is_listed).sum(axis=1)
        wanted = [self._fresh_until(int(length)) for length in is_listed.sum(axis=1)]
        self.n_few_fresh += int((n_fresh < wanted).sum())


class _Limit:
    """How many items of a list may share a value of a field. An item without a value always may.

    Args:
        fields: of the items.
        name: of the field.
        most: how many.
    """

    def __init__(self, fields: ItemFields, name: str, most: int) -> None:
        self.most = most
        by_item = fields.entries(fields.name_of(name)).group_by("item").agg("value")
        self.values: dict[int, list[str]] = dict(by_item.iter_rows())

    def values_of(self, item: int) -> list[str]:
        """The values of an item."""
        return self.values.get(item, [])

    def admits(self, count: Counter[str], item: int) -> bool:
        """Whether an item may follow those whose values were counted."""
        return all(count[value] < self.most for value in self.values_of(item))


def _scaled(scores: Float32[np.ndarray, " pool"]) -> Float64[np.ndarray, " pool"]:
    """Scores from 0, the lowest, to 1, the highest; all 0 if they are the same."""
    wide = scores.astype(np.float64)
    if not len(wide):
        return wide

    lowest = wide.min()
    span = wide.max() - lowest

    return (wide - lowest) / span if span else np.zeros(len(wide))
