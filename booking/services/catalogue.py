"""The packages that are current, kept by each process as long as the table of packages has not changed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking import together
from booking.allocator.availability import Demands
from booking.allocator.package import Package
from booking.errors import NotFound
from booking.models import Package as PackageRow

STAMP = (func.count(PackageRow.id), func.count(PackageRow.retired_at))
"""Rows are added and once retired, never changed or removed: both numbers tell one state from any other."""
STAMPED = select(*STAMP)

Stamp = tuple[int, int]


class Offer(tuple[Package, ...]):
    """Packages in their order, with what they ask for made ready to be counted."""

    @cached_property
    def demands(self) -> Demands:
        return Demands([package.demand for package in self])

    @cached_property
    def alone(self) -> dict[str, Offer]:
        """Each of them by itself, by its name."""
        return {package.name: Offer([package]) for package in self}


class Catalogue:
    """The cache of one process. It never sees what is not committed: who changes packages does not ask it."""

    def __init__(self) -> None:
        self._known: tuple[Stamp, Offer] | None = None

    def known(self, stamp: Stamp) -> Offer | None:
        """The packages at that stamp, if they are cached; no statement."""
        known = self._known
        return known[1] if known is not None and known[0] == stamp else None

    def current(self, session: Session) -> Offer:
        """The newest version of every package that is not retired, smallest demand first."""
        made, retired = together.rows(session, STAMPED, {})[0]
        known = self.known((made, retired))
        if known is None:
            known = Offer(row.size for row in current_rows(session))
            self._known = (made, retired), known
        return known


def named(packages: Iterable[Package], name: str) -> Package:
    """The package of that name.

    :raises NotFound: if it is not among them.
    """
    for package in packages:
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
