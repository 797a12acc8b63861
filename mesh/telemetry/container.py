"""The memory that this process may use: its container's, where that has less than the machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

CGROUP: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    total: int
    available: int


@dataclass(frozen=True, slots=True)
class _Files:
    """What a version of the kernel's control groups calls its files, and the keys of pages that it gives back when it must."""

    limit: str
    used: str
    stat: str
    reclaimable: tuple[str, ...]


_VERSIONS: Final = (
    _Files("memory.max", "memory.current", "memory.stat", ("inactive_file", "active_file")),
    _Files(
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        ("total_inactive_file", "total_active_file"),
    ),
)


def memory() -> Memory:
    """What there is here now; as Ray reckons it, which ends workers by it."""
    machine = psutil.virtual_memory()
    return bounded(Memory(machine.total, machine.available), CGROUP)


def bounded(machine: Memory, cgroup: Path) -> Memory:
    """What the control group mounted at `cgroup` leaves of the machine's memory; all of it where it sets no limit."""
    for files in _VERSIONS:
        try:
            limit = (cgroup / files.limit).read_text().strip()
            if limit == "max" or int(limit) >= machine.total:
                continue
            used = int((cgroup / files.used).read_text())
            pages = _pages((cgroup / files.stat).read_text())
        except (OSError, ValueError):  # not this version, or not for us to read
            continue
        taken = used - sum(pages.get(key, 0) for key in files.reclaimable)
        return Memory(int(limit), min(machine.available, max(0, int(limit) - max(0, taken))))
    return machine


def _pages(stat: str) -> Mapping[str, int]:
    rows = (line.split() for line in stat.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2}
