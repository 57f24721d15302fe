"""How much memory a process may use: on the machine, in the container, on a GPU."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

UNLIMITED = 1 << 60  # control groups of version 1 write a number this large for "no limit"


@dataclass(frozen=True)
class MemoryLimit:
    """The most memory a process may use, and what sets that limit."""

    bytes: int
    limit: str


def available() -> MemoryLimit | None:
    """The most this process may use, including what it uses already; None if the system hides it.

    The smallest of three limits: what is free on the machine, what the container or control group
    leaves, and the limit on address space.
    """
    used = _own("VmRSS")
    limits = []

    for free, name in (_machine(), _group(), _address_space()):
        if free is not None:
            limits.append(MemoryLimit(free + used, name))

    return min(limits, key=lambda limit: limit.bytes, default=None)


def total() -> int | None:
    """Bytes of memory of the machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return None


def available_on_device(device: str) -> MemoryLimit:
    """What is free on a GPU, including what torch holds there in reserve."""
    free, _ = torch.cuda.mem_get_info(device)
    reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return MemoryLimit(int(free + reserve), device)


def _own(key: str) -> int:
    """A size of this process, in bytes; 0 where the system does not say."""
    return _sizes(Path("/proc/self/status")).get(key, 0)


def _sizes(path: Path) -> dict[str, int]:
    """The sizes in a file of lines such as `MemAvailable:   1024 kB`, in bytes."""
    sizes: dict[str, int] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            words = line.split()
            if words[-1:] == ["kB"]:
                sizes[words[0].rstrip(":")] = int(words[1]) * 1024

    return sizes


def _machine() -> tuple[int | None, str]:
    return _sizes(Path("/proc/meminfo")).get("MemAvailable", total()), "this machine"


def _group(
    groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> tuple[int | None, str]:
    """What the control groups of this process leave, version 1 or 2."""
    free: list[int] = []
    lines = groups.read_text().splitlines() if groups.exists() else []

    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers == "":  # version 2
            limit, usage = "memory.max", "memory.current"
        elif controllers == "memory":
            limit, usage = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue

        home = root / controllers
        innermost = home / place.strip("/")

        for folder in (innermost, *innermost.parents):
            if folder != home and home not in folder.parents:
                break

            left = _left_in_group(folder, limit, usage)
            if left is not None:
                free.append(left)

    return min(free, default=None), "this container or control group"


def _left_in_group(folder: Path, limit: str, usage: str) -> int | None:
    """Bytes that a control group leaves; None without a limit. Cached files can be dropped.

    Args:
        folder: of the control group.
        limit: the name of the file with the limit.
        usage: the name of the file with what is used.
    """
    most = _text(folder / limit) or "max"
    if most == "max" or int(most) >= UNLIMITED:
        return None

    cached = 0

    for line in _text(folder / "memory.stat").splitlines():
        key, value = line.split()
        if key == "inactive_file":
            cached += int(value)

    return max(0, int(most) - int(_text(folder / usage)) + cached)


def _text(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _address_space() -> tuple[int | None, str]:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return None, ""

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return None, ""

    return max(0, most - _own("VmSize")), "the address space (ulimit -v)"
