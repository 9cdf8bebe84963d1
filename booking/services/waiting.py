"""The waiting list as its readers see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import Session, aliased, joinedload

from booking.allocator.waitlist import OPEN, WantedState
from booking.errors import Forbidden
from booking.models import Account, Group, Pool, Wanted
from booking.services import listing
from booking.services.accounts import find
from booking.services.context import Actor, Context


@dataclass(frozen=True)
class Query:
    """Which entries of the list; None is no condition."""

    account: str | None = None
    """A name or id, or :data:`listing.EVERYBODY`; None is the reader's own."""
    state: WantedState | None = None
    """None is both in which a span is still wanted."""
    after: tuple[datetime, str] | None = None
    """Only those that come after this moment of making and id, the first made first."""
    limit: int = 50


@dataclass(frozen=True)
class Entry:
    """A wanted span as it is told."""

    wanted: Wanted
    before: int
    """How many others that wait for some of the same hours of the pool come first."""


def entries(ctx: Context, actor: Actor, query: Query) -> list[Entry]:
    """Wanted spans, the first made first; one more than the limit where there are more.

    :raises Forbidden: if somebody else's are asked for by no administrator.
    :raises NotFound: if there is no such account.
    """
    actor.require("bookings:read")
    listing.expire_holds(ctx)

    def read(session: Session) -> list[Entry]:
        states = OPEN if query.state is None else {query.state}
        wanted = _TOLD.where(_whose(session, actor, query), Wanted.state.in_(states))
        if query.after is not None:
            at, after_id = query.after
            same = and_(Wanted.created_at == at, Wanted.id > after_id)
            wanted = wanted.where(or_(Wanted.created_at > at, same))
        return _read(session, wanted.limit(query.limit + 1))

    return ctx.db.read("waitlist", read)


def told(session: Session, ids: Sequence[str]) -> list[Entry]:
    """Those entries, in a transaction that is open."""
    return _read(session, _TOLD.where(Wanted.id.in_(ids)))


def _whose(session: Session, actor: Actor, query: Query) -> ColumnElement[bool]:
    if query.account is None or query.account in (actor.name, actor.id):
        return Wanted.account_id == actor.id
    if not actor.acts_as_admin:
        raise Forbidden("What others wait for needs an administrator.")
    if query.account == listing.EVERYBODY:
        return true()
    return Wanted.account_id == find(session, query.account).id


def _before() -> ColumnElement[int]:
    other = aliased(Wanted)
    earlier = or_(
        other.joined_at < Wanted.joined_at, and_(other.joined_at == Wanted.joined_at, other.id < Wanted.id)
    )
    return (
        select(func.count(other.id))
        .where(other.pool_id == Wanted.pool_id, other.state == WantedState.WAITING, earlier)
        .where(other.start < Wanted.end, other.end > Wanted.start)
        .scalar_subquery()
    )


_TOLD = (
    select(Wanted, _before())
    .order_by(Wanted.created_at, Wanted.id)
    .options(
        joinedload(Wanted.account).load_only(Account.name),
        joinedload(Wanted.group).load_only(Group.name),
        joinedload(Wanted.pool).load_only(Pool.name, Pool.timezone),
        joinedload(Wanted.pool).lazyload(Pool.platform),
    )
)


def _read(session: Session, query: Select[Wanted, int]) -> list[Entry]:
    rows = session.execute(query, execution_options={"populate_existing": True})
    return [Entry(wanted, before) for wanted, before in rows]
