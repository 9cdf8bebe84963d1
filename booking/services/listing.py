"""Lists: bookings, their history, the journal, accounts, pools; each as its reader may see it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, bindparam, exists, or_, select, true
from sqlalchemy.orm import Session, aliased, defaultload, joinedload, lazyload, load_only, selectinload

from booking.allocator.lifecycle import State, booking_state
from booking.allocator.quota import Claim, Quota, quota_of
from booking.allocator.span import Span, floor_minute
from booking.errors import Forbidden
from booking.models import (
    Account,
    Booking,
    Guest,
    Journal,
    Membership,
    Pool,
    Reservation,
)
from booking.services import holds
from booking.services.accounts import find
from booking.services.bookings import may_use, visible
from booking.services.context import Actor, Context
from booking.services.decision import claims_of

EVERYBODY = "*"
"""In place of an account: the bookings of all of them."""


@dataclass(frozen=True)
class Seen:
    """A booking as one reader sees it."""

    booking: Booking
    group: str | None
    usable: bool
    """Whether this reader may use its clusters."""


@dataclass(frozen=True)
class Wanted:
    """Which bookings; None is no condition."""

    account: str | None = None
    """A name or id, or everybody; None is the reader's own."""
    shared: bool = False
    """Those of others that are shared with the reader, instead."""
    state: State | None = None
    start: datetime | None = None
    end: datetime | None = None
    """Bookings with a reservation that overlaps `[start, end)`."""
    after: tuple[datetime, str] | None = None
    """Only those that come after this moment of making and id, newest first."""
    limit: int = 50


_DUE = select(Pool.id).where(Pool.hold_expires_at <= bindparam("now"))


def expire_holds(ctx: Context) -> None:
    """Let every hold expire whose time has come, so that no list shows it as held."""
    due = ctx.db.ask(_DUE, {"now": ctx.clock.now()})
    for pool_id in sorted(row.id for row in due):
        holds.expire_now(ctx, pool_id)


def booking(ctx: Context, actor: Actor, booking_id: str, scope: str = "bookings:read") -> Seen:
    """One booking, for whoever has the scope.

    :raises NotFound: if it is not the reader's to see.
    """
    actor.require(scope)
    expire_holds(ctx)
    return ctx.db.read("booking", lambda s: _seen(s, actor, visible(s, actor, booking_id)))


def _seen(session: Session, actor: Actor, row: Booking) -> Seen:
    return Seen(row, row.group.name if row.group else None, may_use(session, actor, row))


_OF_POOL = (Pool.name, Pool.timezone, Pool.granularity)
_AS_LISTED = (
    joinedload(Booking.group),
    joinedload(Booking.account).load_only(Account.name),
    selectinload(Booking.guests).load_only(Account.name),
    selectinload(Booking.reservations).joinedload(Reservation.cluster),
    defaultload(Booking.pool).options(load_only(*_OF_POOL), lazyload(Pool.platform)),
)
"""Of what belongs to a booking, what a list tells; hydration is what lists cost."""


def bookings(ctx: Context, actor: Actor, wanted: Wanted) -> Sequence[Seen]:
    """Bookings, the newest first; one more than the limit where there are more.

    :raises Forbidden: if somebody else's are asked for by no administrator.
    :raises NotFound: if there is no such account.
    """
    actor.require("bookings:read")
    expire_holds(ctx)

    def read(session: Session) -> Sequence[Seen]:
        query = (
            select(Booking)
            .where(_whose(session, actor, wanted), *_conditions(wanted))
            .order_by(Booking.created_at.desc(), Booking.id.desc())
            .limit(wanted.limit + 1)
            .options(*_AS_LISTED)
        )
        rows = session.scalars(query).unique().all()
        own = _own_groups(session, actor, {row.group_id for row in rows if row.group_id is not None})
        return [
            Seen(
                row,
                row.group.name if row.group else None,
                actor.id in (row.account_id, *(guest.id for guest in row.guests)) or row.group_id in own,
            )
            for row in rows
        ]

    return ctx.db.read("bookings", read)


def _own_groups(session: Session, actor: Actor, among: Collection[str]) -> Collection[str | None]:
    """Those of some groups that the reader belongs to, read at once."""
    if not among:
        return ()
    query = select(Membership.group_id).where(
        Membership.account_id == actor.id, Membership.group_id.in_(sorted(among))
    )
    return frozenset(session.scalars(query))


def _whose(session: Session, actor: Actor, wanted: Wanted) -> ColumnElement[bool]:
    if wanted.shared:
        # From the reader to the bookings, which are few; the other way everybody's would be looked through.
        as_guest = select(Guest.booking_id).where(Guest.account_id == actor.id)
        # An outer join cannot be turned around: most bookings are of no group, which SQLite takes for a large one.
        other = aliased(Booking)
        as_member = (
            select(other.id)
            .select_from(Membership)
            .outerjoin(other, other.group_id == Membership.group_id)
            .where(Membership.account_id == actor.id)
        )
        return and_(Booking.account_id != actor.id, Booking.id.in_(as_guest.union(as_member)))
    if wanted.account is None or wanted.account in (actor.name, actor.id):
        return Booking.account_id == actor.id
    if not actor.acts_as_admin:
        raise Forbidden("Other people's bookings need an administrator.")
    if wanted.account == EVERYBODY:
        return true()
    return Booking.account_id == find(session, wanted.account).id


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        conditions += _in_state(wanted.state)
    overlap = [Reservation.booking_id == Booking.id]
    if wanted.start is not None:
        overlap.append(Reservation.end > floor_minute(wanted.start))
    if wanted.end is not None:
        overlap.append(Reservation.start < floor_minute(wanted.end))
    if len(overlap) > 1:
        conditions.append(exists().where(*overlap))
    if wanted.after is not None:
        at, after_id = wanted.after
        earlier = and_(Booking.created_at == at, Booking.id < after_id)
        conditions.append(or_(Booking.created_at < at, earlier))
    return conditions


