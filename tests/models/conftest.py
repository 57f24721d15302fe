"""Ratings that several models' tests share."""

import dataclasses

import numpy as np
import pytest

import recollect as rc
from recollect.data.ratings import Ratings
from recollect.data.sources.planted import planted, planted_texts


@pytest.fixture
def few(few: Ratings) -> Ratings:
    """The few ratings on a scale of 1 to 5, which is that of every model's numbers."""
    return dataclasses.replace(few, value=np.maximum(few.value, 1), scale=(1.0, 5.0))


@pytest.fixture(scope="session")
def ratings_with_texts() -> Ratings:
    """6,000 ratings of 150 items, whose texts depend on their factors."""
    made = planted(200, 150, 6000, rank=2, noise=0.2, seed=1, popularity=0.6, activity=0.4)
    return rc.with_texts(made.ratings, planted_texts(made.truth, made.ratings.items, length=60))
