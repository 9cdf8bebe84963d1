"""The scheduler pauses rather than end many clusters that no row knows; nothing happens until it is told."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.doors import Doors
from booking.errors import Conflict
from booking.models import Verdict
from booking.scheduler import Scheduler
from booking.services import pausing
from tests.services.test_clusters import NOW, World
from tests.support.doors import TestClock

MINUTE = timedelta(minutes=1)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: what differs between databases is tested elsewhere."""
    return sqlite_url


@pytest.fixture
def world(doors: Doors, clock: TestClock) -> World:
    return World(doors, clock)


def strays(world: World, count: int) -> set[str]:
    """Clusters that another, later life of this database made."""
    names = {f"stray{number:015d}" for number in range(count)}
    for name in names:
        world.outside.lose(name)
    return names


def test_while_it_is_paused_nothing_is_made_and_nothing_is_ended(world: World) -> None:
    running = world.site.book(world.ann, "half", NOW)
    world.run(MINUTE)
    pausing.pause(world.site.ctx, "a look at the machine room")
    waiting = world.site.book(world.ann, "half", NOW)
    world.outside.lose("orphan00000000000000")
    world.run(10 * MINUTE, step=MINUTE)
    assert world.state(running.id) is State.ACTIVE
    assert world.state(waiting.id) is State.CONFIRMED
    assert world.outside.inventory() == {running.reservations[0].id, "orphan00000000000000"}
    pausing.resume(world.site.ctx, Verdict.END, ["orphan00000000000000"])
    world.run(MINUTE)
    assert world.state(waiting.id) is State.ACTIVE
    assert "orphan00000000000000" not in world.outside.inventory()


def test_the_first_reason_of_a_pause_stays(world: World) -> None:
    pausing.pause(world.site.ctx, "first")
    pausing.pause(world.site.ctx, "second")
    assert pausing.reason(world.site.ctx) == "first"


def test_a_database_that_knows_nothing_ends_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    names = strays(world, 1)
    world.run(MINUTE)
    assert world.outside.inventory() == names
    assert pausing.reason(world.site.ctx) == "1 of 1 clusters outside are known to no row of this database"
    assert "stray000000000000000" in caplog.text
    assert "`booking resume`" in caplog.text


@pytest.mark.parametrize("count, kept", [(1, False), (2, True), (3, True)])
def test_more_than_a_fifth_of_strays_pauses_the_scheduler(world: World, count: int, kept: bool) -> None:
    booked = {world.site.book(world.ann, "half", NOW).reservations[0].id for _ in range(2)}
    world.run(10 * timedelta(seconds=1))
    names = strays(world, count)
    world.run(MINUTE)
    assert (names <= world.outside.inventory()) is kept
    assert (pausing.reason(world.site.ctx) is not None) is kept
    assert booked <= world.outside.inventory()


def test_a_fifth_or_less_is_swept_as_ever(world: World) -> None:
    world.site.pool(80, name="big")
    for _ in range(10):
        world.site.book(world.ann, "half", NOW, pool="big")
    world.run(10 * timedelta(seconds=1))
    names = strays(world, 2)
    world.run(MINUTE)
    assert not names & world.outside.inventory()
    assert len(world.outside.inventory()) == 10


def test_strays_are_ended_or_kept_as_is_said_and_not_before(world: World) -> None:
    names = strays(world, 4)
    world.run(MINUTE)
    assert pausing.difference(world.site.ctx, world.outside).strays == tuple(sorted(names))
    with pytest.raises(Conflict, match="4 clusters"):
        pausing.resume(world.site.ctx, None, names)
    pausing.resume(world.site.ctx, Verdict.KEEP, names)
    world.run(10 * MINUTE, step=MINUTE)
    assert world.outside.inventory() == names
    assert pausing.reason(world.site.ctx) is None
    pausing.pause(world.site.ctx, "on second thoughts")
    pausing.resume(world.site.ctx, Verdict.END, names)
    world.run(MINUTE)
    assert world.outside.inventory() == frozenset()


def test_what_another_installation_made_is_in_no_inventory(doors: Doors, clock: TestClock) -> None:
    """Two databases with one home: each sees its own clusters only."""
    world = World(doors, clock)
    one, other = (NullProvisioner(clock, installation=name) for name in ("one", "other"))
    other._outside = one._outside
    made = world.site.book(world.ann, "half", NOW)
    Scheduler(world.site.ctx, one, "one").tick()
    assert one.inventory() == {made.reservations[0].id}
    assert other.inventory() == frozenset()
