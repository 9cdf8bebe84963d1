"""One run: worlds are made and checked, everything is measured in turn, and what was found is kept together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL

from booking.services.availability import availability
from tests.bench import conduct, ours, pages, servers, web, writes
from tests.bench.field import ENTRANTS, Entrant, Field, are_installed
from tests.bench.measure import Case, interleaved, timed
from tests.bench.sql import Sql
from tests.bench.workload import Truth, Workload
from tests.bench.world import World, make_tables, make_world
from tests.support.postgres import DURABLE, PostgresServer, conninfo

DATABASES = ("sqlite", "postgresql")
# One server for all: enough memory that the rivals' rows are read from it and not from the disk.
_SERVER = DURABLE | {"shared_buffers": "256MB", "work_mem": "64MB", "max_wal_size": "4GB"}


@dataclass(frozen=True)
class Plan:
    """What to measure, and how long."""

    sizes: tuple[int, ...] = (10_000, 100_000)
    pools: tuple[int, ...] = (1, 10, 100, 1000)
    seed: int = 0
    rounds: int = 7
    parts: tuple[str, ...] = ("reads", "pools", "writes", "web", "pages", "servers")
    processes: int = 8
    seconds: float = 2.0
    requests: int = 40
    portion: int = 200
    blazar: int = 100_000
    """So many reservations `portion` and Blazar manage."""
    today: date = field(default_factory=lambda: datetime.now(UTC).date())

    def quick(self) -> Plan:
        """The same within a minute: it shows that everything works, and nothing about speed."""
        sizes = (300, 1_000)
        short = replace(self, sizes=sizes, pools=(1, 5), rounds=2, processes=2, seconds=0.2)
        return replace(short, requests=3, portion=30, blazar=300)


def commit() -> str:
    """What is measured; asked at the beginning, since others may commit meanwhile."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


