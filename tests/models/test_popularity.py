"""Popularity, against counting."""

import numpy as np
import pytest

import recollect as rc
from recollect.errors import DataError
from recollect.models.popularity import Popularity


def test_a_score_is_the_share_of_the_users(few):
    """Three users; counts beyond the first are of no account."""
    events = rc.from_frame(few.events().frame(), implicit=True)
    model = Popularity().fit(events)
    np.testing.assert_allclose(
        model.predict(np.array([0, 1, 2]), np.array([0, 1, 2])), [2 / 3, 1, 2 / 3]
    )
    assert rc.top_n(model, events=["x"])["item_id"].to_list() == ["w", "y"]
    assert rc.top_n(model, user_ids=["c"])["prediction"].to_list() == pytest.approx([2 / 3, 2 / 3])
    assert rc.top_n(model, user_ids=["nobody"])["prediction"].to_list() == pytest.approx(
        [1, 2 / 3, 2 / 3]
    )


def test_it_has_no_likeness(few):
    with pytest.raises(DataError, match="no likeness"):
        rc.similar(Popularity().fit(few.events()), item_ids=["w"])
