"""Several statements of one transaction at once, by the driver alone; a part of the door `Db`.

A statement by SQLAlchemy costs several times what the driver needs for it, and PostgreSQL is waited for each
time: under the lock of a pool nobody else can go on meanwhile. What is asked together is waited for once; what is
written is sent to PostgreSQL with the commit, or with whatever the transaction asks next.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from booking import postgres
from booking.pipe import Rows, Said
from booking.prepared import Asked, Prepared, insertion, prepared

_AHEAD = "asked ahead"
_MOST_ROWS = 8
"""So many rows at most are inserted by one statement: each number of them is a statement of its own."""


class Question(NamedTuple):
    """A statement that is a constant of its module, with its parameters."""

    statement: Asked
    parameters: Mapping[str, Any]

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.statement, *sorted(self.parameters.items()))


def ask_ahead(session: Session, *questions: Question) -> None:
    """Ask all of it in order and wait once; :func:`rows` has the answers of those who ask the same, once."""
    kept = session.info.setdefault(_AHEAD, {})
    for question, found in zip(questions, _asked(_connection(session), questions), strict=True):
        kept[question.key] = found


def forget(session: Session) -> None:
    """Forget what was asked ahead: the transaction is about to change it."""
    session.info.pop(_AHEAD, None)


def rows(session: Session, statement: Asked, parameters: Mapping[str, Any]) -> Sequence[Any]:
    """What it finds, as named tuples with the columns of the statement."""
    question = Question(statement, parameters)
    kept = session.info.get(_AHEAD)
    if kept:
        found: Sequence[Any] | None = kept.pop(question.key, None)
        if found is not None:
            return found
    return _asked(_connection(session), [question])[0]


def _connection(session: Session) -> Connection:
    known: Connection | None = session.info.get("connection")
    return session.connection() if known is None else known


def _asked(connection: Connection, questions: Sequence[Question]) -> list[Sequence[Any]]:
    known = [prepared(question.statement, connection.dialect) for question in questions]
    given = [one.values(question.parameters) for one, question in zip(known, questions, strict=True)]
    driver: Any = connection.connection.driver_connection
    said = list(zip(known, given, strict=True))
    with _translated(connection):
        if isinstance(driver, postgres.Connection):
            for one, values in said:
                _announce(connection, one, values)
            found = driver.ask([Said(one.text.encode(), values) for one, values in said])
        else:
            found = [_rows(connection, one, values) for one, values in said]
    for one, values in said:
        connection.dispatch.after_cursor_execute(connection, None, one.text, values, one, False)
    return [[one.row(row) for row in rows] for one, rows in zip(known, found, strict=True)]


def _rows(connection: Connection, known: Prepared, values: Any) -> Rows:
    _announce(connection, known, values)
    driver: Any = connection.connection.driver_connection
    rows: Rows = driver.execute(known.text, values).fetchall()
    return rows


def tell(session: Session, statement: Update, parameters: Mapping[str, Any]) -> None:
    """Change something, with the commit at the latest; `statement` is a constant of its module."""
    connection = _connection(session)
    known = prepared(statement, connection.dialect)
    _send(connection, known, known.values(parameters))


def add(session: Session, table: Table, new: Sequence[Sequence[Any]]) -> None:
    """Insert rows, each with a value for every column of the table in its order, with the commit at the latest."""
    connection = _connection(session)
    for first in range(0, len(new), _MOST_ROWS):
        some = new[first : first + _MOST_ROWS]
        known = insertion(table, len(some), connection.dialect)
        _send(connection, known, known.of_rows(some))


def _send(connection: Connection, known: Prepared, values: Any) -> None:
    _announce(connection, known, values)
    driver: Any = connection.connection.driver_connection
    if isinstance(driver, postgres.Connection):
        driver.later(Said(known.text.encode(), values))
        return
    with _translated(connection):
        driver.execute(known.text, values)


def _announce(connection: Connection, known: Prepared, values: Any) -> None:
    """Whoever listens to the statements of the engine hears of these, too."""
    connection.dispatch.before_cursor_execute(connection, None, known.text, values, known, False)


@contextmanager
def _translated(connection: Connection) -> Iterator[None]:
    """:raises DBAPIError: as SQLAlchemy tells what went wrong."""
    try:
        yield
    except connection.dialect.loaded_dbapi.Error as error:
        driver: Any = connection.connection.driver_connection
        dead = bool(getattr(driver, "closed", False))
        told = DBAPIError.instance(
            "",
            None,
            error,
            connection.dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=dead,
        )
        if dead:
            connection.invalidate(error)
        raise told from error
