"""Files and folders are replaced whole, or stay as they were."""

import os

import pytest

from recollect.system.atomic_files import replacing


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


def test_the_old_folder_is_put_back_if_the_exchange_fails(tmp_path, monkeypatch):
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


def test_what_a_kill_between_the_renames_left_is_cleared(tmp_path):
    make(tmp_path / "m", "one")
    (tmp_path / "m").rename(tmp_path / ".m.old")
    make(tmp_path / "m", "two")
    make(tmp_path / "m", "three")
    assert (tmp_path / "m" / "a").read_text() == "three"
    assert os.listdir(tmp_path) == ["m"]
