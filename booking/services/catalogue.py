"""The packages that are current, kept by each process as long as the table of packages has not changed."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.allocator.package import Package
from booking.errors import NotFound
from booking.models import Package as PackageRow

STAMP = (func.count(PackageRow.id), func.count(PackageRow.retired_at))
"""Rows are added and once retired, never changed or removed: both numbers tell one state from any other."""
_STAMP = select(*STAMP)

Stamp = tuple[int, int]


class Catalogue:
    """The cache of one process. It never sees what is not committed: who changes packages does not ask it."""

    def __init__(self) -> None:
        self._known: tuple[Stamp, tuple[Package, ...]] | None = None

    def current(self, session: Session) -> tuple[Package, ...]:
        """The newest version of every package that is not retired, smallest demand first."""
        return self.at(session, *session.connection().execute(_STAMP).one())

    def at(self, session: Session, rows: int, retired: int) -> tuple[Package, ...]:
        """The same where the stamp has been read already."""
        known, stamp = self._known, (rows, retired)
        if known is None or known[0] != stamp:
            known = self._known = stamp, tuple(row.size for row in current_rows(session))
        return known[1]

    def named(self, session: Session, name: str) -> Package:
        """The current version of a package.

        :raises NotFound: if there is none or it is retired.
        """
        for package in self.current(session):
            if package.name == name:
                return package
        raise NotFound("package", name)


def current_rows(session: Session) -> list[PackageRow]:
    """The rows of :meth:`Catalogue.current`, read anew."""
    newest = (
        select(PackageRow.name, func.max(PackageRow.version).label("version"))
        .group_by(PackageRow.name)
        .subquery()
    )
    rows = session.scalars(
        select(PackageRow)
        .join(newest, (PackageRow.name == newest.c.name) & (PackageRow.version == newest.c.version))
        .where(PackageRow.retired_at.is_(None))
    ).all()
    return sorted(rows, key=lambda row: (row.name == "custom", row.size.demand.vector(), row.name))
