"""Restoring a backup: the tables as they were then, and nothing outside is touched until somebody says so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import JSON, Connection, Table, bindparam, delete, insert, inspect, select, update
from sqlalchemy.exc import DataError, IntegrityError

from booking import migrate
from booking.allocator.span import EPOCH
from booking.errors import BadBackup, Conflict
from booking.models import Account, Feed, Journal, Leadership, Pause, Pool, Token
from booking.services import backup
from booking.services.context import Context
from booking.services.leadership import SCHEDULER

_BATCH = 2000
_OWN = frozenset({"installation", "journal"})
"""Tables with rows in a database that nobody has used yet."""


def occupied(ctx: Context) -> list[str]:
    """The tables with rows that a restore would replace; none where the database is new."""

    def read(connection: Connection) -> list[str]:
        there = [table for table in backup.tables(connection) if table.name not in _OWN]
        return [table.name for table in there if connection.execute(select(table).limit(1)).first()]

    return ctx.db.read("occupied tables", lambda session: read(session.connection()))


def restore(
    ctx: Context, archive: backup.Archive, *, force: bool = False, revoke_tokens: bool = False
) -> None:
    """Replace the database by what the backup holds, in one transaction; the scheduler is paused from then on.

    Every pool gets a new epoch, so that nobody takes the database for its other self; a number of a leader or
    of a session that was used since the backup is used no second time, so that every login ends. A token that
    the database knows to be revoked stays so; with `revoke_tokens` none of the backup is valid, nor is the address
    of any feed.

    :raises Conflict: if the database is in use and is not to be replaced by `force`.
    :raises BadBackup: if the backup does not fit its own revision; nothing has changed then.
    :raises DatabaseIsNewer: if the database is at a revision that this release does not know.
    """
    if not force and (there := occupied(ctx)):
        raise Conflict(f"The database is in use (rows in {', '.join(there)}): --force replaces it.")
    revoked = ctx.db.read("revoked tokens", lambda session: _revoked(session.connection()))

    def settle(connection: Connection) -> None:
        _settle(ctx, connection, archive.manifest)
        _revoke(connection, revoked)
        if revoke_tokens:
            connection.execute(_VALID.values(revoked_at=ctx.clock.now()))
            connection.execute(delete(Feed))

    try:
        migrate.rebuild(
            ctx.db.engine,
            archive.manifest.revision,
            lambda connection: _fill(connection, archive),
            settle,
        )
    except (IntegrityError, DataError) as error:
        raise _broken(error.orig) from error


def _fill(connection: Connection, archive: backup.Archive) -> None:
    found = {table.name: table for table in backup.tables(connection)}
    for part in archive.manifest.tables:
        table = found.get(part.name)
        if table is None or set(part.columns) != set(table.columns.keys()):
            raise BadBackup(f"The table {part.name} of the backup does not fit its revision.")
        _load(connection, table, part.columns, archive.rows(part))


def _load(connection: Connection, table: Table, columns: list[str], rows: Iterator[list[Any]]) -> None:
    """By the quickest way into each database: an installation with a long past has tens of millions of rows."""
    documents = [n for n, name in enumerate(columns) if isinstance(table.columns[name].type, JSON)]
    values = (_as_stored(row, documents) for row in rows)
    quote = connection.dialect.identifier_preparer.quote
    target = f"{quote(table.name)} ({', '.join(map(quote, columns))})"
    if connection.dialect.name == "postgresql":
        _copy(connection, target, values)
        return
    statement = f"INSERT INTO {target} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  # nosec B608  # names of tables
    while batch := [tuple(row) for row in islice(values, _BATCH)]:
        connection.exec_driver_sql(statement, batch)


def _copy(connection: Connection, target: str, rows: Iterator[list[Any]]) -> None:
    """The driver speaks for itself here, and so do its errors."""
    driver: Any = connection.connection.driver_connection
    faults = (connection.dialect.loaded_dbapi.IntegrityError, connection.dialect.loaded_dbapi.DataError)
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    except faults as error:
        raise _broken(error) from error


def _broken(error: object) -> BadBackup:
    return BadBackup(f"The rows of the backup break a rule of its tables: {error}")


def _as_stored(row: list[Any], documents: list[int]) -> list[Any]:
    for n in documents:
        row[n] = json.dumps(row[n])
    return row


def _settle(ctx: Context, connection: Connection, manifest: backup.Manifest) -> None:
    """What makes the restored database another one than its older self."""
    now = ctx.clock.now()
    for pool_id in connection.scalars(select(Pool.id)).all():
        connection.execute(update(Pool).where(Pool.id == pool_id).values(epoch=ctx.ids.new()))
    connection.execute(update(Account).values(session_epoch=_unused(now)))
    leader = {"name": SCHEDULER, "holder": "", "until": EPOCH, "epoch": _unused(now), "seen_at": EPOCH}
    connection.execute(insert(Leadership).values(leader))
    why = f"restored from a backup of {manifest.created_at}"
    connection.execute(insert(Pause).values(id=1, reason=why, paused_at=now))
    acts = {"id": ctx.ids.new(), "at": now, "action": "database.restored", "subject": "database:all"}
    detail = {"created_at": manifest.created_at, "release": manifest.release, "rows": manifest.rows}
    connection.execute(insert(Journal).values(**acts, detail=detail))


_VALID = update(Token).where(Token.revoked_at.is_(None))


def _revoked(connection: Connection) -> list[tuple[str, datetime]]:
    """The tokens that were revoked in the database that is replaced; it may be new, or of an earlier release."""
    if not inspect(connection).has_table(Token.__tablename__):
        return []
    query = select(Token.id, Token.revoked_at).where(Token.revoked_at.is_not(None))
    return [(token_id, at) for token_id, at in connection.execute(query) if at is not None]


def _revoke(connection: Connection, revoked: Sequence[tuple[str, datetime]]) -> None:
    if revoked:
        change = _VALID.where(Token.id == bindparam("token")).values(revoked_at=bindparam("at"))
        connection.execute(change, [{"token": token_id, "at": at} for token_id, at in revoked])


def _unused(now: datetime) -> int:
    """A number beyond every counter that went on after the backup: they count acts, this counts seconds."""
    return int((now - EPOCH).total_seconds())
