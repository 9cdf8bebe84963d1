"""Templates: an administrator's cards, and booking what one offers in one act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.package import CUSTOM, Package, Sharing
from booking.allocator.span import Span
from booking.errors import Forbidden, Invalid, NotFound
from booking.models import Template
from booking.services import bookings, earliest, holds
from booking.services.bookings import Idempotency, Promise, Render
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest
from booking.services.finding import find_pool
from booking.services.states import state_of

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Card:
    """What an administrator writes on a card."""

    title: str
    package: str
    length: timedelta
    """Whole minutes, at least one."""
    text: str = ""
    notebook_url: str | None = None
    sharing: Sharing = Sharing.RESERVED
    pool: str | None = None
    """Id or name; None means the first pool, whichever that is."""
    position: int = 0
    """Cards stand in this order, those of the same position by title."""
    shown: bool = True


@dataclass(frozen=True)
class Offered:
    """A card with what a click on it would book just now."""

    template: Template
    package: Package | None
    """None if it was retired."""
    span: Span | None
    """None if nothing is free before the horizon."""
    zone: ZoneInfo
    """Of the pool where it is booked."""


def listed(ctx: Context, actor: Actor | None, *, hidden: bool = False) -> list[Offered]:
    """The cards in their order, with those that are not shown where an administrator asks for them.

    :raises Forbidden: if somebody else asks for those.
    """
    if hidden:
        _require_admin(actor)
    query = select(Template).order_by(Template.position, Template.title, Template.id)
    if not hidden:
        query = query.where(Template.shown)
    ctx = ctx.reader
    return holds.reading(ctx, "templates", lambda s: _offered(ctx, s, actor, s.scalars(query).all()))


def offered(ctx: Context, actor: Actor | None, template_id: str) -> Offered:
    """One card; those that are not shown are there for administrators alone.

    :raises NotFound: if it is not there.
    """
    ctx = ctx.reader
    return holds.reading(
        ctx, "template", lambda s: _offered(ctx, s, actor, [_visible(s, actor, template_id)])[0]
    )


def _require_admin(actor: Actor | None) -> None:
    if actor is None or not actor.acts_as_admin:
        raise Forbidden("Cards that are not shown are there for administrators.")


def _offered(ctx: Context, session: Session, actor: Actor | None, rows: Sequence[Template]) -> list[Offered]:
    """Each with its earliest span; one statement for each pool that is named, however many cards there are."""
    if not rows:
        return []
    known = {package.name: package for package in ctx.catalogue.current(session)}
    first = find_pool(session, None) if any(row.pool_id is None for row in rows) else ""
    pools = {row.pool_id or first for row in rows}
    states = {pool: state_of(ctx, session, pool) for pool in sorted(pools)}
    found = []
    for row in rows:
        package, state = known.get(row.package_name), states[row.pool_id or first]
        span = None
        if package is not None:
            span = earliest.span_in(ctx, state, actor, package, row.sharing, row.length)
        found.append(Offered(row, package, span, state.zone))
    return found


def _visible(session: Session, actor: Actor | None, template_id: str) -> Template:
    row = session.get(Template, template_id)
    if row is None or not (row.shown or (actor is not None and actor.acts_as_admin)):
        raise NotFound("template", template_id)
    return row


def make(ctx: Context, actor: Actor, card: Card) -> Template:
    """Put up a card.

    :raises Invalid: if it names a package or a pool that is not there.
    """
    actor.require("admin")

    def write(session: Session) -> Template:
        row = Template(id=ctx.ids.new(), created_at=ctx.clock.now())
        _put(ctx, session, row, asdict(card))
        session.add(row)
        ctx.journal(session, actor, "template.made", f"template:{row.id}", title=row.title)
        return row

    return ctx.db.run("make template", write)


def change(ctx: Context, actor: Actor, template_id: str, changes: Mapping[str, Any]) -> Template:
    """Change some fields of a card, by their names in :class:`Card`; what is booked from it stays.

    :raises NotFound: if there is no such card.
    :raises Invalid: if it would name a package or a pool that is not there.
    """
    actor.require("admin")

    def write(session: Session) -> Template:
        row = _visible(session, actor, template_id)
        _put(ctx, session, row, changes)
        ctx.journal(session, actor, "template.changed", f"template:{row.id}", fields=sorted(changes))
        return row

    return ctx.db.run("change template", write)


def remove(ctx: Context, actor: Actor, template_id: str) -> None:
    """Take a card down; what is booked from it stays.

    :raises NotFound: if there is no such card.
    """
    actor.require("admin")

    def write(session: Session) -> None:
        row = _visible(session, actor, template_id)
        session.delete(row)
        ctx.journal(session, actor, "template.removed", f"template:{row.id}", title=row.title)

    ctx.db.run("remove template", write)


def _put(ctx: Context, session: Session, row: Template, changes: Mapping[str, Any]) -> None:
    """Write the fields into the row."""
    for name, value in changes.items():
        if name == "package":
            row.package_name = _bookable(ctx, session, value)
        elif name == "length":
            row.minutes = _minutes(value)
        elif name == "pool":
            row.pool_id = _pool(session, value)
        else:
            setattr(row, name, value)


def _bookable(ctx: Context, session: Session, name: str) -> str:
    if name == CUSTOM:
        raise Invalid({"package": ["a card books a package that has its own sizes"]})
    if name not in {package.name for package in ctx.catalogue.current(session)}:
        raise Invalid({"package": [f"there is no package {name!r}"]})
    return name


def _minutes(length: timedelta) -> int:
    if length < _MINUTE or length % _MINUTE:
        raise Invalid({"length": ["is whole minutes, at least one"]})
    return length // _MINUTE


def _pool(session: Session, name: str | None) -> str | None:
    try:
        return None if name is None else find_pool(session, name)
    except NotFound as error:
        raise Invalid({"pool": [error.detail]}) from None


def book(
    ctx: Context, actor: Actor, template_id: str, render: Render, idempotency: Idempotency | None = None
) -> Promise:
    """Book the earliest span from now that fits what a card offers, with its title and notebook.

    :raises NotFound: if there is no such card.
    :raises Invalid: if its package was retired.
    :raises Refused: if policy says no, or nothing is free; it carries alternatives.
    """
    actor.require("bookings:write")
    row = ctx.db.read("template", lambda session: _visible(session, actor, template_id))
    return bookings.book(ctx, actor, request_of(row), render, idempotency)


def request_of(row: Template) -> BookingRequest:
    """The request that a card stands for; its span is found when it is decided."""
    return BookingRequest(
        package=row.package_name,
        sharing=row.sharing,
        spans=(),
        pool=row.pool_id,
        title=row.title,
        notebook_url=row.notebook_url,
        length=row.length,
    )
