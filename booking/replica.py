"""Reading from a standby: a part of the door `Db`, for what is shown and never for what is decided.

A standby replays what the primary has written, a little later. It is asked only while it follows; else the
primary is. Somebody who has changed something is shown a state in which that has happened: the place of the
primary's log after the change goes with whoever made it, and a standby that has not come so far is passed by.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Row, Select, literal_column, select
from sqlalchemy.orm import Session

from booking.doors import Clock, Db
from booking.errors import Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")

LAG_SECONDS = 10
"""A standby that has replayed nothing for longer is not asked. A scheduler that leads writes more often."""
LOOK_SECONDS = 1.0
"""How often a process looks whether the standby follows."""
AGAIN_SECONDS = 5.0
"""How long one that does not is passed by before it is looked at again."""
STANDBY_SECONDS = 2.2
"""How long a request waits for the standby: so that enough of its time is left to ask the primary."""
_PLACE = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})", re.ASCII)
_WRITTEN: Select[Any] = select(literal_column("pg_current_wal_insert_lsn()::text"))
_REPLAYED: Select[Any] = select(literal_column("pg_last_wal_replay_lsn()::text"))
_FOLLOWS: Select[Any] = select(
    literal_column(
        "pg_is_in_recovery() AND coalesce(pg_last_xact_replay_timestamp() > "
        f"clock_timestamp() - interval '{LAG_SECONDS} s', false)"
    )
)


class Place(NamedTuple):
    """A place in the log of the primary; later ones are greater."""

    file: int
    offset: int

    @staticmethod
    def of(text: str) -> Place | None:
        """As PostgreSQL writes it; None for anything else."""
        found = _PLACE.fullmatch(text)
        return Place(int(found[1], 16), int(found[2], 16)) if found else None

    def __str__(self) -> str:
        return f"{self.file:X}/{self.offset:X}"


@dataclass
class _Task:
    """What is known of the present request."""

    seen: Place | None = None
    primary_only: bool = False


_task: ContextVar[_Task | None] = ContextVar("task", default=None)


@contextmanager
def shown_after(seen: Place | None) -> Iterator[None]:
    """What is read here has everything up to that place of the log."""
    token = _task.set(_Task(seen))
    try:
        yield
    finally:
        _task.reset(token)


class ReadingDb(Db):
    """Reads from a standby where it has what the asker has seen, else from the primary; writes to the primary.

    After a write, the rest of the task reads from the primary.
    """

    def __init__(self, primary: Db, standby: Db, clock: Clock) -> None:
        super().__init__(primary.engine, clock)
        self._primary, self._standby = primary, standby
        self._look_at, self._follows = -math.inf, False

    def run(self, name: str, fn: Callable[[Session], T]) -> T:
        task = _task.get()
        if task is not None:
            task.primary_only = True
        return self._primary.run(name, fn)

    def read(self, name: str, fn: Callable[[Session], T]) -> T:
        return self._either(lambda db: db.read(name, fn))

    def ask(self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        return self._either(lambda db: db.ask(statement, parameters))

    def place(self) -> Place | None:
        """The end of the primary's log: whoever knows it has seen everything so far."""
        return Place.of(self._primary.ask(_WRITTEN, {})[0][0])

    def _either(self, ask: Callable[[Db], T]) -> T:
        try:
            if self._may_ask():
                return ask(self._standby)
        except Unavailable:
            self._pass_by("does not answer")
        return ask(self._primary)

    def _may_ask(self) -> bool:
        task = _task.get()
        if task is None or task.primary_only:
            return False  # nobody knows what has been seen: it may be a command, or a write went before
        now = self._clock.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            if not self._standby.ask(_FOLLOWS, {})[0][0]:
                self._pass_by("does not follow the primary")
            elif not self._follows:
                self._follows = True
                log.info("calendars are read from the replica")
        if not self._follows:
            return False
        # Before the transaction that reads: what is replayed by now is in what it will see.
        return task.seen is None or self._has(task.seen)

    def _has(self, seen: Place) -> bool:
        replayed = self._standby.ask(_REPLAYED, {})[0][0]
        place = Place.of(replayed) if replayed else None
        return place is not None and place >= seen

    def _pass_by(self, why: str) -> None:
        if self._follows:
            log.warning("the replica %s; calendars are read from the primary", why)
        self._follows = False
        self._look_at = self._clock.monotonic() + AGAIN_SECONDS
