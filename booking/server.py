"""`booking serve`: one small process that starts the web and the scheduler, watches them, and ends with them.

What dies is started again, with growing patience; only a web server that never came up ends the service,
because starting it again would not cure that. If this process is killed, the kernel ends its parts with
it. Clusters stand apart, in sessions of their own: they live on, and the next start finds them.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from apscheduler.schedulers.blocking import BlockingScheduler

from booking import scheduler
from booking.adapters.base import Provisioner
from booking.adapters.local.linux import die_with_parent
from booking.adapters.machine import this_machine
from booking.config import Settings
from booking.services import setup
from booking.services.context import Context

log = logging.getLogger(__name__)

BACKLOG = 512
STOP_SECONDS = 4.0
"""How long the parts may take to end before they are killed."""
_GRACE_SECONDS = 2
"""How long running requests may take after that."""
_STEP_SECONDS = 0.1
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_STEADY_SECONDS = 10.0
"""A part that lived so long starts again without a pause."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class CannotServe(Exception):
    """The address is taken or not ours."""


def configure_logging() -> None:
    """Sentences of level INFO on standard error; foreign libraries speak up for warnings only."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("booking").setLevel(logging.INFO)


def set_up(ctx: Context, *, bare: bool = False) -> setup.FirstSetUp | None:
    """Do the first set-up where it was never completed; what it made, or None where nothing was to be shown."""
    with _alone(ctx.settings):
        if setup.is_complete(ctx):
            return None
        if bare:
            setup.bare(ctx)
            return None
        machine = this_machine()
        zone = ctx.settings.timezone or machine.timezone
        return setup.first(ctx, machine.cores, machine.memory_mib, zone)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Of several processes with this home, one at a time."""
    with (settings.home / ".set-up").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def as_json(made: setup.FirstSetUp | None) -> dict[str, Any]:
    """What a set-up made, for programs."""
    if made is None:
        return {}
    return {
        "admin": {"name": made.admin, "password": made.admin_password},
        "user": {"name": made.user, "password": made.user_password},
        "token": made.token,
    }


def announcement(made: setup.FirstSetUp) -> str:
    """What a set-up made, for people."""
    return f"""
The first set-up is complete. Keep these: they are shown this once, and stored only as hashes.

  administrator   {made.admin}   password  {made.admin_password}
  user            {made.user}    password  {made.user_password}
  API token       {made.token}
"""


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


class Supervisor:
    """Holds the listening socket, so that the port stays ours while the web server starts again.

    :raises CannotServe: if the address is taken or not ours.
    """

    def __init__(self, settings: Settings, *, with_scheduler: bool = True) -> None:
        self._settings = settings
        self._listener = _listen(settings.host, settings.port)
        self._parts = [Part("web", _web(settings, self._listener.fileno()))]
        if with_scheduler:
            self._parts.append(Part("scheduler", _python("booking.cli", "scheduler")))
        self._knock = Knock(self.address)
        self._stopping = False
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
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        while not self._stopping:
            for part in self._parts:
                if not self._keep(part):
                    return 1
            if not self._announced and self._knock.is_answered():
                self._announced = True
                say(f"Serving at {self.url} (Ctrl-C ends it)")
                sys.stdout.flush()
            time.sleep(_STEP_SECONDS)
        log.info("ending")
        return 0

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _keep(self, part: Part) -> bool:
        """Start a part that is not there; False if the service cannot be."""
        now = time.monotonic()
        if part.process is not None:
            status = part.process.poll()
            if status is None:
                return True
            part.process = None
            if part.name == "web" and not self._announced:
                log.error("the web server did not come up (%s)", status)
                return False
            if now - part.started_at > _STEADY_SECONDS:
                part.pause = _FIRST_PAUSE
            part.due_at = now + part.pause
            log.warning("the %s ended (%s) and is started again in %g s", part.name, status, part.pause)
            part.pause = min(part.pause * 2, _LONGEST_PAUSE)
        if now >= part.due_at:
            part.process, part.started_at = self._start(part), now
        return True

    def _start(self, part: Part) -> subprocess.Popen[bytes]:
        ours = os.getpid()

        def leash() -> None:
            die_with_parent(signal.SIGKILL)
            if os.getppid() != ours:
                os._exit(1)  # we died before the leash was on

        return subprocess.Popen(
            part.command,
            stdin=subprocess.DEVNULL,
            pass_fds=(self._listener.fileno(),) if part.name == "web" else (),
            # This process has one thread, so that code may run between fork and exec.
            preexec_fn=leash,  # noqa: PLW1509
        )

    def _end_parts(self) -> None:
        running = [part.process for part in self._parts if part.process is not None]
        for process in running:
            process.terminate()
        until = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        said = (getattr(error, "strerror", None) or str(error)).partition(" (")[0]
        raise CannotServe(
            f"Cannot listen on {host} port {port}: {said}. Another service may run there already; "
            "choose another port with --port or BOOKING_PORT."
        ) from None


def _python(*arguments: str) -> tuple[str, ...]:
    """A module of this installation, whatever the present folder holds."""
    return (sys.executable, "-P", "-m", *arguments)


def _web(settings: Settings, listener: int) -> tuple[str, ...]:
    return _python(
        "gunicorn",
        *("--config", f"python:{__name__}"),
        *("--bind", f"fd://{listener}"),
        *("--worker-class", "gthread"),
        *("--workers", str(settings.workers), "--threads", str(settings.threads)),
        *("--graceful-timeout", str(_GRACE_SECONDS)),
        *("--log-level", "warning"),
        "--no-control-socket",
        "booking:create_app()",
    )


class Knock:
    """One question whether the web server is alive; it waits in the queue of the socket until it is."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._connection: socket.socket | None = None

    def is_answered(self) -> bool:
        """Whether the answer is there and says so; never waits."""
        try:
            if self._connection is None:
                self._connection = socket.create_connection(self._address, timeout=1.0)
                self._connection.sendall(
                    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                )
            if not select.select([self._connection], [], [], 0)[0]:
                return False
            alive = self._connection.recv(64).startswith(b"HTTP/1.1 200 ")
        except OSError:
            alive = False
        self.close()
        return alive

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def post_fork(_arbiter: object, _worker: object) -> None:
    """Gunicorn calls this in each new web process: it shall not outlive the one that started it."""
    die_with_parent(signal.SIGKILL)
    configure_logging()


def run_scheduler(ctx: Context, provisioner: Provisioner) -> None:
    """Run one scheduler until SIGTERM or SIGINT; a tick that has begun is finished."""
    configure_logging()
    holder = f"{socket.gethostname()}:{os.getpid()}:{ctx.ids.new()[:8]}"
    one = scheduler.Scheduler(ctx, provisioner, holder)
    log.info("scheduler %s, clusters by %s", holder, provisioner.name)
    scheduler.run(one, ctx.settings.tick_seconds, _end_by_signal)


def _end_by_signal(beat: BlockingScheduler) -> None:
    def end() -> None:
        if beat.running:
            beat.shutdown()

    def stop(_number: int, _frame: object) -> None:
        # In a thread of its own: the interrupted one may hold a lock that shutdown needs.
        threading.Thread(target=end).start()

    for number in _SIGNALS:
        signal.signal(number, stop)