@dataclass
class Found:
    """What a run found."""

    plan: Plan
    cases: list[Case] = field(default_factory=list)
    writes: list[writes.Writes] = field(default_factory=list)
    conducts: list[conduct.Conduct] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    """The machine's load before each part and at the end."""
    seconds: float = 0.0
    commit: str = field(default_factory=commit)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Everything that was measured, a line each."""
        plan = self.plan
        head = {"seed": plan.seed, "today": plan.today.isoformat(), "commit": self.commit, "load": self.load}
        yield {"what": "run", **head}
        yield from (case.as_json() for case in self.cases)
        for one in self.writes:
            yield from (rate.as_json() for rate in one.rates)
        yield from (one.as_json() for one in self.conducts)


class Bench:
    """The places of one run: a folder, a PostgreSQL that keeps what it is told, and the rivals' processes."""

    def __init__(self, plan: Plan, folder: Path, server: URL, stack: ExitStack) -> None:
        self.plan, self.folder, self.server, self.stack = plan, folder, server, stack
        self.found = Found(plan)
        self._templates: dict[str, URL] = {}

    def url(self, database: str, name: str) -> URL:
        """A migrated database of that name, copied from one that is made at first need."""
        template = self._templates.get(database)
        if template is None:
            template = self._templates[database] = self._copy(database, f"{database}-template", None)
            make_tables(template)
        return self._copy(database, name, template)

    def _copy(self, database: str, name: str, template: URL | None) -> URL:
        if database == "sqlite":
            path = self.folder / f"{name}.db"
            if template is not None:
                shutil.copyfile(str(template.database), path)
            return URL.create("sqlite", database=str(path))
        with psycopg.connect(conninfo(self.server), autocommit=True) as connection:
            source = template.database if template is not None else "template0"
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"'.encode())
        return self.server.set(database=name)

    def world(self, part: str, database: str, workload: Workload) -> World:
        """A world for one part of the run; who only reads has rivals there."""
        url = self.url(database, f"{database}-{part}-{workload.n}-{workload.pools}")
        world = make_world(url, workload, rivals=part == "reads")
        self.stack.callback(world.engine.dispose)
        return world

    def run(self) -> None:
        """All parts that are wanted."""
        parts = {"reads": self.reads, "pools": self.pools, "writes": self.writes, "web": self.web}
        parts |= {"servers": self.servers, "pages": self.pages}
        for name in self.plan.parts:
            self.found.load.append(os.getloadavg()[0])
            began = time.monotonic()
            parts[name]()
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        self.found.load.append(os.getloadavg()[0])

    def reads(self) -> None:
        """Every question, every design, every size, in the same rounds; all answers are checked before."""
        cases: list[Case] = []
        for n in self.plan.sizes:
            workload = Workload(n, self.plan.seed, self.plan.today)
            truth = Truth.of(workload)
            for database in DATABASES:
                world = self.world("reads", database, workload)
                mine = ours.Ours(world, truth)
                mine.check()
                cases += mine.cases()
                cases += mine.engine_cases() if database == "sqlite" else []
                cases += Sql(world, truth, self.stack).cases()
            if are_installed():
                cases += Field(workload, self.folder, self.stack).cases(self._entrants(n))
        interleaved([case for case in cases if not case.rounds], self.plan.rounds)
        self.found.cases += cases

    def _entrants(self, n: int) -> tuple[Entrant, ...]:
        """Who takes part at a size; who manages few reservations does so once, with those."""
        mosts = {"portion": self.plan.portion, "blazar": self.plan.blazar}
        able = [one.at_most(mosts.get(one.name, one.can_i_most)) for one in ENTRANTS]
        return tuple(one for one in able if n <= one.can_i_most or n == self.plan.sizes[0])

    def pages(self) -> None:
        """Every page and list on a large site and on one with next to nothing, on each database."""
        size = pages.QUICK if self.plan.rounds < 3 else pages.FULL
        for database in DATABASES:
            urls = self.url(database, f"{database}-empty"), self.url(database, f"{database}-large")
            self.found.cases += pages.measure(urls, self.folder / database, size, min(self.plan.rounds, 3), 2)

    def pools(self) -> None:
        """The same reservations spread over ever more pools; each call asks for another pool."""
        cases = []
        for count in self.plan.pools:
            n = min(self.plan.sizes[-1], 100_000)
            workload = Workload(n, self.plan.seed, self.plan.today, count)
            cases.append(_over_pools(self.world("pools", "sqlite", workload)))
        interleaved(cases, self.plan.rounds)
        self.found.cases += cases

    def writes(self) -> None:
        """Both databases, one after the other: each has the machine for itself."""
        workload = Workload(self.plan.sizes[-1], self.plan.seed, self.plan.today)
        rounds = min(self.plan.rounds, 5)
        for database in DATABASES:
            url = self.url(database, f"{database}-writes")
            self.found.writes.append(
                writes.measure(url, workload, rounds, self.plan.seconds, self.plan.processes)
            )

    def web(self) -> None:
        """The production server over each database, with many pools that have a quarter of the smaller size each."""
        rounds = min(self.plan.rounds, 5)
        pools = web.pools_for(rounds)
        workload = Workload(pools * self.plan.sizes[0] // 4, self.plan.seed + 1, self.plan.today, pools)
        for database in DATABASES:
            world = self.world("web", database, workload)
            folder = self.folder / f"site-{database}"
            self.found.cases += web.measure(world, folder, rounds, self.plan.requests)

    def servers(self) -> None:
        """Web servers beside the product's: what requests cost under each, and how each behaves."""
        workload = Workload(self.plan.sizes[0], self.plan.seed + 2, self.plan.today)
        world = self.world("servers", "postgresql", workload)
        calls, rounds = self.plan.requests * 5, min(self.plan.rounds, 5)
        self.found.cases += servers.measure(world, self.folder / "servers", rounds, calls)
        self.found.conducts += conduct.conducts(self.folder / "conduct")


def _over_pools(world: World) -> Case:
    """:raises AssertionError: if the last pool's calendar is not the truth."""
    questions = [ours.calendar_of(world, number) for number in range(len(world.pool_ids))]
    last = len(questions) - 1
    rows = availability(world.site.ctx, questions[last]).rows
    assert [row.count for row in rows] == Truth.of(world.workload, last).calendar()
    number = 0

    def next_pool() -> None:
        nonlocal number
        number = (number + 7919) % len(questions)  # a prime: every pool in turn, never its neighbour
        availability(world.site.ctx, questions[number])

    for _ in questions:
        next_pool()  # warm, as far as memory goes
    workload = world.workload
    return Case(
        ours.SPREAD, ours.OURS, workload.n, world.database, timed(next_pool), 20, pools=workload.pools
    )


@contextmanager
def opened(plan: Plan) -> Iterator[Bench]:
    """The places of a run, gone at its end."""
    # What was begun last ends first: nobody is left to speak to a server that is gone.
    with (
        tempfile.TemporaryDirectory(prefix="booking-bench-") as folder,
        PostgresServer(_SERVER) as server,
        ExitStack() as stack,
    ):
        yield Bench(plan, Path(folder), server.url, stack)


def run(plan: Plan) -> Found:
    """Measure everything that the plan names."""
    began = time.monotonic()
    with opened(plan) as bench:
        bench.run()
    bench.found.seconds = time.monotonic() - began
    return bench.found
