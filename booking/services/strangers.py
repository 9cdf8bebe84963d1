"""What a platform asks before it lets strangers reserve: let in by the same rules, in the same ledger, as bookings.

A platform asks and never tells what became of it. So what is let in is counted at once, as a stranger that was
inquired about: the next reading of the platform (`stock.py`) finds it there and keeps it, or it *lapses*.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from booking.adapters.base import Inquiry
from booking.adapters.base import Stranger as SeenStranger
from booking.allocator import availability as allocator
from booking.allocator.package import CUSTOM, Sharing
from booking.allocator.policy import Ask, broken_rules
from booking.allocator.quota import Claim
from booking.allocator.resources import Resources
from booking.allocator.span import Span, floor_minute
from booking.allocator.timeline import Side
from booking.errors import BeyondHorizon, Conflict, Invalid, NoCapacity
from booking.models import Platform, Pool, Reservation, Stranger
from booking.models.pool import as_amounts
from booking.services import holds, platforms
from booking.services.context import STRANGERS, Actor, Context, level_limits
from booking.services.decision import from_now, refuse_broken, refuse_closed, room_of
from booking.services.ledger import append, entries, lock_pool
from booking.services.pledging import CLAIMING
from booking.services.states import locked_state

LAPSES = timedelta(minutes=2)
"""So long after it asked, a platform may take to list what it was allowed; Blazar's own front waits for one minute."""
INQUIRY = "inquiry "
"""How the reference begins of what is not there yet."""
_MINUTE = timedelta(minutes=1)
_REACH = timedelta(weeks=4)
"""So far back, what an owner had counts for the quota."""
Piece = tuple[Span, Resources]


def whole(starts_at: datetime, ends_at: datetime) -> Span:
    """The whole minutes that it touches.

    :raises ValueError: if it ends before it starts.
    """
    end = floor_minute(ends_at)
    return Span(floor_minute(starts_at), end if end == ends_at else end + _MINUTE)


def admit(ctx: Context, actor: Actor, platform: str, inquiry: Inquiry) -> None:
    """Let it be reserved, and count it from now on; what only shrinks is let be.

    :raises NotFound: if there is no such platform.
    :raises Invalid: if its span makes no sense.
    :raises BeyondHorizon: if it ends after the horizon.
    :raises Closed: if an audit found a fault in the pool.
    :raises PolicyRefused: if a rule of the level that binds strangers is broken.
    :raises NoCapacity: if it does not fit.
    :raises Conflict: if it bears the name of a reservation that does not claim it.
    """
    actor.require(STRANGERS)

    def write(session: Session) -> None:
        row = platforms.find(session, platform)
        span = _span(ctx, inquiry.wanted)
        if inquiry.reservation_id:
            _refuse_forged(session, row, inquiry.reservation_id, span)
            return
        pool_id = platforms.first_pool(session, row.id)
        if pool_id is not None:
            pool = lock_pool(session, pool_id)
            holds.expire_due(ctx, session, pool, ctx.clock.now())
            _Admission(ctx, session, actor, row, pool, inquiry.wanted, span).decide()

    ctx.db.run("admit stranger", write)


def ended(ctx: Context, actor: Actor, platform: str, inquiry: Inquiry) -> None:
    """It is given back: from now on it counts no more.

    :raises NotFound: if there is no such platform.
    """
    actor.require(STRANGERS)

    def write(session: Session) -> None:
        row, reference = platforms.find(session, platform), inquiry.wanted.reference
        pool_id = platforms.first_pool(session, row.id)
        if pool_id is None or not reference:
            return
        pool = lock_pool(session, pool_id)
        query = select(Stranger).where(
            Stranger.platform_id == row.id,
            or_(Stranger.reference == reference, Stranger.grows == reference),
        )
        if rows := session.scalars(query).all():
            forget(session, pool, rows)
            ctx.journal(session, actor, "stranger.ended", f"pool:{pool.id}", reference=reference)

    ctx.db.run("stranger ended", write)


def _span(ctx: Context, wanted: SeenStranger) -> Span:
    now = ctx.clock.now()
    horizon = ctx.horizon(now)
    if wanted.ends_at > horizon:
        raise BeyondHorizon({"lease.end_date": [f"lies beyond {horizon:%Y-%m-%d}, the end of the calendar"]})
    if wanted.ends_at <= now or wanted.starts_at >= wanted.ends_at:
        raise Invalid({"lease.end_date": ["lies after now and after its start"]})
    return whole(wanted.starts_at, wanted.ends_at)


def _refuse_forged(session: Session, platform: Platform, reservation_id: str, span: Span) -> None:
    """Ours are decided already; a name alone does not make one ours."""
    query = (
        select(Reservation.start, Reservation.end)
        .join(Pool, Pool.id == Reservation.pool_id)
        .where(
            Reservation.id == reservation_id,
            Reservation.state.in_(CLAIMING),
            Pool.platform_id == platform.id,
        )
    )
    row = session.execute(query).one_or_none()
    if row is None or not (row.start <= span.start and span.end <= row.end):
        raise Conflict(
            "Leases of such names are made by the booking service alone, and it has none at that time.",
            code="platform.conflict",
        )


