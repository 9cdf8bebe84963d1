"""The processes of the rig: each a session of its own, none outlives the test run, however that ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.openstack.rig.ports import listens

BOOT_SECONDS = 180.0
"""For any one of them to answer, on a machine with much else to do."""
POLITE_SECONDS = 4.0
"""Between asking and killing: the conductor of Magnum never heeds the first."""
_PR_SET_PDEATHSIG = 1
# Found before anything forks: the child of a process with threads may do very little.
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class Died(RuntimeError):
    """A process ended, or never answered, with the end of its log."""


class Process:
    """A program that runs until it is ended; all its output is in `<folder>/log/<name>.log`."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, variables: Mapping[str, str], port: int = 0
    ) -> None:
        self.name = name
        self.port = port
        self._command = list(command)
        self._folder = folder
        self._variables = dict(variables)
        self._process: subprocess.Popen[bytes] | None = None
        self._said_before = 0

    @property
    def log(self) -> Path:
        return self._folder / "log" / f"{self.name}.log"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, without waiting for an answer.

        Call it from the main thread: what a thread has started ends together with that thread.
        """
        with self.log.open("ab") as output:
            self._said_before = output.tell()
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the test run, which then ends them in order.
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509  # it takes no lock
            )

    def await_answer(self, look: Callable[[], bool] | None = None) -> None:
        """Wait until it listens on its port, or until `look` is content.

        :raises Died: if it ends first, or takes too long.
        """
        deadline = time.monotonic() + BOOT_SECONDS
        while self.runs and time.monotonic() < deadline:
            if look() if look else listens(self.port):
                return
            time.sleep(0.1)
        raise Died(f"{self.name} does not answer:\n{tail(self.log)}")

    def said(self) -> str:
        """What it has written since its last start."""
        return self.log.read_bytes()[self._said_before :].decode(errors="replace")

    def stop(self) -> None:
        """Let it stand still, as a machine does that has stalled: connections are accepted, nothing answers."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run on after :meth:`stop`."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it and its workers at once, as a failing machine would."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(30)

    def start_again(self) -> None:
        """Start after :meth:`kill`; it answers afterwards, if it has a port to answer on."""
        assert not self.runs, f"{self.name} still runs"
        self.start()
        if self.port:
            self.await_answer()

    def ask_to_end(self) -> None:
        """Ask it politely, also while it stands still."""
        self._signal(signal.SIGTERM)
        self.go_on()

    def _signal(self, which: signal.Signals) -> None:
        # Its workers are in the same group, and stay there when it has ended without them.
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, which)


def end(processes: Sequence[Process]) -> None:
    """End them all: politely at first, and all at the same time."""
    for process in processes:
        process.ask_to_end()
    deadline = time.monotonic() + POLITE_SECONDS
    while any(process.runs for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:
        process.kill()


def tail(log: Path) -> str:
    """The end of a log, for the message of an error."""
    return log.read_text(errors="replace")[-3000:] if log.exists() else "(it wrote nothing)"


def living_in(folder: Path) -> list[str]:
    """The names of the processes that work there: all those of a rig do."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        # Most belong to somebody else, and some end while we look.
        with contextlib.suppress(OSError):
            if (path / "cwd").readlink().is_relative_to(folder):
                found.append((path / "comm").read_text().strip())
    return found


def end_with_parent() -> None:
    """Runs in the child: whatever kills the test run also kills it. Workers are seen to by `inside/launch.py`."""
    if _PRCTL:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
