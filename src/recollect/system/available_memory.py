"""How much memory there is: on the machine, in the container, on a GPU."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class MemoryLimit:
    """The most a process may come to hold, in bytes, and what sets that limit."""

    bytes: int
    limit: str


def available() -> MemoryLimit | None:
    """What this process may come to hold, what it holds already included; None where the system does not say.

    The least of what is free on the machine, what the container or control group leaves, and the limit on address space.
    """
    held = _own("VmRSS")
    found = [
        MemoryLimit(free + held, what)
        for free, what in (_machine(), _group(), _address_space())
        if free is not None
    ]
    return min(found, key=lambda each: each.bytes, default=None)


def total() -> int | None:
    """Bytes of memory that the machine has; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return None


def available_on_device(device: str) -> MemoryLimit:
    """What is free on this GPU, what torch keeps there for later included."""
    free, _ = torch.cuda.mem_get_info(device)
    return MemoryLimit(
        int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)), device
    )


def _own(key: str) -> int:
    return _fields(Path("/proc/self/status")).get(key, 0)


def _fields(path: Path) -> dict[str, int]:
    """The sizes in a file of lines such as `MemAvailable:   1024 kB`, in bytes."""
    lines = (line.split() for line in path.read_text().splitlines()) if path.exists() else ()
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if words[-1:] == ["kB"]}


def _machine() -> tuple[int | None, str]:
    return _fields(Path("/proc/meminfo")).get("MemAvailable", total()), "this machine"


def _group(
    groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> tuple[int | None, str]:
    """What the control group and those around it leave, version 1 or 2. What they hold of files can be dropped."""
    found: list[int] = []
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, kinds, place = line.split(":", 2)
        if kinds not in ("", "memory"):
            continue
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes")
            if kinds
            else ("memory.max", "memory.current")
        )
        home = root / kinds
        around = home / place.strip("/")
        for folder in (around, *around.parents):
            if folder != home and home not in folder.parents:
                break
            left = _left(folder, *names)
            found += [] if left is None else [left]
    return min(found, default=None), "this container or control group"


def _left(folder: Path, limit: str, used: str) -> int | None:
    most = (folder / limit).read_text().strip() if (folder / limit).exists() else "max"
    if most == "max" or int(most) >= 1 << 60:  # version 1 writes a huge number for no limit
        return None
    stat = (
        (folder / "memory.stat").read_text().splitlines()
        if (folder / "memory.stat").exists()
        else ()
    )
    files = sum(
        int(value) for key, value in (line.split() for line in stat) if key == "inactive_file"
    )
    return max(0, int(most) - int((folder / used).read_text()) + files)


def _address_space() -> tuple[int | None, str]:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return None, ""
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return (
        None if most == resource.RLIM_INFINITY else max(0, most - _own("VmSize"))
    ), "the address space (ulimit -v)"
