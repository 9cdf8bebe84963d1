"""Any number of schedulers: one leads, another takes over, and nothing is done twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete

from booking.doors import Doors
from booking.models import Leadership
from booking.scheduler import Scheduler
from booking.services import leadership, verify
from tests.services.test_clusters import LATER, World
from tests.support.doors import TestClock


@pytest.fixture
def world(doors: Doors, clock: TestClock) -> World:
    return World(doors, clock)


def test_only_one_of_two_schedulers_leads_and_the_other_takes_over(world: World) -> None:
    other = Scheduler(world.site.ctx, world.outside, "two")
    assert world.scheduler.tick()
    assert not other.tick()
    world.clock.advance(timedelta(seconds=11))
    assert other.tick()
    assert not world.scheduler.tick()


def test_an_epoch_that_is_over_can_do_nothing(world: World) -> None:
    epoch = leadership.lead(world.site.ctx, "one")
    assert epoch is not None
    world.clock.advance(timedelta(seconds=11))
    later = leadership.lead(world.site.ctx, "two")
    assert later is not None
    assert later > epoch
    with pytest.raises(leadership.Deposed):
        world.site.ctx.db.run("old", lambda session: leadership.still_leading(world.site.ctx, session, epoch))


def test_who_works_longer_than_a_term_leads_on(world: World) -> None:
    ctx = world.site.ctx
    epoch = leadership.lead(ctx, "one")
    assert epoch is not None
    for _ in range(5):
        world.clock.advance(timedelta(seconds=6))
        ctx.db.run("work", lambda session: leadership.still_leading(ctx, session, epoch))
        assert leadership.lead(ctx, "two") is None


def test_an_epoch_never_comes_twice_though_the_database_lost_its_last_changes(world: World) -> None:
    ctx = world.site.ctx
    lost = leadership.lead(ctx, "one")
    ctx.db.run("lose", lambda session: session.execute(delete(Leadership)))
    world.clock.advance(timedelta(seconds=1))
    assert leadership.lead(ctx, "two") != lost


def test_a_hundred_starts_in_one_minute_are_each_made_once(world: World, clock: TestClock) -> None:
    world.site.pool(400, memory_mib=400 * 1024, name="big")
    for _ in range(100):
        world.site.book(world.ann, "half", LATER, pool="big")
    other = Scheduler(world.site.ctx, world.outside, "two")
    world.run(LATER.start - timedelta(minutes=5) - world.clock.now(), step=timedelta(minutes=10))
    clock.advance(timedelta(seconds=11))  # the first one is dead
    other.tick()
    clock.set(LATER.start)
    other.tick()
    assert world.made() == 100
    assert verify.differences(world.site.ctx) == []
