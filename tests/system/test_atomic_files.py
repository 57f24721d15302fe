"""Files and folders are replaced whole, or stay as they were."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recollect.system import atomic_files
from recollect.system.atomic_files import exchange, recover, replacing


def write(path, text):
    with replacing(path) as fresh:
        fresh.write_text(text)


def make(folder, text):
    with replacing(folder) as fresh:
        fresh.mkdir()
        (fresh / "a").write_text(text)


def test_a_file_is_written_and_replaced_and_nothing_is_left_beside_it(tmp_path):
    write(tmp_path / "deep" / "f.txt", "one")
    write(tmp_path / "deep" / "f.txt", "two")
    assert (tmp_path / "deep" / "f.txt").read_text() == "two"
    assert os.listdir(tmp_path / "deep") == ["f.txt"]


def test_a_folder_is_replaced_whole(tmp_path):
    make(tmp_path / "m", "one")
    (tmp_path / "m" / "b").write_text("of the old one")
    make(tmp_path / "m", "two")
    assert {p.name: p.read_text() for p in (tmp_path / "m").iterdir()} == {"a": "two"}
    assert os.listdir(tmp_path) == ["m"]


def test_what_was_there_stays_if_writing_fails(tmp_path):
    write(tmp_path / "f", "one")
    make(tmp_path / "m", "one")
    with pytest.raises(TypeError):
        write(tmp_path / "f", None)
    with pytest.raises(TypeError):
        make(tmp_path / "m", None)
    assert (tmp_path / "f").read_text() == (tmp_path / "m" / "a").read_text() == "one"
    assert sorted(os.listdir(tmp_path)) == ["f", "m"]


@pytest.fixture
def by_two_renames(monkeypatch):
    """As on a system that cannot exchange two folders in one step."""
    monkeypatch.setattr(atomic_files, "exchange", lambda one, other: False)


def test_a_folder_is_replaced_by_two_renames(by_two_renames, tmp_path):
    make(tmp_path / "m", "one")
    make(tmp_path / "m", "two")
    assert (tmp_path / "m" / "a").read_text() == "two"
    assert os.listdir(tmp_path) == ["m"]


def test_the_old_folder_is_put_back_if_the_exchange_fails(by_two_renames, tmp_path, monkeypatch):
    make(tmp_path / "m", "one")
    rename = os.rename

    def fail_for_the_new_one(source, target):
        if str(source).endswith(os.path.join(".tmp", "m")):
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_for_the_new_one)
    with pytest.raises(OSError, match="no"):
        make(tmp_path / "m", "two")
    assert (tmp_path / "m" / "a").read_text() == "one"
    assert os.listdir(tmp_path) == ["m"]


def test_a_failed_exchange_in_one_step_leaves_the_old_folder(tmp_path, monkeypatch):
    make(tmp_path / "m", "one")
    monkeypatch.setattr(atomic_files, "exchange", refuse)
    with pytest.raises(OSError, match="Input/output"):
        make(tmp_path / "m", "two")
    assert (tmp_path / "m" / "a").read_text() == "one"
    assert os.listdir(tmp_path) == ["m"]


def refuse(one, other):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


KILLED = """
import os, sys
from recollect.system import atomic_files
from recollect.system.atomic_files import replacing

step = int(sys.argv[1])
if sys.argv[3] == "two renames":
    atomic_files.exchange = lambda one, other: False
calls = 0

def counted(function):
    def call(*arguments, **options):
        global calls
        if calls == step:
            os.kill(os.getpid(), 9)
        calls += 1
        return function(*arguments, **options)
    return call

for name in ("rename", "replace", "fsync", "mkdir", "rmdir", "unlink", "open"):
    setattr(os, name, counted(getattr(os, name)))

with replacing(sys.argv[2]) as fresh:
    fresh.mkdir()
    (fresh / "a").write_text("two")
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["one step", "two renames"])
def test_killed_at_any_step_one_whole_folder_is_left(way, tmp_path):
    step = 0
    seen = set()
    while True:
        home = tmp_path / f"{step}"
        make(home / "m", "one")
        command = [sys.executable, "-c", KILLED, str(step), home / "m", way]
        ended = subprocess.run(command, check=False, timeout=60).returncode
        recover(home / "m")
        content = (home / "m" / "a").read_text()
        seen.add(content)
        make(home / "m", "three")
        files = [path.name for path in home.rglob("*") if path.is_file()]
        # Of a process killed in its first steps an empty folder stays for a minute.
        assert set(files) <= {"a", ".writing-new"}, f"killed at step {step}"
        assert files.count("a") == 1, f"killed at step {step}"
        if ended == 0:
            break
        step += 1
    assert content == "two"
    assert seen == {"one", "two"}
    assert step > 10


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    make(tmp_path / "m", "one")
    with pytest.raises(IsADirectoryError, match="a file was to be written"):
        write(tmp_path / "m", "two")
    assert (tmp_path / "m" / "a").read_text() == "one"


