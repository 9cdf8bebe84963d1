"""One statement by itself, by the driver alone; a part of the door `Db`.

On the path of every request stand one or two statements that find one row. The driver needs 4 µs for such a
one with SQLite and 40 with PostgreSQL; a session with its transaction makes that 300 and more.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import psycopg
from sqlalchemy import Engine, PoolProxiedConnection, QueuePool, Select, event
from sqlalchemy.exc import DBAPIError

from booking.pipe import Said
from booking.postgres import Connection
from booking.prepared import Prepared, prepared

_KEPT = 128
"""How many answers one connection keeps at most."""


class _Own:
    """A connection of the asker's own, with one cursor."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor

    def rows(self, known: Prepared, values: tuple[Any, ...]) -> Sequence[Any]:
        return _found(self.cursor, known, values)


class _OwnOfFile(_Own):
    """The same of SQLite, with what it found while nobody has written.

    The number `data_version` is another one as soon as any other connection has committed anything, of whichever
    process, and this one never writes (sqlite.org/pragma.html). To ask for it costs less than any statement.
    """

    def __init__(self, cursor: Any) -> None:
        super().__init__(cursor)
        self._version = -1
        self._kept: dict[tuple[str, tuple[Any, ...]], Sequence[Any]] = {}

    def rows(self, known: Prepared, values: tuple[Any, ...]) -> Sequence[Any]:
        ((version,),) = self.cursor.execute("PRAGMA data_version").fetchall()
        if version != self._version:
            self._version, self._kept = version, {}
        asked = known.text, values
        rows = self._kept.get(asked)
        if rows is None:
            if len(self._kept) >= _KEPT:
                self._kept = {}
            # Whoever commits between the number and this: the next number tells.
            rows = self._kept[asked] = super().rows(known, values)
        return rows


class Asker:
    """Asks an engine's database over connections of its own, as many as ask at once.

    A statement sees one state by itself, so nobody begins or ends a transaction for it. To take a connection
    from the engine's pool and to give it back costs more than the statement; only where the pool has but
    one, that is borrowed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._error: type[Exception] = engine.dialect.loaded_dbapi.Error
        self._has_own = isinstance(engine.pool, QueuePool)
        self._kind = _OwnOfFile if engine.dialect.name == "sqlite" else _Own
        self._idle: deque[_Own] = deque()
        self._parents: deque[_Own] = deque()
        """What a parent process left; not even closed here, for it may be in use there."""
        event.listen(engine, "engine_disposed", lambda _: self._close())
        _ASKERS.add(self)

    def leave_to_parent(self) -> None:
        """Begin anew in a process that was forked."""
        self._parents, self._idle = self._idle, deque()

    def rows(self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]) -> Sequence[Any]:
        """What it finds, as named tuples with the columns of the statement; they are others', too, and stay as they are.

        :raises DBAPIError: as SQLAlchemy tells what went wrong; nobody hears of a connection that had died
            since it was used last.
        """
        known = prepared(statement, self._engine.dialect)
        values = known.values(parameters)
        # Whoever listens to the statements of the engine hears of these, too.
        if listeners := self._engine.dispatch.before_cursor_execute:
            listeners(None, None, known.text, values, None, False)
        return self._by_own(known, values) if self._has_own else self._borrowed(known, values)

    def _borrowed(self, known: Prepared, values: tuple[Any, ...]) -> Sequence[Any]:
        connection = self._taken()
        try:
            return _found(connection.driver_connection.cursor(), known, values)  # type: ignore[union-attr]
        except self._error as error:
            raise self._told(known.text, values, error) from error
        finally:
            connection.close()

    def _taken(self) -> PoolProxiedConnection:
        try:
            return self._engine.raw_connection()
        except self._error as error:
            raise self._told("", None, error, dead=True) from error

    def _by_own(self, known: Prepared, values: tuple[Any, ...]) -> Sequence[Any]:
        idle = self._one_idle()
        if idle is not None:
            try:
                return self._on(idle, known, values)
            except DBAPIError as error:
                if not error.connection_invalidated or isinstance(
                    error.orig, psycopg.errors.ConnectionTimeout
                ):
                    raise
                self._close()  # a server that was restarted ended them all
        return self._on(self._new(), known, values)

    def _one_idle(self) -> _Own | None:
        """One that nobody uses; None where there is none, or another thread was quicker."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _new(self) -> _Own:
        taken = self._taken()
        connection: Any = taken.driver_connection
        taken.detach()
        if isinstance(connection, psycopg.Connection):
            connection.autocommit = True
        return self._kind(connection.cursor())

    def _on(self, own: _Own, known: Prepared, values: tuple[Any, ...]) -> Sequence[Any]:
        try:
            rows = own.rows(known, values)
        except self._error as error:
            connection = own.cursor.connection
            dead = isinstance(connection, psycopg.Connection) and (connection.closed or connection.broken)
            told = self._told(known.text, values, error, dead=dead)
            connection.close()
            raise told from error
        except BaseException:
            own.cursor.connection.close()  # what was asked may still be answered: nobody must take that for theirs
            raise
        self._idle.append(own)
        return rows

    def _told(self, text: str, values: Any, error: Exception, *, dead: bool = False) -> Exception:
        return DBAPIError.instance(
            text, values, error, self._error, hide_parameters=True, connection_invalidated=dead
        )

    def _close(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().cursor.connection.close()


def _found(cursor: Any, known: Prepared, values: tuple[Any, ...]) -> Sequence[Any]:
    if isinstance(cursor.connection, Connection):
        found = cursor.connection.ask([Said(known.text.encode(), values)])[0]
    else:
        found = cursor.execute(known.text, values).fetchall()
    return [known.row(one) for one in found]


_ASKERS: WeakSet[Asker] = WeakSet()


def _after_fork() -> None:
    for asker in _ASKERS:
        asker.leave_to_parent()


os.register_at_fork(after_in_child=_after_fork)
