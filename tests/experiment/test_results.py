"""Records on disk: keys, errors by user, and new names of settings."""

import json

import numpy as np
import pytest

import recollect as rc
from recollect import registry
from recollect.errors import SettingError
from recollect.experiment.carried import FILE, read_carried
from recollect.experiment.rekey import rekey
from recollect.experiment.results import (
    USER_SUMS_LIMIT,
    Job,
    Results,
    UserSums,
    read_json,
    write_json,
)

JOB = Job("f00", {"how": "random", "test": 0.1}, "svdpp", {"reg": 1.0, "look_every": 5}, 3)


def sums_of(n_users: int, seed: int = 0) -> UserSums:
    rng = np.random.default_rng(seed)
    user = np.sort(rng.integers(n_users, size=20 * n_users))
    error = rng.normal(size=len(user))
    return UserSums.of(user, {"rmse": error**2, "mae": np.abs(error)})


def test_the_key_does_not_depend_on_the_order_of_settings():
    turned = Job("f00", {"test": 0.1, "how": "random"}, "svdpp", {"look_every": 5, "reg": 1.0}, 3)
    assert turned.key == JOB.key
    assert len(JOB.key) == 16


@pytest.mark.parametrize(
    "other",
    [
        Job("f01", JOB.split, JOB.model, JOB.settings, JOB.seed),
        Job(JOB.fingerprint, {"how": "random", "test": 0.2}, JOB.model, JOB.settings, JOB.seed),
        Job(JOB.fingerprint, JOB.split, "rbm", JOB.settings, JOB.seed),
        Job(JOB.fingerprint, JOB.split, JOB.model, {"reg": 2.0, "look_every": 5}, JOB.seed),
        Job(JOB.fingerprint, JOB.split, JOB.model, JOB.settings, 4),
    ],
)
def test_data_split_model_settings_and_seed_decide_the_key(other):
    assert other.key != JOB.key


def test_user_sums_add_up_each_users_ratings():
    user = np.array([7, 2, 7])
    sums = UserSums.of(user, {"rmse": np.array([1.0, 4.0, 9.0]), "mae": np.array([1.0, 2.0, 3.0])})
    assert sums.user.tolist() == [2, 7]
    assert sums.sums["rmse"].tolist() == [4.0, 10.0]
    assert sums.sums["mae"].tolist() == [2.0, 4.0]
    assert sums.count.tolist() == [1, 2]


def test_user_sums_are_read_as_they_were_written(tmp_path):
    results, sums = Results(tmp_path), sums_of(500)
    results.write(JOB, {}, sums)
    again = results.user_sums(JOB)
    np.testing.assert_array_equal(again.user, sums.user)
    np.testing.assert_array_equal(again.count, sums.count)
    np.testing.assert_allclose(again.sums["rmse"], sums.sums["rmse"], rtol=1e-7)  # single precision
    np.testing.assert_allclose(again.sums["mae"], sums.sums["mae"], rtol=1e-7)


def test_user_sums_of_six_thousand_users_are_kept_and_of_sixty_thousand_are_not(tmp_path):
    """As many as MovieLens 1M has; and so many that they would weigh on a repository."""
    results = Results(tmp_path)
    results.write(JOB, {}, sums_of(6040))
    assert 40_000 < (tmp_path / f"{JOB.key}.npz").stat().st_size <= USER_SUMS_LIMIT
    results.write(JOB, {}, sums_of(60_400))
    assert results.user_sums(JOB) is None


def test_a_new_record_removes_the_user_sums_of_the_old_one(tmp_path):
    results = Results(tmp_path)
    results.write(JOB, {"test": {"rmse": 0.9}}, sums_of(5))
    results.write(JOB, {"test": {"rmse": 0.8}})
    assert results.user_sums(JOB) is None
    assert results.read(JOB)["test"]["rmse"] == 0.8


def test_a_damaged_record_is_refused(tmp_path):
    (tmp_path / f"{JOB.key}.json").write_text("{")
    with pytest.raises(rc.RecollectError, match="is damaged"):
        Results(tmp_path).read(JOB)


