"""What a decision under the lock stands on: the generation that was locked, and the holds as they were then."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.lifecycle import State
from booking.allocator.span import Span
from booking.doors import Db, Doors
from booking.errors import NoCapacity
from booking.models import Pool
from booking.services import bookings, changes, mine
from booking.services.timelines import PoolState, Timelines
from tests.support.doors import START, SequenceIds, TestClock
from tests.support.site import HOUR, Site, make_site

WINDOW = Span(START + HOUR, START + 2 * HOUR)


class RunningClock(TestClock):
    """Time goes on by a second whenever somebody asks for it."""

    running = False

    def now(self) -> datetime:
        if self.running:
            self.advance(timedelta(seconds=1))
        return super().now()


def test_a_hold_that_becomes_due_during_a_decision_counts_until_the_next(db: Db, ids: SequenceIds) -> None:
    clock = RunningClock()
    site = make_site(Doors(clock, ids, db))
    site.pool(4)
    site.package("half", 2)
    ann, bob = site.person("ann"), site.person("bob")
    site.book(ann, "half", WINDOW)
    held = site.book(bob, "half", WINDOW, hold=timedelta(seconds=4))
    clock.running = True
    with pytest.raises(NoCapacity):
        # The clock is past the expiry when capacity is looked at, and was not when holds were.
        site.book(ann, "half", WINDOW)
    site.book(ann, "half", WINDOW)
    assert site.states(held.id) == [State.EXPIRED]


def test_so_it_does_during_an_extension(db: Db, ids: SequenceIds) -> None:
    clock = RunningClock()
    site = make_site(Doors(clock, ids, db))
    site.pool(4)
    site.package("half", 2)
    ann, bob = site.person("ann", admin=True), site.person("bob")
    booking = site.book(ann, "half", Span(START, START + HOUR))
    site.book(bob, "half", WINDOW, hold=timedelta(seconds=3))
    clock.running = True
    ends = {booking.reservations[0].id: WINDOW.end}
    changed = changes.change(site.ctx, ann, booking.id, changes.Change(ends=ends), None)
    assert changed.reservations[0].end == WINDOW.end


def test_a_confirmation_advances_the_generation(site: Site) -> None:
    site.pool(4)
    site.package("half", 2)
    ann = site.person("ann")
    booking = site.book(ann, "half", WINDOW, hold=HOUR)
    before = _generation(site)
    bookings.confirm(site.ctx, ann, booking.id)
    assert _generation(site) == before + 1
    bookings.confirm(site.ctx, ann, booking.id)
    assert _generation(site) == before + 1


def test_a_timeline_that_was_not_brought_up_to_date_promises_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pool(2)
    site.package("half", 2)
    ann = site.person("ann")
    current = Timelines.current

    def stale(self: Timelines, session: Session, pool_id: str, window: Span) -> PoolState:
        return self.known(pool_id) or current(self, session, pool_id, window)

    monkeypatch.setattr(Timelines, "current", stale)
    site.book(ann, "half", WINDOW)
    with pytest.raises(NoCapacity):
        site.book(ann, "half", WINDOW)


def _generation(site: Site) -> int:
    return site.ctx.db.read("generation", lambda session: session.scalars(select(Pool.generation)).one())


def test_how_far_a_reservation_may_grow_is_told_past_an_expired_hold(site: Site, clock: TestClock) -> None:
    site.pool(4)
    site.package("whole", 4)
    ann, bob = site.person("ann"), site.person("bob")
    booking = site.book(ann, "whole", WINDOW)
    site.book(bob, "whole", Span(WINDOW.end, WINDOW.end + HOUR), hold=timedelta(minutes=1))
    before = mine.reach(site.ctx, ann, booking.id, booking.reservations[0].id)
    clock.advance(timedelta(minutes=2))
    assert mine.reach(site.ctx, ann, booking.id, booking.reservations[0].id) != before
