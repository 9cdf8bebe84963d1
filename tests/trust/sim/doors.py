"""The doors as the simulator makes them: each call is a named point at which anything may happen."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine, Row, Select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from booking.doors import Db
from booking.errors import NoCapacity, Unavailable
from tests.trust.sim.hub import SECOND, Fate, Hub, Process
from tests.trust.sim.locks import Locks, watched

T = TypeVar("T")
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LATENCY = SECOND // 50
"""The longest that a transaction takes when nothing is wrong."""


_BREAKS = 4
"""How much more often a transaction fails at its end than the connection breaks between two."""


class Watcher(Protocol):
    """Whoever looks at the database after each commit."""

    def committed(self, name: str, process: Process | None, locks: Locks) -> None: ...

    def read(self, name: str, process: Process | None, found: object) -> None:
        """Called with what a transaction that only reads has found."""

    def refused(self, name: str, process: Process | None, error: NoCapacity) -> None:
        """Called before the refusing transaction is undone."""


class SimClock:
    """The clock of one process, which may be a little ahead of the others or behind."""

    def __init__(self, hub: Hub, process: Process | None) -> None:
        self._hub, self._process = hub, process

    def now(self) -> datetime:
        return self._hub.now_of(self._process)

    def monotonic(self) -> float:
        return self._hub.micros / SECOND

    def sleep(self, seconds: float) -> None:
        self._hub.cross("sleep")
        self._hub.sleep(int(seconds * SECOND))


class SimIds:
    """Ids of the right shape from a seed."""

    def __init__(self, seed: str) -> None:
        self._dice = random.Random(seed)

    def new(self) -> str:
        bits = self._dice.getrandbits(100)
        return "".join(_ALPHABET[bits >> shift & 31] for shift in range(0, 100, 5))

    def secret(self) -> str:
        return f"{self._dice.getrandbits(256):064x}"


class Busy(Exception):
    """What the driver says when somebody else was quicker."""

    sqlite_errorname = "SQLITE_BUSY"


class Gone(Exception):
    """What the driver says when the connection breaks."""

    sqlite_errorname = "SQLITE_IOERR"


class SimDb(Db):
    """Transactions of one process: atomic steps between which anybody else may run.

    A process that is killed within one leaves nothing of it. A transaction may lose a race, fail at its
    commit, or be committed while its process is told that the connection broke.
    """

    def __init__(self, engine: Engine, hub: Hub, process: Process | None, watcher: Watcher) -> None:
        super().__init__(engine, SimClock(hub, process))
        self._hub, self._process, self._watcher = hub, process, watcher
        self._step = -1

    def run(self, name: str, fn: Callable[[Session], T]) -> T:
        self._arrive(f"run:{name}:before")
        return super().run(name, fn)

    def rehearse(self, name: str, fn: Callable[[Session], T]) -> T:
        return super().rehearse(f"{name} (rehearsed)", fn)

    def read(self, name: str, fn: Callable[[Session], T]) -> T:
        self._arrive(f"read:{name}:before")
        return super().read(name, fn)

    def ask(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        self._arrive("ask:before")
        found = super().ask(statement, parameters)
        self._step = self._hub.steps
        return found

    def answered(self, found: object) -> None:
        """Judge what was made of one statement, if nobody else could run since it was asked."""
        if self._step == self._hub.steps:
            self._watcher.read("ask", self._process, found)

    def _arrive(self, point: str) -> None:
        if self._hub.cross(point, latency=LATENCY) is Fate.LOST:
            raise Unavailable("The simulated connection broke.")

    def _once(self, name: str, fn: Callable[[Session], T], *, writes: bool) -> T:
        hub, point = self._hub, f"{'run' if writes else 'read'}:{name}"
        chances = replace(hub.chances, lost=hub.chances.lost * _BREAKS)
        fate = hub.fate(f"{point}:within", chances)

        def within(session: Session) -> T:
            if Locks.present is not None:
                Locks.present.session = session
            try:
                result = fn(session)
            except NoCapacity as error:
                self._watcher.refused(name, self._process, error)
                raise
            _interrupt(hub, fate, session)
            return result

        result = self._atomic(name, within, writes=writes)
        if hub.cross(f"{point}:after", latency=LATENCY) is Fate.LOST:
            raise _broken(Gone("disk I/O error"))
        return result

    def _atomic(self, name: str, fn: Callable[[Session], T], *, writes: bool) -> T:
        task = self._hub.task
        assert task is not None
        task.in_transaction = True
        try:
            with watched() if writes else nullcontext() as locks:
                result = super()._once(name, fn, writes=writes)
        finally:
            task.in_transaction = False
        if locks is None:
            self._watcher.read(name, self._process, result)
        else:
            self._watcher.committed(name, self._process, locks)
        return result


def _interrupt(hub: Hub, fate: Fate, session: Session) -> None:
    """Let a transaction fail just before its commit."""
    if fate is Fate.KILL:
        session.rollback()
        session.close()
        task = hub.task
        assert task is not None
        hub.kill(task)
    if fate is Fate.STALL:  # the lock was held by somebody else for too long
        raise _broken(Busy("database is locked"))
    if fate is Fate.LOST:
        raise _broken(Gone("disk I/O error"))


def _broken(origin: Exception) -> OperationalError:
    error: Any = OperationalError("COMMIT", {}, origin)
    result: OperationalError = error
    return result
