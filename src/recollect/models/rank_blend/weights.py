"""The weights of a blend of rankers: members are added one at a time, each as often as it helps.

Source: Caruana, Niculescu-Mizil, Crew, Ksikes. "Ensemble Selection from Libraries of Models." ICML
2004 (section 2, with replacement).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Float64

from recollect.data.sparse_rows import Rows
from recollect.ranking import NEVER, first_n, hits

ROUNDS = 20  # members that are added; a weight is a multiple of 1 / ROUNDS

Scores = Float32[np.ndarray, "people n_items"]


def standard(scores: Scores, ranked: Bool[np.ndarray, " n_items"]) -> Scores:
    """Each row's scores less their mean, divided by their standard deviation, over ranked items.

    Args:
        scores: of every item.
        ranked: the items that are ranked.
    """
    of_ranked = scores[:, ranked].astype(np.float64)
    mean = of_ranked.mean(axis=1, keepdims=True) if ranked.any() else 0.0
    std = of_ranked.std(axis=1, keepdims=True) if ranked.any() else 1.0
    # All scores of a row may be equal.
    std = np.where(std > 0, std, 1.0)

    return ((scores - mean) / std).astype(np.float32)


def choose_weights(
    scores: Sequence[Scores], good: Rows, hidden: Bool[np.ndarray, "people n_items"], *, n: int
) -> tuple[Float64[np.ndarray, " members"], float]:
    """Weights of members, 1 in all, and the NDCG@n of the blend with them.

    In each round the member is added that makes the lists best; of these blends, the best is taken,
    the one of fewest members among equals.

    Args:
        scores: the standardized scores of each member.
        good: the validation events of each of the people.
        hidden: what is not ranked.
        n: length of the lists.
    """
    count = np.zeros(len(scores))
    total = np.zeros_like(scores[0])
    best_count, best = count, -np.inf

    for _ in range(ROUNDS):
        figures = [ndcg(total + own, good, hidden, n=n) for own in scores]
        added = int(np.argmax(figures))
        count = count + np.eye(len(scores))[added]
        total = total + scores[added]
        if figures[added] > best:
            best_count, best = count, figures[added]

    return best_count / best_count.sum(), best


def ndcg(
    scores: Scores, good: Rows, hidden: Bool[np.ndarray, "people n_items"], *, n: int
) -> float:
    """The mean NDCG@n over people with validation events.

    Args:
        scores: of every item.
        good: the validation events of each of the people.
        hidden: what is not ranked.
        n: length of the lists.
    """
    shown = first_n(n, np.where(hidden, np.float32(NEVER), scores))
    discount = 1 / np.log2(np.arange(n) + 2)
    gain = hits(good, shown) @ discount
    ideal = np.cumsum(discount)[np.minimum(good.counts, n) - 1]

    return float(np.mean(gain / ideal))
