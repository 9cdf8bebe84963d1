"""What this machine has: cores, memory and time zone, as far as this process may use them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

_CGROUP_MEMORY = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_MIB = 2**20
_UTC = ("Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu")


@dataclass(frozen=True)
class Machine:
    """Whole cores and MiB of memory, and the IANA zone of the machine's clock."""

    cores: int
    memory_mib: int
    timezone: str


def this_machine() -> Machine:
    """What is really here, less what a container withholds."""
    return Machine(len(os.sched_getaffinity(0)), _memory_mib(), _timezone())


def _memory_mib() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [
        int(path.read_text())
        for path in _CGROUP_MEMORY
        if path.exists() and path.read_text().strip().isdigit()
    ]
    return min([physical, *limits]) // _MIB


def _timezone() -> str:
    """The zone by its name: from TZ, or from where /etc/localtime points; UTC where neither tells."""
    candidates = [os.environ.get("TZ", "").lstrip(":")]
    localtime = Path("/etc/localtime")
    if localtime.is_symlink():
        candidates.append(str(localtime.resolve()).partition("zoneinfo/")[2])
    for name in candidates:
        try:
            return "UTC" if name in _UTC else ZoneInfo(name).key
        except (KeyError, ValueError, OSError):
            continue
    return "UTC"
