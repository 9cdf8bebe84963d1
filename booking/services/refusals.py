"""Demand that was refused: kept for a while, so that administrators see what was wanted and not there."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Row, delete, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from booking.allocator.span import Span, floor_minute, instant_of, minute_of
from booking.allocator.usage import Grain, edges
from booking.errors import BookingError, NoCapacity, PolicyRefused, Refused
from booking.models import Pool, Refusal
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, sized
from booking.services.finding import find_pool
from booking.services.windows import window_of

log = logging.getLogger(__name__)

KEPT = timedelta(days=400)
"""A year can be compared with the one before."""
MOST_AN_HOUR = 100
"""Refusals of one account that differ; what goes beyond in one hour is no demand."""
_SAME = ("account_id", "pool_id", "start", "package_name", "hour")


def note(ctx: Context, actor: Actor, request: BookingRequest, refusal: Refused) -> None:
    """Keep that capacity or policy refused a booking, in a transaction of its own that locks nothing else.

    The same again within the hour is counted. Whoever asked is told of the refusal, whether it could be
    kept or not.
    """
    if not isinstance(refusal, NoCapacity | PolicyRefused):
        return

    def keep() -> None:
        ctx.db.run("note refusal", lambda session: _note(ctx, session, actor, request, refusal))

    try:
        try:
            keep()
        except IntegrityError:
            keep()  # the same was refused at the same moment: now it is there, and is counted
    except (BookingError, SQLAlchemyError) as error:
        log.warning("a refusal (%s) could not be kept: %s", refusal.code, error)


def _note(ctx: Context, session: Session, actor: Actor, request: BookingRequest, refusal: Refused) -> None:
    now, cores = ctx.clock.now(), sized(ctx, session, request).demand.cores
    spans = _asked(request, now)
    lengths = (span.length // timedelta(minutes=1) for span in spans)
    row = Refusal(
        id=ctx.ids.new(),
        account_id=actor.id,
        pool_id=_pool_of(session, request),
        package_name=request.package,
        sharing=request.sharing,
        code=refusal.code,
        at=now,
        hour=floor_minute(now).replace(minute=0),
        start=min(span.start for span in spans),
        end=max(span.end for span in spans),
        core_minutes=cores * sum(lengths),
        times=1,
    )
    if not _counted(session, row) and _has_room(session, row):
        session.add(row)


def _pool_of(session: Session, request: BookingRequest) -> str:
    """The pool that was asked; where it lacks a wanted trait, or every pool does, the one that it is without them."""
    try:
        return find_pool(session, request.pool, request.traits)
    except PolicyRefused:
        return find_pool(session, request.pool)


def _asked(request: BookingRequest, now: datetime) -> Sequence[Span]:
    """The spans that were asked for; who asks for the earliest of a length wants it now."""
    if request.length is None:
        return request.spans
    start = floor_minute(now)
    return [Span(start, start + request.length)]


def _counted(session: Session, row: Refusal) -> bool:
    """Whether the same was refused in this hour before; it is counted there, as the most that was asked for."""
    same = [getattr(Refusal, name) == getattr(row, name) for name in _SAME]
    known = session.scalar(select(Refusal).where(*same).with_for_update())
    if known is None:
        return False
    known.times += 1
    known.end = max(known.end, row.end)
    known.core_minutes = max(known.core_minutes, row.core_minutes)
    return True


def _has_room(session: Session, row: Refusal) -> bool:
    noted = select(func.count()).where(Refusal.hour == row.hour, Refusal.account_id == row.account_id)
    return (session.scalar(noted) or 0) < MOST_AN_HOUR


def forget(session: Session, now: datetime) -> None:
    """Forget what was refused longer than :data:`KEPT` ago."""
    session.execute(delete(Refusal).where(Refusal.hour <= floor_minute(now - KEPT)))


@dataclass(frozen=True)
class Question:
    """Which refusals; a date means the local midnight of the pool's zone. Weeks are counted whole."""

    start: date | datetime
    end: date | datetime
    pool: str | None = None
    """Id or name; None means the first pool."""


@dataclass(frozen=True)
class Demand:
    """What was refused of one package in one week, by the start that was asked for."""

    start: datetime
    end: datetime
    package: str
    core_minutes: int
    times: int


def demand(ctx: Context, actor: Actor, question: Question) -> tuple[Pool, Sequence[Demand]]:
    """What was refused in a pool by week and package, in order; administrators see everybody's, others their own.

    :raises NotFound: if there is no such pool.
    :raises Invalid: if the window is empty or too long.
    """
    actor.require("bookings:read")

    def read(session: Session) -> tuple[Pool, Sequence[Demand]]:
        pool = session.get_one(Pool, find_pool(session, question.pool))
        marks = edges(pool.zone, window_of(question.start, question.end, pool.zone), Grain.WEEK)
        return pool, _by_week(_refused(session, actor, pool, marks), marks)

    return ctx.db.read("refused demand", read)


_Sum = Row[str, datetime, int, int]
"""Package, start, core-minutes and times."""


def _refused(session: Session, actor: Actor, pool: Pool, marks: Sequence[int]) -> Sequence[_Sum]:
    query = (
        select(Refusal.package_name, Refusal.start, func.sum(Refusal.core_minutes), func.sum(Refusal.times))
        .where(
            Refusal.pool_id == pool.id,
            Refusal.start >= instant_of(marks[0]),
            Refusal.start < instant_of(marks[-1]),
        )
        .group_by(Refusal.package_name, Refusal.start)
    )
    if not actor.acts_as_admin:
        query = query.where(Refusal.account_id == actor.id)
    return session.connection().execute(query).all()


def _by_week(rows: Sequence[_Sum], marks: Sequence[int]) -> list[Demand]:
    sums: dict[tuple[int, str], tuple[int, int]] = {}
    for package, start, core_minutes, times in rows:
        key = bisect_right(marks, minute_of(start)) - 1, package
        before = sums.get(key, (0, 0))
        sums[key] = before[0] + int(core_minutes), before[1] + int(times)
    return [
        Demand(instant_of(marks[week]), instant_of(marks[week + 1]), package, *sums[week, package])
        for week, package in sorted(sums)
    ]
