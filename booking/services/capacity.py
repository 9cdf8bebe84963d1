"""What physically exists: pools, inventory and blackouts, and what a change of them does to bookings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import case, exists, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, contains_eager, lazyload

from booking.allocator.cells import Granularity
from booking.allocator.lifecycle import COUNTED
from booking.allocator.resources import Resources
from booking.allocator.span import EPOCH, FOREVER, Span, floor_minute
from booking.allocator.timeline import Entry, Side, Timeline
from booking.errors import CapacityConflict, Conflict, NotFound
from booking.models import Blackout, Booking, Inventory, Platform, Pledge, Pool, Reservation
from booking.models.pledge import AT_RISK
from booking.models.pool import as_amounts
from booking.services import bookings, holds
from booking.services.context import Actor, Context
from booking.services.finding import find_pool
from booking.services.ledger import append, entries, lock_pool
from booking.services.states import locked_state
from booking.services.windows import known_zone

ALWAYS = Span(EPOCH, FOREVER)
NOTHING = Resources()


class OnConflict(StrEnum):
    """What happens to bookings that no longer fit after a cut."""

    REFUSE = "refuse"
    KEEP = "keep"
    """They stay, flagged."""
    CANCEL = "cancel"


@dataclass(frozen=True)
class NewPool:
    """A pool to be made; its reserve is the standing reservation for level 0."""

    name: str
    timezone: str
    granularity: Granularity
    platform: str | None = None
    traits: Sequence[str] = ()
    share_ratio_milli: int = 1000
    reserve: Resources = NOTHING


def make_pool(ctx: Context, actor: Actor, new: NewPool) -> Pool:
    """Make a pool without inventory.

    :raises Invalid: if the zone is unknown.
    :raises Conflict: if the name is taken.
    """
    actor.require("admin")
    zone: ZoneInfo = known_zone(new.timezone)

    def write(session: Session) -> Pool:
        if session.scalar(select(Pool.id).where(Pool.name == new.name)) is not None:
            raise Conflict(f"There is a pool {new.name!r} already.", code="pool.conflict")
        pool = Pool(
            id=ctx.ids.new(),
            platform_id=_platform(ctx, session, new.platform or new.name).id,
            name=new.name,
            traits=list(new.traits),
            timezone=zone.key,
            granularity=new.granularity,
            share_ratio_milli=new.share_ratio_milli,
            generation=0,
            epoch=ctx.ids.new(),
            created_at=ctx.clock.now(),
            **as_amounts(new.reserve),
        )
        session.add(pool)
        session.flush()
        append(session, pool, entries(Side.RESERVED, ALWAYS, new.reserve))
        ctx.journal(session, actor, "pool.made", f"pool:{pool.id}", name=pool.name)
        session.flush()
        session.refresh(pool)
        return pool

    try:
        return ctx.db.run("make pool", write)
    except IntegrityError:  # somebody made it at the same moment
        raise Conflict(f"There is a pool {new.name!r} already.", code="pool.conflict") from None


def _platform(ctx: Context, session: Session, name: str) -> Platform:
    platform = session.scalar(select(Platform).where(Platform.name == name))
    if platform is None:
        platform = Platform(id=ctx.ids.new(), name=name, traits=[])
        session.add(platform)
        session.flush()
    return platform


@dataclass(frozen=True)
class Holding:
    """A dated amount with a reason: what an inventory or blackout row says."""

    span: Span
    resources: Resources
    reason: str


@dataclass(frozen=True)
class Impact:
    """What a change of capacity does: the row as it is now, and the reservations that would no longer fit."""

    row: Inventory | Blackout | None
    conflicts: list[Reservation]


@dataclass(frozen=True)
class Edit:
    """One change of what a pool physically has.

    `row_id` None adds; `holding` None removes.
    """

    pool: str
    table: type[Inventory] | type[Blackout]
    row_id: str | None
    holding: Holding | None
    on_conflict: OnConflict = OnConflict.REFUSE
    dry_run: bool = False


def edit(ctx: Context, actor: Actor, wanted: Edit) -> Impact:
    """Add, change or remove inventory or a blackout; a cut below what is booked is told before it is made.

    :raises NotFound: if the pool or row is not there.
    :raises CapacityConflict: if bookings would no longer fit and nothing says what shall happen to them.
    """
    actor.require("admin")

    def act(session: Session) -> Impact:
        pool = lock_pool(session, find_pool(session, wanted.pool))
        holds.expire_due(ctx, session, pool, ctx.clock.now())
        before = {r.id for r in losers(ctx, session, pool)}
        row = _apply(ctx, session, actor, pool, wanted)
        session.flush()
        lost = losers(ctx, session, pool)
        fresh = [r for r in lost if r.id not in before]
        if fresh and not wanted.dry_run:
            _settle(ctx, session, actor, pool, wanted.on_conflict, fresh)
        flag(ctx, session, pool)
        return Impact(row, fresh)

    return ctx.db.rehearse("capacity", act) if wanted.dry_run else ctx.db.run("capacity", act)


def _apply(
    ctx: Context, session: Session, actor: Actor, pool: Pool, wanted: Edit
) -> Inventory | Blackout | None:
    sign = 1 if wanted.table is Inventory else -1
    noun = wanted.table.__tablename__
    changes: list[Entry] = []
    row = _row(session, pool, wanted)
    if row is not None:
        changes += entries(Side.PHYSICAL, row.span, row.resources, -sign)
    holding = wanted.holding
    if holding is None:
        session.delete(row)
    else:
        changes += entries(Side.PHYSICAL, holding.span, holding.resources, sign)
        if row is None:
            row = wanted.table(id=ctx.ids.new(), pool_id=pool.id, created_at=ctx.clock.now())
            session.add(row)
        row.start, row.end, row.reason = holding.span.start, holding.span.end, holding.reason
        for kind, amount in as_amounts(holding.resources).items():
            setattr(row, kind, amount)
    append(session, pool, changes)
    what = "removed" if holding is None else "changed" if wanted.row_id else "added"
    ctx.journal(session, actor, f"{noun}.{what}", f"pool:{pool.id}", row=row.id if row else None)
    return row


def _row(session: Session, pool: Pool, wanted: Edit) -> Inventory | Blackout | None:
    if wanted.row_id is None:
        return None
    row = session.get(wanted.table, wanted.row_id)
    if not isinstance(row, Inventory | Blackout) or row.pool_id != pool.id:
        raise NotFound(wanted.table.__tablename__, wanted.row_id)
    return row


def _settle(
    ctx: Context, session: Session, actor: Actor, pool: Pool, on_conflict: OnConflict, lost: list[Reservation]
) -> None:
    if on_conflict is OnConflict.REFUSE:
        raise CapacityConflict(
            f"Reservations that would no longer fit: {len(lost)}. Say on_conflict=keep or on_conflict=cancel.",
            [described(reservation) for reservation in lost],
        )
    if on_conflict is OnConflict.CANCEL:
        reason = "the capacity it stood on was withdrawn"
        bookings.cancel_reservations(ctx, session, pool, lost, reason=reason, actor=actor)
        session.flush()


def described(reservation: Reservation) -> dict[str, str]:
    """A reservation as an administrator is shown it in a list of conflicts."""
    booking = reservation.booking
    return {
        "booking": booking.id,
        "reservation": reservation.id,
        "account": booking.account.name,
        "package": booking.package_name,
        "sharing": booking.sharing.value,
        "start": reservation.start.isoformat().replace("+00:00", "Z"),
        "end": reservation.end.isoformat().replace("+00:00", "Z"),
        "state": reservation.state.value,
    }


def losers(ctx: Context, session: Session, pool: Pool) -> list[Reservation]:
    """The reservations that do not fit what the pool has from now on, in order of who loses first.

    Shared ones lose before reserved ones, then the latest booked; one loses only if it stands where
    something is missing, and no more lose than must.
    """
    session.flush()
    now = floor_minute(ctx.clock.now())
    timeline = locked_state(ctx, session, pool).timeline
    first, _ = timeline.slot_range(Span(now, floor_minute(ctx.horizon(now))).minutes[0], timeline.end)
    missing = np.flatnonzero((timeline.available[:, first:] < 0).any(axis=0))
    if not len(missing):
        return []
    within = Span.of_minutes(*(int(timeline.marks[first + at]) for at in (missing[0], missing[-1] + 1)))
    lost = []
    for reservation in _order(session, pool, within):
        if _stands_on_nothing(timeline, first, reservation):
            booking = reservation.booking
            timeline = timeline.applied(entries(booking.side, reservation.span, booking.size.demand, -1))
            lost.append(reservation)
    return lost


def _order(session: Session, pool: Pool, within: Span) -> Sequence[Reservation]:
    """Those that touch the span, by who loses first; under the lock of the pool, so in one statement."""
    return session.scalars(
        select(Reservation)
        .join(Reservation.booking)
        .where(
            Reservation.pool_id == pool.id,
            Reservation.state.in_(COUNTED),
            Reservation.end > within.start,
            Reservation.start < within.end,
            Booking.side != Side.LEVEL0,
        )
        .order_by(
            case((Booking.side == Side.SHARED, 0), else_=1),
            Booking.created_at.desc(),
            Booking.id.desc(),
            Reservation.start.desc(),
        )
        .options(
            contains_eager(Reservation.booking).options(
                lazyload(Booking.reservations), lazyload(Booking.guests)
            ),
            lazyload(Reservation.cluster),
        )
    ).all()


def _stands_on_nothing(timeline: Timeline, first: int, reservation: Reservation) -> bool:
    start, end = (max(min(minute, timeline.end), timeline.base) for minute in reservation.span.minutes)
    if start >= end:
        return False
    left, right = timeline.slot_range(start, end)
    asked = np.array(reservation.booking.size.demand.vector()) > 0
    return bool((timeline.available[asked, max(left, first) : right] < 0).any())


def flag(ctx: Context, session: Session, pool: Pool) -> None:
    """Flag exactly the reservations that do not fit now, and those that their platform refuses."""
    lost = {reservation.id for reservation in losers(ctx, session, pool)}
    flagged = Reservation.at_risk if not lost else or_(Reservation.at_risk, Reservation.id.in_(lost))
    refused = exists().where(Pledge.reservation_id == Reservation.id, Pledge.phase.in_(AT_RISK))
    for reservation, is_refused in session.execute(
        select(Reservation, refused)
        .where(Reservation.pool_id == pool.id, Reservation.state.in_(COUNTED), flagged)
        .options(lazyload("*"))
    ):
        reservation.at_risk = is_refused or reservation.id in lost


@dataclass(frozen=True)
class PoolChange:
    """What shall be different of a pool; None stays."""

    name: str | None = None
    traits: Sequence[str] | None = None
    share_ratio_milli: int | None = None
    reserve: Resources | None = None


def change_pool(ctx: Context, actor: Actor, pool_name: str, wanted: PoolChange) -> Pool:
    """Change a pool's name, traits, share ratio or standing reservation; what no longer fits is flagged.

    :raises NotFound: if there is no such pool.
    :raises Conflict: if the name is taken.
    """
    actor.require("admin")

    def act(session: Session) -> Pool:
        pool = lock_pool(session, find_pool(session, pool_name))
        holds.expire_due(ctx, session, pool, ctx.clock.now())
        if wanted.name is not None and wanted.name != pool.name:
            if session.scalar(select(Pool.id).where(Pool.name == wanted.name)) is not None:
                raise Conflict(f"There is a pool {wanted.name!r} already.", code="pool.conflict")
            pool.name = wanted.name
        if wanted.traits is not None:
            pool.traits = list(wanted.traits)
        changes: list[Entry] = []
        if wanted.reserve is not None:
            changes += entries(Side.RESERVED, ALWAYS, pool.resources, -1)
            changes += entries(Side.RESERVED, ALWAYS, wanted.reserve)
            for kind, amount in as_amounts(wanted.reserve).items():
                setattr(pool, kind, amount)
        if wanted.share_ratio_milli is not None:
            pool.share_ratio_milli = wanted.share_ratio_milli
        append(session, pool, changes)
        ctx.journal(session, actor, "pool.changed", f"pool:{pool.id}", name=pool.name)
        session.flush()
        flag(ctx, session, pool)
        return pool

    return ctx.db.run("change pool", act)


def pool_or_first(ctx: Context, name: str | None) -> Pool | None:
    """The pool of that id or name, else the one that was made first; None if there is none at all."""
    others = case((or_(Pool.id == name, Pool.name == name), 0), else_=1)
    query = select(Pool).order_by(others, Pool.created_at, Pool.id).limit(1)
    return ctx.db.read("pool", lambda s: s.scalars(query).first())


def pools(ctx: Context) -> Sequence[Pool]:
    """Every pool, the first made first."""
    return ctx.db.read("pools", lambda s: s.scalars(select(Pool).order_by(Pool.created_at, Pool.id)).all())
