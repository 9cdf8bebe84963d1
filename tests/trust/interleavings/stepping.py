"""Sessions that book step by step, in an order that is given: each a thread with a connection of its own.

A session stops before each step until it is let go on. One that PostgreSQL makes wait for another's lock
is left waiting while the schedule goes on, as in PostgreSQL's own isolation tester; whether it waits is
asked of the server, not guessed by a clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from sqlalchemy import event

from booking.allocator.package import Sharing
from booking.allocator.span import Span
from booking.config import Settings
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.errors import ConcurrentUpdate, NoCapacity
from booking.services import bookings
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest
from tests.support.postgres import conninfo

PATIENCE = 60.0
"""Seconds after which a schedule that does not end is a fault."""
_LOOK_EVERY = 0.002
_BLOCKED = "SELECT pid FROM unnest(%s::int[]) AS pid WHERE cardinality(pg_blocking_pids(pid)) > 0"


def four(statement: str) -> int:
    """To which of four steps a statement of the promise belongs: lock, decide, write, end."""
    if statement.startswith(("INSERT", "UPDATE")):
        return 3
    return 2 if "FROM account" in statement else 1


def three(statement: str) -> int:
    """The same for three steps: lock and decide, write, end."""
    return max(1, four(statement) - 1)


class Stepping:
    """One session that books what it is told."""

    def __init__(self, url: str, actor: Actor, turn: threading.Condition) -> None:
        self._turn, self._actor = turn, actor
        engine = open_engine(url)
        clock = SystemClock()
        self.ctx = Context(Doors(clock, SystemIds(), Db(engine, clock)), Settings())
        self.engine = engine
        self.pid = self.ctx.db.read("pid", lambda session: _pid(session.connection().connection))
        self._step_of: Callable[[str], int] = four
        self._last = 4
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "before_cursor_execute", self._before_statement)
        event.listen(engine, "commit", self._before_end)
        event.listen(engine, "rollback", self._before_end)

    def start(self, steps: int, package: str, pool: str, span: Span) -> None:
        """Begin to book; it stops before its first step."""
        self._step_of, self._last = (four, 4) if steps == 4 else (three, 3)
        self.granted = self._begun = self._wanted = 0
        self.waits = self.done = self.blocked = False
        self.attempts = 0
        self.booked: str | None = None
        self.answer = ""
        request = BookingRequest(package, Sharing.RESERVED, (span,), pool=pool)
        self._thread = threading.Thread(target=self._book, args=(request,), daemon=True)
        self._thread.start()

    @property
    def settled(self) -> bool:
        """It has ended, or waits to be let go on."""
        return self.done or (self.waits and self.granted < self._wanted)

    def _book(self, request: BookingRequest) -> None:
        try:
            promise = bookings.book(self.ctx, self._actor, request, lambda booking: {"id": booking.id})
            self.answer, self.booked = "ok", promise.booking.id
        except NoCapacity:
            self.answer = "no"
        except ConcurrentUpdate:
            self.answer = "lost"
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a fault of the schedule
            self.answer = f"{type(error).__name__}: {error}"
        with self._turn:
            self.done = True
            self._turn.notify_all()

    def _begin(self, _: Any) -> None:
        self._begun = 0

    def _before_statement(self, connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if connection.info.get("transaction") == "book":
            self._gate(self._step_of(statement))

    def _before_end(self, connection: Any) -> None:
        if connection.info.get("transaction") == "book":
            self._gate(self._last)

    def _gate(self, step: int) -> None:
        if step <= self._begun:
            return
        self._begun = step
        self.attempts += step == 1
        with self._turn:
            self._wanted, self.waits = step, True
            self._turn.notify_all()
            self._turn.wait_for(lambda: self.granted >= step, PATIENCE)
            self.waits = False


class Stage:
    """Some sessions on one database, and who says which of them goes on."""

    def __init__(self, url: str, actors: Sequence[Actor]) -> None:
        self._turn = threading.Condition()
        self.sessions = [Stepping(url, actor, self._turn) for actor in actors]
        self._server = psycopg.connect(conninfo(url), autocommit=True)

    def close(self) -> None:
        self._server.close()
        for session in self.sessions:
            session.engine.dispose()

    def play(self, schedule: Sequence[int], packages: Sequence[str], pool: str, span: Span) -> list[Stepping]:
        """Let the sessions of the schedule take their steps in its order; they are all done afterwards.

        :raises TimeoutError: if one does not end.
        """
        playing = self.sessions[: len(packages)]
        for session, package in zip(playing, packages, strict=True):
            session.start(len(schedule) // len(packages), package, pool, span)
        self._settle(playing)
        for number in schedule:
            with self._turn:
                playing[number].granted += 1
                self._turn.notify_all()
            self._settle(playing)
        with self._turn:
            if not self._turn.wait_for(lambda: all(session.done for session in playing), PATIENCE):
                raise TimeoutError(f"schedule {schedule} does not end")
        return playing

    def _settle(self, playing: Sequence[Stepping]) -> None:
        """Wait until each has ended, waits to be let go on, or is made to wait by PostgreSQL."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with self._turn:
                if self._turn.wait_for(lambda: all(s.settled for s in playing), _LOOK_EVERY):
                    return
                busy = {session.pid for session in playing if not session.settled}
            blocked = {pid for (pid,) in self._server.execute(_BLOCKED, [list(busy)])}
            if busy == blocked:
                for session in playing:
                    session.blocked |= session.pid in blocked
                return
        raise TimeoutError("a session neither goes on nor waits for a lock")


def _pid(connection: Any) -> int:
    return int(connection.driver_connection.info.backend_pid)
