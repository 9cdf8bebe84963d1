"""The tables are migrated up and down while others write: what was committed is there, as it was written."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Connection, Engine, MetaData, Table, select
from sqlalchemy.exc import SQLAlchemyError

from booking import migrate
from booking.doors import open_engine
from booking.resources import migrations_path
from tests.adapters.waiting import eventually
from tests.support.rows import put, put_parents, valid

_ONCE = frozenset({"installation", "pause"})
"""Tables with one row at most: nobody writes a second."""
_PAUSE = 0.002
Kept = list[tuple[str, dict[str, Any]]]
"""Rows that were committed, each with the name of its table."""
REVISIONS = [
    script.revision for script in reversed(list(ScriptDirectory(str(migrations_path())).walk_revisions()))
]


@dataclass
class Moved:
    """How it went from one revision to the newest and back."""

    revision: str
    written: int = 0
    """Rows that were committed while the tables were changed, up and down."""
    lost: list[str] = field(default_factory=list)


class Writers:
    """Each commits row after row, in the columns that it knew when it began, as an older release would."""

    def __init__(self, url: str, tables: Sequence[Table], count: int = 3) -> None:
        self._url, self._tables = url, tables
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.kept: Kept = []
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(count)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        engine = open_engine(self._url)
        turn = 0
        while not self._stop.wait(_PAUSE):
            turn += 1
            table = self._tables[turn % len(self._tables)]
            key = (number + 1) * 1_000_000 + turn
            row = valid(table, key)
            try:
                with engine.begin() as connection:
                    put_parents(connection, table, key)
                    put(connection, table, row)
            except SQLAlchemyError:
                continue  # not committed: nothing was promised
            with self._lock:
                self.kept.append((table.name, row))
        engine.dispose()


def up_and_down(url: str, revision: str, rows: int = 100) -> Moved:
    """From a revision with data to the newest and back, with writers of that revision at work all the time."""
    engine = open_engine(url)
    try:
        return _up_and_down(engine, url, revision, rows)
    finally:
        engine.dispose()


def _up_and_down(engine: Engine, url: str, revision: str, rows: int) -> Moved:
    moved = Moved(revision)
    migrate.upgrade(engine, revision)
    tables = _tables(engine)
    held = _fill(engine, tables, rows)
    ways = (partial(migrate.upgrade, engine), partial(migrate.downgrade, engine, revision))
    for go in ways:
        with Writers(url, [table for table in tables if table.name not in _ONCE]) as writers:
            _more(writers)
            go()
            _more(writers)
        held += writers.kept
        moved.written += len(writers.kept)
        moved.lost += _lost(engine, tables, held)
    return moved


def _tables(engine: Engine) -> list[Table]:
    found = MetaData()
    found.reflect(engine, only=lambda name, _: name != "alembic_version")
    return found.sorted_tables


def _fill(engine: Engine, tables: Sequence[Table], rows: int) -> Kept:
    kept: Kept = []
    with engine.begin() as connection:
        for table in tables:  # those that it refers to stand before it
            many = [valid(table, number) for number in range(1, 2 if table.name in _ONCE else rows + 1)]
            put(connection, table, *many)
            kept += [(table.name, row) for row in many]
    return kept


def _more(writers: Writers, rows: int = 20) -> None:
    """Wait until so many further rows have been committed."""
    enough = len(writers.kept) + rows
    eventually(lambda: len(writers.kept) >= enough)


def _lost(engine: Engine, tables: Sequence[Table], held: Kept) -> list[str]:
    """Every row that is missing, or has other values than were written."""
    known = {table.name: table for table in tables}
    with engine.connect() as connection:
        there = {table.name: {_values(table, row) for row in _rows(connection, table)} for table in tables}
    return [f"{name} {row}" for name, row in held if _values(known[name], row) not in there[name]]


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(select(table)).mappings()]


def _values(table: Table, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What can be compared as it was written: documents are stored as text here and as values there."""
    return tuple(row[column.name] for column in table.columns if not isinstance(column.type, JSON))
