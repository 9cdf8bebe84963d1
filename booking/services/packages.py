"""Packages: which are current, and new versions of them."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking.allocator.package import Package
from booking.errors import Invalid, NotFound
from booking.models import Package as PackageRow
from booking.models.package import as_sizes
from booking.services.catalogue import current_rows
from booking.services.context import Actor, Context

__all__ = ["current", "current_rows", "named", "publish", "retire"]


def current(session: Session) -> list[Package]:
    """The newest version of every package that is not retired, smallest demand first, read anew."""
    return [row.size for row in current_rows(session)]


def named(session: Session, name: str) -> Package:
    """The current version of a package.

    :raises NotFound: if there is none or it is retired.
    """
    for package in current(session):
        if package.name == name:
            return package
    raise NotFound("package", name)


def publish(ctx: Context, actor: Actor, package: Package) -> PackageRow:
    """Make the next version of the package of that name; its `version` is ignored.

    :raises Forbidden: if the actor is no administrator.
    """
    actor.require("admin")
    if package.demand.cores < 1:
        raise Invalid({"notebook.cores": ["a package has at least one core"]})

    def write(session: Session) -> PackageRow:
        last = (
            session.scalar(select(func.max(PackageRow.version)).where(PackageRow.name == package.name)) or 0
        )
        row = PackageRow(
            id=ctx.ids.new(),
            name=package.name,
            version=last + 1,
            **as_sizes(package),
            created_at=ctx.clock.now(),
        )
        session.add(row)
        ctx.journal(session, actor, "package.published", f"package:{package.name}", version=row.version)
        return row

    try:
        return ctx.db.run("publish package", write)
    except IntegrityError:  # somebody published a version at the same moment: this is the one after it
        return ctx.db.run("publish package", write)


def retire(ctx: Context, actor: Actor, name: str) -> None:
    """Take a package out of the calendar; what is booked of it stays.

    :raises NotFound: if there is no current version of it.
    """
    actor.require("admin")

    def write(session: Session) -> None:
        for row in current_rows(session):
            if row.name == name:
                row.retired_at = ctx.clock.now()
                ctx.journal(session, actor, "package.retired", f"package:{name}")
                return
        raise NotFound("package", name)

    ctx.db.run("retire package", write)
