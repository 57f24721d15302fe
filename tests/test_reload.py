"""A model that is saved over while it is read: the earlier one or the new one, whole."""

import errno
import os
import shutil

import pytest
from benchmarks import reload

import recollect as rc
from recollect.checkpoint import loading, open_folder
from recollect.errors import CheckpointError
from recollect.system import atomic_files


@pytest.fixture(scope="module")
def both():
    return reload.models()


def replaced_at(step, both, folder, monkeypatch):
    """Save the second model over the first when the reader calls this function."""
    home, name = step
    function = getattr(home, name)
    is_first = [True]

    def call(*args, **options):
        if is_first.pop() if is_first else False:
            rc.save(both[1], folder)
        return function(*args, **options)

    monkeypatch.setattr(home, name, call)


STEPS = {
    "after model.json was read": (loading, "parse"),
    "between the sums": (loading, "_check_file"),
    "before the ratings": (loading, "read_given"),
    "between ratings and network": (loading, "read_network"),
}


@pytest.mark.parametrize("has_descriptors", [True, False], ids=["by open files", "by paths"])
@pytest.mark.parametrize("two_renames", [False, True], ids=["one step", "two renames"])
@pytest.mark.parametrize("step", STEPS)
def test_replaced_in_the_middle_it_is_one_of_the_two(
    step, two_renames, has_descriptors, both, tmp_path, monkeypatch
):
    if two_renames:
        monkeypatch.setattr(atomic_files, "exchange", lambda one, other: False)
    if not has_descriptors:
        monkeypatch.setattr(open_folder, "DESCRIPTORS", ())
    folder = rc.save(both[0], tmp_path / "m")
    replaced_at(STEPS[step], both, folder, monkeypatch)
    read = reload.identity(rc.load_model(folder))
    assert read in {reload.identity(model) for model in both}
    assert reload.identity(rc.load_model(folder)) == reload.identity(both[1])


def test_half_removed_before_it_is_opened_it_is_read_again(both, tmp_path, monkeypatch):
    folder = rc.save(both[0], tmp_path / "m")
    real_open = os.open

    def open_late(path, *args, **options):
        if path == "net.safetensors":
            monkeypatch.setattr(os, "open", real_open)
            rc.save(both[1], folder)
        return real_open(path, *args, **options)

    monkeypatch.setattr(os, "open", open_late)
    assert reload.identity(rc.load_model(folder)) == reload.identity(both[1])


@pytest.mark.parametrize("two_renames", [False, True], ids=["one step", "two renames"])
def test_removed_before_anything_is_opened_it_is_read_again(
    two_renames, both, tmp_path, monkeypatch
):
    """The folder is open, and the files in it are gone, or there is no folder for a moment."""
    folder = rc.save(both[0], tmp_path / "m")
    opened = open_folder.OpenFolder
    tries = []

    def open_when_it_is_gone(path):
        tries.append(path)
        if len(tries) > 1:
            return opened(path)
        if not two_renames:
            rc.save(both[1], folder)
            raise open_folder.no_model(path)
        with atomic_files.replacing(folder) as fresh:
            folder.rename(fresh)
            with pytest.raises(CheckpointError) as caught:
                opened(path)
        raise caught.value

    monkeypatch.setattr(loading, "OpenFolder", open_when_it_is_gone)
    assert reload.identity(rc.load_model(folder)) in {reload.identity(model) for model in both}
    assert len(tries) == 2


def test_where_there_is_no_model_nobody_waits_for_one(both, tmp_path, monkeypatch):
    monkeypatch.setattr(loading.time, "sleep", lambda seconds: pytest.fail("tried again"))
    with pytest.raises(CheckpointError, match="does not exist"):
        rc.load_model(tmp_path / "m")


def test_a_file_that_may_not_be_read_is_named_at_once(both, tmp_path, monkeypatch):
    folder = rc.save(both[0], tmp_path / "m")
    real_open = os.open

    def refuse(path, *args, **options):
        if path == "net.safetensors":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real_open(path, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(loading.time, "sleep", lambda seconds: pytest.fail("tried again"))
    with pytest.raises(CheckpointError, match=r"net\.safetensors cannot be opened: Permission"):
        rc.load_model(folder)


def test_what_is_damaged_and_stays_is_refused_at_once(both, tmp_path, monkeypatch):
    folder = rc.save(both[0], tmp_path / "m")
    (folder / "net.safetensors").write_bytes(b"x")
    monkeypatch.setattr(loading.time, "sleep", lambda seconds: pytest.fail("tried again"))
    with pytest.raises(CheckpointError, match="is damaged"):
        rc.load_model(folder)


def test_no_file_stays_open(both, tmp_path):
    folder = rc.save(both[0], tmp_path / "m")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        rc.load_model(folder)
    shutil.rmtree(folder / "given", ignore_errors=True)
    (folder / "vocab.json").unlink()
    with pytest.raises(CheckpointError):
        rc.load_model(folder)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_model_whose_exchange_was_interrupted_is_found(both, tmp_path):
    folder = rc.save(both[0], tmp_path / "m")
    temporary = tmp_path / ".m.abcdefgh.tmp"
    temporary.mkdir()
    (temporary / ".writing").touch()
    folder.rename(temporary / "m")
    rc.save(both[1], tmp_path / "old").rename(temporary / ".old")
    assert reload.identity(rc.load_model(folder)) == reload.identity(both[0])


@pytest.mark.slow
@pytest.mark.parametrize("two_renames", [False, True], ids=["one step", "two renames"])
def test_loads_beside_saves_are_whole(two_renames, tmp_path):
    saves, outcomes = reload.count(tmp_path / "m", loads=200, pause=0.0, two_renames=two_renames)
    assert saves > 5
    assert outcomes[reload.MIXED] == 0
    assert outcomes[reload.WHOLE] > 190