class _Admission:
    """One inquiry, decided under the lock of the pool."""

    def __init__(
        self,
        ctx: Context,
        session: Session,
        actor: Actor,
        platform: Platform,
        pool: Pool,
        wanted: SeenStranger,
        span: Span,
    ) -> None:
        self._ctx, self._session, self._actor = ctx, session, actor
        self._platform, self._pool, self._wanted, self._span = platform, pool, wanted, span
        self._amounts = Resources(wanted.cores, wanted.memory_mib)

    def decide(self) -> None:
        """Write what it adds to what counts already.

        :raises Closed, PolicyRefused, NoCapacity: as :func:`admit` says.
        """
        before = self._before() if self._wanted.reference else None
        pieces = grown((before.span, before.resources) if before else None, (self._span, self._amounts))
        if not pieces:
            return
        refuse_closed(self._pool)
        self._check_policy(before)
        self._check_room(pieces)
        for piece in pieces:
            self._add(piece, before)
        counted = [entry for span, amounts in pieces for entry in entries(Side.RESERVED, span, amounts)]
        append(self._session, self._pool, counted)
        told = {"owner": self._wanted.owner, "name": self._wanted.name, "cores": self._wanted.cores}
        self._ctx.journal(self._session, self._actor, "stranger.admitted", f"pool:{self._pool.id}", **told)

    def _before(self) -> Stranger | None:
        """The one that shall change; an earlier inquiry about a change of it is superseded by this one."""
        mine = select(Stranger).where(Stranger.platform_id == self._platform.id)
        earlier = self._session.scalars(mine.where(Stranger.grows == self._wanted.reference)).all()
        forget(self._session, self._pool, earlier)
        known = self._session.scalar(mine.where(Stranger.reference == self._wanted.reference))
        if known is not None:
            return known
        # Made since the last reading: it was inquired about before it had a reference.
        fresh = mine.where(
            Stranger.inquired_at.is_not(None),
            Stranger.grows.is_(None),
            Stranger.owner == self._wanted.owner,
            Stranger.name == self._wanted.name,
        )
        found = self._session.scalar(fresh.order_by(Stranger.inquired_at.desc(), Stranger.id).limit(1))
        if found is not None:
            found.reference = self._wanted.reference
        return found

    def _check_policy(self, before: Stranger | None) -> None:
        level = self._platform.stranger_level
        if level is None:
            return
        now = self._ctx.clock.now()
        claims = select(Stranger).where(
            Stranger.platform_id == self._platform.id,
            Stranger.owner == self._wanted.owner,
            Stranger.end > floor_minute(self._span.start - _REACH),
            Stranger.id != (before.id if before else ""),
        )
        existing = tuple(Claim(row.span, row.cores) for row in self._session.scalars(claims))
        spans = (self._span,)
        ask = Ask(CUSTOM, Sharing.RESERVED, self._amounts, spans, now, self._pool.zone, existing)
        refuse_broken(broken_rules(level_limits(self._session, level), ask))

    def _check_room(self, pieces: list[Piece]) -> None:
        state, now = locked_state(self._ctx, self._session, self._pool), self._ctx.clock.now()
        room = room_of(state, Side.RESERVED)
        for span, amounts in pieces:
            if span.end > now and not allocator.fits(state.timeline, room, from_now(span, now), amounts):
                zone = self._pool.zone
                start, end = (f"{at.astimezone(zone):%a %d %b %H:%M}" for at in (span.start, span.end))
                raise NoCapacity(
                    f"{amounts.cores} cores and {amounts.memory_mib} MiB are not free from {start} to {end}."
                )

    def _add(self, piece: Piece, before: Stranger | None) -> None:
        span, amounts = piece
        new = self._ctx.ids.new()
        row = Stranger(
            id=new,
            platform_id=self._platform.id,
            pool_id=self._pool.id,
            reference=self._wanted.reference
            if before is None and self._wanted.reference
            else f"{INQUIRY}{new}",
            start=span.start,
            end=span.end,
            owner=self._wanted.owner,
            name=self._wanted.name,
            inquired_at=self._ctx.clock.now(),
            grows=before.reference if before else None,
            **as_amounts(amounts),
        )
        self._session.add(row)


def forget(session: Session, pool: Pool, rows: Sequence[Stranger]) -> None:
    """Count them no more; the pool's lock is held."""
    changes = [entry for row in rows for entry in entries(Side.RESERVED, row.span, row.resources, -1)]
    for row in rows:
        session.delete(row)
    if changes:
        session.flush()
        append(session, pool, changes)


def grown(before: Piece | None, after: Piece) -> list[Piece]:
    """What is needed for `after` where `before` is there already: up to three pieces, none of them empty."""
    (new, want) = after
    if before is None or not before[0].overlaps(new):
        pieces = [(new.start, new.end, want)]
    else:
        old, have = before
        more = Resources(*(max(0, w - h) for w, h in zip(want.vector(), have.vector(), strict=True)))
        pieces = [
            (new.start, old.start, want),
            (max(old.start, new.start), min(old.end, new.end), more),
            (old.end, new.end, want),
        ]
    return [
        (Span(start, end), amounts)
        for start, end, amounts in pieces
        if start < end and amounts != Resources()
    ]
