"""Folders that earlier releases saved still load, and predict what they predicted."""

import json
from pathlib import Path

import numpy as np
import pytest

import recollect as rc

SAVED = Path(__file__).parent / "saved"
FOLDERS = sorted(path.parent for path in SAVED.glob("*/*/model.json"))


@pytest.mark.parametrize(
    "folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}"
)
def test_a_saved_model_predicts_what_it_predicted(folder):
    expected = json.loads((folder.parent / "expected.json").read_text())[folder.name]
    model = rc.load_model(folder)
    user, item = np.divmod(
        np.arange(model.given_.n_users * model.given_.n_items), model.given_.n_items
    )
    np.testing.assert_allclose(model.predict(user, item), expected["predictions"], atol=1e-5)
    folded = model.fold_in(model.given_.by_user.take(np.arange(3)))
    np.testing.assert_allclose(folded.ravel(), expected["fold_in"], atol=1e-4)


def test_every_model_of_the_release_is_among_them():
    assert len({folder.name.partition("-")[0] for folder in FOLDERS}) >= 17
