"""One statement by itself, by the driver alone; a part of the door `Db`.

On the path of every request stand one or two statements that find one row. The driver needs 4 µs for such a
one with SQLite and 40 with PostgreSQL; a session with its transaction makes that 300 and more.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque, namedtuple
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy import Dialect, Engine, PoolProxiedConnection, Select, event
from sqlalchemy.exc import DBAPIError

Processor = Callable[[Any], Any] | None


class Asker:
    """Asks an engine's database; on PostgreSQL over connections of its own, as many as ask at once.

    A statement sees one state by itself, so nobody begins or ends a transaction for it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pooled = engine.dialect.name != "postgresql"
        self._idle: deque[psycopg.Connection[Any]] = deque()
        self._process = os.getpid()
        self._prepared = lru_cache(maxsize=256)(lambda statement: Prepared(statement, engine.dialect))
        event.listen(engine, "engine_disposed", lambda _: self._close())

    def rows(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Any]:
        """What it finds, as named tuples with the columns of the statement.

        :raises DBAPIError: as SQLAlchemy tells what went wrong; nobody hears of a connection that had died
            since it was used last.
        """
        prepared: Prepared = self._prepared(statement)
        values = prepared.values(parameters)
        # Whoever listens to the statements of the engine hears of these, too.
        self._engine.dispatch.before_cursor_execute(None, None, prepared.text, values, None, False)
        found = self._borrowed(prepared.text, values) if self._pooled else self._own(prepared.text, values)
        return [prepared.row(one) for one in found]

    def _borrowed(self, text: str, values: Any) -> list[tuple[Any, ...]]:
        connection = self._taken()
        try:
            rows: list[tuple[Any, ...]] = connection.driver_connection.execute(text, values).fetchall()  # type: ignore[union-attr]
        except sqlite3.Error as error:
            raise self._told(text, values, error) from error
        finally:
            connection.close()
        return rows

    def _taken(self) -> PoolProxiedConnection:
        try:
            return self._engine.raw_connection()
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise self._told("", None, error, dead=True) from error

    def _own(self, text: str, values: Any) -> list[tuple[Any, ...]]:
        if self._process != os.getpid():  # what it had before it forked is its parent's
            self._idle, self._process = deque(), os.getpid()
        with suppress(IndexError):
            idle = self._idle.pop()
            try:
                return self._on(idle, text, values)
            except DBAPIError as error:
                if not error.connection_invalidated or isinstance(
                    error.orig, psycopg.errors.ConnectionTimeout
                ):
                    raise
                self._close()  # a server that was restarted ended them all
        return self._on(self._new(), text, values)

    def _new(self) -> psycopg.Connection[Any]:
        taken = self._taken()
        connection: psycopg.Connection[Any] = taken.driver_connection  # type: ignore[assignment]
        taken.detach()
        connection.autocommit = True
        return connection

    def _on(self, connection: psycopg.Connection[Any], text: str, values: Any) -> list[tuple[Any, ...]]:
        try:
            rows = connection.execute(text, values).fetchall()
        except psycopg.Error as error:
            told = self._told(text, values, error, dead=connection.closed or connection.broken)
            connection.close()
            raise told from error
        self._idle.append(connection)
        return rows

    def _told(self, text: str, values: Any, error: Exception, *, dead: bool = False) -> Exception:
        base = self._engine.dialect.loaded_dbapi.Error
        return DBAPIError.instance(
            text, values, error, base, hide_parameters=True, connection_invalidated=dead
        )

    def _close(self) -> None:
        with suppress(IndexError):
            while self._process == os.getpid():
                self._idle.pop().close()


class Prepared:
    """A statement as the driver of one kind of database takes it."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.text = str(compiled)
        self._given = dict(compiled.construct_params(_check=False))
        self._order: list[str] | None = compiled.positiontup
        self._to_driver: dict[str, Processor] = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect)
            for bind, name in compiled.bind_names.items()
        }
        columns = list(statement.selected_columns)
        self._from_driver: list[Processor] = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        self._row: Any = namedtuple("Row", [column.key for column in columns], rename=True)  # type: ignore[misc]

    def values(self, parameters: Mapping[str, Any]) -> Any:
        """The parameters with those that stand in the statement itself, in the form of the driver."""
        named = {**self._given, **parameters}
        for name, processor in self._to_driver.items():
            if processor is not None:
                named[name] = processor(named[name])
        return named if self._order is None else tuple(named[name] for name in self._order)

    def row(self, found: tuple[Any, ...]) -> Any:
        """A row with the types of the columns."""
        return self._row._make(
            value if processor is None else processor(value)
            for value, processor in zip(found, self._from_driver, strict=True)
        )
