"""`booking serve`: one small process that starts the web and the scheduler, watches them, and ends with them.

What dies is started again, with growing patience; only a web server that never came up ends the service,
because starting it again would not cure that. On SIGHUP the parts are renewed while the service goes on: the
new web server answers before the old one ends. If this process is killed, the kernel ends its parts with
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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType

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
STOP_SECONDS = 3.0
"""How long the parts may take to end before they are killed."""
GRACE_SECONDS = 30
"""How long running requests may take, and a tick of the scheduler, when the parts are renewed."""
_COMING_SECONDS = 60.0
"""How long a new web server may take to come up before the old one is kept."""
_READY = "WEB_READY_FD"
"""The variable with the descriptor to which a web process tells that it can answer."""
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
        for number in _SIGNALS:
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
            part.process = None
            if part.name == "web" and not self._announced:
                log.error("the web server did not come up (%s)", status)
                return False
            if part.is_renewed:
                part.is_renewed, part.due_at = False, now
            else:
                self._note_end(part, status, now)
        if now >= part.due_at:
            part.process, part.started_at = self._start(part), now
        return True

    def _note_end(self, part: Part, status: int, now: float) -> None:
        if now - part.started_at > _STEADY_SECONDS:
            part.pause = _FIRST_PAUSE
        part.due_at = now + part.pause
        log.warning("the %s ended (%s) and is started again in %g s", part.name, status, part.pause)
        part.pause = min(part.pause * 2, _LONGEST_PAUSE)

    def _start(self, part: Part, tell: int | None = None) -> subprocess.Popen[bytes]:
        """Start a part; `tell` is where a web server says that it can answer."""
        ours = os.getpid()
        told = {} if tell is None else {_READY: str(tell)}
        descriptors = (self._listener.fileno(), *([] if tell is None else [tell]))

        def leash() -> None:
            die_with_parent(signal.SIGKILL)
            if os.getppid() != ours:
                os._exit(1)  # we died before the leash was on

        return subprocess.Popen(
            part.command,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **told},
            pass_fds=descriptors if part.name == "web" else (),
            # This process has one thread, so that code may run between fork and exec.
            preexec_fn=leash,  # noqa: PLW1509
        )

    def _end_parts(self) -> None:
        running = [part.process for part in self._parts if part.process is not None]
        running += [part.heir.process for part in self._parts if part.heir is not None]
        running += [process for process, _ in self._leaving]
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
        *("--graceful-timeout", str(GRACE_SECONDS)),
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


def post_worker_init(_worker: object) -> None:
    """Gunicorn calls this in each web process that can answer: the supervisor may be waiting for it."""
    if _READY in os.environ:
        with suppress(OSError):  # one that is started later tells nobody
            os.write(int(os.environ[_READY]), b".")


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
