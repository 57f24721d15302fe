"""How much memory a process may use."""

from pathlib import Path

import pytest

from recollect.system import available_memory
from recollect.system.available_memory import MemoryLimit


def test_the_smallest_limit_counts_and_what_is_used_already_is_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(available_memory, "_own", lambda key: 100)
    monkeypatch.setattr(available_memory, "_machine", lambda: (900, "this machine"))
    monkeypatch.setattr(available_memory, "_group", lambda: (None, "group"))
    monkeypatch.setattr(available_memory, "_address_space", lambda: (300, "address space"))
    assert available_memory.available() == MemoryLimit(400, "address space")


def test_this_machine_has_no_more_available_than_in_total() -> None:
    limit = available_memory.available()
    assert limit is None or 0 < limit.bytes <= (available_memory.total() or 0)


def test_a_control_group_of_version_2_counts_and_so_do_those_around_it(tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (tmp_path / "outer" / "memory.max").write_text("1000\n")
    (tmp_path / "outer" / "memory.current").write_text("700\n")
    (tmp_path / "outer" / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    groups = tmp_path / "cgroup"
    groups.write_text("0::/outer/inner\n")
    assert available_memory._group(groups, tmp_path)[0] == 1000 - 700 + 150


def test_a_control_group_of_version_1_counts_also_within_a_container(tmp_path: Path) -> None:
    """There the file names the host's folder, and the container sees its own group as the root."""
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("1000\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("400\n")
    groups = tmp_path / "cgroup"
    groups.write_text("5:cpu:/x\n4:memory:/docker/abc\n")
    assert available_memory._group(groups, tmp_path)[0] == 600
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert available_memory._group(groups, tmp_path)[0] is None
