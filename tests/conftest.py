"""What every test may use. With CHECK_SHAPES=1 shape annotations are checked at every call."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests are small; several may run at once

# The checks double the time of the tests: `make test-all` has them for some.
if os.environ.get("CHECK_SHAPES"):
    from jaxtyping import install_import_hook

    install_import_hook("recollect", "beartype.beartype")

import numpy as np
import pytest

from recollect.data.ratings import Ratings
from recollect.data.sources.planted import Planted, planted
from recollect.data.vocab import Vocab


@pytest.fixture(scope="session")
def planted_small() -> Planted:
    """120 users, 80 items, 3,600 ratings of rank 2 with little noise.

    Offsets alone explain half of the variance.
    """
    return planted(120, 80, 3600, rank=2, noise=0.2, seed=1, popularity=0.6, activity=0.4)


@pytest.fixture(scope="session")
def checkerboard() -> Ratings:
    """Two tastes: users like (5) the items of their own parity and dislike (1) the others.

    Nobody has rated the item of their own number.
    """
    user, item = np.divmod(np.arange(40 * 40, dtype=np.int32), 40)
    value = np.where((user + item) % 2 == 0, 5, 1).astype(np.float32)
    keep = user != item
    return Ratings(
        user[keep].astype(np.int32),
        item[keep].astype(np.int32),
        value[keep],
        Vocab([f"u{j}" for j in range(40)]),
        Vocab([f"i{j}" for j in range(40)]),
    )


@pytest.fixture
def few() -> Ratings:
    """Three users, four items, seven ratings, one of them 0; user "c" has one, item "z" none."""
    return Ratings(
        np.array([0, 0, 0, 1, 1, 1, 2], np.int32),
        np.array([0, 1, 2, 0, 1, 2, 1], np.int32),
        np.array([4, 0, 2, 5, 1, 3, 2], np.float32),
        Vocab(["a", "b", "c"]),
        Vocab(["w", "x", "y", "z"]),
        time=np.arange(7, dtype=np.int64),
        scale=(0.0, 5.0),
    )


@pytest.fixture(scope="session")
def plots() -> dict[str, str]:
    """Eight documents of two topics: space ships for even items, a wedding for odd ones.

    They are of the first items of `checkerboard`, whose tastes go by the same parity.
    """
    space = [
        "The crew of a starship drifts through space.",
        "A starship finds a signal on a planet.",
        "The captain and her crew fight robots in space.",
        "Robots leave the planet for space.",
    ]
    love = [
        "A bride falls in love before the wedding.",
        "The wedding brings a lonely widow new love.",
        "A bride and a baker dance at the wedding.",
        "The widow and the baker fall in love.",
    ]
    return {f"i{j}": (space, love)[j % 2][j // 2] for j in range(8)}
