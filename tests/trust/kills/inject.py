"""A signal at the N-th write, sync or answer of a running process, by `strace`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

STEPS = (
    *("write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg", "fsync", "fdatasync"),
    *("ftruncate", "fallocate", "rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat"),
)
"""The system calls that leave something behind: on disk, or with somebody who reads."""
_SECONDS = 30.0
_CALL = re.compile(r"^\d+ +(\w+)\(", re.MULTILINE)
_STRUCK = {
    "SIGKILL": re.compile(r"\+\+\+ killed by SIGKILL"),
    "SIGSTOP": re.compile(r"--- stopped by SIGSTOP"),
}


class Injection:
    """While it lasts, a process gets a signal as it enters the N-th call of one kind, counted by thread.

    What it was about to do is not done; no kind only watches all :data:`STEPS` and `also`.
    """

    def __init__(
        self,
        pid: int,
        log: Path,
        kind: str = "",
        nth: int = 1,
        signal_name: str = "SIGKILL",
        also: str = "",
    ) -> None:
        self._pid, self._log, self._signal = pid, log, signal_name
        log.unlink(missing_ok=True)
        words = ["strace", "-f", "-qq", "-y", "-s", "16", "-p", str(pid), "-o", str(log)]
        words += ["-e", f"trace={','.join((*STEPS, also or STEPS[0]))}"]
        if kind:
            words += ["-e", f"inject={kind}:signal={signal_name}:when={nth}"]
        self._strace = subprocess.Popen(words, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Injection:
        until = time.monotonic() + _SECONDS
        while not self._attached():
            if self._strace.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"strace cannot follow process {self._pid}")
            time.sleep(0.001)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # It lets go of a process that lives, and has ended by itself where it does not.
        if self._strace.poll() is None and alive(self._pid):
            self._strace.send_signal(signal.SIGINT)
        self._strace.wait(_SECONDS)

    def _attached(self) -> bool:
        threads = Path(f"/proc/{self._pid}/task")
        try:
            return all("TracerPid:\t0\n" not in (one / "status").read_text() for one in threads.iterdir())
        except OSError:
            return False

    @property
    def trace(self) -> str:
        """What the process has done so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def struck(self) -> bool:
        """Whether the signal has come."""
        return _STRUCK[self._signal].search(self.trace) is not None

    @property
    def kinds(self) -> list[str]:
        """The kinds of calls that the process has made so far, in the order of their first."""
        return list(dict.fromkeys(_CALL.findall(self.trace)))


def alive(pid: int) -> bool:
    """Whether a process is there and not only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill(pid: int) -> None:
    """End a process of ours at once, if it is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
