"""The locks that a transaction takes, read off its statements: the discipline that makes promises atomic.

Transactions of the simulator are atomic anyway, so a lock that somebody forgot could not show itself by
what comes of it. Therefore it is judged as lock checkers do: what is changed must have been locked, what a
promise is decided on must have been read under the lock, and locks must be taken in one order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from booking.models import Base, Booking, Cluster, Reservation, Work

_TABLES = re.compile(r'\b(?:FROM|JOIN) "?(\w+)"?')
_SHARED = (Booking, Cluster, Reservation, Work)
"""What the lock of its pool stands for."""
_UNDER = {"ledger": "pool", "idempotency_key": "account"}
"""What may be read by a transaction that writes only under which lock."""


@dataclass
class Locks:
    """What one transaction has locked so far, and what it did without."""

    present: ClassVar[Locks | None] = None

    session: Session | None = None
    held: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """By table, the values that its locks were asked for, in order."""
    faults: list[str] = field(default_factory=list)
    stale: dict[int, object] = field(default_factory=dict)
    """What was loaded before a pool was locked and not since: it may have changed meanwhile."""

    def holds(self, table: str, key: str) -> bool:
        return key in self.held[table]

    def take(self, table: str, values: tuple[Any, ...]) -> None:
        """Note a lock; rows of one table are locked in ascending order, a pool before an account."""
        before = self.held[table]
        if table == "pool" and before and min(values) < max(before):
            self.faults.append("pools are locked in descending order")
        if table == "pool" and self.held["account"]:
            self.faults.append("a pool is locked after an account")
        before += values
        if table == "pool" and self.session is not None:
            kept = (row for row in self.session.identity_map.values() if isinstance(row, _SHARED))
            self.stale |= {id(row): row for row in kept}

    def read(self, tables: Collection[str]) -> None:
        for table, lock in _UNDER.items():
            if table in tables and not self.held[lock]:
                self.faults.append(f"{table} is read before a row of {lock} is locked")


@contextmanager
def watched() -> Iterator[Locks]:
    """Within it, statements belong to one transaction."""
    Locks.present = locks = Locks()
    try:
        yield locks
    finally:
        Locks.present = None


def watch(engine: Engine) -> None:
    """Let every statement of the engine be seen, once and for all."""
    event.listen(engine, "before_cursor_execute", _seen)
    event.listen(Session, "before_flush", _flushing)
    event.listen(Base, "refresh", _refreshed, propagate=True)


def _flushing(session: Session, _context: Any, _instances: Any) -> None:
    locks = Locks.present
    if locks is None or locks.session is not session:
        return
    for row in session.dirty:
        if id(row) in locks.stale and session.is_modified(row):
            locks.faults.append(f"a {type(row).__name__} that was read before the lock is written")


def _refreshed(row: object, *_: Any) -> None:
    if Locks.present is not None:
        Locks.present.stale.pop(id(row), None)


@lru_cache(maxsize=4096)
def _tables(statement: str) -> frozenset[str]:
    return frozenset(_TABLES.findall(statement))


def _seen(_conn: Any, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool) -> None:
    locks = Locks.present
    if locks is None or not statement.startswith("SELECT"):
        return
    tables = _tables(statement)
    # What is asked without a transaction comes without a context, and locks nothing.
    compiled = getattr(context, "compiled", None)
    asked = getattr(compiled and compiled.statement, "_for_update_arg", None)
    if asked is None:
        locks.read(tables)
        return
    of = {table.name for table in asked.of} if asked.of else tables
    for table in sorted(of):
        locks.take(table, tuple(parameters))
