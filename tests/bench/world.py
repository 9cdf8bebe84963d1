"""Worlds to measure: a migrated database with pools, twelve packages and a long ledger.

Beside the product's tables stands `bench_taken`, one row for each reservation with a covering index: the
least that a rival in SQL has to read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
from sqlalchemy import URL, Engine, insert, make_url, select, update
from sqlalchemy.orm import Session

from booking import migrate
from booking.allocator.package import Package, Size
from booking.allocator.span import instant_of
from booking.doors import Db, Doors, open_engine
from booking.models import Platform, Pool
from booking.services import packages, setup
from tests.bench.workload import SIZES, Taken, Workload
from tests.support.doors import SequenceIds, TestClock
from tests.support.postgres import conninfo
from tests.support.site import ROOT, Site, make_site

POOL = "pool-0"
_LEDGER = ("pool_id", "generation", "seq", "side", "start", "end", "kind", "amount")
_TAKEN = ("pool_id", "start", "end", "cores", "memory_mib")
_TABLE = (
    'CREATE TABLE bench_taken (pool_id TEXT, start BIGINT, "end" BIGINT, cores BIGINT, memory_mib BIGINT)'
)
_INDEX = 'CREATE INDEX bench_covering ON bench_taken (pool_id, "end", start, cores, memory_mib)'
Rows = Iterator[tuple[Any, ...]]


def make_tables(url: URL) -> None:
    """Migrate an empty database."""
    engine = open_engine(url)
    migrate.upgrade(engine)
    engine.dispose()


@dataclass(frozen=True)
class World:
    """A site whose pools are booked as the workload says."""

    workload: Workload
    database: str
    url: URL
    site: Site
    engine: Engine
    pool_ids: list[str]


def make_world(url: URL | str, workload: Workload, *, rivals: bool = True) -> World:
    """Fill a migrated database that is empty; it becomes the same for the same seed and day."""
    url = make_url(url)
    engine = open_engine(url)
    clock = TestClock(datetime.fromtimestamp(workload.now * 60, UTC) + timedelta(hours=9))
    site = make_site(Doors(clock, SequenceIds(), Db(engine, clock)))
    setup.bare(site.ctx)
    for number, (cores, memory, more_cores, more_memory) in enumerate(SIZES, start=1):
        size = Package(f"size-{number:02}", 1, Size(cores, memory), Size(more_cores, more_memory))
        packages.publish(site.ctx, ROOT, size)
    ids = _pools(site, workload)
    world = World(workload, url.get_backend_name(), url, site, engine, ids)
    _copy(url, "ledger", _LEDGER, _entries(world))
    site.ctx.db.run("fill", lambda session: _advance(session, world))
    if rivals:
        _execute(url, _TABLE)
        _copy(url, "bench_taken", _TAKEN, _taken(world))
        _execute(url, _INDEX)
    _execute(url, "ANALYZE" if world.database == "sqlite" else "VACUUM ANALYZE")
    return world


def _pools(site: Site, workload: Workload) -> list[str]:
    """The pools' ids; the first is made by the service, the others as it made that."""
    first = site.pool(0, name=POOL, timezone="Europe/London")
    ids = [first.id, *(f"{first.id}-{number}" for number in range(1, workload.pools))]

    def write(session: Session) -> None:
        known = session.execute(select(Pool.__table__).where(Pool.id == first.id)).one()._asdict()
        platform = session.scalar(select(Platform.id))
        for number, pool_id in list(enumerate(ids))[1:]:
            row = known | {"id": pool_id, "name": f"pool-{number}", "epoch": f"{pool_id}-epoch"}
            # Later, so that the first pool stays the first.
            row |= {"platform_id": platform, "created_at": known["created_at"] + timedelta(seconds=number)}
            session.execute(insert(Pool.__table__), row)  # type: ignore[arg-type]

    site.ctx.db.run("pools", write)
    return ids


def _entries(world: World) -> Rows:
    """The ledger: what each pool owns, the maintenance, and every reservation; a generation for each."""
    workload = world.workload
    for number, pool_id in enumerate(world.pool_ids):
        capacity = workload.capacity(number)
        everything = Taken(*(np.array([value]) for value in (0, 200 * 365 * 24 * 60, *capacity)))
        generation = 0
        parts = (
            ("physical", 1, everything),
            ("physical", -1, workload.windows(number)),
            ("reserved", 1, workload.reservations(number)),
        )
        for side, sign, taken in parts:
            for start, end, cores, memory in zip(*(column.tolist() for column in taken), strict=True):
                generation += 1
                head = (pool_id, generation)
                yield (*head, 0, side, start, end, "cores", sign * cores)
                yield (*head, 1, side, start, end, "memory_mib", sign * memory)


def _advance(session: Session, world: World) -> None:
    for number, pool_id in enumerate(world.pool_ids):
        count = 1 + len(world.workload.taken(number).start)
        session.execute(update(Pool.__table__).where(Pool.id == pool_id).values(generation=count))  # type: ignore[arg-type]


def _taken(world: World) -> Rows:
    for number, pool_id in enumerate(world.pool_ids):
        taken = world.workload.taken(number)
        for row in zip(*(column.tolist() for column in taken), strict=True):
            yield (pool_id, *row)


def _copy(url: URL, table: str, columns: tuple[str, ...], rows: Rows) -> None:
    """Many rows, as fast as the database takes them."""
    names = ", ".join(f'"{name}"' for name in columns)
    if url.get_backend_name() == "postgresql":
        text = f"COPY {table} ({names}) FROM STDIN".encode()
        with psycopg.connect(conninfo(url)) as connection, connection.cursor().copy(text) as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(columns))
    plain = sqlite3.connect(str(url.database))
    plain.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
    plain.commit()
    plain.close()


def _execute(url: URL, statement: str) -> None:
    if url.get_backend_name() == "postgresql":
        with psycopg.connect(conninfo(url), autocommit=True) as connection:
            connection.execute(statement.encode())
        return
    plain = sqlite3.connect(str(url.database))
    plain.execute(statement)
    plain.commit()
    plain.close()


def instant(minute: int) -> datetime:
    """A minute as the services take it."""
    return instant_of(minute)
