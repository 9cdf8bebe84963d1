"""Worlds to measure: a migrated SQLite database with one pool, twelve packages and a long ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from random import Random

from sqlalchemy import Engine, insert, update
from sqlalchemy.orm import Session

from booking import migrate
from booking.allocator.package import Package, Size
from booking.allocator.span import minute_of
from booking.doors import Db, Doors, open_engine
from booking.models import Ledger, Pool
from booking.services import packages
from tests.support.doors import START, SequenceIds, TestClock
from tests.support.site import ROOT, Site, make_site

PACKAGES = 12
ZONE = "Europe/London"
_CORES, _MEMORY_MIB = 16384, 16384 * 4096
_PAST, _AHEAD = timedelta(days=3 * 365), timedelta(days=2 * 365)
_BATCH = 50_000
_ODD_SHARE = 0.05
"""Bookings that ended early, at whatever minute it was; they lie in the past."""


@dataclass(frozen=True)
class World:
    """A site whose one pool has so many ledger entries."""

    entries: int
    site: Site
    engine: Engine
    pool_id: str


def make_world(folder: Path, entries: int) -> World:
    """A new database in the folder, filled; the same in every run."""
    engine = open_engine(f"sqlite:///{folder / f'{entries}.db'}")
    migrate.upgrade(engine)
    clock = TestClock()
    site = make_site(Doors(clock, SequenceIds(), Db(engine, clock)))
    pool = site.pool(_CORES, _MEMORY_MIB, timezone=ZONE, share_ratio_milli=1500)
    for number in range(1, PACKAGES + 1):
        packages.publish(
            site.ctx, ROOT, Package(f"size-{number:02}", 1, Size(1, 4096), Size(number, 4096 * number))
        )
    _fill(site.ctx.db, pool.id, entries)
    return World(entries, site, engine, pool.id)


def _fill(db: Db, pool_id: str, entries: int) -> None:
    before = db.read("generation", lambda session: session.get_one(Pool, pool_id).generation)
    rows = _rows(pool_id, before, entries)

    def write(session: Session) -> None:
        while batch := list(islice(rows, _BATCH)):
            session.execute(insert(Ledger), batch)
            session.execute(update(Pool).values(generation=batch[-1]["generation"]))

    db.run("fill", write)


def _rows(pool_id: str, generation: int, count: int) -> Iterator[dict[str, object]]:
    """Bookings of hours to weeks over five years, two entries each, one generation each."""
    random = Random(count)
    now = minute_of(START)
    first, last = minute_of(START - _PAST), minute_of(START + _AHEAD)
    for number in range(count // 2):
        start = random.randrange(first, last, 60)
        end = start + 60 * max(1, int(random.lognormvariate(3, 1)))
        if end < now and random.random() < _ODD_SHARE:
            end -= random.randrange(1, 60)
        side, cores = random.choice(("reserved", "reserved", "shared")), random.choice((1, 2, 4, 8, 16))
        for seq, (kind, amount) in enumerate((("cores", cores), ("memory_mib", 4096 * cores))):
            yield {
                "pool_id": pool_id,
                "generation": generation + 1 + number,
                "seq": seq,
                "side": side,
                "start": start,
                "end": end,
                "kind": kind,
                "amount": amount,
            }
