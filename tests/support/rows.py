"""Valid rows of every table, made from the table itself, so that a new column or table needs no new code.

Values are as the database stores them; what a CHECK asks for stands in `NEEDED`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Connection, Integer, LargeBinary, String, Table, column, insert, select
from sqlalchemy import table as lightweight

NEEDED: dict[str, dict[str, Any]] = {
    "account": {"kind": "person"},
    "blackout": {"start": 10, "end": 20},
    "booking": {"sharing": "reserved", "side": "reserved"},
    "cluster": {"phase": "ready"},
    "installation": {"id": 1},
    "inventory": {"start": 10, "end": 20},
    "ledger": {"side": "physical", "kind": "cores", "start": 10, "end": 20},
    "membership": {"role": "reader"},
    "pause": {"id": 1},
    "pledge": {"phase": "pending"},
    "pool": {"granularity": "hour", "share_ratio_milli": 1000},
    "refusal": {"start": 10, "end": 20, "sharing": "reserved"},
    "reservation": {"start": 10, "end": 20, "state": "confirmed", "expires_at": None, "outcome": None},
    "stranger": {"start": 10, "end": 20},
    "stray": {"verdict": "keep"},
    "template": {"sharing": "shared"},
    "wanted": {"sharing": "reserved", "start": 10, "end": 20, "state": "waiting", "offered_until": None},
    "work": {"action": "provision"},
}


def valid(table: Table, number: int) -> dict[str, Any]:
    """The values of the row of that number; it refers to the rows of the same number in other tables."""
    row = {c.name: _plain(c.type, f"{table.name}-{c.name}-{number}", number) for c in table.columns}
    row |= NEEDED.get(table.name, {})
    for key in table.foreign_keys:
        row[key.parent.name] = valid(key.column.table, number)[key.column.name]
    return row


def put(connection: Connection, table: Table, *rows: dict[str, Any]) -> None:
    """Insert the rows as they stand, past every type and default of the models."""
    connection.execute(insert(lightweight(table.name, *(column(name) for name in rows[0]))), rows)


def put_parents(connection: Connection, table: Table, number: int) -> None:
    """Insert the rows that the valid row of that number refers to, where they are not there yet."""
    for parent in sorted({key.column.table for key in table.foreign_keys}, key=lambda parent: parent.name):
        put_parents(connection, parent, number)
        if not _is_there(connection, parent, number):
            put(connection, parent, valid(parent, number))


def _is_there(connection: Connection, table: Table, number: int) -> bool:
    row = valid(table, number)
    names = [c.name for c in table.primary_key]
    source = lightweight(table.name, *(column(name) for name in names))
    found = select(source).where(*(source.c[name] == row[name] for name in names))
    return connection.execute(found).first() is not None


def _plain(kind: Any, text: str, number: int) -> Any:
    kind = getattr(kind, "impl", kind)
    if isinstance(kind, LargeBinary):
        return text.encode()
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, Integer):
        return number
    if isinstance(kind, JSON):
        return "{}"
    if isinstance(kind, String):
        return text
    raise TypeError(f"no plain value of {kind!r} is known")