def test_a_record_of_another_format_is_refused(tmp_path):
    (tmp_path / f"{JOB.key}.json").write_text('{"format": 99}')
    with pytest.raises(rc.RecollectError, match="has format 99, this version reads"):
        Results(tmp_path).read(JOB)


def test_an_object_is_written_with_a_line_for_each_key_and_row(tmp_path):
    content = {"a": {"b": [1, 2]}, "rows": [{"x": 1}, {"x": "ü"}]}
    write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text()
    assert text == '{\n"a":{"b":[1,2]},\n"rows":[\n{"x":1},\n{"x":"ü"}\n]\n}\n'
    assert json.loads(text) == content


# --- new names of settings ------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Records of two models, one with errors by user, facts of data, and a row carried over."""
    results = Results(tmp_path)
    results.write(JOB, {"test": {"rmse": 0.9}}, sums_of(5))
    other = Job("f00", {"how": "random"}, "rbm", {"reg": 2.0, "hidden": [3, 2]}, 0)
    results.write(other, {"failed": "the objective became nan"})
    results.note_data("planted/tiny", {"fingerprint": "f00"})
    row = {
        "fingerprint": "f00",
        "splits": [[JOB.split, 3]],
        "model": JOB.model,
        "settings": JOB.settings,
        "metric": "rmse",
        "interval": [0.9, None, None],
        "fit_seconds": 1.0,
        "peak_memory_mb": 2,
    }
    carried = {"release": "0.0.9", "made": {}, "rows": [row], "tables": {}}
    write_json(tmp_path / FILE, carried)
    return tmp_path


def completed(model, **settings):
    """The settings of a record today: those that it lacks have their defaults."""
    return {**registry.settings(registry.find(model)), **settings}


RENAMED = Job(
    JOB.fingerprint,
    JOB.split,
    "svdpp",
    completed("svdpp", reg=1.0, validate_every=5),
    JOB.seed,
)


def test_records_are_found_under_new_names_of_settings(folder):
    keys = rekey(folder, {"look_every": "validate_every", "rbm.reg": "weight_decay"})
    renamed = RENAMED
    results = Results(folder)
    assert results.read(renamed)["test"] == {"rmse": 0.9}
    assert results.user_sums(renamed).user.tolist() == [0, 1, 2, 3, 4]
    settings = completed("rbm", weight_decay=2.0, hidden=[3, 2])
    rbm = Job("f00", {"how": "random"}, "rbm", settings, 0)
    assert "nan" in results.read(rbm)["failed"]
    assert results.read(JOB) is None
    assert keys[JOB.key] == renamed.key
    assert len(keys) == 2
    assert results.data() == {"planted/tiny": {"fingerprint": "f00"}}
    assert read_carried(folder).row([renamed], "rmse").interval.mean == 0.9


def test_without_renames_the_former_names_of_the_models_are_replaced(folder):
    keys = rekey(folder)
    assert keys[JOB.key] == RENAMED.key


def test_settings_that_are_newer_than_a_record_get_the_value_of_before(tmp_path):
    """Not today's default: records were made without offsets."""
    job = Job("f00", {"how": "random"}, "autorec", {"reg": 2.0}, 0)
    Results(tmp_path).write(job, {"test": {"rmse": 0.9}})
    rekey(tmp_path)
    (path,) = tmp_path.glob("*.json")
    settings = read_json(path)["settings"]
    assert registry.settings(registry.find("autorec"))["offsets"] is None
    assert (settings["offsets"], settings["reg"]) == (False, 2.0)


def test_without_a_change_nothing_is_written(folder):
    rekey(folder)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert rekey(folder, {"no_such_setting": "x"}) == {}
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert after == before


def test_two_settings_cannot_get_one_name(folder):
    before = sorted(folder.iterdir())
    with pytest.raises(SettingError, match="svdpp would have two settings 'reg'"):
        rekey(folder, {"look_every": "reg"})
    assert sorted(folder.iterdir()) == before
    assert read_json(folder / f"{JOB.key}.json")["settings"] == JOB.settings
