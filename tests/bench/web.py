"""What a request costs the processes of `booking serve`: their CPU time, which a busy machine hardly changes."""

from __future__ import annotations

import http.client
import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from booking.doors import SystemClock
from booking.services import snapshots
from tests.bench.measure import Case, interleaved, processor_micros
from tests.bench.workload import ASKED, DAYS
from tests.bench.world import POOL, World
from tests.e2e.service import Running

PLAIN, JSON, HTML = "plain endpoint", "calendar JSON", "calendar HTML"
UNCHANGED, COLD = "calendar JSON, 304", "calendar JSON, cold cache"
PAST = "calendar JSON, other weeks of the past"
COLD_CALLS = 4
"""In each round, of which each needs a pool that no process has seen."""
_YEAR = timedelta(days=364)
WHAT = "CPU of a request"


class Site:
    """The production server over a world, as a process of its own, and one browser."""

    def __init__(self, world: World, folder: Path, stack: ExitStack) -> None:
        self.world = world
        settings = {
            "BOOKING_DATABASE_URL": world.url.render_as_string(hide_password=False),
            "BOOKING_PROVISIONER": "null",
        }
        self._running = Running(folder, "serve", "--no-scheduler", settings=settings)
        stack.callback(self._running.close)
        host, port = self._running.says(r"Serving at http://([\d.:]+)/").split(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=60)
        stack.callback(self._connection.close)
        self._parts: list[int] = []

    def ask(self, path: str, headers: Mapping[str, str], status: int) -> http.client.HTTPResponse:
        """One request, answered and read.

        :raises AssertionError: if the status is another.
        """
        try:
            return self._asked(path, headers, status)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()  # it was idle for too long
            return self._asked(path, headers, status)

    def _asked(self, path: str, headers: Mapping[str, str], status: int) -> http.client.HTTPResponse:
        self._connection.request("GET", path, headers=dict(headers))
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == status, (path, answer.status, body[:500])
        return answer

    def cpu(self) -> float:
        """Microseconds that the web processes have run so far."""
        self._parts = self._parts or self._running.parts()[1:]
        return processor_micros(self._parts)

    def cases(self, calls: int) -> list[Case]:
        first = self.world.workload.today + timedelta(days=ASKED)
        last = first + timedelta(days=DAYS)
        calendar = f"/api/v1/availability?pool={POOL}&from={first}&to={last}&granularity=day"

        def past() -> Iterator[str]:
            """Calendars that nobody has asked for before, of years that are kept as soon as one of them was."""
            for day in itertools.count(1):
                back = _YEAR + timedelta(days=day % 1000)
                yield calendar.replace(f"{first}", f"{first - back}").replace(f"{last}", f"{last - back}")

        page = f"/calendar?view=10w&start={first}&pool={POOL}"
        tag = self.ask(calendar, {}, 200).headers["ETag"]
        asked: list[tuple[str, Iterator[str], dict[str, str], int]] = [
            (PLAIN, itertools.repeat("/healthz"), {}, 200),
            (JSON, itertools.repeat(calendar), {}, 200),
            (UNCHANGED, itertools.repeat(calendar), {"If-None-Match": tag}, 304),
            (PAST, past(), {}, 200),
            (HTML, itertools.repeat(page), {}, 200),
        ]
        # Each time another pool, of which no process has anything: it starts from a snapshot, as after a restart.
        others = (calendar.replace(POOL, name) for name in self.world.pool_ids[1:])
        return [self._case(*one, calls) for one in asked] + [self._case(COLD, others, {}, 200, COLD_CALLS)]

    def _case(
        self, name: str, paths: Iterator[str], headers: dict[str, str], status: int, calls: int
    ) -> Case:
        def time_it(count: int) -> list[float]:
            self.ask(
                next(paths), headers, status
            )  # after a pause another process may answer, and must be warm
            before = self.cpu()
            for _ in range(count):
                self.ask(next(paths), headers, status)
            return [(self.cpu() - before) / count]

        return Case(WHAT, name, self.world.workload.n, self.world.database, time_it, calls)


def pools_for(rounds: int) -> int:
    """How many pools a world needs for so many rounds, and the one before them that does not count."""
    return 1 + (rounds + 1) * (COLD_CALLS + 1)


def measure(world: World, folder: Path, rounds: int, calls: int) -> list[Case]:
    """Every kind of request in turn."""
    ctx = world.site.ctx
    # As its scheduler would have done, by the clock of the server.
    snapshots.take(replace(ctx, doors=replace(ctx.doors, clock=SystemClock())))
    with ExitStack() as stack:
        cases = Site(world, folder, stack).cases(calls)
        interleaved(cases, rounds)
    return cases
