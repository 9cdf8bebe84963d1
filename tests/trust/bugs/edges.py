"""Mistakes at the edges: ends, keys, owners, and what is told to people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from booking.adapters.base import ClusterSpec, Provisioner
from booking.allocator import cells, grid
from booking.allocator.lifecycle import LIVE, State
from booking.allocator.span import Span
from booking.allocator.timeline import Entry, Side
from booking.doors import Db
from booking.errors import IdempotencyMismatch, Unavailable
from booking.models import Action, Booking, IdempotencyKey, Leadership, Pool, Reservation, Work
from booking.services import (
    bookings,
    capacity,
    changes,
    clusters,
    holds,
    leadership,
    ledger,
    locking,
    promising,
    transitions,
    work,
)
from booking.services.bookings import Idempotency
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, Decision
from booking.services.locking import locked_booking
from tests.trust.bugs.planting import Spade, bug

T = TypeVar("T")
_APPENDERS = (ledger, bookings, changes, capacity, transitions)
_entries = ledger.entries
_locked = bookings._locked
_HOUR = timedelta(hours=1)


@bug
def last_hour_not_counted(spade: Spade) -> None:
    """A booking's claim ends one slot before its end."""

    def entries(side: Side, span: Span, amounts: Any, sign: int = 1) -> list[Entry]:
        short = span.end - _HOUR
        kept = Span(span.start, short) if side != "physical" and short > span.start else span
        return _entries(side, kept, amounts, sign)

    spade.plant_everywhere((promising, transitions), "entries", entries)


@bug
def booked_one_hour_short(spade: Spade) -> None:
    """Rows, ledger and answer agree on an end that nobody asked for."""
    write = bookings._write

    def written(
        ctx: Context, session: Session, actor: Actor, pool: Pool, request: BookingRequest, decision: Decision
    ) -> Booking:
        spans = tuple(Span(s.start, max(s.end - _HOUR, s.start + _HOUR)) for s in request.spans)
        return write(ctx, session, actor, pool, replace(request, spans=spans), decision)

    spade.plant(bookings, "_write", written)


@bug
def expiry_of_holds_ignored(spade: Spade) -> None:
    """A hold lasts until somebody cancels it."""
    spade.plant(holds, "expire_due", lambda *_: None)


@bug
def answer_of_another_account(spade: Spade) -> None:
    """Keys are looked up without asking whose they are."""

    def locked(
        ctx: Context, session: Session, actor: Actor, request: BookingRequest, key: Idempotency | None
    ) -> tuple[Pool, IdempotencyKey | None]:
        pool, known = _locked(ctx, session, actor, request, key)
        if key is not None and known is None:
            known = session.scalar(select(IdempotencyKey).where(IdempotencyKey.key == key.key).limit(1))
        return pool, known

    spade.plant(bookings, "_locked", locked)


@bug
def key_with_another_body_accepted(spade: Spade) -> None:
    """Whatever comes with a known key is answered with what was stored."""

    def locked(
        ctx: Context, session: Session, actor: Actor, request: BookingRequest, key: Idempotency | None
    ) -> tuple[Pool, IdempotencyKey | None]:
        try:
            return _locked(ctx, session, actor, request, key)
        except IdempotencyMismatch:
            pool, _ = _locked(ctx, session, actor, request, None)
            return pool, session.get(IdempotencyKey, (actor.id, key.key)) if key else None

    spade.plant(bookings, "_locked", locked)


@bug
def broken_commits_repeated(spade: Spade) -> None:
    """A transaction whose connection broke at its commit is run again, though it may have been committed."""
    once = Db._once

    def again(self: Db, name: str, fn: Callable[[Session], T], *, writes: bool) -> T:
        try:
            return once(self, name, fn, writes=writes)
        except DBAPIError:
            return once(self, name, fn, writes=writes)

    run = Db.run

    def repeated(self: Db, name: str, fn: Callable[[Session], T]) -> T:
        try:
            return run(self, name, fn)
        except Unavailable:
            return run(self, name, fn)

    spade.plant(Db, "_once", again)
    spade.plant(Db, "run", repeated)


