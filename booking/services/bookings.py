"""Bookings: promise, confirm, change, cancel, share. Each promise is one transaction under the pool's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from booking import metrics, together
from booking.allocator.cells import cell_at
from booking.allocator.lifecycle import FINAL, LIVE, State
from booking.allocator.span import Span
from booking.errors import Conflict, IdempotencyMismatch, Invalid, NotFound, Refused
from booking.models import (
    Account,
    Booking,
    IdempotencyKey,
    Membership,
    Pool,
    Reservation,
)
from booking.models.store import columns_of, loaded, made, store, table_of
from booking.services import earliest, holds, offers, refusals, transitions
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, Decision, decide, needs
from booking.services.finding import find_pool
from booking.services.ledger import append, lock_pool, moved
from booking.services.locking import locked_booking, owns
from booking.services.promising import Act, group_for, write
from booking.together import Question

KEY_LIFE = timedelta(hours=24)


@dataclass(frozen=True)
class Idempotency:
    """A key of the caller's choice with the hash of the body it came with."""

    key: str
    request_hash: str


@dataclass(frozen=True)
class Promise:
    """What booking answered: the stored answer, and whether it had been given before."""

    booking: Booking
    answer: dict[str, Any]
    replayed: bool


Render = Callable[[Booking], dict[str, Any]]


@metrics.decisions
def book(
    ctx: Context,
    actor: Actor,
    request: BookingRequest,
    render: Render,
    idempotency: Idempotency | None = None,
) -> Promise:
    """Promise all spans or none; key, booking and answer are written in one transaction.

    :raises Invalid: if the request has a fault of form, or the key came with another body.
    :raises Refused: if policy or capacity says no; it carries alternatives.
    """
    actor.require("bookings:write")

    def promise(session: Session) -> Promise:
        pool, known = _locked(ctx, session, actor, request, idempotency)
        if known is not None:
            return Promise(session.get_one(Booking, known.booking_id), known.answer, replayed=True)
        wanted = earliest.under_lock(ctx, session, actor, pool, request)
        decision = decide(ctx, session, actor, pool, wanted)
        booking = _write(ctx, session, actor, pool, wanted, decision)
        answer = render(booking)
        if idempotency is not None:
            key = made(
                IdempotencyKey,
                account_id=actor.id,
                key=idempotency.key,
                request_hash=idempotency.request_hash,
                booking_id=booking.id,
                answer=answer,
                created_at=ctx.clock.now(),
            )
            store(session, key)
        return Promise(booking, answer, replayed=False)

    try:
        return ctx.db.run("book", promise)
    except Refused as refusal:
        refusals.note(ctx, actor, request, refusal)
        refusal.alternatives = offers.alternatives(ctx, actor, request)
        raise


def preview(ctx: Context, actor: Actor, request: BookingRequest) -> Decision:
    """Decide everything and write nothing.

    :raises BookingError: as :func:`book` would.
    """
    actor.require("bookings:write")

    def look(session: Session) -> Decision:
        pool, _ = _locked(ctx, session, actor, request, None)
        decision = decide(ctx, session, actor, pool, request)
        group_for(session, actor.id, request.group)
        return decision

    try:
        return ctx.db.rehearse("preview", look)
    except Refused as refusal:
        refusal.alternatives = offers.alternatives(ctx, actor, request)
        raise


_LOCK_ACCOUNT = select(*columns_of(Account)).where(Account.id == bindparam("account")).with_for_update()
_KEY = select(*table_of(IdempotencyKey).columns).where(
    IdempotencyKey.account_id == bindparam("account"), IdempotencyKey.key == bindparam("key")
)


def _locked(
    ctx: Context, session: Session, actor: Actor, request: BookingRequest, idempotency: Idempotency | None
) -> tuple[Pool, IdempotencyKey | None]:
    """Lock the pool, then the account: always in this order. The key is looked up under both locks.

    What is decided on is asked in the same breath, so that the locks are held for no further wait.
    """
    now = ctx.clock.now()
    account = Question(_LOCK_ACCOUNT, {"account": actor.id})
    key = Question(_KEY, {"account": actor.id, "key": idempotency.key if idempotency else None})
    try:
        pool_id = None if request.traits else ctx.timelines.named(request.pool)
        pool_id = pool_id or find_pool(session, request.pool, request.traits)
        keys, news = [key] if idempotency else [], ctx.timelines.news(pool_id)
        pool = lock_pool(session, pool_id, account, *keys, *needs(actor, request, now), *news)
    except NotFound as error:
        raise Invalid({"pool": [error.detail]}) from None
    if request.pool not in (None, pool.id, pool.name):  # another name was given to it since it was cached
        ctx.timelines.drop(pool_id)
        return _locked(ctx, session, actor, request, idempotency)
    for row in together.rows(session, *account):
        # Kept until the end of the transaction, since a session forgets what nobody holds.
        session.info["account"] = loaded(session, Account, row)
    known = _known(session, key, idempotency, now) if idempotency else None
    holds.expire_due(ctx, session, pool, now)
    return pool, known


def _known(session: Session, key: Question, idempotency: Idempotency, now: datetime) -> IdempotencyKey | None:
    """What was answered under the key, if that is not too long ago.

    :raises IdempotencyMismatch: if it came with another body.
    """
    found = together.rows(session, *key)
    if not found:
        return None
    known = made(IdempotencyKey, **found[0]._asdict())
    if known.created_at <= now - KEY_LIFE:
        mine = (IdempotencyKey.account_id == known.account_id) & (IdempotencyKey.key == known.key)
        session.execute(delete(IdempotencyKey).where(mine))
        return None
    if known.request_hash != idempotency.request_hash:
        raise IdempotencyMismatch({"Idempotency-Key": ["was used with another request"]})
    return known


