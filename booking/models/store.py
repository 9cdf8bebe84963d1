"""New rows in one statement for each table."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

from sqlalchemy import Insert, insert, inspect
from sqlalchemy.orm import Session

from booking.models.base import Base

_ORDER = {table.name: number for number, table in enumerate(Base.metadata.sorted_tables)}


def store(session: Session, *rows: Base) -> None:
    """Insert new rows at once, first those that others refer to; the objects stay outside of the session.

    What is written under a lock is written often and read by nobody before the commit: the session's unit of
    work takes ten times as long for it. Columns that a row leaves out have their defaults in the database
    alone; all rows of one table leave out the same ones.
    """
    by_table: dict[type[Base], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_table[type(row)].append(_values(row))
    connection = session.connection()
    for table in sorted(by_table, key=lambda one: _ORDER[one.__tablename__]):
        connection.execute(_insert(table), by_table[table])


def _values(row: Base) -> dict[str, Any]:
    told = row.__dict__
    return {name: told[name] for name in _columns(type(row)) if name in told}


@cache
def _columns(table: type[Base]) -> tuple[str, ...]:
    return tuple(attribute.key for attribute in inspect(table).column_attrs)


@cache
def _insert(table: type[Base]) -> Insert:
    return insert(table.__table__)  # type: ignore[arg-type]
