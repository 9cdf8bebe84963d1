"""Marks: what an answer about a pool was made from, read in one statement, before anything is computed.

An answer that is kept by its mark is never older than the mark, because marks only go on: who reads the same
mark again may have the same answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, bindparam, func, literal_column, or_, select
from sqlalchemy.orm import Session

from booking.allocator.cells import Granularity
from booking.errors import NotFound
from booking.models import Package, Platform, Pool
from booking.models.history import History
from booking.services import holds
from booking.services.context import Actor, Context
from booking.services.holds import HoldsDue


@dataclass(frozen=True)
class Mark:
    """One content of a pool's calendar: its timelines, and the packages that are current."""

    id: str
    name: str
    timezone: str
    granularity: Granularity
    epoch: str
    """With the generation it names one content of the ledger, on whichever server."""
    generation: int
    closed_reason: str | None
    has_reserve: bool
    """Whether something is set aside for level 0."""
    packages: tuple[int, int]
    """How many versions there are, and how many of them are retired: both only grow."""

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def draws(self, actor: Actor | None) -> bool:
        """Whether what is free for this actor comes out of the standing reservation for level 0."""
        return self.has_reserve and actor is not None and actor.level == 0 and not actor.is_admin

    def tag(self, *others: object) -> str:
        """A name for what was made from this mark and from those others, each of which says all of itself."""
        return sha256(repr((self, others)).encode()).hexdigest()[:32]


_SLASH: ColumnElement[str] = literal_column("'/'")
_NONE: ColumnElement[int] = literal_column("0")
"""Written into the statement: each parameter costs a driver more than the comparison costs the database."""
_STAMP = select(
    func.count(Package.id).label("made"), func.count(Package.retired_at).label("retired")
).subquery("packages")
_MARK = select(
    Pool.id,
    Pool.name,
    Pool.timezone,
    Pool.granularity,
    (Pool.epoch + _SLASH + History()).label("epoch"),
    Pool.generation,
    Pool.closed_reason,
    or_(*(amount > _NONE for amount in (Pool.cores, Pool.memory_mib, Pool.gpus, Pool.disk_gib))).label(
        "has_reserve"
    ),
    Pool.hold_expires_at,
    *_STAMP.c,
).join(_STAMP, Pool.id.is_not(None))
_FIRST = _MARK.order_by(Pool.created_at, Pool.id).limit(1)
_NAMED = _MARK.where(or_(Pool.id == bindparam("pool"), Pool.name == bindparam("pool")))


def _query(pool: str | None) -> tuple[Select[Any], dict[str, str]]:
    return (_FIRST, {}) if pool is None else (_NAMED, {"pool": pool})


def _mark(rows: Sequence[Row[Any]], pool: str | None, now: datetime) -> Mark:
    if not rows:
        raise NotFound("pool", pool)
    row = rows[0]
    if row.hold_expires_at is not None and row.hold_expires_at <= now:
        raise HoldsDue(row.id)
    return _of_row(row)


@lru_cache(maxsize=256)
def _of_row(row: Row[Any]) -> Mark:
    """One object for each content, which costs more to make than to find."""
    return Mark(
        row.id,
        row.name,
        row.timezone,
        row.granularity,
        row.epoch,
        row.generation,
        row.closed_reason,
        bool(row.has_reserve),
        (row.made, row.retired),
    )


def current(ctx: Context, pool: str | None) -> Mark:
    """The present mark of the pool with that id or name, in one statement; None is the first that was made.

    :raises NotFound: if there is none.
    """
    ctx = ctx.reader
    return holds.after_due(ctx, lambda: _mark(ctx.db.ask(*_query(pool)), pool, ctx.clock.now()))


class PoolName(NamedTuple):
    """A pool as a list of all names it."""

    id: str
    name: str
    traits: tuple[str, ...] = ()
    """What its hardware has, its own and those of its platform, sorted; the name of the platform is one."""

    def has(self, traits: Collection[str]) -> bool:
        """Whether it has all of these."""
        return set(traits) <= set(self.traits)


_NAMES = (
    select(Pool.id, Pool.name, Pool.traits, Platform.traits, Platform.name)
    .join(Platform, Platform.id == Pool.platform_id)
    .order_by(Pool.created_at, Pool.id)
)


def names(session: Session) -> list[PoolName]:
    """Every pool, the first made first."""
    return _named(session.connection().execute(_NAMES))


def listed(ctx: Context) -> tuple[PoolName, ...]:
    """The same by itself, in one statement; while nothing changes it is one object, for who keeps it."""
    return _one(tuple(_named(ctx.db.ask(_NAMES, {}))))


class Called(NamedTuple):
    """A pool as who only chooses one knows it."""

    id: str
    name: str
    timezone: str

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


_CALLED = select(Pool.id, Pool.name, Pool.timezone).order_by(Pool.created_at, Pool.id)


def called(ctx: Context) -> list[Called]:
    """Every pool, the first made first, in one statement."""
    return [Called(*row) for row in ctx.db.ask(_CALLED, {})]


def chosen(pools: Sequence[Called], name: str | None) -> Called | None:
    """The one of that id or name, else the first."""
    return next((pool for pool in pools if name in (pool.id, pool.name)), pools[0] if pools else None)


@lru_cache(maxsize=8)
def _one(names: tuple[PoolName, ...]) -> tuple[PoolName, ...]:
    return names


def _named(rows: Iterable[Sequence[Any]]) -> list[PoolName]:
    return [
        PoolName(pool_id, name, tuple(sorted({*own, *of_platform, platform})))
        for pool_id, name, own, of_platform, platform in rows
    ]