def _in_state(state: State) -> list[ColumnElement[bool]]:
    """The derived state as conditions: some reservation is in it, and none in a livelier one."""
    livelier = [other for other in State if other is not state and booking_state((other, state)) is other]
    mine = Reservation.booking_id == Booking.id
    return [
        exists().where(mine, Reservation.state == state),
        ~exists().where(mine, Reservation.state.in_(livelier)),
    ]


@dataclass(frozen=True)
class Told:
    """An entry of the journal with the name of who acted; None is the service itself."""

    entry: Journal
    account: str | None


@dataclass(frozen=True)
class WantedEntries:
    """Which entries of the journal; None is no condition."""

    account: str | None = None
    action: str | None = None
    """An action, or the beginning of several up to a dot: `booking`."""
    subject: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    after: tuple[datetime, str] | None = None
    limit: int = 50


def journal(ctx: Context, actor: Actor, wanted: WantedEntries) -> Sequence[Told]:
    """Entries of the journal, the newest first; one more than the limit where there are more.

    :raises Forbidden: if the reader is no administrator.
    """
    actor.require("admin")
    return ctx.db.read("journal", lambda s: _told(s, _entry_conditions(s, wanted), wanted.limit + 1))


def history(ctx: Context, actor: Actor, booking_id: str, wanted: WantedEntries) -> Sequence[Told]:
    """What happened to one booking, the newest first.

    :raises NotFound: if it is not the reader's to see.
    """
    actor.require("bookings:read")

    def read(session: Session) -> Sequence[Told]:
        visible(session, actor, booking_id)
        conditions = [Journal.subject == f"booking:{booking_id}", *_entry_conditions(session, wanted)]
        return _told(session, conditions, wanted.limit + 1)

    return ctx.db.read("history", read)


def _entry_conditions(session: Session, wanted: WantedEntries) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.account is not None:
        conditions.append(Journal.account_id == find(session, wanted.account).id)
    if wanted.action is not None:
        begins = Journal.action.startswith(f"{wanted.action}.", autoescape=True)
        conditions.append(or_(Journal.action == wanted.action, begins))
    if wanted.subject is not None:
        conditions.append(Journal.subject == wanted.subject)
    if wanted.start is not None:
        conditions.append(Journal.at >= wanted.start)
    if wanted.end is not None:
        conditions.append(Journal.at < wanted.end)
    if wanted.after is not None:
        at, after_id = wanted.after
        conditions.append(or_(Journal.at < at, and_(Journal.at == at, Journal.id < after_id)))
    return conditions


def _told(session: Session, conditions: Sequence[ColumnElement[bool]], limit: int) -> Sequence[Told]:
    query = (
        select(Journal, Account.name)
        .outerjoin(Account, Account.id == Journal.account_id)
        .where(*conditions)
        .order_by(Journal.at.desc(), Journal.id.desc())
        .limit(limit)
    )
    return [Told(entry, name) for entry, name in session.execute(query)]


def accounts(ctx: Context, actor: Actor, after: str | None, limit: int) -> Sequence[Account]:
    """Accounts by name, after a name; one more than the limit where there are more.

    :raises Forbidden: if the reader is no administrator.
    """
    _may_read_accounts(actor)
    query = select(Account).order_by(Account.name).limit(limit + 1)
    if after is not None:
        query = query.where(Account.name > after)
    return ctx.db.read("accounts", lambda session: session.scalars(query).all())


def pools(ctx: Context, after: tuple[datetime, str] | None, limit: int) -> Sequence[Pool]:
    """Pools, the first made first, after a moment of making and id; one more than the limit where there are more."""
    query = select(Pool).order_by(Pool.created_at, Pool.id).limit(limit + 1)
    if after is not None:
        at, after_id = after
        query = query.where(or_(Pool.created_at > at, and_(Pool.created_at == at, Pool.id > after_id)))
    return ctx.db.read("pools", lambda session: session.scalars(query).all())


def account(ctx: Context, actor: Actor, name: str) -> Account:
    """One account, by name or id.

    :raises NotFound: if there is none.
    :raises Forbidden: if the reader is no administrator.
    """
    _may_read_accounts(actor)
    return ctx.db.read("account", lambda session: find(session, name))


def _may_read_accounts(actor: Actor) -> None:
    actor.require("accounts:read")
    if not actor.is_admin:
        raise Forbidden("This needs an administrator.")


def own_account(ctx: Context, actor: Actor) -> Account:
    """The reader's own account."""
    return ctx.db.read("own account", lambda session: session.get_one(Account, actor.id))


def usage(ctx: Context, actor: Actor) -> Quota:
    """What the reader has been promised in the fullest four weeks that hold the present moment."""

    def read(session: Session) -> Quota:
        now = floor_minute(ctx.clock.now())
        moment = Span(now, now + timedelta(minutes=1))
        zone = session.scalar(select(Pool.timezone).order_by(Pool.created_at, Pool.id).limit(1))
        existing = claims_of(session, actor.id, [moment], ctx.clock.now())
        return quota_of(ZoneInfo(zone or "UTC"), actor.limits.core_hours, [Claim(moment, 0)], existing)

    return ctx.db.read("usage", read)
