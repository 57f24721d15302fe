"""Snapshots: a tree goes to disk and comes back; that of another fit is refused."""

import pytest
import torch

from recollect.errors import TrainingError
from recollect.training import snapshot


def test_a_tree_comes_back_as_it_was(tmp_path):
    tree = {
        "a": [1, 2.5, None, "x", torch.arange(3)],
        7: {"half": torch.ones(2).half()},
        "empty": {},
    }
    snapshot.write(tmp_path / "s", tree, fit_key={"model": "m"})
    read = snapshot.read(tmp_path / "s", fit_key={"model": "m"})
    assert read["a"][:4] == [1, 2.5, None, "x"]
    assert torch.equal(read["a"][4], torch.arange(3))
    assert read[7]["half"].dtype == torch.float16
    assert read["empty"] == {}


def test_a_folder_without_a_snapshot_gives_none(tmp_path):
    assert snapshot.read(tmp_path / "s", fit_key={}) is None


def test_the_earlier_one_is_found_after_a_kill_between_the_renames(tmp_path):
    snapshot.write(tmp_path / "s", {"x": 1}, fit_key={})
    (tmp_path / "s").rename(tmp_path / ".s.old")
    assert snapshot.read(tmp_path / "s", fit_key={}) == {"x": 1}


def test_the_snapshot_of_another_fit_is_refused_and_the_difference_named(tmp_path):
    snapshot.write(tmp_path / "s", {}, fit_key={"hidden": 5, "seed": 0})
    with pytest.raises(TrainingError, match="hidden was 5 and is 6"):
        snapshot.read(tmp_path / "s", fit_key={"hidden": 6, "seed": 0})


def test_a_torn_snapshot_is_refused(tmp_path):
    snapshot.write(tmp_path / "s", {"x": torch.ones(100)}, fit_key={})
    whole = (tmp_path / "s" / "tensors.safetensors").read_bytes()
    (tmp_path / "s" / "tensors.safetensors").write_bytes(whole[:50])
    with pytest.raises(TrainingError, match="cannot be read"):
        snapshot.read(tmp_path / "s", fit_key={})


def test_a_failed_write_leaves_the_earlier_one(tmp_path):
    snapshot.write(tmp_path / "s", {"x": 1}, fit_key={})
    with pytest.raises(TypeError):
        snapshot.write(tmp_path / "s", {"x": object()}, fit_key={})
    assert snapshot.read(tmp_path / "s", fit_key={}) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["s"]
