"""Popularity beside counting."""

import numpy as np
import pytest

import recollect as rc
from recollect.errors import DataError
from recollect.models.popularity import Popularity


@pytest.fixture
def model(few) -> Popularity:
    """Three users; items w and y have events of two of them, x of all, z of none."""
    return Popularity().fit(rc.from_frame(few.events().frame(), implicit=True))


def test_a_score_is_the_share_of_the_users(model):
    scores = model.predict(np.array([0, 1, 2]), np.array([0, 1, 2]))
    np.testing.assert_allclose(scores, [2 / 3, 1, 2 / 3])


def test_lists_leave_out_the_users_own_items(model):
    assert rc.top_n(model, events=["x"])["item_id"].to_list() == ["w", "y"]
    of_c = rc.top_n(model, user_ids=["c"])["prediction"].to_list()
    assert of_c == pytest.approx([2 / 3, 2 / 3])
    with pytest.warns(rc.RecollectWarning, match="nobody"):
        of_new = rc.top_n(model, user_ids=["nobody"])["prediction"].to_list()

    assert of_new == pytest.approx([1, 2 / 3, 2 / 3])


def test_it_has_no_similarity(model):
    with pytest.raises(DataError, match="no similarity"):
        rc.similar(model, item_ids=["w"])
