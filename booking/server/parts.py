"""A process of the service: how it is started on a leash, how it fares, and who takes its place."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from booking.adapters.local.linux import die_with_parent

log = logging.getLogger(__name__)

READY = "WEB_READY_FD"
"""The variable with the descriptor to which a web process tells that it can answer."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_COMING_SECONDS = 60.0
"""How long a new web server may take to come up before the old one is kept."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STEADY_SECONDS = 10.0
"""A part that lived so long starts again without a pause."""


@dataclass
class Part:
    """A process of the service, and how it fared."""

    name: str
    command: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = _FIRST_PAUSE
    due_at: float = 0.0
    """When it may be started again."""
    heir: Heir | None = None
    """The process that takes its place, once it can answer."""
    is_renewed: bool = False
    """Whether it was asked to end, so that a new one is started at once."""

    def has_ended(self, status: int, now: float) -> None:
        """Note that it ended, and when it may be started again: at once if that was asked for."""
        self.process = None
        if self.is_renewed:
            self.is_renewed, self.due_at = False, now
            return
        if now - self.started_at > _STEADY_SECONDS:
            self.pause = _FIRST_PAUSE
        self.due_at = now + self.pause
        log.warning("the %s ended (%s) and is started again in %g s", self.name, status, self.pause)
        self.pause = min(self.pause * 2, _LONGEST_PAUSE)


class Heir:
    """A web server that comes up beside the one in service; its processes tell when they can answer."""

    def __init__(self, start: Callable[[int], subprocess.Popen[bytes]], processes: int) -> None:
        self._told, tell = os.pipe()
        os.set_blocking(self._told, False)
        self.process = start(tell)
        os.close(tell)
        self._awaited = processes
        self._late_at = time.monotonic() + _COMING_SECONDS

    def is_ready(self) -> bool:
        """Whether all its processes can answer; never waits."""
        try:
            self._awaited -= len(os.read(self._told, 64))
        except BlockingIOError:
            return False
        return self._awaited <= 0

    def has_failed(self) -> bool:
        return self.process.poll() is not None or time.monotonic() > self._late_at

    def close(self) -> None:
        os.close(self._told)


def start(
    command: tuple[str, ...], descriptors: Sequence[int] = (), tell: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that has these descriptors and ends with this one; `tell` is where it says that it can answer."""
    ours = os.getpid()
    told = {} if tell is None else {READY: str(tell)}

    def leash() -> None:
        die_with_parent(signal.SIGKILL)
        if os.getppid() != ours:
            os._exit(1)  # we died before the leash was on

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **told},
        pass_fds=(*descriptors, *([] if tell is None else [tell])),
        # This process has one thread, so that code may run between fork and exec.
        preexec_fn=leash,  # noqa: PLW1509
    )


def python(*arguments: str) -> tuple[str, ...]:
    """A module of this installation, whatever the present folder holds."""
    return (sys.executable, "-P", "-m", *arguments)
