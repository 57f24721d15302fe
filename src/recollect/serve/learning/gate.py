"""Whether a new version may take over: both are judged on the newest ratings, pair by pair.

Neither has learned from these ratings. The new version takes over unless it is worse by more than
the noise of the comparison: unless the whole interval of the difference is on the wrong side.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from recollect.data.ratings import Ratings
from recollect.evaluation.protocols import full_ranking, held_out
from recollect.evaluation.scores import Scores
from recollect.model import Model

SHARE = 0.02  # of all ratings, the newest, on which versions are judged
MOST = 20_000
LEAST = 20  # with fewer there is no comparison
N = 10  # length of the lists that models of events are judged by


@dataclass(frozen=True)
class Verdict:
    """What came of the comparison.

    Args:
        passes: whether the new version may take over.
        metric: "rmse" or "ndcg@10".
        n_ratings: on how many ratings both were judged.
        new: the new version's figure.
        active: that of the version in use.
        low: lower bound of the 95% interval of the difference, new less active.
        high: upper bound.
        why: in a sentence.
    """

    passes: bool
    metric: str
    n_ratings: int
    new: float | None
    active: float | None
    low: float | None
    high: float | None
    why: str

    def as_dict(self) -> dict[str, Any]:
        """For the store."""
        return asdict(self)


def judge(new: Model, active: Model, newest: Ratings | None, given: Ratings) -> Verdict:
    """Compare a new version with the one in use.

    Args:
        new: fitted without the newest ratings.
        active: the version in use, which has not learned from them either.
        newest: the ratings to judge by; None: there are too few.
        given: all others, from which both may predict.
    """
    metric = "rmse" if new.output == "ratings" else f"ndcg@{N}"
    if newest is None:
        why = f"There are fewer than {LEAST} newer ratings to judge by; it takes over unjudged."
        return Verdict(True, metric, 0, None, None, None, None, why)

    first = _scores(new, newest, given)
    second = _scores(active, newest, given)
    difference = first.versus(second, metric)
    # Less is better of errors, more of hits.
    passes = difference.low <= 0 if metric == "rmse" else difference.high >= 0

    word = "not worse" if passes else "worse"
    why = (
        f"On the {len(newest):,} newest ratings its {metric} is {first[metric]:.4f}, that of the "
        f"version in use {second[metric]:.4f}: {word} beyond noise (95% interval of the difference "
        f"{difference.low:.4f} to {difference.high:.4f})."
    )

    return Verdict(
        passes,
        metric,
        len(newest),
        float(first[metric]),
        float(second[metric]),
        float(difference.low),
        float(difference.high),
        why,
    )


def _scores(model: Model, newest: Ratings, given: Ratings) -> Scores:
    if model.output == "ratings":
        return held_out(model, newest, given=given)

    return full_ranking(model, newest, n=N, given=given)
