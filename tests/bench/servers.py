"""Web servers beside the product's: the same application, processes, threads and connections for each.

What a request costs is measured with the real application; what a server does when it is ended, killed or
held up is tried on a small one, by `tests.bench.conduct`.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from booking.adapters.local import processes
from tests.bench.field import ROOT, are_installed
from tests.bench.measure import Case, interleaved, processor_micros
from tests.bench.workload import ASKED, DAYS
from tests.bench.world import POOL, World
from tests.e2e.service import environment

GUNICORN, GRANIAN = "gunicorn gthread", "granian"
WORKERS, THREADS, CONNECTIONS = 2, 8, 4
COST, WAIT = "CPU of a request, by server", "answer after, by server"
MEMORY = "memory of all processes, by server"
REAL = "booking:create_app"
_SERVE = ROOT / "tests" / "bench" / "rivals" / "serve.py"
_PATIENCE = 60.0


@dataclass(frozen=True)
class Server:
    """A web server, and how it is started on a socket that is there already."""

    name: str
    key: str
    inherits: bool = True
    """Whether it can take a socket that somebody else listens on."""

    def words(self, app: str, listener: socket.socket, workers: int, threads: int) -> list[str]:
        place = listener.fileno() if self.inherits else listener.getsockname()[1]
        return [sys.executable, str(_SERVE), self.key, app, str(place), str(workers), str(threads)]


SERVERS = (
    Server(GUNICORN, "python"),
    Server("gunicorn gthread, parser in C", "fast"),
    Server(GRANIAN, "granian", inherits=False),
    Server("waitress", "waitress"),
    Server("cheroot", "cheroot"),
)


class Started:
    """A server that runs until it is ended; `listener` is shared with another one where that is given."""

    def __init__(
        self,
        server: Server,
        app: str,
        settings: Mapping[str, str],
        home: Path,
        *,
        workers: int = WORKERS,
        threads: int = THREADS,
        listener: socket.socket | None = None,
    ) -> None:
        self.server = server
        self.listener = listener or _listener(server)
        self.port: int = self.listener.getsockname()[1]
        home.mkdir(parents=True, exist_ok=True)
        with (home / f"{server.key}.log").open("ab") as log:
            self.process = subprocess.Popen(
                server.words(app, self.listener, workers, threads),
                env=environment(home, settings) | {"PYTHONPATH": str(ROOT)},
                cwd=home,
                pass_fds=(self.listener.fileno(),) if server.inherits else (),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if not server.inherits:
            self.listener.close()

    def ready(self) -> Started:
        """As soon as all of its processes are there and one answers.

        :raises RuntimeError: if it does not come up.
        """
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and self.process.poll() is None:
            try:
                self.ask("/healthz")
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
            else:
                return self
        raise RuntimeError(f"{self.server.name} did not come up")

    def ask(self, path: str, timeout: float = 10.0) -> bytes:
        """One request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise http.client.HTTPException(f"{path}: {answer.status}")
        return body

    def family(self) -> list[int]:
        """Its living processes, itself the first."""
        table = processes.table()
        found = [self.process.pid]
        for pid in found:
            found += [child.pid for child in table.values() if child.parent == pid]
        return [pid for pid in found if pid in table and table[pid].state not in "ZX"]

    def megabytes(self) -> float:
        """Memory of the whole family, what is shared counted once."""
        kib = 0
        for pid in self.family():
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            kib += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return kib / 1024

    def sizes(self, _calls: int) -> list[float]:
        return [self.megabytes()]

    def close(self) -> None:
        """Leave nothing of it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what outlived the first of them
        self.listener.close()


def _listener(server: Server) -> socket.socket:
    listener = socket.socket()
    if not server.inherits:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # to find a port that is free
        listener.bind(("127.0.0.1", 0))
        return listener
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    return listener


@contextmanager
def started(
    server: Server, home: Path, *, workers: int = WORKERS, threads: int = THREADS
) -> Iterator[Started]:
    """A server over the small application."""
    one = Started(server, "tests.bench.rivals.plain:make", {}, home, workers=workers, threads=threads)
    try:
        yield one.ready()
    finally:
        one.close()


class Browsers:
    """Clients that keep their connections and ask one request after the other, all at once."""

    def __init__(self, one: Started, path: str) -> None:
        self._one, self._path = one, path
        self._lock = threading.Lock()

    def ask(self, calls: int) -> list[float]:
        """The microseconds that each of so many requests took."""
        taken: list[float] = []
        threads = [
            threading.Thread(target=self._some, args=(calls // CONNECTIONS + 1, taken))
            for _ in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == (calls // CONNECTIONS + 1) * CONNECTIONS, "some requests were not answered"
        return taken

    def _some(self, calls: int, taken: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._one.port, timeout=30)
        mine = []
        for _ in range(calls):
            began = time.perf_counter()
            connection.request("GET", self._path)
            answer = connection.getresponse()
            body = answer.read()
            mine.append((time.perf_counter() - began) * 1e6)
            assert answer.status == 200, (self._path, answer.status, body[:300])
        connection.close()
        with self._lock:
            taken += mine

    def processor(self, calls: int) -> list[float]:
        """The CPU microseconds of the server for one of so many requests."""
        family = self._one.family()
        before = processor_micros(family)
        asked = len(self.ask(calls))
        return [(processor_micros(family) - before) / asked]


def measure(world: World, folder: Path, rounds: int, calls: int) -> list[Case]:
    """A plain endpoint and the calendar under every server, in turn; then the memory they have taken."""
    first = world.workload.today + timedelta(days=ASKED)
    last = first + timedelta(days=DAYS)
    paths = {
        "plain endpoint": "/healthz",
        "calendar JSON": f"/api/v1/availability?pool={POOL}&from={first}&to={last}&granularity=day",
    }
    settings = {
        "BOOKING_DATABASE_URL": world.url.render_as_string(hide_password=False),
        "BOOKING_PROVISIONER": "null",
        "BOOKING_SECRET_KEY": "of the bench",
    }
    cases: list[Case] = []
    field = SERVERS if are_installed() else SERVERS[:1]
    with ExitStack() as stack:
        running = [Started(server, REAL, settings, folder / server.key) for server in field]
        for one in running:
            stack.callback(one.close)
        for one in running:
            one.ready()
        for kind, path in paths.items():
            for one in running:
                browsers, name = Browsers(one, path), f"{one.server.name}: {kind}"
                cases.append(Case(COST, name, world.workload.n, world.database, browsers.processor, calls))
                cases.append(Case(WAIT, name, world.workload.n, world.database, browsers.ask, calls))
        interleaved(cases, rounds)
        for one in running:
            cases.append(
                Case(MEMORY, one.server.name, world.workload.n, world.database, one.sizes, 1, note="MiB")
            )
            cases[-1].round()
    return cases
