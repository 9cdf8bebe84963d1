"""Mistakes in counting: the ledger, the caches of timelines, holds, and cuts of capacity."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.allocator.lifecycle import COUNTED, State
from booking.allocator.span import Span
from booking.allocator.timeline import Amounts, Entry, ShareRatio, Side
from booking.models import Ledger, Pool, Reservation
from booking.services import (
    bookings,
    capacity,
    changes,
    holds,
    ledger,
    promising,
    states,
    transitions,
)
from booking.services.context import Context
from booking.services.timelines import PoolState, Timelines
from tests.trust.bugs.planting import Spade, bug

_APPENDERS = (ledger, bookings, promising, changes, capacity, transitions)
_append = ledger.append
_entries = ledger.entries
_current = Timelines.current


@bug
def cache_not_caught_up(spade: Spade) -> None:
    """A process trusts what it has cached of a timeline."""

    def current(self: Timelines, session: Session, pool_id: str, window: Span) -> PoolState:
        known = self.known(pool_id)
        if known is not None and known.timeline.covers(*window.minutes):
            return known
        return _current(self, session, pool_id, window)

    spade.plant(Timelines, "current", current)


@bug
def cache_kept_from_an_uncommitted_transaction(spade: Spade) -> None:
    """What a transaction has appended is cached although it may not commit."""

    def append(session: Session, pool: Pool, entries: Iterable[Entry]) -> None:
        _append(session, pool, entries)
        session.info.pop(ledger._APPENDED)

    spade.plant_everywhere(_APPENDERS, "append", append)


@bug
def own_entries_cached_before_the_commit(spade: Spade) -> None:
    """A promise is applied to the cache as soon as it is written, and its commit may still fail."""
    write = bookings._write

    def written(ctx: Context, session: Session, *rest: Any) -> Any:
        booking = write(ctx, session, *rest)
        session.info.pop(ledger._APPENDED)
        states.state_of(ctx, session, booking.pool_id)
        return booking

    spade.plant(bookings, "_write", written)


@bug
def generation_not_advanced(spade: Spade) -> None:
    """Entries are appended under the old generation, and no reader looks at them."""

    def append(session: Session, pool: Pool, entries: Iterable[Entry]) -> None:
        session.info[ledger._APPENDED] = True
        session.flush()
        newest = (Ledger.pool_id == pool.id) & (Ledger.generation == pool.generation)
        first = (session.scalar(select(func.max(Ledger.seq)).where(newest)) or 0) + 1
        for seq, entry in enumerate([entry for entry in entries if entry.amount], first):
            session.add(Ledger(pool_id=pool.id, generation=pool.generation, seq=seq, **entry._asdict()))

    spade.plant_everywhere(_APPENDERS, "append", append)


@bug
def ledger_numbers_collide(spade: Spade) -> None:
    """Every entry of a generation has the same number."""

    def append(session: Session, pool: Pool, entries: Iterable[Entry]) -> None:
        before = pool.generation
        for entry in entries:
            pool.generation = before
            _append(session, pool, [entry])
        pool.generation = before + 1

    spade.plant_everywhere(_APPENDERS, "append", append)


@bug
def holds_expire_a_moment_late(spade: Spade) -> None:
    """A hold whose expiry is now still counts as one."""

    def expire_due(ctx: Context, session: Session, pool: Pool, now: datetime) -> None:
        if pool.hold_expires_at is None or pool.hold_expires_at >= now:
            return
        over = (Reservation.pool_id == pool.id) & (Reservation.state == State.HELD)
        due = session.scalars(select(Reservation).where(over, Reservation.expires_at < now)).all()
        transitions.move_all(
            ctx, session, pool, due, State.EXPIRED, reason="the hold was not confirmed in time"
        )
        holds.note_next_expiry(session, pool)

    spade.plant(holds, "expire_due", expire_due)


@bug
def expiry_of_the_next_hold_not_noted(spade: Spade) -> None:
    """A pool forgets when its holds expire, so that nobody lets them."""

    def forget(_session: Session, pool: Pool) -> None:
        pool.hold_expires_at = None

    spade.plant(holds, "note_next_expiry", forget)


@bug
def cancelled_time_not_given_back(spade: Spade) -> None:
    """A cancelled booking goes on to count."""
    spade.plant(transitions, "COUNTED", COUNTED | {State.CANCELLED})


@bug
def cancelled_time_given_back_twice(spade: Spade) -> None:
    """Cancelling gives the time back, and ending it once more."""
    move = transitions.move_all

    def moved(
        ctx: Context, session: Session, pool: Pool, reservations: Any, state: State, **rest: Any
    ) -> None:
        chosen = list(reservations)
        move(ctx, session, pool, chosen, state, **rest)
        if state is State.CANCELLED:
            for reservation in chosen:
                booking = reservation.booking
                _append(session, pool, _entries(booking.side, reservation.span, booking.size.demand, -1))

    spade.plant(transitions, "move_all", moved)


@bug
def shared_rounded_for_each_booking(spade: Spade) -> None:
    """Each shared booking is rounded up on its own, instead of all of them together."""

    def entries(side: Side, span: Span, amounts: Any, sign: int = 1) -> list[Entry]:
        found = _entries(side, span, amounts, sign)
        return (
            [e._replace(amount=sign * -(-abs(e.amount) // 3) * 3) for e in found]
            if side == "shared"
            else found
        )

    spade.plant_everywhere((promising, transitions), "entries", entries)


@bug
def shared_rounded_down(spade: Spade) -> None:
    """A shared core that is only begun counts as none."""

    def taken(self: ShareRatio, shared: Amounts) -> Amounts:
        return (shared * 1000) // self.milli

    spade.plant(ShareRatio, "taken", taken)


@bug
def cut_of_capacity_not_flagged(spade: Spade) -> None:
    """Bookings that no longer fit after a cut look as if nothing had happened."""
    spade.plant(capacity, "flag", lambda *_: None)


@bug
def conflicts_of_a_cut_not_seen(spade: Spade) -> None:
    """A cut below what is booked is made without a word."""
    spade.plant(capacity, "losers", lambda *_: [])


@bug
def blackout_removed_and_not_given_back(spade: Spade) -> None:
    """The end of a blackout deletes its row and leaves the ledger as it is."""

    def entries(side: Side, span: Span, amounts: Any, sign: int = 1) -> list[Entry]:
        return [] if side is Side.PHYSICAL and sign == 1 else _entries(side, span, amounts, sign)

    spade.plant(capacity, "entries", entries)
