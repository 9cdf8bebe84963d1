"""How a promise is written: booking, reservations, ledger, due work and journal, under the locks of pool and account."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.lifecycle import State
from booking.errors import Invalid
from booking.models import Account, Booking, Group, Membership, Pool, Reservation, Role
from booking.models.package import as_sizes
from booking.models.store import made, store
from booking.services import holds, transitions
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, Decision
from booking.services.ledger import append, entries


@dataclass(frozen=True)
class Act:
    """As what the journal keeps a promise, and who made it; None is the service itself."""

    by: Actor | None
    action: str


def write(
    ctx: Context,
    session: Session,
    actor: Actor,
    pool: Pool,
    request: BookingRequest,
    decision: Decision,
    act: Act,
) -> Booking:
    """Write what was decided under the locks of pool and account, as a booking of the actor.

    :raises Invalid: if the actor may not book for the group.
    """
    now, package = ctx.clock.now(), decision.package
    account, group = session.get_one(Account, actor.id), group_for(session, actor.id, request.group)
    booking = made(
        Booking,
        id=ctx.ids.new(),
        # What is known of a new booking is said, so that nothing of it need be read back under the lock.
        account=account,
        account_id=account.id,
        group=group,
        group_id=group.id if group else None,
        pool=pool,
        pool_id=pool.id,
        guests=[],
        reservations=[],
        package_name=package.name,
        package_version=package.version,
        **as_sizes(package),
        sharing=request.sharing,
        side=decision.side,
        title=request.title,
        notebook_url=request.notebook_url,
        revision=1,
        created_at=now,
    )
    expires_at = now + request.hold if request.hold is not None else None
    for span in sorted(request.spans):
        reservation = made(
            Reservation,
            id=ctx.ids.new(),
            booking=booking,
            booking_id=booking.id,
            cluster=None,
            pool_id=pool.id,
            start=span.start,
            end=span.end,
            state=State.HELD if expires_at else State.CONFIRMED,
            expires_at=expires_at,
            end_reason="",
            at_risk=False,
            revision=1,
        )
        booking.reservations.append(reservation)
    append(session, pool, [e for span in request.spans for e in entries(booking.side, span, package.demand)])
    due = [work for reservation in booking.reservations for work in transitions.due_work(ctx, reservation)]
    told = {"package": package.name, "spans": len(request.spans)}
    entry = ctx.entry(act.by, act.action, f"booking:{booking.id}", **told)
    store(session, booking, *booking.reservations, *due, entry)
    if expires_at is not None:
        holds.note_next_expiry(session, pool)
    return booking


def group_for(session: Session, account_id: str, name: str | None) -> Group | None:
    """The group of that name or id, if the account may book for it; without a name, none.

    :raises Invalid: if it may not.
    """
    if name is None:
        return None
    found = session.scalar(
        select(Group)
        .join(Membership)
        .where((Group.id == name) | (Group.name == name))
        .where(Membership.account_id == account_id, Membership.role.in_([Role.WRITER, Role.ADMIN]))
    )
    if found is None:
        raise Invalid({"group": ["is not a group you may book for"]})
    return found