def test_of_a_link_its_target_is_replaced(tmp_path):
    make(tmp_path / "real", "one")
    write(tmp_path / "real.txt", "one")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    make(tmp_path / "link", "two")
    write(tmp_path / "link.txt", "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "a").read_text() == (tmp_path / "real.txt").read_text() == "two"


def left_by_a_killed_process(folder, name, content):
    """What is left beside `folder/name` by a process that was killed while it wrote."""
    temporary = folder / f".{name}.abcdefgh.tmp"
    (temporary / name).mkdir(parents=True)
    (temporary / name / "a").write_text(content)
    (temporary / ".writing").touch()
    return temporary


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    left = left_by_a_killed_process(tmp_path, "m", "half")
    make(tmp_path / "m", "two")
    assert not left.exists()
    assert os.listdir(tmp_path) == ["m"]


def test_the_first_steps_of_a_killed_process_are_removed_after_a_minute(tmp_path):
    left = tmp_path / ".m.abcdefgh.tmp"
    left.mkdir()
    (left / ".writing-new").touch()
    make(tmp_path / "m", "one")
    assert left.exists()
    os.utime(left, (0, 0))
    make(tmp_path / "m", "two")
    assert os.listdir(tmp_path) == ["m"]


def test_what_a_living_process_writes_is_left_alone(tmp_path):
    with replacing(tmp_path / "m") as slow:
        slow.mkdir()
        (slow / "a").write_text("slow")
        make(tmp_path / "m", "quick")
        assert (tmp_path / "m" / "a").read_text() == "quick"
    assert (tmp_path / "m" / "a").read_text() == "slow"
    assert os.listdir(tmp_path) == ["m"]


def test_between_the_renames_the_new_folder_is_put_in_place(tmp_path):
    left = left_by_a_killed_process(tmp_path, "m", "new")
    (left / ".old").mkdir()
    recover(tmp_path / "m")
    assert (tmp_path / "m" / "a").read_text() == "new"
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize(
    "name", [".m.old/a", ".m.backup.tmp/a", ".m.tmp", ".m.abcdefgh.tmp/m/a", ".git/config", "m.tmp"]
)
def test_hidden_files_of_others_beside_it_stay(name, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    make(tmp_path / "m", "one")
    make(tmp_path / "m", "two")
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_may_be_refused_before_anything_of_it_is_removed(tmp_path):
    make(tmp_path / "m", "one")

    def never(folder):
        raise ValueError(f"not {folder.name}")

    with pytest.raises(ValueError, match="not m"), replacing(tmp_path / "m", check=never) as fresh:
        fresh.mkdir()
    assert (tmp_path / "m" / "a").read_text() == "one"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_every_file_has_the_mode_of_new_files(umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "m") as fresh:
            fresh.mkdir()
            (fresh / "private").write_text("x")
            (fresh / "private").chmod(0o600)
            (fresh / "open").write_text("x")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "m").iterdir()}
    assert modes == {"private": mode, "open": mode}


def test_all_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    make(tmp_path / "m", "one")
    synced = []
    fsync = os.fsync

    def note(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    def exchange_after(one, other):
        assert {Path(path).name for path in synced} == {"a", "m"}
        return exchange(one, other)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(atomic_files, "exchange", exchange_after)
    make(tmp_path / "m", "two")
    assert synced[-1] == str(tmp_path)


def test_a_disk_that_is_full_at_the_last_moment_leaves_the_old_folder(tmp_path, monkeypatch):
    make(tmp_path / "m", "one")

    def fail(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        make(tmp_path / "m", "two")
    assert (tmp_path / "m" / "a").read_text() == "one"
    assert os.listdir(tmp_path) == ["m"]


def test_links_that_lead_to_each_other_are_an_error_of_files(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match=r"symbolic links|symlink"):
        write(tmp_path / "a" / "c", "x")
