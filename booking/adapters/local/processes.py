"""What `/proc` says: who is alive, who descends from whom, who uses how much memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROC = Path("/proc")
_MIB = 1024 * 1024
_KILL_SECONDS = 30.0
"""How long a killed process may take, for example when a disk does not answer."""


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    start: int
    """Clock ticks since the machine started."""
    boot: str

    def is_alive(self) -> bool:
        """Whether just this process runs, in any of its threads; a zombie counts as gone."""
        if self.boot != boot_id():
            return False
        process = look(self.pid)
        return process is not None and process.start == self.start and process.state not in "ZX"

    def send(self, number: signal.Signals) -> None:
        """Signal just this process; nothing happens when it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            if self.is_alive():
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)


@dataclass(frozen=True)
class Process:
    """One line of the process table."""

    pid: int
    name: str
    state: str
    """Z or X where no thread of it runs any more."""
    parent: int
    session: int
    start: int


@cache
def boot_id() -> str:
    """Changes when the machine starts anew."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def look(pid: int) -> Process | None:
    """The process of that number, or nothing."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in parentheses and may contain anything, so the last one closes it.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    return Process(
        pid=pid,
        name=head.partition("(")[2],
        state=fields[0] if fields[0] not in "ZX" else _state_of_threads(pid),
        parent=int(fields[1]),
        session=int(fields[3]),
        start=int(fields[19]),
    )


def _state_of_threads(pid: int) -> str:
    """The state of a process whose first thread has ended: that of one that runs on, if there is any."""
    for thread in _threads(pid):
        state = _text(thread / "stat").rpartition(b")")[2].split()[:1]
        if state and state[0] not in b"ZX":
            return state[0].decode()
    return "Z"


def identify(pid: int) -> Identity | None:
    """The identity of the process that has this number now."""
    process = look(pid)
    return None if process is None else Identity(pid, process.start, boot_id())


def table() -> dict[int, Process]:
    """Every process that can be seen from here, by number."""
    found = (look(int(entry)) for entry in os.listdir(_PROC) if entry.isdigit())
    return {process.pid: process for process in found if process is not None}


def descendants(processes: dict[int, Process], root: int) -> set[int]:
    """The numbers of all children, grandchildren and so on of `root`, without itself."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    queue = [root]
    while queue:
        for child in children.get(queue.pop(), []):
            if child not in found:
                found.add(child)
                queue.append(child)
    return found


def with_arguments(*arguments: str) -> list[int]:
    """The processes that have all these strings among their arguments."""
    wanted = {argument.encode() for argument in arguments}
    return [pid for pid in table() if wanted <= set(arguments_of(pid).split(b"\0"))]


def arguments_of(pid: int) -> bytes:
    """The arguments of a process, each with a NUL after it; nothing where it is gone."""
    return _read(pid, "cmdline")


def mark_of(folder: Path) -> dict[str, str]:
    """What the environment of every process of a cluster says: its folder, which no other cluster has."""
    return {"BOOKING_WORKSPACE": str(folder)}


def belonging_to(folder: Path) -> set[int]:
    """Processes of a cluster that nobody guards any more.

    Found by their environment, by sharing a session with one of these, or by working in its folder.
    """
    processes = table()
    (mark,) = (f"{name}={value}".encode() for name, value in mark_of(folder).items())
    marked = {pid for pid in processes if mark in _read(pid, "environ").split(b"\0")}
    sessions = {processes[pid].session for pid in marked} - {0, os.getsid(0)}
    found = marked | {pid for pid, process in processes.items() if process.session in sessions}
    found |= {pid for pid in processes if _works_in(pid, folder)}
    found -= {os.getpid(), os.getppid()}
    return {pid for pid in found if processes[pid].state not in "ZX"}


def kill(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal each of them; those that are gone already are passed over."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def end_children(grace: float) -> None:
    """End all descendants of this process, politely for `grace` seconds, and wait until none is left.

    For a process that adopts its orphans (the first of a namespace, or a subreaper): then having no
    child means that nothing is left. SIGCHLD must be blocked.
    """
    polite_until = time.monotonic() + grace
    give_up_at = polite_until + _KILL_SECONDS
    kill(descendants(table(), os.getpid()), signal.SIGTERM)
    while reap() is not None and time.monotonic() < give_up_at:
        if time.monotonic() >= polite_until:
            kill(descendants(table(), os.getpid()), signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, 0.05)


def reap() -> dict[int, int] | None:
    """The exit codes of children that have ended; nothing where no child is left at all."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended or None
        if pid == 0:
            return ended
        ended[pid] = os.waitstatus_to_exitcode(status)


def resident_mib(pids: Iterable[int]) -> float:
    """Memory in MiB with shared pages counted once for each process: quick, and never too low."""
    pages = 0
    for pid in pids:
        fields = _read(pid, "statm").split()
        pages += int(fields[1]) if fields else 0
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def proportional_mib(pid: int) -> float:
    """The memory of a process in MiB, each shared page divided among those who share it."""
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) / 1024
    return resident_mib([pid])


def _works_in(pid: int, folder: Path) -> bool:
    for place in (_PROC / str(pid), *_threads(pid)):
        try:
            return (place / "cwd").readlink().is_relative_to(folder)
        except OSError:
            continue
    return False


def _read(pid: int, name: str) -> bytes:
    """What one of its files says.

    Of a process whose first thread has ended they are empty, or full of noughts, whatever its other threads
    do; then those of another thread are read.
    """
    text = _text(_PROC / str(pid) / name)
    if not text.strip(b"0 \n"):
        for thread in _threads(pid):
            if (others := _text(thread / name)).strip(b"0 \n"):
                return others
    return text


def _threads(pid: int) -> list[Path]:
    """The folders of its threads but the first; nothing where it is gone."""
    try:
        names = os.listdir(_PROC / str(pid) / "task")
    except OSError:
        return []
    return [_PROC / str(pid) / "task" / name for name in names if name != str(pid)]


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
