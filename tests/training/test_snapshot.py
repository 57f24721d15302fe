"""Snapshots: a tree goes to disk and comes back; that of another fit is refused."""

import json

import pytest
import torch

from recollect.errors import TrainingError
from recollect.system.atomic_files import checksum
from recollect.training import snapshot
from recollect.training.snapshot_folder import discard


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


def test_the_new_one_is_found_after_a_kill_between_the_renames(tmp_path):
    snapshot.write(tmp_path / "s", {"x": 1}, fit_key={})
    temporary = tmp_path / ".s.abcdefgh.tmp"
    (temporary / ".old").mkdir(parents=True)
    (temporary / ".writing").touch()
    (tmp_path / "s").rename(temporary / "s")
    assert snapshot.read(tmp_path / "s", fit_key={}) == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


@pytest.mark.slow
def test_every_flipped_bit_is_refused(tmp_path):
    state = {"x": torch.arange(6.0), "epochs": [{"epoch": 1.0, "train_rmse": 0.75}]}
    snapshot.write(tmp_path / "s", state, fit_key={"seed": 0})
    for path in (tmp_path / "s").iterdir():
        whole = path.read_bytes()
        for bit in range(8 * len(whole)):
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << (bit % 8)
            path.write_bytes(damaged)
            with pytest.raises(TrainingError, match=r"cannot be read|has version"):
                snapshot.read(tmp_path / "s", fit_key={"seed": 0})
        path.write_bytes(whole)
    assert snapshot.read(tmp_path / "s", fit_key={"seed": 0})["epochs"] == state["epochs"]


@pytest.mark.parametrize("state", [[], 5, {"dict": 1}, {"list": [1]}, {"x": 1, "y": 2}, None])
def test_a_state_that_no_fit_writes_is_refused(tmp_path, state):
    snapshot.write(tmp_path / "s", {"x": 1}, fit_key={})
    content = json.loads((tmp_path / "s" / "state.json").read_text())
    content.pop("checksum")
    content["state"] = state
    text = json.dumps({**content, "checksum": checksum(content)})
    (tmp_path / "s" / "state.json").write_text(text)
    with pytest.raises(TrainingError, match="cannot be read"):
        snapshot.read(tmp_path / "s", fit_key={})


@pytest.mark.parametrize("name", ["mine.txt", "state.json", ".env", "deep/x"])
def test_a_folder_of_others_is_never_replaced_or_discarded(name, tmp_path):
    path = tmp_path / "snapshot" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(TrainingError, match="which no fit wrote"):
        snapshot.write(tmp_path / "snapshot", {"x": 1}, fit_key={})
    with pytest.raises(TrainingError, match="which no fit wrote"):
        discard(tmp_path)
    assert path.read_text() == "mine"


def test_snapshots_are_discarded_also_those_of_a_refit_and_damaged_ones(tmp_path):
    for folder in (tmp_path / "snapshot", tmp_path / "refit" / "snapshot"):
        snapshot.write(folder, {"x": torch.ones(3)}, fit_key={})
    (tmp_path / "snapshot" / "state.json").write_text("damaged")
    (tmp_path / "other").write_text("mine")
    discard(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


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
