"""The journal of a study after a kill, a full disk, or damage."""

import errno
import json
import logging
import multiprocessing
import os

import pytest
from tests.experiment.test_tune import found, written

from recollect.errors import SettingError
from recollect.experiment import journal, tune

pytestmark = pytest.mark.xdist_group("journal")  # its fixture is made once


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A search space, the journal of its study as bytes, and what the study found."""
    folder = tmp_path_factory.mktemp("study")
    space = tune.read(written(folder))
    outcome = tune.tune(space, folder / "a.journal", threads=1)
    return space, (folder / "a.journal").read_bytes(), found(outcome)


def test_wherever_it_is_cut_whole_lines_are_left(study, tmp_path):
    _, whole, _ = study
    path = tmp_path / "a.journal"
    line_ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    for end in {*range(0, len(whole), 97), *line_ends, *(place + 1 for place in line_ends)}:
        path.write_bytes(whole[:end])
        with journal.opened(path):
            left = path.read_bytes()
        assert whole.startswith(left)
        assert left == whole[: whole.rfind(b"\n", 0, end) + 1]


@pytest.mark.parametrize(
    "share", [0.4, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.02, 0.7, 0.97))]
)
def test_a_study_whose_journal_was_cut_goes_on_as_if_it_had_not_been(share, study, tmp_path):
    space, whole, expected = study
    path = tmp_path / "a.journal"
    path.write_bytes(whole[: int(share * len(whole))])
    assert found(tune.tune(space, path, threads=1)) == expected
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.slow
def test_a_full_disk_ends_the_command_and_not_the_study(study, tmp_path, monkeypatch):
    space, _, expected = study
    path = tmp_path / "a.journal"
    fsync = os.fsync
    calls = []

    def fill_up(descriptor):
        calls.append(descriptor)
        if len(calls) == 12:
            os.truncate(descriptor, os.fstat(descriptor).st_size - 9)  # half of a line
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fill_up)
    with pytest.raises(OSError, match="No space left"):
        tune.tune(space, path, threads=1)
    monkeypatch.undo()
    assert not path.read_bytes().endswith(b"\n")
    assert found(tune.tune(space, path, threads=1)) == expected


@pytest.mark.parametrize("line", [b"", b"{}", b"5", b"[" * 100_000, b'{"op_code": "x"}', b"\xff{"])
def test_a_damaged_line_is_named_and_nothing_is_cut(line, study, tmp_path):
    _, whole, _ = study
    lines = whole.splitlines()
    lines[2] = line
    path = tmp_path / "a.journal"
    path.write_bytes(b"\n".join(lines))
    before = path.read_bytes()
    with pytest.raises(SettingError, match="Line 3 of the study"), journal.opened(path):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["notes", "my notes\nwithout an end", "{"])
def test_a_file_that_is_no_study_is_left_as_it_is(text, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text(text)
    if text == "{":
        with journal.opened(path):  # what is left of the first line, which may be so short
            assert path.read_text() == ""
        return
    with pytest.raises(SettingError, match=r"is no study|is damaged"), journal.opened(path):
        pass
    assert path.read_text() == text


def test_half_a_line_is_told(study, tmp_path, caplog):
    path = tmp_path / "a.journal"
    path.write_bytes(study[1][:-4])
    with caplog.at_level(logging.WARNING, "recollect"), journal.opened(path):
        pass
    assert "was cut short; what it was about is done again" in caplog.text


def hold(path, is_held, may_end):
    with journal.opened(path):
        is_held.set()
        may_end.wait(60)


@pytest.mark.slow
def test_two_processes_do_not_work_on_one_study(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    is_held, may_end = spawn.Event(), spawn.Event()
    path = tmp_path / "a.journal"
    other = spawn.Process(target=hold, args=(path, is_held, may_end))
    other.start()
    try:
        assert is_held.wait(60)
        with pytest.raises(SettingError, match=r"Another process is working"), journal.opened(path):
            pass
    finally:
        may_end.set()
        other.join()
    with journal.opened(path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_lock_that_a_killed_process_left_does_not_hold_the_study_up(study, tmp_path):
    path = tmp_path / "a.journal"
    path.write_bytes(study[1])
    (tmp_path / "a.journal.lock").symlink_to(path)
    assert found(tune.tune(study[0], path, threads=1)) == study[2]
