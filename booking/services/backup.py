"""Backups: every table as lines of JSON in one zip file, the same from SQLite and from PostgreSQL.

Rows stand in the order of their primary keys, and values as the database stores them (instants and minutes as
whole numbers), so that the same state gives the same bytes. `manifest.json` says what there must be: the
version of this format, the revision of the tables, and of each table its columns, its rows and their SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import IO, Any

from sqlalchemy import Column, Connection, MetaData, Select, String, Table, collate, select
from sqlalchemy.orm import Session

from booking import migrate
from booking.errors import BadBackup
from booking.models import Installation
from booking.services.context import Context

FORMAT = "booking-backup"
VERSION = 1
PASSING = frozenset({"alembic_version", "leadership", "pause", "rate_hit", "snapshot", "stray"})
"""Tables about the present moment of one installation: they are in no backup."""
_BYTES = {"postgresql": "C", "sqlite": "BINARY"}
_MANIFEST = "manifest.json"
_BATCH = 2000
_LEVEL = 3
"""Of compression: lines of JSON hardly shrink any further."""


@dataclass(frozen=True)
class TablePart:
    """One table of a backup."""

    name: str
    columns: list[str]
    rows: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup says about itself."""

    revision: str
    release: str
    installation: str
    created_at: str
    tables: list[TablePart]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


def write(ctx: Context, file: IO[bytes], release: str) -> Manifest:
    """Write a backup of one state of the database; nobody waits for it, and memory does not grow with rows."""
    created = ctx.clock.now()
    return ctx.db.read("backup", lambda session: _write(session, file, release, created))


def _write(session: Session, file: IO[bytes], release: str, created: datetime) -> Manifest:
    installation = session.get(Installation, 1)
    connection = session.connection()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        parts = [_write_table(connection, archive, table) for table in tables(connection)]
        name = installation.name if installation else ""
        manifest = Manifest(migrate.head(), release, name, created.isoformat(), parts)
        told = {"format": FORMAT, "version": VERSION, **asdict(manifest)}
        archive.writestr(_member(_MANIFEST), json.dumps(told, indent=1))
    return manifest


def tables(connection: Connection) -> list[Table]:
    """The tables that a backup holds, as the database has them, those that are referred to first."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name not in PASSING)
    return found.sorted_tables


def _write_table(connection: Connection, archive: zipfile.ZipFile, table: Table) -> TablePart:
    digest, count = hashlib.sha256(), 0
    with archive.open(_member(f"{table.name}.jsonl"), "w", force_zip64=True) as member:
        rows = connection.execution_options(yield_per=_BATCH).execute(
            _in_order(table, connection.dialect.name)
        )
        for batch in rows.partitions():
            text = "".join(map(_line, batch)).encode()
            digest.update(text)
            member.write(text)
            count += len(batch)
    return TablePart(table.name, [column.name for column in table.columns], count, digest.hexdigest())


def _in_order(table: Table, dialect: str) -> Select[Any]:
    """By the bytes of the keys: sorted as a locale says, the order would be that of one server."""

    def key(column: Column[Any]) -> Any:
        return collate(column, _BYTES[dialect]) if isinstance(column.type, String) else column

    return select(table).order_by(*map(key, table.primary_key))


def _line(row: Any) -> str:
    return json.dumps(list(row), ensure_ascii=False, separators=(",", ":")) + "\n"


def _member(name: str) -> zipfile.ZipInfo:
    """A member without the time of its making."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


class Archive:
    """A backup that is read; it is checked as a whole when it is opened.

    :raises BadBackup: if it is none, is damaged, or is of a later release.
    """

    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
            self.manifest = _understood(json.loads(self._zip.read(_MANIFEST)))
            for part in self.manifest.tables:
                self._check(part)
        except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError, OSError) as error:
            raise BadBackup(f"This is no whole backup: {error}.") from error

    def rows(self, part: TablePart) -> Iterator[list[Any]]:
        """The rows of a table, in order."""
        with self._lines(part) as lines:
            for line in lines:
                yield json.loads(line)

    def _check(self, part: TablePart) -> None:
        digest, count = hashlib.sha256(), 0
        with self._lines(part) as lines:
            for line in lines:
                digest.update(line)
                count += 1
        if (count, digest.hexdigest()) != (part.rows, part.sha256):
            raise BadBackup(f"The table {part.name} is not as the manifest of the backup says.")

    def _lines(self, part: TablePart) -> io.BufferedReader:
        member: Any = self._zip.open(f"{part.name}.jsonl")
        return io.BufferedReader(member, 1 << 20)


def _understood(told: dict[str, Any]) -> Manifest:
    if told.pop("format") != FORMAT:
        raise BadBackup("This is no backup of this service.")
    if told.pop("version") != VERSION or not migrate.is_known(str(told["revision"])):
        raise BadBackup(
            f"Release {told['release']} made this backup, and this release does not know its form: "
            "install that release, or a later one, to restore it."
        )
    return Manifest(**told | {"tables": [TablePart(**part) for part in told["tables"]]})
