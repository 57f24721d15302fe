"""Test ratings with vocabularies of their own."""

import numpy as np
import pytest

import recollect as rc
from recollect.errors import DataError
from recollect.evaluation.by_id import (
    aligned,
    count_unknown,
    full_ranking_by_id,
    held_out_by_id,
    with_given,
)


@pytest.fixture(scope="module")
def split():
    return rc.random_split(rc.load("planted/tiny"), test=0.2, seed=0)


@pytest.fixture(scope="module")
def model(split):
    return rc.make("bias").fit(split.train)


@pytest.fixture(scope="module")
def read_anew(split):
    """The test ratings as a file would bring them: with other row numbers."""
    return rc.from_frame(split.test.frame()[::-1], scale=split.test.scale)


def test_known_pairs_get_the_row_numbers_of_the_model(model, split, read_anew):
    matched, is_known = aligned(read_anew, model.given_)
    assert is_known.all()
    assert set(matched.pair.tolist()) == set(split.test.pair.tolist())


def test_errors_are_those_of_held_out(model, split, read_anew):
    expected = rc.held_out(model, split.test)
    scores = held_out_by_id(model, read_anew)
    for name in ("rmse", "mae", "rmse_macro"):
        assert scores[name] == pytest.approx(expected[name])


def test_rankings_are_those_of_full_ranking(model, split, read_anew):
    expected = rc.full_ranking(model, split.test, n=5)
    assert full_ranking_by_id(model, read_anew, n=5)["ndcg@5"] == pytest.approx(expected["ndcg@5"])


def test_unknown_pairs_are_scored_at_the_default_prediction(model):
    test = rc.from_tuples([("stranger", "1", 4), ("1", "strange item", 1)], scale=(1, 5))
    errors = np.array([4, 1]) - model.cold_value
    scores = held_out_by_id(model, test)
    assert scores["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert scores.about["n_cold"] == 2
    assert count_unknown(test.users, model.given_.users) == 1


def test_nothing_to_rank_is_an_error(model):
    test = rc.from_tuples([("stranger", "1", 4)], scale=(1, 5))
    with pytest.raises(DataError, match="there is nothing to rank"):
        full_ranking_by_id(model, test)


def test_given_ratings_of_unknown_pairs_are_left_out(model, split):
    more = rc.from_tuples([("stranger", "1", 4)], scale=(1, 5))
    assert len(with_given(model, more)) == len(split.train)
