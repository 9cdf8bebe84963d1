"""What a running service holds: memory, descriptors, threads, children, and sessions of the database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.e2e.service import Service
from tests.support.postgres import conninfo


@dataclass(frozen=True)
class Held:
    """What one process holds."""

    rss_kib: int
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Sample:
    """What all of the service holds at one moment, by process."""

    processes: dict[int, Held]
    sessions: int

    def total(self, name: str) -> int:
        return sum(getattr(held, name) for held in self.processes.values())


def sample(service: Service, database: str) -> Sample:
    """A look at `/proc` and at the database."""
    return Sample({pid: _held(pid) for pid in service.parts()}, _sessions(database))


def _held(pid: int) -> Held:
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    status = {name: value.strip() for name, _, value in lines}
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Held(int(status["VmRSS"].split()[0]), descriptors, int(status["Threads"]))


def _sessions(database: str) -> int:
    query = b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(conninfo(database)) as connection:
        found = connection.execute(query).fetchone()
    assert found is not None
    return int(found[0])
