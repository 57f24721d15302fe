"""A path is used by one at a time."""

import os
from pathlib import Path

import pytest

from recollect.errors import SettingError
from recollect.system.locks import Lock, used_alone

REFUSAL = SettingError("Somebody else uses it.")


def test_a_path_is_used_by_one_at_a_time(tmp_path):
    path = tmp_path / "deep" / "run"
    with (
        used_alone(path, REFUSAL),
        pytest.raises(SettingError, match="Somebody else"),
        used_alone(path, REFUSAL),
    ):
        pass
    with used_alone(path, REFUSAL):
        assert os.listdir(path.parent) == [".run.in-use"]
    assert os.listdir(path.parent) == []


def test_an_error_within_the_block_ends_the_use(tmp_path):
    with pytest.raises(KeyError), used_alone(tmp_path / "run", REFUSAL):
        raise KeyError
    assert os.listdir(tmp_path) == []


def test_the_root_of_a_file_system_has_a_lock_too(monkeypatch):
    taken = []
    monkeypatch.setattr(Lock, "take", taken.append)
    with pytest.raises(SettingError), used_alone(Path("/"), REFUSAL):
        pass
    assert taken == [Path("/..in-use")]
