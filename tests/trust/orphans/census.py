"""What really exists of the clusters under one home: counted from outside, without asking the product."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from booking.adapters.local import processes
from booking.adapters.local.processes import Identity, Process
from tests.trust.orphans.light import GUARDIAN

_LISTENS = "0A"


@dataclass
class Census:
    """One count; everything is by the folder `bk-<reservation>` that it belongs to."""

    processes: dict[str, set[Identity]] = field(default_factory=dict)
    guardians: dict[str, set[Identity]] = field(default_factory=dict)
    """Only the outermost: the first process inside is a copy of its guardian."""
    folders: set[str] = field(default_factory=set)
    sockets: dict[int, str] = field(default_factory=dict)
    """The folder of everything that listens, by inode: unlike its port, that is never used again."""


class _Namespace:
    """A process namespace held open: numbers are used again, but not while somebody holds the one that has it."""

    def __init__(self, handle: int, number: int) -> None:
        self.number = number
        self.cluster = ""
        self.close = weakref.finalize(self, os.close, handle)


class Counter:
    """Counts the clusters under `home`; whose processes left their family is found by the namespaces it had.

    Any thread may count. A namespace that lives is held open, so that no other cluster's can get its number.
    """

    def __init__(self, home: Path) -> None:
        self._workspaces = home / "workspaces"
        self._mark = re.compile(re.escape(str(self._workspaces)).encode() + rb"/(bk-[a-z0-9]+)(?=[/\0])")
        self._lock = threading.Lock()
        self._namespaces: dict[int, _Namespace] = {}
        own = _open_namespace(os.getpid())
        self._own = own.number if own else 0

    def count(self, *, sockets: bool = False) -> Census:
        """Look at every process of the machine once."""
        with self._lock:
            return self._counted(sockets)

    def _counted(self, sockets: bool) -> Census:
        table = processes.table()
        found: dict[str, set[int]] = defaultdict(set)
        guards: dict[str, set[int]] = defaultdict(set)
        alive: set[int] = set()
        for pid, process in table.items():
            if process.state in "ZX":
                continue
            words, name = _read(pid, "cmdline"), ""
            if marked := self._mark.search(_read(pid, "environ") + b"\0" + words + b"\0"):
                name = marked.group(1).decode()
            name = self._by_namespace(pid, name, alive)
            if name:
                found[name].add(pid)
                if GUARDIAN.encode() in words.split(b"\0"):
                    guards[name].add(pid)
        for number in self._namespaces.keys() - alive:
            self._namespaces.pop(number).close()
        census = Census(_identified(found, table), {}, self.folders())
        census.guardians = _identified({n: _outermost(pids, table) for n, pids in guards.items()}, table)
        if sockets:
            listening = listening_sockets()
            for name, pids in found.items():
                census.sockets |= dict.fromkeys(_sockets_of(pids) & listening, name)
        return census

    @property
    def namespaces(self) -> set[int]:
        """The numbers of the process namespaces of clusters that lived at the last count."""
        return set(self._namespaces)

    def folders(self) -> set[str]:
        return {path.name for path in self._workspaces.glob("bk-*")}

    def _by_namespace(self, pid: int, name: str, alive: set[int]) -> str:
        """The cluster whose process namespace this process is in, whatever it says of itself."""
        number = _namespace_number(pid)
        if number in (0, self._own):
            return name
        if number not in self._namespaces and name:
            opened = _open_namespace(pid)
            if opened and opened.number == number:  # otherwise another process has its number by now
                opened.cluster = name
                self._namespaces[number] = opened
        known = self._namespaces.get(number)
        if known is None:
            return name
        alive.add(number)
        return known.cluster


def mounts_of(home: Path) -> int:
    """How many mounts under the home this process sees."""
    return sum(str(home) in line for line in Path("/proc/self/mountinfo").read_text().splitlines())


def cgroups_named(names: Iterable[str]) -> int:
    """How many control groups carry one of these names."""
    wanted = set(names)
    return sum(path.name in wanted for path in Path("/sys/fs/cgroup").glob("**/bk-*"))


def listening_sockets() -> set[int]:
    """The inodes of all TCP sockets that listen on this machine."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()
    ]
    return {int(words[9]) for words in lines if words[3] == _LISTENS}


def _sockets_of(pids: Iterable[int]) -> set[int]:
    found = set()
    for pid in pids:
        try:
            names = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        found |= {int(name[8:-1]) for name in names if name.startswith("socket:[")}
    return found


def _outermost(pids: set[int], table: dict[int, Process]) -> set[int]:
    """One process for each guardian: its session, which the first process inside shares, tells them apart.

    Who only launches one is in a session that somebody else leads. Processes are read one after the other,
    so that a parent may have gone between two of them; a session stays what it was.
    """
    found: dict[int, int] = {}
    for pid in sorted(pids):
        process = table[pid]
        launches = process.session in table and process.session not in pids
        if not launches and process.parent not in pids:
            found.setdefault(process.session, pid)
    return set(found.values())


def _identified(found: dict[str, set[int]], table: dict[int, Process]) -> dict[str, set[Identity]]:
    boot = processes.boot_id()
    return {name: {Identity(pid, table[pid].start, boot) for pid in pids} for name, pids in found.items()}


def _namespace_number(pid: int) -> int:
    """The number of its process namespace; 0 where it is gone."""
    try:
        return Path(f"/proc/{pid}/ns/pid").stat().st_ino
    except OSError:
        return 0


def _open_namespace(pid: int) -> _Namespace | None:
    try:
        handle = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY)
    except OSError:
        return None
    return _Namespace(handle, os.fstat(handle).st_ino)


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
