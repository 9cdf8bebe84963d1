"""The process that starts the parts of the service, watches and renews them, and ends with them."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType

from booking.adapters.local import processes
from booking.config import Settings
from booking.server.beginning import configure_logging
from booking.server.listening import Knock, listen
from booking.server.parts import SIGNALS, Heir, Part, python, start
from booking.server.web import GRACE_SECONDS, command

log = logging.getLogger(__name__)

STOP_SECONDS = 3.0
"""How long the parts may take to end before they are killed."""
KILLED_SECONDS = 1.0
"""How long the kernel may take to end what is killed."""
_STEP_SECONDS = 0.1


class Supervisor:
    """Holds the listening socket, so that the port stays ours while the web server starts again.

    :raises CannotServe: if the address is taken or not ours.
    """

    def __init__(self, settings: Settings, *, with_scheduler: bool = True) -> None:
        self._settings = settings
        self._listener = listen(settings.host, settings.port)
        self._parts = [Part("web", command(settings, self._listener.fileno()))]
        if with_scheduler:
            self._parts.append(Part("scheduler", python("booking.cli", "scheduler")))
        self._knock = Knock(self.address)
        self._leaving: list[tuple[subprocess.Popen[bytes], float]] = []
        """Processes that finish what they have begun, and when they are killed."""
        self._stopping = False
        self._renewing = False
        self._announced = False

    @property
    def address(self) -> tuple[str, int]:
        """Where a browser on this machine finds the site."""
        host, port = self._listener.getsockname()[:2]
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104  # nosec B104  # not listened on

    @property
    def url(self) -> str:
        """The same as browsers write it."""
        host, port = self.address
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._knock.close()
        self._end_parts()
        self._listener.close()

    def run(self, say: Callable[[str], None]) -> int:
        """Serve until a signal; 0, or 1 if the web server never came up. `say` is told the address."""
        configure_logging()
        for number in SIGNALS:
            signal.signal(number, self._stop)
        if not sys.stdin or not sys.stdin.isatty():  # a terminal that is closed ends what it started
            signal.signal(signal.SIGHUP, self._renew)
        while not self._stopping:
            for part in self._parts:
                if not self._keep(part):
                    return 1
                self._succeed(part)
            self._see_off()
            if not self._announced and self._knock.is_answered():
                self._announced = True
                say(f"Serving at {self.url} (Ctrl-C ends it)")
                sys.stdout.flush()
            time.sleep(_STEP_SECONDS)
        log.info("ending")
        return 0

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _renew(self, _number: int, _frame: object) -> None:
        self._renewing = True

    def _succeed(self, part: Part) -> None:
        """Bring up the successor of a part, and let it take over once it can answer."""
        if part.heir is None:
            if self._renewing and self._announced:
                self._begin_to_renew(part)
        elif part.heir.is_ready():
            log.info("the new %s has taken over", part.name)
            self._let_go(part.process)
            part.process, part.started_at = part.heir.process, time.monotonic()
            part.heir.close()
            part.heir = None
        elif part.heir.has_failed():
            log.error("the new %s did not come up; the old one serves on", part.name)
            self._let_go(part.heir.process)
            part.heir.close()
            part.heir = None

    def _begin_to_renew(self, part: Part) -> None:
        if part is self._parts[-1]:
            self._renewing = False
        if part.name == "web":
            part.heir = Heir(lambda tell: self._start(part, tell), self._settings.workers)
        elif part.process is not None:
            # Its successor goes on where it stopped; two of them would not be wrong, only useless.
            part.is_renewed = True
            part.process.terminate()

    def _let_go(self, process: subprocess.Popen[bytes] | None) -> None:
        if process is not None:
            process.terminate()
            self._leaving.append((process, time.monotonic() + GRACE_SECONDS + STOP_SECONDS))

    def _see_off(self) -> None:
        for process, until in self._leaving:
            if process.poll() is None and time.monotonic() > until:
                process.kill()
        self._leaving = [(process, until) for process, until in self._leaving if process.poll() is None]

    def _keep(self, part: Part) -> bool:
        """Start a part that is not there; False if the service cannot be."""
        now = time.monotonic()
        if part.process is not None:
            status = part.process.poll()
            if status is None:
                return True
            if part.name == "web" and not self._announced:
                log.error("the web server did not come up (%s)", status)
                return False
            part.has_ended(status, now)
        if now >= part.due_at:
            part.process, part.started_at = self._start(part), now
        return True

    def _start(self, part: Part, tell: int | None = None) -> subprocess.Popen[bytes]:
        return start(part.command, (self._listener.fileno(),) if part.name == "web" else (), tell)

    def _end_parts(self) -> None:
        running = [part.process for part in self._parts if part.process is not None]
        running += [part.heir.process for part in self._parts if part.heir is not None]
        running += [process for process, _ in self._leaving]
        workers = self._workers()
        for process in running:
            process.terminate()
        until = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # The workers of a web server that had to be killed are killed by the kernel, a moment after it.
        until = time.monotonic() + KILLED_SECONDS
        while workers & self._alive() and time.monotonic() < until:
            time.sleep(_STEP_SECONDS)

    def _workers(self) -> set[tuple[int, int]]:
        table = processes.table()
        web = [part.process.pid for part in self._parts if part.name == "web" and part.process is not None]
        return {(pid, table[pid].start) for root in web for pid in processes.descendants(table, root)}

    def _alive(self) -> set[tuple[int, int]]:
        return {(one.pid, one.start) for one in processes.table().values() if one.state not in "ZX"}
