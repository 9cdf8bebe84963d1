"""The clock goes back: what was put off until an instant is not put off for as long as the clock went back."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from sqlalchemy import update

from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.doors import Doors
from booking.models import Work
from booking.ratelimits import DatabaseStorage
from booking.scheduler import Scheduler, _Every
from booking.services import bookings, leadership
from tests.services.test_clusters import LATER, World
from tests.support.doors import START, TestClock

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def world(doors: Doors, clock: TestClock) -> World:
    return World(doors, clock)


def test_a_cluster_that_was_ending_is_gone_at_once(
    world: World, clock: TestClock, caplog: pytest.LogCaptureFixture
) -> None:
    booking = world.site.book(world.ann, "half", LATER)
    clock.set(LATER.start)
    world.scheduler.tick()
    assert world.site.states(booking.id) == [State.ACTIVE]
    bookings.cancel(world.site.ctx, world.ann, booking.id)
    world.scheduler.tick()
    assert world.site.states(booking.id) == [State.ENDING]
    clock.set(clock.now() - DAY)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            world.scheduler.tick()
            clock.advance(SECOND)
    assert world.site.states(booking.id) == [State.ENDED]
    assert "the clock went back by 1 day" in caplog.text


def test_work_that_had_failed_is_tried_again_at_once(world: World, clock: TestClock) -> None:
    booking = world.site.book(world.ann, "half", LATER)
    clock.set(LATER.start)
    put_off = update(Work).where(Work.due_at <= LATER.start).values(attempts=1, due_at=LATER.start + SECOND)
    world.site.ctx.db.run("put off", lambda session: session.execute(put_off))
    world.scheduler.tick()
    assert world.site.states(booking.id) == [State.CONFIRMED]
    clock.set(LATER.start - timedelta(minutes=2))
    world.scheduler.tick()
    assert world.site.states(booking.id) == [State.PREPARING]


def test_another_may_lead_at_once_and_nobody_seems_to_lead_who_does_not(
    world: World, clock: TestClock
) -> None:
    assert world.scheduler.tick()
    clock.set(clock.now() - DAY)
    assert not leadership.is_led(world.site.ctx)
    assert Scheduler(world.site.ctx, world.outside, "two").tick()
    assert leadership.is_led(world.site.ctx)


def test_a_cluster_of_the_twin_stays_ready(clock: TestClock, world: World) -> None:
    booking = world.site.book(world.ann, "half", LATER)
    clock.set(LATER.start)
    world.scheduler.tick()
    clock.set(LATER.start - DAY)
    assert isinstance(world.outside, NullProvisioner)
    assert world.outside.observe(world.site.only(booking.id).id).state == "ready"


def test_who_came_too_often_is_not_kept_out_for_as_long_as_the_clock_went_back(
    world: World, clock: TestClock
) -> None:
    limits = DatabaseStorage(world.site.ctx)
    limits.incr("key", 60, 10)
    clock.set(clock.now() - DAY)
    assert limits.incr("key", 60) == 1
    clock.advance(59 * SECOND)
    assert limits.incr("key", 60) == 2


def test_beats_that_a_jump_ahead_left_out_are_not_made_up_for() -> None:
    every = _Every(2.0)
    assert every.get_next_fire_time(START - DAY, START) == START + 2 * SECOND
