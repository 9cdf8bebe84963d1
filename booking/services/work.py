"""Due work: what the boundaries of reservations ask for, done at least once under one leadership."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from booking import logs, metrics, together
from booking.allocator.lifecycle import LIVE, State
from booking.errors import Unavailable
from booking.models import Action, Booking, Cluster, ClusterPhase, Pool, Reservation, Work
from booking.models.store import columns_of, loaded
from booking.services import holds, transitions
from booking.services.context import Context
from booking.services.leadership import Deposed, still_leading
from booking.services.ledger import lock_pool

log = logging.getLogger(__name__)

BATCH = 50
LATE = timedelta(minutes=1)
"""Work that has waited so long tells of a scheduler that does not keep up."""
_MOST_WAIT = timedelta(minutes=5)
_ORDER = {Action.EXPIRE: 0, Action.WARN: 1, Action.END: 2, Action.EXTEND: 3, Action.PROVISION: 4}
"""Ends come before starts, so that one machine serves two bookings that touch."""
_RANK = case({action.value: place for action, place in _ORDER.items()}, value=Work.action)
_DUE = (
    select(Work.id)
    .where(Work.done_at.is_(None), Work.due_at <= bindparam("now"))
    .order_by(_RANK, Work.due_at, Work.id)
    .limit(BATCH)
)
_OLDEST = select(func.min(Work.due_at).label("at")).where(
    Work.done_at.is_(None), Work.due_at <= bindparam("now")
)
_POOL = (
    select(Reservation.pool_id)
    .join_from(Work, Reservation, Reservation.id == Work.reservation_id)
    .where(Work.id == bindparam("work"))
)
_WORK = (
    select(*columns_of(Work), *columns_of(Reservation), *columns_of(Booking))
    .join_from(Work, Reservation, Reservation.id == Work.reservation_id)
    .join(Booking, Booking.id == Reservation.booking_id)
    .where(Work.id == bindparam("work"))
)


def do_due(ctx: Context, epoch: int, provisioner: str) -> int:
    """Do all work that is due; how many acts were done. `provisioner` is the name of the one in force.

    :raises Deposed: if somebody else leads by now.
    """
    now = ctx.clock.now()
    due = ctx.db.read("due work", lambda session: together.rows(session, _DUE, {"now": now}))
    for row in due:
        with logs.about(work=row.id):
            _do(ctx, epoch, row.id, provisioner)
    return len(due)


def oldest_due(ctx: Context) -> datetime | None:
    """Since when the oldest work that is not done has been due; None where nothing waits."""
    now = ctx.clock.now()
    (found,) = ctx.db.read("oldest due work", lambda session: together.rows(session, _OLDEST, {"now": now}))
    oldest: datetime | None = found.at
    return oldest


def _do(ctx: Context, epoch: int, work_id: str, provisioner: str) -> None:
    try:
        late = ctx.db.run("work", lambda session: _act(ctx, session, epoch, work_id, provisioner))
        metrics.work_done(*late)
    except (Deposed, Unavailable):
        raise  # not the fault of this work: it stays due
    except Exception as error:
        log.exception("work %s failed", work_id)
        metrics.WORK_FAILURES.inc()
        fault = f"{type(error).__name__}: {error}"
        ctx.db.run("postpone", lambda session: _postpone(ctx, session, epoch, work_id, fault))


def _act(ctx: Context, session: Session, epoch: int, work_id: str, provisioner: str) -> tuple[str, float]:
    """Do it, if it is not done; what it was, and how many seconds late."""
    still_leading(ctx, session, epoch)
    (found,) = together.rows(session, _POOL, {"work": work_id})
    pool = lock_pool(session, found.pool_id)
    # All that may change is read under the lock.
    work, reservation = _under_lock(session, work_id)
    late = work.action.value, (ctx.clock.now() - work.due_at).total_seconds()
    if work.done_at is not None:
        return late
    if work.revision == reservation.revision:
        _ACTS[work.action](ctx, session, pool, reservation, provisioner)
    else:
        work.detail = "void: the span has changed since"
    work.done_at = ctx.clock.now()
    return late


def _under_lock(session: Session, work_id: str) -> tuple[Work, Reservation]:
    (found,) = together.rows(session, _WORK, {"work": work_id})
    reservation = loaded(session, Reservation, found)
    set_committed_value(reservation, "booking", loaded(session, Booking, found))
    return loaded(session, Work, found), reservation


def _postpone(ctx: Context, session: Session, epoch: int, work_id: str, fault: str) -> None:
    still_leading(ctx, session, epoch)
    work = session.get_one(Work, work_id)
    work.attempts += 1
    work.detail = fault[:500]
    work.due_at = ctx.clock.now() + back_off(work.attempts)


def try_again(ctx: Context, now: datetime) -> None:
    """Make what failed and was put off due at once."""
    put_off = update(Work).where(Work.done_at.is_(None), Work.attempts > 0, Work.due_at > now)
    ctx.db.run("try again", lambda session: session.execute(put_off.values(due_at=now)))


def back_off(attempts: int) -> timedelta:
    """2, 4, 8 ... seconds, at most five minutes."""
    return min(timedelta(seconds=2 ** min(attempts, 10)), _MOST_WAIT)


def _expire(ctx: Context, session: Session, pool: Pool, reservation: Reservation, _: str) -> None:
    holds.expire_due(ctx, session, pool, ctx.clock.now())


def _provision(
    ctx: Context, session: Session, pool: Pool, reservation: Reservation, provisioner: str
) -> None:
    """Write that a cluster is wanted; it is made in the next step, after this has been committed."""
    if reservation.state is not State.CONFIRMED:
        return
    now = ctx.clock.now()
    if reservation.end <= now:
        transitions.move_all(ctx, session, pool, [reservation], State.FAILED, reason=_MISSED)
        return
    transitions.move_all(ctx, session, pool, [reservation], State.PREPARING)
    platform = pool.platform
    session.add(
        Cluster(
            reservation_id=reservation.id,
            provisioner=platform.provisioner or provisioner,
            platform_id=platform.id if platform.provisioner else None,
            phase=ClusterPhase.WANTED,
            detail="The cluster is about to be made.",
            attempts=0,
            endpoints=[],
            changed_at=now,
            look_at=now,
        )
    )


_MISSED = "the service was not running during the whole span"


def _warn(ctx: Context, session: Session, pool: Pool, reservation: Reservation, _: str) -> None:
    if reservation.state in LIVE and reservation.cluster is not None:
        reservation.cluster.warned_at = ctx.clock.now()
        left = _minutes_left(reservation, ctx.clock.now())
        ctx.journal(
            session,
            None,
            "reservation.ends_soon",
            f"booking:{reservation.booking_id}",
            reservation=reservation.id,
            minutes=left,
        )


def _minutes_left(reservation: Reservation, now: datetime) -> int:
    return max(0, round((reservation.end - now) / timedelta(minutes=1)))


def _end(ctx: Context, session: Session, pool: Pool, reservation: Reservation, _: str) -> None:
    if reservation.state is State.CONFIRMED:
        transitions.move_all(ctx, session, pool, [reservation], State.FAILED, reason=_MISSED)
    elif reservation.state in LIVE and reservation.state is not State.ENDING:
        # Making it again takes time; what never became ready by its end has failed.
        reservation.outcome = State.ENDED if reservation.state is State.ACTIVE else State.FAILED
        reason = (
            transitions.AT_ITS_END if reservation.state is State.ACTIVE else "it was not ready before its end"
        )
        transitions.begin_ending(ctx, session, pool, reservation, reason=reason)


def _extend(ctx: Context, session: Session, pool: Pool, reservation: Reservation, _: str) -> None:
    """The next look compares the cluster's own deadline with the promised end."""
    if reservation.cluster is not None:
        reservation.cluster.look_at = ctx.clock.now()


_ACTS: dict[Action, Callable[[Context, Session, Pool, Reservation, str], None]] = {
    Action.EXPIRE: _expire,
    Action.PROVISION: _provision,
    Action.EXTEND: _extend,
    Action.WARN: _warn,
    Action.END: _end,
}
