"""Planted events in groups of items, for the tests of models of events."""

import numpy as np

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.vocab import Vocab


def events_in_groups(n_users: int = 80, n_items: int = 60) -> Ratings:
    """Users who choose half of the items of their own group of three, and few others.

    Item j is of group j modulo 3, and so is user j. One more item has no event.
    """
    random = np.random.default_rng(0)
    own = np.arange(n_users)[:, None] % 3 == np.arange(n_items) % 3
    chance = np.where(own, 0.5, 0.03)
    user, item = np.nonzero(random.random((n_users, n_items)) < chance)
    count = random.integers(1, 5, len(user)).astype(np.float32)
    users = Vocab([f"u{j}" for j in range(n_users)])
    items = Vocab([f"i{j}" for j in range(n_items + 1)])

    return Ratings(user.astype(np.int32), item.astype(np.int32), count, users, items).events()


def from_matrix(x: np.ndarray) -> Ratings:
    """Users × items, an event where it is not 0."""
    user, item = np.nonzero(x)
    users = Vocab([f"u{j}" for j in range(x.shape[0])])
    items = Vocab([f"i{j}" for j in range(x.shape[1])])
    count = np.ones(len(user), np.float32)

    return Ratings(user.astype(np.int32), item.astype(np.int32), count, users, items).events()


def as_matrix(events: Ratings, *, counts: bool = False) -> np.ndarray:
    """Users × items: 1 for an event, or its count."""
    x = np.zeros((events.n_users, events.n_items))
    x[events.user, events.item] = events.value if counts else 1
    return x


def ndcg(model: rc.Model, test: Ratings, n: int = 5) -> float:
    return rc.full_ranking(model, test, n=n)[f"ndcg@{n}"]
