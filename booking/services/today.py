"""Today: what starts, runs, ends and has failed on one local day, for those who run the site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.cells import day_start
from booking.allocator.lifecycle import State
from booking.allocator.span import Span
from booking.models import Account, Booking, Cluster, ClusterPhase, Pool, Reservation
from booking.services.context import Actor, Context
from booking.services.finding import find_pool

MOST_LINES = 2000
"""What one board holds; the reservations that begin first come first."""
_GONE = (State.CANCELLED, State.EXPIRED)


class Line(NamedTuple):
    """A reservation with what there is to know of it at a glance."""

    booking: str
    reservation: str
    account: str
    package: str
    title: str
    pool: str
    timezone: str
    start: datetime
    end: datetime
    state: State
    end_reason: str
    at_risk: bool
    expires_at: datetime | None
    phase: ClusterPhase | None
    """What we know of its cluster; None before there is one."""
    detail: str | None
    attempts: int | None

    @property
    def reason(self) -> str:
        """Why it stands as it does: what is said of its cluster, else of its end."""
        return self.detail or self.end_reason


_LINES = (
    select(
        Reservation.booking_id,
        Reservation.id,
        Account.name,
        Booking.package_name,
        Booking.title,
        Pool.name,
        Pool.timezone,
        Reservation.start,
        Reservation.end,
        Reservation.state,
        Reservation.end_reason,
        Reservation.at_risk,
        Reservation.expires_at,
        Cluster.phase,
        Cluster.detail,
        Cluster.attempts,
    )
    .join(Booking, Booking.id == Reservation.booking_id)
    .join(Account, Account.id == Booking.account_id)
    .join(Pool, Pool.id == Reservation.pool_id)
    .outerjoin(Cluster, Cluster.reservation_id == Reservation.id)
    .where(Reservation.state.not_in(_GONE))
    .order_by(Reservation.start, Reservation.id)
    .limit(MOST_LINES + 1)
)


@dataclass(frozen=True)
class Board:
    """The reservations that touch one local day; one may stand in several lists."""

    day: date
    zone: ZoneInfo
    pool: str | None
    """The id of the pool that was asked for."""
    span: Span
    lines: tuple[Line, ...]
    is_cut: bool
    """Whether there are more than it holds."""

    @property
    def starts(self) -> list[Line]:
        """Those that begin on the day."""
        return [line for line in self._sound if self.span.start <= line.start]

    @property
    def runs(self) -> list[Line]:
        """Those that run now, and those that are there for the whole of the day and longer."""
        return [
            line
            for line in self._sound
            if line.state is State.ACTIVE or (line.start < self.span.start and self.span.end < line.end)
        ]

    @property
    def ends(self) -> list[Line]:
        """Those that end on the day, in the order of their ends."""
        return sorted(
            (line for line in self._sound if line.end <= self.span.end), key=lambda line: (line.end, line)
        )

    @property
    def failed(self) -> list[Line]:
        """Those that have failed; they stand in no other list."""
        return [line for line in self.lines if line.state is State.FAILED]

    @property
    def _sound(self) -> list[Line]:
        return [line for line in self.lines if line.state is not State.FAILED]

    @property
    def tag(self) -> str:
        """Changes whenever the board would look different."""
        # No text has a NUL in it, and what a line says of itself takes far longer.
        told = [
            self.day,
            self.zone.key,
            self.pool,
            self.is_cut,
            *("\0".join(map(str, line)) for line in self.lines),
        ]
        return sha256("\0".join(map(str, told)).encode()).hexdigest()[:16]


def board(ctx: Context, actor: Actor, pool: str | None = None, day: date | datetime | None = None) -> Board:
    """The board of a day, or of the day that holds an instant; None is today.

    A day is that of the pool, or of the first pool where all are shown.

    :raises Forbidden: if the reader is no administrator.
    :raises NotFound: if there is no such pool, or none at all.
    """
    actor.require("admin")
    now = ctx.clock.now()

    def read(session: Session) -> Board:
        found = session.get_one(Pool, find_pool(session, pool))
        asked = now if day is None else day
        local = asked.astimezone(found.zone).date() if isinstance(asked, datetime) else asked
        span = Span(day_start(found.zone, local), day_start(found.zone, local + timedelta(days=1)))
        query = _LINES.where(Reservation.end > span.start, Reservation.start < span.end)
        if pool is not None:
            query = query.where(Reservation.pool_id == found.id)
        rows = [Line._make(row) for row in session.connection().execute(query)]
        lines = tuple(line for line in rows[:MOST_LINES] if line.expires_at is None or line.expires_at > now)
        only = found.id if pool is not None else None
        return Board(local, found.zone, only, span, lines, len(rows) > MOST_LINES)

    return ctx.db.read("today", read)