@bug
def rows_read_before_the_outside_is_listed(spade: Spade) -> None:
    """The sweep asks first what is live, and takes what was made since then for orphans."""

    def sweep(ctx: Context, epoch: int, provisioner: Provisioner) -> frozenset[str]:
        def live(session: Session) -> frozenset[str]:
            leadership.still_leading(ctx, session, epoch)
            return frozenset(session.scalars(select(Reservation.id).where(Reservation.state.in_(LIVE))))

        known = ctx.db.run("live reservations", live)
        orphans = provisioner.inventory() - known
        for name in sorted(orphans):
            provisioner.teardown(name, grace=timedelta(0))
        return orphans

    spade.plant(clusters, "sweep", sweep)


@bug
def visitors_leave_their_bookings_behind(spade: Spade) -> None:
    """An anonymous account is closed, and its clusters run on."""
    spade.plant(bookings, "cancel_reservations", lambda *_, **__: None)


@bug
def anybody_may_change_a_booking(spade: Spade) -> None:
    """Who knows the id of a booking may cancel it."""
    spade.plant_everywhere((bookings, locking), "owns", lambda _actor, _account_id: True)


@bug
def revision_not_compared(spade: Spade) -> None:
    """A change is made whatever its caller has seen."""

    def unseen(
        ctx: Context, session: Session, actor: Actor, booking_id: str, _: int | None, **also: Any
    ) -> Any:
        return locked_booking(ctx, session, actor, booking_id, None, **also)

    spade.plant(changes, "locked_booking", unseen)


@bug
def changes_of_state_not_in_the_journal(spade: Spade) -> None:
    """Nobody can tell afterwards why a booking ended."""
    spade.plant(Context, "journal", lambda *_, **__: None)


@bug
def ends_an_hour_early(spade: Spade) -> None:
    """The end of a booking is due one slot before its end."""
    work_of = transitions._work

    def early(ctx: Context, row: Reservation, action: Action, due_at: datetime) -> Work:
        return work_of(ctx, row, action, due_at - _HOUR if action is Action.END else due_at)

    spade.plant(transitions, "_work", early)


@bug
def owners_not_warned(spade: Spade) -> None:
    """Nobody is told that a cluster ends soon."""
    spade.plant(work, "_ACTS", {**work._ACTS, Action.WARN: lambda *_: None})


@bug
def cluster_of_the_wrong_size(spade: Spade) -> None:
    """Every cluster is made without its workers."""
    spec_of = clusters.spec_of

    def small(reservation: Reservation) -> ClusterSpec:
        return replace(spec_of(reservation), worker_count=0)

    spade.plant(clusters, "spec_of", small)


@bug
def leadership_taken_before_it_lapses(spade: Spade) -> None:
    """Whoever beats takes over, with the epoch as it was."""

    def lead(ctx: Context, holder: str) -> int | None:
        def act(session: Session) -> int:
            now = ctx.clock.now()
            row = session.get(Leadership, leadership.SCHEDULER)
            if row is None:
                row = Leadership(name=leadership.SCHEDULER, holder=holder, epoch=1, until=now, seen_at=now)
                session.add(row)
            row.holder, row.seen_at = holder, now
            row.until = now + timedelta(seconds=ctx.settings.leadership_seconds)
            return row.epoch

        return ctx.db.run("lead", act)

    spade.plant(leadership, "lead", lead)


@bug
def cancelled_span_ends_at_once(spade: Spade) -> None:
    """Cancelling a live booking gives its time back while its cluster still runs."""
    end_now = bookings.end_now

    def at_once(ctx: Context, session: Session, pool: Pool, row: Reservation, **rest: Any) -> None:
        end_now(ctx, session, pool, row, **rest)
        transitions.move_all(ctx, session, pool, [row], State.CANCELLED)

    spade.plant(bookings, "end_now", at_once)


@bug
def hours_of_whole_offsets_only(spade: Spade) -> None:
    """An hour begins with an hour of UTC, also where clocks are half an hour apart from it."""
    spade.rewrite(cells, "_year_hours", "(first + _offset(zone, first)) % 60", "first % 60")
    spade.forget(cells._year, cells._starts, grid._years)