def _write(
    ctx: Context, session: Session, actor: Actor, pool: Pool, request: BookingRequest, decision: Decision
) -> Booking:
    action = "booking.made" if request.hold is None else "booking.held"
    return write(ctx, session, actor, pool, request, decision, Act(actor, action))


def visible(session: Session, actor: Actor, booking_id: str) -> Booking:
    """A booking that is the actor's own, shared with them, or anybody's for an administrator.

    :raises NotFound: if there is none; somebody else's is not there.
    """
    booking = session.get(Booking, booking_id)
    if booking is None or not (actor.acts_as_admin or may_use(session, actor, booking)):
        raise NotFound("booking", booking_id)
    return booking


def may_use(session: Session, actor: Actor, booking: Booking) -> bool:
    """Whether the actor may use the booked cluster: the owner, named guests, members of its group."""
    if booking.account_id == actor.id or any(guest.id == actor.id for guest in booking.guests):
        return True
    return booking.group_id is not None and session.get(Membership, (booking.group_id, actor.id)) is not None


def owned(session: Session, actor: Actor, booking_id: str) -> Booking:
    """A booking that the actor may change.

    :raises NotFound: if there is none.
    """
    booking = session.get(Booking, booking_id)
    if booking is None or not owns(actor, booking.account_id):
        raise NotFound("booking", booking_id)
    return booking


def confirm(ctx: Context, actor: Actor, booking_id: str, if_match: int | None = None) -> Booking:
    """Turn a hold into a booking; what is confirmed already stays so.

    :raises Conflict: if the hold has expired or was cancelled.
    """
    actor.require("bookings:write")

    def act(session: Session) -> Booking:
        booking, pool = locked_booking(ctx, session, actor, booking_id, if_match)
        held = [r for r in booking.reservations if r.state is State.HELD]
        if not held and all(r.state in FINAL for r in booking.reservations):
            raise Conflict(
                f"The booking is {booking.state}; there is nothing to confirm.", code="booking.conflict"
            )
        transitions.move_all(ctx, session, pool, held, State.CONFIRMED, actor=actor)
        for reservation in held:
            reservation.revision += 1
            transitions.schedule(ctx, session, reservation)
        if held:
            # The timeline stays, but what else was decided at this generation took it for a hold.
            append(session, pool, [])
        holds.note_next_expiry(session, pool)
        return booking

    return ctx.db.run("confirm", act)


def cancel(ctx: Context, actor: Actor, booking_id: str, if_match: int | None = None) -> Booking:
    """Cancel what has not begun, and end what is live; repeating it changes nothing.

    The rest of a live reservation is given back from the end of the current cell at once, the current
    cell when its cluster is gone.

    :raises NotFound: if it is not the actor's.
    """
    actor.require("bookings:write")

    def act(session: Session) -> Booking:
        booking, pool = locked_booking(ctx, session, actor, booking_id, if_match)
        cancel_reservations(ctx, session, pool, booking.reservations, reason="cancelled", actor=actor)
        return booking

    return ctx.db.run("cancel", act)


def cancel_reservations(
    ctx: Context,
    session: Session,
    pool: Pool,
    reservations: Sequence[Reservation],
    *,
    reason: str,
    actor: Actor | None,
) -> None:
    """Cancel reservations of one locked pool, each as its state needs."""
    waiting = [r for r in reservations if r.state in (State.HELD, State.CONFIRMED)]
    are_held = any(r.state is State.HELD for r in waiting)
    transitions.move_all(ctx, session, pool, waiting, State.CANCELLED, reason=reason, actor=actor)
    for reservation in reservations:
        if reservation.state in LIVE and reservation.state is not State.ENDING:
            end_now(ctx, session, pool, reservation, reason=reason, actor=actor)
    if are_held:
        holds.note_next_expiry(session, pool)


def end_now(
    ctx: Context,
    session: Session,
    pool: Pool,
    reservation: Reservation,
    *,
    reason: str,
    actor: Actor | None = None,
) -> None:
    """Begin to end a live reservation before its time."""
    now, booking = ctx.clock.now(), reservation.booking
    cell_end = cell_at(pool.zone, now, pool.granularity).end
    if reservation.start < cell_end < reservation.end:
        after = Span(reservation.start, cell_end)
        append(session, pool, moved(booking.side, reservation.span, after, booking.size.demand))
        reservation.end = cell_end
    reservation.revision += 1
    reservation.outcome = State.ENDED if reservation.state is State.ACTIVE else State.CANCELLED
    transitions.begin_ending(ctx, session, pool, reservation, reason=reason, actor=actor)


def share(ctx: Context, actor: Actor, booking_id: str, account_name: str, *, shared: bool) -> Booking:
    """Let a named person use the booking, or no longer.

    :raises NotFound: if the booking is not the actor's, or there is no such account.
    """
    actor.require("bookings:write")

    def act(session: Session) -> Booking:
        booking = owned(session, actor, booking_id)
        guest = session.scalar(
            select(Account).where((Account.name == account_name) | (Account.id == account_name))
        )
        if guest is None:
            raise NotFound("account", account_name)
        if shared and guest not in booking.guests and guest.id != booking.account_id:
            booking.guests.append(guest)
        elif not shared and guest in booking.guests:
            booking.guests.remove(guest)
        ctx.journal(
            session,
            actor,
            "booking.shared" if shared else "booking.unshared",
            f"booking:{booking.id}",
            account=guest.name,
        )
        return booking

    return ctx.db.run("share", act)


def forget_keys(ctx: Context, session: Session, now: datetime) -> None:
    """Forget idempotency keys older than :data:`KEY_LIFE`."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at <= now - KEY_LIFE))
