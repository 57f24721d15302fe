"""Parts of judging ranked lists: what is relevant, which items there are, a random order."""

from __future__ import annotations

import inspect

import numpy as np
from jaxtyping import Bool, Float, Int64

from recollect.data.ratings import AnyRatings, Ratings
from recollect.data.sparse_rows import Rows
from recollect.errors import SettingError
from recollect.evaluation.by_id import Matched
from recollect.evaluation.list_facts import ListFacts
from recollect.evaluation.metrics import SAMPLED, metrics_of
from recollect.model import Model
from recollect.system.door import words


def refuse_negatives(negatives: int | None) -> None:
    """Refuse a ranking among sampled items.

    Raises:
        SettingError: unless it is None; with the reason, and what to do.

    Source: Krichene and Rendle. "On Sampled Metrics for Item Recommendation." KDD 2020.
    """
    if negatives is None:
        return

    raise SettingError(
        f"{words('negatives=', '--negatives ')}{negatives} asks for a sample. {SAMPLED}. Leave it "
        "out: all items are ranked. If that takes too long, test fewer users, which keeps the "
        "metric; and compare a paper's sampled figures with none of these."
    )


def learned_from(
    model: Model, train: AnyRatings, valid: Ratings | None
) -> tuple[AnyRatings, Ratings | None]:
    """What the model learns from of train and validation ratings: a model of events, events.

    Args:
        model: not yet fitted.
        train: ratings or events to learn from.
        valid: ratings or events to choose by, or None.
    """
    if model.output == "ratings" or not isinstance(train, Ratings) or train.implicit:
        return train, valid

    return train.events(), None if valid is None else valid.events()


def relevant_items(matched: Matched, threshold: float) -> Rows:
    """The relevant items of each test user, under the numbers of `matched`."""
    test = matched.ratings
    is_good = test.value >= threshold
    number = matched.item_number[test.item[is_good]]
    good, _ = Rows.group(
        test.user[is_good], number, n_rows=test.n_users, n_columns=matched.n_numbers
    )

    return good


def catalogue(model: Model, matched: Matched) -> Bool[np.ndarray, " n_numbers"]:
    """The items that there are: with ratings in the fit or the test, or known to the model."""
    exists = np.zeros(matched.n_numbers, bool)
    exists[: matched.n_items] = model.known_items() | (model.given_.count("item") > 0)
    exists[matched.item_number[matched.ratings.item]] = True

    return exists


def figures_of_all_lists(
    n: int, shown: Int64[np.ndarray, "users n"], candidates: Bool[np.ndarray, " n_numbers"]
) -> dict[str, float]:
    """The metrics of the catalogue, for lists of these candidates."""
    # Number the candidates from 0, so that figures of all lists are shares of them.
    number = np.cumsum(candidates) - 1
    numbered = np.where(shown >= 0, number[shown], -1)
    figures = {}

    for metric in metrics_of("catalogue"):
        figures[f"{metric.name}@{n}"] = metric.function(numbered, int(candidates.sum()))

    return figures


def random_ndcg(n: int, n_relevant: Int64[np.ndarray, " users"], n_items: int) -> float:
    """The expected NDCG@n of n_items in random order, the mean over users with anything relevant.

    Each place is a hit with probability n_relevant / n_items. NaN if nobody has anything relevant.
    """
    n_good = n_relevant[n_relevant > 0]
    if not len(n_good):
        return float("nan")

    rank = np.arange(1, n + 1)
    # The gain of a list whose places are all hits, by its length from 1 on.
    gain = np.cumsum(1 / np.log2(rank + 1))
    expected = n_good / n_items * gain[min(n, n_items) - 1]
    ideal = gain[np.minimum(n, n_good) - 1]
    ndcg = expected / ideal

    return float(np.mean(ndcg))


def figures_of_shown(n: int, facts: ListFacts) -> dict[str, Float[np.ndarray, " people"]]:
    """The metrics of the items shown that these facts allow, a value for each user.

    Args:
        n: length of the lists.
        facts: of the lists and their items, by name.
    """
    values = {}

    for metric in metrics_of("shown"):
        names = inspect.signature(metric.function).parameters
        if all(name in facts.by_name for name in names):
            arguments = {name: facts.by_name[name] for name in names}
            values[f"{metric.name}@{n}"] = metric.function(**arguments)

    return values
