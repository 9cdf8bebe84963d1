"""Where the race is run: a migrated database, its pools, and the doors of one process with somebody watching."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, TypeVar
from unittest.mock import patch

from sqlalchemy import Engine, Row, Select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from booking import migrate
from booking.allocator.span import EPOCH, Span
from booking.config import Settings
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.models import Pool
from booking.services import ledger, offers
from booking.services.context import Actor, Context
from booking.together import Question
from tests.support.site import Site
from tests.trust.race.plants import Plant, replaced, unrefused

T = TypeVar("T")
MOST_MEMORY = 10**6
RATIO = 1500
"""Three may share what two would take."""
PACKAGES = {2: "small", 4: "large"}
ALTERNATIVES = 20
"""One in so many refusals searches what could be had instead: that is no part of the promise, and costly."""
LAST = "last"
"""The smallest pool."""
SHOP = "shop"
"""The account whose idempotency keys all clients use at once."""


@dataclass(frozen=True)
class Scene:
    """The pools with their cores, and the hours that are raced for, counted from `base`."""

    base: datetime
    pools: dict[str, int] = field(default_factory=lambda: {"hot": 8, "warm": 16, "cool": 48, LAST: 4})
    hours: int = 12

    def span(self, start: int, end: int) -> Span:
        return Span(self.base + timedelta(hours=start), self.base + timedelta(hours=end))

    def tight(self, days: int) -> Scene:
        """Two hours of the smallest pool on a later day: nothing else is in the way, and all want the same."""
        return Scene(self.base + timedelta(days=days), {LAST: self.pools[LAST]}, 2)


def scene() -> Scene:
    """Hours that begin at the midnight after tomorrow."""
    midnight = SystemClock().now().replace(hour=0, minute=0, second=0, microsecond=0)
    return Scene(midnight + timedelta(days=2))


def prepared(url: str, scene: Scene, clients: int) -> dict[str, Actor]:
    """Migrate the database, make the pools and the people; the people."""
    engine = open_engine(url)
    try:
        migrate.upgrade(engine)
        clock = SystemClock()
        site = Site(Context(Doors(clock, SystemIds(), Db(engine, clock)), Settings()))
        for name, cores in scene.pools.items():
            site.pool(cores, MOST_MEMORY, name=name, share_ratio_milli=RATIO, start=EPOCH)
        for cores, name in PACKAGES.items():
            site.package(name, cores)
        return {
            name: site.person(name, admin=True) for name in (SHOP, *(f"client{n}" for n in range(clients)))
        }
    finally:
        engine.dispose()


class WatchedClock(SystemClock):
    """The machine's clock; remembers what it said in a transaction."""

    def __init__(self) -> None:
        self.first: datetime | None = None
        self.last: datetime | None = None

    def now(self) -> datetime:
        self.last = super().now()
        self.first = self.first or self.last
        return self.last


ACTS = ("book", "confirm", "cancel", "change", "capacity", "availability")


class WatchedDb(Db):
    """Real transactions; remembers at which generation the last act was decided and what it made of it."""

    def __init__(self, engine: Engine, clock: WatchedClock) -> None:
        super().__init__(engine, clock)
        self._watched = clock
        self.counts: Counter[str] = Counter()
        self.locked: Pool | None = None
        self.pool = ""
        """The name of the pool that the last act locked; empty if it never came to that."""
        self.generation = 0
        self.wrote = False

    @property
    def at(self) -> float:
        """What time it was for the last act, which was decided under the lock of its pool."""
        return _stamp(self._watched.first)

    @property
    def looked_at(self) -> float:
        """The same for a look, which compares what it has read with the clock: others end holds meanwhile."""
        return _stamp(self._watched.last)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Within, it is told of each pool that is locked."""
        lock_pool = ledger.lock_pool

        def watched(session: Session, pool_id: str, *also: Question) -> Pool:
            pool = lock_pool(session, pool_id, *also)
            if session.connection().info["transaction"] in ACTS:
                # An error may leave the object empty, so its name is kept apart.
                self.locked, self.generation, self.pool = pool, pool.generation, pool.name
            return pool

        with replaced("lock_pool", watched):
            yield

    def _begin(self) -> None:
        self._watched.first, self.locked, self.wrote, self.pool = None, None, False, ""

    def ask(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        self._begin()
        return super().ask(statement, parameters)

    def _once(self, name: str, fn: Callable[[Session], T], *, writes: bool) -> T:
        if name not in ACTS:
            return super()._once(name, fn, writes=writes)
        self._begin()
        reached = self.generation

        def watched(session: Session) -> T:
            nonlocal reached
            result = fn(session)
            reached = self.generation if self.locked is None else self.locked.generation
            return result

        try:
            result = super()._once(name, watched, writes=writes)
        except (StaleDataError, IntegrityError, OperationalError) as error:
            self.counts["refused by the database"] += 1
            self.counts[f"refused: {_cause(error)}"] += 1
            raise
        self.wrote = reached != self.generation
        self.generation = reached
        return result


def _stamp(said: datetime | None) -> float:
    return said.timestamp() if said is not None else 0.0


def _cause(error: Exception) -> str:
    origin = getattr(error, "orig", error)
    return str(getattr(origin, "sqlite_errorname", None) or type(origin).__name__)


def _one_in(share: int, search: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    calls = count()

    def sometimes(*given: Any) -> list[Any]:
        return search(*given) if next(calls) % share == 0 else []

    return sometimes


@contextmanager
def entered(url: str, plant: Plant) -> Iterator[Context]:
    """The context of one process; its doors are watched."""
    engine = open_engine(url)
    if plant is Plant.UNREFUSED:
        unrefused(engine)
    clock = WatchedClock()
    db = WatchedDb(engine, clock)
    try:
        with db.told(), patch.object(offers, "alternatives", _one_in(ALTERNATIVES, offers.alternatives)):
            yield Context(Doors(clock, SystemIds(), db), Settings())
    finally:
        engine.dispose()
