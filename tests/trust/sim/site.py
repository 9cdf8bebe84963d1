"""The database of a run: one connection in memory, filled at once from a site that was made before."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from booking import migrate
from booking.allocator.cells import Granularity
from booking.allocator.resources import Resources
from booking.config import Settings
from booking.doors import Db, Doors, prepare_engine
from booking.services.context import Actor, Context
from tests.support.doors import TestClock
from tests.support.site import Site
from tests.trust.sim.doors import SimIds
from tests.trust.sim.locks import watch

PEOPLE = ("ann", "ben", "cleo", "dan")
PACKAGES = {"tiny": (1, 512), "small": (2, 1024), "half": (4, 4096), "large": (7, 6144)}
"""Cores and MiB."""
RESERVE = Resources(2, 1024)


@dataclass(frozen=True)
class Plot:
    """Where and when a run takes place."""

    zone: str
    day: datetime
    ratio: int
    cores: int
    pools: int = 1


PLOTS = (
    Plot("UTC", datetime(2030, 1, 7, 9, tzinfo=UTC), 1000, 10),
    Plot("Europe/London", datetime(2030, 3, 30, 21, tzinfo=UTC), 3000, 10),
    Plot("Europe/London", datetime(2030, 10, 26, 20, tzinfo=UTC), 1500, 12, 2),
    Plot("Australia/Lord_Howe", datetime(2030, 4, 6, 11, tzinfo=UTC), 1500, 9),
    Plot("Asia/Kathmandu", datetime(2032, 2, 28, 12, tzinfo=UTC), 3000, 9, 2),
)


@dataclass(frozen=True)
class Ground:
    """What a run stands on."""

    engine: Engine
    connection: sqlite3.Connection
    actors: dict[str, Actor]
    pools: tuple[str, ...]


@cache
def _engine() -> Engine:
    """One engine for all runs of this process: it keeps the statements that were compiled."""
    engine = prepare_engine(create_engine("sqlite://", poolclass=StaticPool))
    migrate.upgrade(engine)
    watch(engine)
    return engine


def _connection() -> sqlite3.Connection:
    connection: Any = _engine().raw_connection().driver_connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


@cache
def _empty() -> bytes:
    return _connection().serialize()


@cache
def _made(plot: Plot) -> tuple[bytes, dict[str, Actor], tuple[str, ...]]:
    _connection().deserialize(_empty())
    clock = TestClock(plot.day - timedelta(days=1))
    site = Site(Context(Doors(clock, SimIds(repr(plot)), Db(_engine(), clock)), Settings(horizon_months=1)))
    names = []
    for number in range(plot.pools):
        pool = site.pool(
            plot.cores,
            12288,
            timezone=plot.zone,
            name=f"pool-{number}",
            granularity=Granularity.HOUR,
            share_ratio_milli=plot.ratio,
            reserve=RESERVE,
        )
        names.append(pool.id)
        clock.advance(timedelta(seconds=1))
    for package, (cores, memory) in PACKAGES.items():
        lead = timedelta(minutes=3) if package == "large" else timedelta(0)
        site.package(package, cores, memory, lead=lead)
    actors = {name: site.person(name) for name in PEOPLE}
    actors["root"] = site.person("root", admin=True)
    return _connection().serialize(), actors, tuple(names)


def ground(plot: Plot) -> Ground:
    """A fresh database of that plot, on the one connection that there is."""
    content, actors, pools = _made(plot)
    _connection().deserialize(content)
    return Ground(_engine(), _connection(), actors, pools)


def prepare() -> None:
    """Make the sites of all plots now, before anything is planted in the code."""
    for plot in PLOTS:
        _made(plot)
