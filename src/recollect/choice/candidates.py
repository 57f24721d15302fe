"""The models that `auto` tries, in the order in which it tries them, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass, replace

from recollect.data.levels import levels_of
from recollect.data.ratings import Ratings

SECONDS_PER_MILLION = 120.0  # of ratings
LEAST_SECONDS = 20.0

# Validation ratings: a twentieth, but a thousand where there are not many more, and 20,000 where
# there are very many.
VALID_SHARE = 0.05
MOST_VALID_SHARE = 0.2
LEAST_VALID_RATINGS = 1_000
MOST_VALID_RATINGS = 20_000

# From so many ratings on, an autoencoder is better than SVD++, and nothing is fitted twice.
MANY_RATINGS = 300_000


@dataclass(frozen=True)
class Candidate:
    """A model to try.

    Args:
        text: its name and settings, as a member of a blend.
        share: of the seconds that are left when it begins, how much it may take.
        least_epochs: the share of its epochs without which it is left out.
        seconds_per_million: it is not even begun if its share is less for each million ratings.
        again: whether it is fitted again on all ratings when the weights are known.
    """

    text: str
    share: float
    least_epochs: float = 0.15
    seconds_per_million: float = 0.0
    again: bool = True


# `bias` takes no time: whatever is chosen is no worse on validation.
BIAS = Candidate("bias", 1.0)
# `autorec` usually stops long before its last epoch.
AUTOREC = Candidate("autorec", 1.0, least_epochs=0.1)
SVDPP = Candidate("svdpp", 0.2)
# With probit a fit of a million ratings takes 400 s on two cores. With fewer draws than all it is
# no better than without.
PROBIT_SECONDS = 300.0
# `popularity` takes no time: whatever is chosen is no worse on validation.
POPULARITY = Candidate("popularity", 1.0)
# EASE inverts a matrix of items × items: a minute for so many on two cores.
ITEMS_A_MINUTE = 20_000


def candidates_for(ratings: Ratings) -> tuple[Candidate, ...]:
    """The models that learn from such ratings."""
    if ratings.implicit:
        return _of_events(ratings)

    if len(ratings) < MANY_RATINGS:
        return (BIAS, SVDPP, *_bayes_mf(ratings, share=0.7), AUTOREC)

    # The validation part is small, and the time of a second fit buys more in the first one.
    all_models = (BIAS, replace(AUTOREC, share=0.4), SVDPP, *_bayes_mf(ratings, share=1.0))

    return tuple(replace(candidate, again=False) for candidate in all_models)


def _of_events(events: Ratings) -> tuple[Candidate, ...]:
    """From the simplest on: item neighbors, a linear autoencoder, factors, a network.

    Args:
        events: to learn from.
    """
    ease_seconds = 60 * (events.n_items / ITEMS_A_MINUTE) ** 3

    return (
        POPULARITY,
        Candidate("item_knn", 0.3),
        Candidate("ease", 0.5, seconds_per_million=ease_seconds * 1e6 / max(1, len(events))),
        Candidate("ials", 0.5),
        Candidate("deeprec loss=multinomial", 1.0),
    )


def _bayes_mf(ratings: Ratings, *, share: float) -> tuple[Candidate, ...]:
    """`bayes_mf` with days where there are times; with categories if there is time for all draws.

    Args:
        ratings: to learn from.
        share: of the seconds that are left.
    """
    time = ratings.time is not None
    plain = Candidate(f"bayes_mf probit=False time={time}", share)
    if levels_of(ratings) is None:
        return (plain,)

    probit = Candidate(
        f"bayes_mf probit=True time={time}",
        share,
        least_epochs=0.8,
        seconds_per_million=PROBIT_SECONDS,
    )

    return (probit, plain)


def default_seconds(ratings: Ratings) -> float:
    """How long a choice takes if nobody says how long it may."""
    return max(LEAST_SECONDS, SECONDS_PER_MILLION * len(ratings) / 1e6)


def default_valid_share(n_ratings: int) -> float:
    """The share of validation ratings, if nobody states one."""
    n_valid = min(VALID_SHARE * n_ratings, MOST_VALID_RATINGS)
    n_valid = max(n_valid, LEAST_VALID_RATINGS)

    return min(MOST_VALID_SHARE, n_valid / max(1, n_ratings))
