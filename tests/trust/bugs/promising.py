"""Mistakes in promising: races, idempotency, and what is told before it is true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from greenlet import getcurrent
from sqlalchemy import delete
from sqlalchemy.orm import Session

from booking.allocator.span import minute_of
from booking.models import Booking, IdempotencyKey, Pool
from booking.services import bookings, changes, decision, transitions
from booking.services.bookings import Idempotency, Promise, Render
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, Decision
from tests.trust.bugs.planting import Spade, bug
from tests.trust.sim.hub import Hub
from tests.trust.sim.processes import Call

_book = bookings.book
_decide = decision.decide
_locked = bookings._locked


@bug
def check_and_insert_in_two_transactions(spade: Spade) -> None:
    """The decision is made in one transaction and written in the next, without the lock between."""
    decided: dict[Any, Decision] = {}

    def book(
        ctx: Context, actor: Actor, request: BookingRequest, render: Render, key: Idempotency | None = None
    ) -> Promise:
        def check(session: Session) -> Decision | None:
            pool, known = _locked(ctx, session, actor, request, key)
            return None if known else _decide(ctx, session, actor, pool, request)

        found = ctx.db.rehearse("book", check)
        if found is not None:
            decided[getcurrent()] = found
        return _book(ctx, actor, request, render, key)

    def decide(*args: Any) -> Decision:
        return decided.pop(getcurrent(), None) or _decide(*args)

    spade.plant(bookings, "book", book)
    spade.plant(bookings, "decide", decide)


@bug
def key_in_its_own_transaction(spade: Spade) -> None:
    """The booking is committed first, and its idempotency key after it."""

    def book(
        ctx: Context, actor: Actor, request: BookingRequest, render: Render, key: Idempotency | None = None
    ) -> Promise:
        known = _known(ctx, actor, key)
        if known is not None:
            return known
        promise = _book(ctx, actor, request, render, None)
        if key is not None:
            row = _row(ctx, actor, key, promise)
            ctx.db.run("book", lambda session: session.merge(row))
        return promise

    spade.plant(bookings, "book", book)


def _known(ctx: Context, actor: Actor, key: Idempotency | None) -> Promise | None:
    def read(session: Session) -> Promise | None:
        row = session.get(IdempotencyKey, (actor.id, key.key if key else ""))
        return (
            None
            if row is None
            else Promise(session.get_one(Booking, row.booking_id), row.answer, replayed=True)
        )

    return ctx.db.read("key", read)


def _row(ctx: Context, actor: Actor, key: Idempotency, promise: Promise) -> IdempotencyKey:
    return IdempotencyKey(
        account_id=actor.id,
        key=key.key,
        request_hash=key.request_hash,
        booking_id=promise.booking.id,
        answer=promise.answer,
        created_at=ctx.clock.now(),
    )


@bug
def key_looked_up_without_the_lock(spade: Spade) -> None:
    """The key is looked up before the account is locked, so that two at once both find nothing."""

    def book(
        ctx: Context, actor: Actor, request: BookingRequest, render: Render, key: Idempotency | None = None
    ) -> Promise:
        return _known(ctx, actor, key) or _book(ctx, actor, request, render, key)

    def locked(
        ctx: Context, session: Session, actor: Actor, request: BookingRequest, key: Idempotency | None
    ) -> tuple[Pool, None]:
        pool, _ = _locked(ctx, session, actor, request, None)
        if key is not None:
            mine = (IdempotencyKey.key == key.key) & (IdempotencyKey.account_id == actor.id)
            session.execute(delete(IdempotencyKey).where(mine))
        return pool, None

    spade.plant(bookings, "book", book)
    spade.plant(bookings, "_locked", locked)


@bug
def answered_before_the_commit(spade: Spade) -> None:
    """The 201 leaves while its transaction may still fail."""

    def book(
        ctx: Context, actor: Actor, request: BookingRequest, render: Render, key: Idempotency | None = None
    ) -> Promise:
        def early(booking: Booking) -> dict[str, Any]:
            answer = render(booking)
            task = Hub.active.task
            assert task is not None
            if isinstance(task.call, Call):
                task.call.put((201, answer))
            return answer

        return _book(ctx, actor, request, early, key)

    spade.plant(bookings, "book", book)


@bug
def answer_made_anew(spade: Spade) -> None:
    """A repeated request is answered with the booking as it is now, not with the stored answer."""

    def book(
        ctx: Context, actor: Actor, request: BookingRequest, render: Render, key: Idempotency | None = None
    ) -> Promise:
        promise = _book(ctx, actor, request, render, key)
        return replace(promise, answer=render(promise.booking)) if promise.replayed else promise

    spade.plant(bookings, "book", book)


@bug
def extension_not_checked(spade: Spade) -> None:
    """A later end is written without asking whether it is free."""
    spade.plant(changes, "_check_extension", lambda *_: None)


@bug
def extension_checked_over_the_wrong_span(spade: Spade) -> None:
    """An extension asks for room an hour too early."""
    spade.plant(changes, "minute_of", lambda instant: minute_of(instant) - 60)


@bug
def old_end_still_due_after_an_extension(spade: Spade) -> None:
    """A moved end leaves the revision as it was, so that the work of the old end is done."""
    move = changes._move_end

    def moved(ctx: Context, session: Session, actor: Actor, pool: Pool, reservation: Any, end: Any) -> None:
        revision = reservation.revision
        move(ctx, session, actor, pool, reservation, end)
        reservation.revision = revision

    spade.plant(changes, "_move_end", moved)


@bug
def confirmed_but_nothing_is_due(spade: Spade) -> None:
    """Confirming a hold does not write the work that makes its cluster."""
    schedule = transitions.schedule

    def scheduled(ctx: Context, session: Session, reservation: Any) -> None:
        if reservation.revision == 1:
            schedule(ctx, session, reservation)

    spade.plant(transitions, "schedule", scheduled)


@bug
def level_0_not_bounded(spade: Spade) -> None:
    """Visitors may take more than what is set aside for them."""
    room_of = decision.room_of

    def room(state: Any, side: Any) -> Any:
        found = room_of(state, side)
        return found + 10**6 if side == "level0" else found

    spade.plant(decision, "room_of", room)
