"""The one place where a reservation changes state: rows, ledger and due work together."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.lifecycle import COUNTED, State, advance
from booking.models import Action, Cluster, ClusterPhase, Pool, Reservation, Work
from booking.models.store import made, store
from booking.services.context import Actor, Context
from booking.services.ledger import append, entries
from booking.services.settling import settle


def move_all(
    ctx: Context,
    session: Session,
    pool: Pool,
    reservations: Iterable[Reservation],
    state: State,
    *,
    reason: str = "",
    actor: Actor | None = None,
) -> None:
    """Bring reservations of one locked pool into a state; what is counted no more is given back.

    :raises IllegalTransition: if one of them may not go there.
    """
    given_back = []
    for reservation in reservations:
        booking = reservation.booking
        before = reservation.state
        reservation.state = advance(before, state)
        if reason:
            reservation.end_reason = reason
        if state is not State.HELD:
            reservation.expires_at = None
        booking.revision += 1
        if before in COUNTED and state not in COUNTED:
            given_back += entries(booking.side, reservation.span, booking.size.demand, -1)
            reservation.at_risk = False
        if before is State.HELD:
            settle(ctx, session, booking, state, actor)
        ctx.journal(
            session,
            actor,
            f"reservation.{state}",
            f"booking:{booking.id}",
            reservation=reservation.id,
            reason=reason,
        )
    if given_back:
        append(session, pool, given_back)


AT_ITS_END = "the end of the booking"


def begin_ending(
    ctx: Context,
    session: Session,
    pool: Pool,
    reservation: Reservation,
    *,
    reason: str,
    actor: Actor | None = None,
) -> None:
    """Bring a live reservation to its ending; the cluster is looked at next."""
    move_all(ctx, session, pool, [reservation], State.ENDING, reason=reason, actor=actor)
    reservation.outcome = reservation.outcome or State.ENDED
    if reservation.cluster is not None:
        set_phase(ctx, reservation.cluster, ClusterPhase.STOPPING, "The cluster is being taken down.")


def set_phase(ctx: Context, cluster: Cluster, phase: ClusterPhase, detail: str) -> None:
    """Note what is known of a cluster, and look at it again at once."""
    now = ctx.clock.now()
    cluster.phase, cluster.detail, cluster.changed_at, cluster.look_at = phase, detail, now, now
    cluster.absent_at = None


def schedule(ctx: Context, session: Session, reservation: Reservation) -> None:
    """Write the work of :func:`due_work`, at a revision that is new; older work becomes void."""
    store(session, *due_work(ctx, reservation))


def due_work(ctx: Context, reservation: Reservation) -> list[Work]:
    """The work that is due for the reservation's span.

    Provisioning is only due for reservations that have not begun to be made.
    """
    booking, settings, platform = reservation.booking, ctx.settings, reservation.booking.pool.platform
    least = settings.lead_minutes if platform.lead_minutes is None else platform.lead_minutes
    lead = max(booking.size.lead_time, timedelta(minutes=least))
    takes = settings.teardown_seconds if platform.teardown_seconds is None else platform.teardown_seconds
    end = reservation.end - timedelta(seconds=takes)
    due = {Action.END: end, Action.WARN: reservation.end - timedelta(minutes=settings.warning_minutes)}
    if reservation.state in (State.HELD, State.CONFIRMED):
        due[Action.PROVISION] = reservation.start - lead
    if reservation.expires_at is not None:
        due = {Action.EXPIRE: reservation.expires_at}
    return [_work(ctx, reservation, action, at) for action, at in due.items()]


def add_work(
    ctx: Context, session: Session, reservation: Reservation, action: Action, due_at: datetime
) -> None:
    """Write one act that is due; nothing happens if it is written already."""
    known = session.scalar(
        select(Work.id).where(
            Work.reservation_id == reservation.id,
            Work.action == action,
            Work.revision == reservation.revision,
        )
    )
    if known is None:
        store(session, _work(ctx, reservation, action, due_at))


def _work(ctx: Context, reservation: Reservation, action: Action, due_at: datetime) -> Work:
    return made(
        Work,
        id=ctx.ids.new(),
        reservation_id=reservation.id,
        action=action,
        revision=reservation.revision,
        due_at=due_at,
    )
