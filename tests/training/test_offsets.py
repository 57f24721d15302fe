"""The offsets that cold pairs are predicted from."""

import numpy as np
import pytest

import recollect as rc
from recollect.training import offsets
from recollect.training.offsets import RidgeOffsets


@pytest.fixture(scope="module")
def ratings():
    return rc.load("planted/tiny")


def test_they_are_those_of_the_bias_model(ratings):
    mu, b_user, b_item = rc.make("bias").fit(ratings).net_.arrays()
    fitted = RidgeOffsets.fit(ratings)
    assert fitted.mu == mu
    np.testing.assert_array_equal(fitted.b_user, b_user)
    np.testing.assert_array_equal(fitted.b_item, b_item)


def test_ratings_in_several_blocks_or_on_disk_have_the_same(ratings, tmp_path, monkeypatch):
    whole = RidgeOffsets.fit(ratings)
    stored = rc.store(ratings, tmp_path / "stored")
    monkeypatch.setattr(offsets, "BLOCK_CELLS", 97)
    for fitted in (RidgeOffsets.fit(ratings), RidgeOffsets.fit(stored)):
        np.testing.assert_allclose(fitted.b_user, whole.b_user, atol=1e-9)
        np.testing.assert_allclose(fitted.b_item, whole.b_item, atol=1e-9)


def test_a_new_user_with_the_ratings_of_a_fitted_one_has_their_offset(ratings):
    fitted = RidgeOffsets.fit(ratings, epochs=200)
    again = fitted.of_new_users(ratings.by_user)
    np.testing.assert_allclose(again, fitted.b_user, atol=1e-5)


def test_a_model_of_stored_ratings_predicts_cold_pairs_before_and_after_it_is_saved(
    ratings, tmp_path
):
    stored = rc.store(ratings, tmp_path / "stored")
    model = rc.make("autorec", optimizer="adam", batch_size=8, epochs=1, hidden=3).fit(stored)
    fitted = RidgeOffsets.fit(ratings)
    expected = [fitted.mu + fitted.b_item[4], fitted.mu + fitted.b_user[2], fitted.mu]
    user, item = np.array([-1, 2, -1]), np.array([4, -1, -1])
    np.testing.assert_allclose(model.predict(user, item), expected, rtol=1e-6)
    rc.save(model, tmp_path / "model")
    loaded = rc.load_model(tmp_path / "model")
    np.testing.assert_allclose(loaded.predict(user, item), expected, rtol=1e-6)


def test_someone_with_given_ratings_only_has_an_offset_for_items_nobody_rated(ratings):
    """User 7 and item 3 are not in training; user 7 gives ratings."""
    kept = (ratings.user != 7) & (ratings.item != 3)
    train = ratings.where(kept)
    newer = ratings.where((ratings.user == 7) & (ratings.item != 3))
    model = rc.make("pmf", factors=2, epochs=2).fit(train)
    fitted = model.cold_offsets()
    [offset] = fitted.of_new_users(newer.by_user.take(np.array([7])))
    given = train.union(newer)
    user, item = np.array([7, 7]), np.array([3, -1])
    predicted = model.predict(user, item, given=given)
    np.testing.assert_allclose(predicted, fitted.mu + offset, rtol=1e-6)
    np.testing.assert_allclose(model.predict(user, item), fitted.mu, rtol=1e-6)
