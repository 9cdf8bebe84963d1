"""What the controls take away from the product, within one process and only there.

`unlocked`: the lock of the pool alone; what is left is the database's own refusal. `unrefused`: that too.
`stale`: promises are decided on a cached timeline that is not brought up to date.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, Engine, event, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from booking import doors, sqlite
from booking.allocator.span import Span
from booking.allocator.timeline import Entry
from booking.models import Ledger, Pool
from booking.services import ledger, timelines
from booking.together import Question


class Plant(StrEnum):
    NONE = "nothing"
    UNLOCKED = "lock"
    UNREFUSED = "lock and refusal"
    STALE = "fresh timeline"


@contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """The product without what the plant takes away; engines must be opened within."""
    with ExitStack() as stack:
        # It would say of every refusal that the lock is missing; here that is so on purpose.
        stack.enter_context(patch.object(doors.log, "disabled", plant is not Plant.NONE))
        if plant in (Plant.UNLOCKED, Plant.UNREFUSED):
            stack.enter_context(replaced("lock_pool", _unlocked))
            stack.enter_context(patch.object(sqlite, "begin", _begin_late))
        if plant is Plant.UNREFUSED:
            stack.enter_context(replaced("append", _append_anyway))
        if plant is Plant.STALE:
            stack.enter_context(
                patch.object(timelines.Timelines, "current", _seldom(timelines.Timelines.current))
            )
        yield


def unrefused(engine: Engine) -> None:
    """SQLite refuses to write on what was read before another wrote: let it read and write apart."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "before_cursor_execute", _write_apart)


@contextmanager
def replaced(name: str, other: Callable[..., Any]) -> Iterator[None]:
    """A function of the ledger by another, wherever it was imported."""
    original = getattr(ledger, name)
    with ExitStack() as stack:
        for module in [module for key, module in sys.modules.items() if key.startswith("booking.")]:
            if getattr(module, name, None) is original:
                stack.enter_context(patch.object(module, name, other))
        yield


_GAP_SECONDS = 0.01
"""Others read in it what is about to be overwritten: what a control shows must not hang on luck."""


def _unlocked(session: Session, pool_id: str, *_also: Question) -> Pool:
    pool = session.scalars(
        select(Pool).where(Pool.id == pool_id).execution_options(populate_existing=True)
    ).one()
    time.sleep(_GAP_SECONDS)
    return pool


def _begin_late(connection: Connection) -> None:
    writes = connection.get_execution_options().get("booking_writes", True)
    sqlite.set_pragmas(connection.connection.driver_connection, f"query_only={'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN")
    connection.info["only read"] = True


def _write_apart(connection: Connection, _cursor: Any, statement: str, *_: object) -> None:
    if statement.startswith(("INSERT", "UPDATE", "DELETE")) and connection.info.pop("only read", False):
        driver: Any = connection.connection.driver_connection
        driver.execute("COMMIT")
        driver.execute("BEGIN IMMEDIATE")


def _append_anyway(session: Session, pool: Pool, entries: Iterable[Entry]) -> None:
    time.sleep(_GAP_SECONDS)
    session.info[ledger._APPENDED] = True
    table: Any = Pool.__table__
    advance = update(table).where(table.c.id == pool.id).values(generation=table.c.generation + 1)
    generation = session.execute(advance.returning(table.c.generation)).scalar_one()
    set_committed_value(pool, "generation", generation)
    session.add_all(
        Ledger(pool_id=pool.id, generation=generation, seq=seq, **entry._asdict())
        for seq, entry in enumerate(entry for entry in entries if entry.amount)
    )


def _seldom(current: Callable[..., timelines.PoolState]) -> Callable[..., timelines.PoolState]:
    calls = 0

    def seldom(
        self: timelines.Timelines, session: Session, pool_id: str, window: Span
    ) -> timelines.PoolState:
        nonlocal calls
        calls += 1
        known = self.known(pool_id)
        if known is None or calls % 20 == 0:
            known = current(self, session, pool_id, window)
        return replace(known, hold_expires_at=None)

    return seldom
