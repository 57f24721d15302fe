"""The models that `auto` tries, in the order in which it tries them, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recollect.data.ratings import Ratings

SECONDS_PER_MILLION = 120.0  # of ratings
LEAST_SECONDS = 20.0

# Validation ratings: a twentieth, but a thousand where there are not many more.
VALID_SHARE = 0.05
MOST_VALID_SHARE = 0.2
VALID_RATINGS = 1000


MAX_CATEGORIES = 100  # that `probit` takes


@dataclass(frozen=True)
class Candidate:
    """A model to try.

    Args:
        text: its name and settings, as a member of a blend.
        share: of the seconds that are left when it begins, how much it may take.
        least_epochs: the share of its epochs without which it is left out.
        seconds_per_million: it is not even begun if its share is less for each million ratings.
    """

    text: str
    share: float
    least_epochs: float = 0.15
    seconds_per_million: float = 0.0


# Quick ones first. `bias` takes no time: whatever is chosen is no worse on validation.
QUICK = (Candidate("bias", 1.0), Candidate("svdpp", 0.2))
BAYES_SHARE = 0.7
# With probit a fit of a million ratings takes 400 s on two cores, and its trial half of that. With
# fewer draws than all it is no better than without.
PROBIT_SECONDS = 600.0
# It usually stops long before its last epoch.
LAST = Candidate("autorec", 1.0, least_epochs=0.1)
OF_EVENTS = (
    Candidate("popularity", 1.0),
    Candidate("pmf absent_weight=0.1 offsets=False center=False", 0.4),
    Candidate(
        "deeprec loss=multinomial hidden=600 activation=tanh dropout=0.0 input_dropout=0.5 "
        "optimizer=adam learning_rate=0.001 batch_size=500",
        1.0,
    ),
)


def candidates_for(ratings: Ratings) -> tuple[Candidate, ...]:
    """The models that learn from such ratings."""
    if ratings.implicit:
        return OF_EVENTS

    time = ratings.time is not None
    bayes = Candidate(f"bayes_mf probit=False time={time}", BAYES_SHARE)
    if not 2 <= len(np.unique(ratings.value)) <= MAX_CATEGORIES:
        return (*QUICK, bayes, LAST)

    probit = Candidate(
        f"bayes_mf probit=True time={time}",
        BAYES_SHARE,
        least_epochs=0.8,
        seconds_per_million=PROBIT_SECONDS,
    )

    return (*QUICK, probit, bayes, LAST)


def default_seconds(ratings: Ratings) -> float:
    """How long a choice takes if nobody says how long it may."""
    return max(LEAST_SECONDS, SECONDS_PER_MILLION * len(ratings) / 1e6)


def default_valid_share(n_ratings: int) -> float:
    """The share of validation ratings, if nobody states one."""
    of_a_thousand = VALID_RATINGS / max(1, n_ratings)
    return max(VALID_SHARE, min(MOST_VALID_SHARE, of_a_thousand))
