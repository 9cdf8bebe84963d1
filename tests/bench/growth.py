"""`python -m tests.bench.growth`: what one more process or pool brings, and what each act costs whom.

JSON lines: bookings a second for numbers of processes and pools on one PostgreSQL, with the CPU time of the
processes and of the database for each; how long the lock of a pool is held; the same of calendars that are read.
The last line has the service times that `tests.bench.sharding` queues with.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from sqlalchemy import URL, event, text

from booking.adapters.local import processes
from booking.doors import Db, SystemClock, open_engine
from booking.services.availability import availability
from tests.bench import ours
from tests.bench.measure import processor_micros
from tests.bench.workload import Workload
from tests.bench.world import World, make_tables, make_world
from tests.bench.writer import promise_of
from tests.bench.writes import POOLS, _at_once, _prepare, _writer
from tests.support.postgres import DURABLE, PostgresServer, conninfo

Line = dict[str, Any]
_SERVER = DURABLE | {"shared_buffers": "128MB"}


class Watched(Db):
    """Notes how long each transaction held the lock of a pool: from the answer to `FOR UPDATE` until the commit is told."""

    def __init__(self, url: str) -> None:
        engine = open_engine(url)
        super().__init__(engine, SystemClock())
        self.held: list[float] = []
        self._since = 0.0
        event.listen(engine, "after_cursor_execute", self._note)

    def _note(self, *words: Any) -> None:
        if "FOR UPDATE OF pool" in words[2] and not self._since:
            self._since = time.perf_counter()

    def run(self, name: str, fn: Callable[..., Any]) -> Any:
        self._since = 0.0
        result = super().run(name, fn)
        if self._since:
            self.held.append((time.perf_counter() - self._since) * 1e3)
        return result


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    table, found = processes.table(), [pid]
    for one in found:
        found += [child.pid for child in table.values() if child.parent == one]
    return [one for one in found if one in table]


def costs(server: PostgresServer, own: list[int], act: Callable[[], int]) -> tuple[int, float, float]:
    """How many acts were done, and the CPU milliseconds of each: of its processes, and of the database."""
    database = family(server.pid)
    before = processor_micros(own), processor_micros(database)
    count = act()
    after = (
        processor_micros(own),
        processor_micros([pid for pid in database if Path(f"/proc/{pid}").exists()]),
    )
    mine, theirs = ((b - a) / max(count, 1) / 1e3 for a, b in zip(before, after, strict=True))
    return count, mine, theirs


def growth(
    server: PostgresServer, world: World, counts: list[int], seconds: float, rounds: int
) -> Iterator[Line]:
    """Bookings a second: rounds interleaved over the numbers of processes and pools."""
    found: dict[tuple[int, int], list[tuple[float, float, float, list[float]]]] = {}
    with ExitStack() as stack:
        writers = [_writer(world, number, stack) for number in range(max(counts))]
        _at_once(writers, "book", POOLS, 0.1)  # programs are loaded and connections made before it counts
        for _ in range(rounds):
            for count in counts:
                for pools in (1, POOLS):
                    some, took = writers[:count], list[float]()

                    def act(some: Any = some, pools: int = pools, took: list[float] = took) -> int:
                        for said in _at_once(some, "book", pools, seconds):
                            took.extend(said["millis"])
                        return len(took)

                    done, mine, theirs = costs(server, [writer.pid for writer in some], act)
                    found.setdefault((count, pools), []).append((done / seconds, mine, theirs, took))
    for (count, pools), all_rounds in found.items():
        millis = sorted(value for one in all_rounds for value in one[3])
        yield {
            "what": "bookings a second",
            "processes": count,
            "pools": pools,
            "median": round(median(one[0] for one in all_rounds), 1),
            "rounds": [round(one[0], 1) for one in all_rounds],
            "process_cpu_ms": round(median(one[1] for one in all_rounds), 2),
            "database_cpu_ms": round(median(one[2] for one in all_rounds), 2),
            "p50_ms": round(millis[len(millis) // 2], 2),
            "p99_ms": round(millis[len(millis) * 99 // 100], 2),
        }


def held(url: str, calls: int) -> Line:
    """How long one process that books alone holds the lock of its pool."""
    db = Watched(url)
    book = promise_of(url, "writer-0", db)
    for _ in range(calls):
        book(0)
    db.engine.dispose()
    kept = sorted(db.held[len(db.held) // 5 :])
    return {
        "what": "lock of a pool held",
        "calls": len(kept),
        "least_ms": round(kept[0], 2),
        "median_ms": round(median(kept), 2),
        "p90_ms": round(kept[len(kept) * 9 // 10], 2),
    }


def calendars(server: PostgresServer, world: World, calls: int) -> Line:
    """What a calendar costs the process that answers and the database; no HTTP."""
    question = ours.calendar_of(world, 0)

    def act() -> int:
        for _ in range(calls):
            availability(world.site.ctx, question)
        return calls

    act()
    _, mine, theirs = costs(server, [os.getpid()], act)
    return {
        "what": "calendar read",
        "process_cpu_ms": round(mine, 3),
        "database_cpu_ms": round(theirs, 3),
    }


def made(server: PostgresServer, seed: int, most: int) -> World:
    """Twenty thousand reservations in sixteen pools with ample capacity."""
    with psycopg.connect(conninfo(server.url), autocommit=True) as connection:
        connection.execute("CREATE DATABASE growth TEMPLATE template0")
    url: URL = server.url.set(database="growth")
    make_tables(url)
    world = make_world(url, Workload(20_000, seed, datetime.now(UTC).date(), POOLS), rivals=False)
    _prepare(world, most)
    world.site.ctx.db.run("statistics", lambda session: session.execute(text("ANALYZE")))
    return world


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.growth", description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=100, help="of what is timed alone")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with PostgresServer(_SERVER) as server:
        world = made(server, options.seed, max(options.processes))
        url = world.url.render_as_string(hide_password=False)
        lock, read = held(url, options.calls), calendars(server, world, options.calls)
        lines = list(growth(server, world, options.processes, options.seconds, options.rounds))
        world.engine.dispose()
    one = lines[0]
    times = {
        "what": "service times",
        "load": round(os.getloadavg()[0], 1),
        "book_web_ms": one["process_cpu_ms"],
        "book_database_ms": one["database_cpu_ms"],
        "hold_ms": lock["median_ms"],
        "read_web_ms": read["process_cpu_ms"],
        "read_database_ms": read["database_cpu_ms"],
    }
    for line in (*lines, lock, read, times):
        print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
