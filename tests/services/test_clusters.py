"""Bookings become clusters: there at the start, gone at the end, whatever happens in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select

from booking.adapters.base import ClusterState, ProvisionerError
from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.allocator.package import Sharing
from booking.allocator.span import Span
from booking.doors import Doors
from booking.models import AccountKind, ClusterPhase, Leadership
from booking.scheduler import Scheduler
from booking.services import accounts, bookings, changes, clusters, verify, visitors
from booking.services.context import actor_of
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, make_site
from tests.support.ticking import let_pass

SECOND = timedelta(seconds=1)
LATER = Span(START + 2 * HOUR, START + 4 * HOUR)
NOW = Span(START, START + 2 * HOUR)


class Faults:
    """What the outside refuses just now."""

    def __init__(self) -> None:
        self.refused: set[str] = set()

    def __call__(self, call: str, _: str, moment: str) -> None:
        if moment == "before" and call in self.refused:
            raise ProvisionerError("the outside is asleep")


class World:
    """A site with a scheduler over the twin, and time that passes in ticks."""

    def __init__(self, doors: Doors, clock: TestClock, ready_after: timedelta = timedelta(0)) -> None:
        self.faults = Faults()
        provisioner = NullProvisioner(clock, ready_after=ready_after, faults=self.faults)
        self.site = make_site(doors, lead_minutes=5, warning_minutes=10, provision_attempts=3)
        self.clock, self.outside = clock, provisioner
        self.scheduler = Scheduler(self.site.ctx, provisioner, "one")
        self.site.pool(8)
        self.site.package("half", 4)
        self.ann = self.site.person("ann")

    def run(self, by: timedelta, step: timedelta = 2 * SECOND) -> None:
        """Let time pass, a tick at each step."""
        let_pass(self.clock, self.scheduler, by, step)

    def made(self, kind: str = "created") -> int:
        return sum(event.kind == kind for event in self.outside.events)

    def state(self, booking_id: str) -> State:
        return self.site.only(booking_id).state

    def detail(self, booking_id: str) -> str:
        cluster = self.site.only(booking_id).cluster
        assert cluster is not None
        return cluster.detail


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: time passes in thousands of ticks here; test_scheduler.py runs on both."""
    return sqlite_url


@pytest.fixture
def world(doors: Doors, clock: TestClock) -> World:
    return World(doors, clock, 20 * SECOND)


@contextmanager
def refusing(world: World, call: str) -> Iterator[None]:
    """The outside refuses a call for a while."""
    world.faults.refused.add(call)
    yield
    world.faults.refused.clear()


def test_a_cluster_is_ready_at_the_start_and_gone_at_the_end(world: World) -> None:
    made = world.site.book(world.ann, "half", LATER)
    world.run(LATER.start - timedelta(minutes=6) - world.clock.now(), step=timedelta(minutes=1))
    assert world.made() == 0
    world.run(LATER.start - world.clock.now())
    assert world.state(made.id) is State.ACTIVE
    assert world.outside.observe(made.reservations[0].id).state is ClusterState.READY
    world.run(LATER.end - world.clock.now(), step=5 * SECOND)
    assert world.state(made.id) is State.ENDED
    assert world.outside.inventory() == frozenset()
    cluster = world.site.only(made.id).cluster
    assert cluster is not None
    assert cluster.endpoints == []
    assert (world.made("created"), world.made("destroyed")) == (1, 1)
    assert verify.differences(world.site.ctx) == []


def test_a_cluster_that_is_ready_early_becomes_active_at_the_start_and_not_before(world: World) -> None:
    made = world.site.book(world.ann, "half", LATER)
    world.run(LATER.start - timedelta(minutes=2) - world.clock.now(), step=60 * SECOND)
    world.clock.set(LATER.start - SECOND)
    world.scheduler.tick()
    assert world.state(made.id) is State.PREPARING
    world.clock.set(LATER.start)
    world.scheduler.tick()
    assert world.state(made.id) is State.ACTIVE


def test_its_owner_is_warned_before_the_end(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.run(timedelta(minutes=109), step=timedelta(minutes=1))
    cluster = world.site.only(made.id).cluster
    assert cluster is not None
    assert cluster.warned_at is None
    world.run(timedelta(minutes=2), step=timedelta(minutes=1))
    cluster = world.site.only(made.id).cluster
    assert cluster is not None
    assert cluster.warned_at is not None


def test_a_live_booking_that_is_cancelled_is_torn_down_and_given_back(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.run(30 * SECOND)
    bookings.cancel(world.site.ctx, world.ann, made.id)
    assert world.state(made.id) is State.ENDING
    assert world.site.only(made.id).end == START + HOUR
    world.run(10 * SECOND)
    assert world.state(made.id) is State.ENDED
    assert world.outside.inventory() == frozenset()
    for _ in range(2):
        world.site.book(world.ann, "half", NOW)
    assert verify.differences(world.site.ctx) == []


def test_one_cancelled_while_it_is_made_ends_as_cancelled(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.scheduler.tick()
    assert world.state(made.id) is State.PREPARING
    bookings.cancel(world.site.ctx, world.ann, made.id)
    world.run(10 * SECOND)
    assert world.state(made.id) is State.CANCELLED
    assert world.outside.inventory() == frozenset()


def test_an_extension_reaches_the_cluster_and_moves_the_end(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.run(30 * SECOND)
    reservation = made.reservations[0].id
    changes.change(
        world.site.ctx, world.ann, made.id, changes.Change(ends={reservation: NOW.end + HOUR}), None
    )
    world.run(4 * SECOND)
    assert world.outside.observe(reservation).ends_at == NOW.end + HOUR
    world.run(NOW.end + timedelta(minutes=1) - world.clock.now(), step=timedelta(minutes=1))
    assert world.state(made.id) is State.ACTIVE
    world.run(HOUR, step=timedelta(minutes=1))
    assert world.state(made.id) is State.ENDED


def test_a_lost_cluster_is_made_again_while_time_remains(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.run(30 * SECOND)
    world.outside.lose(made.reservations[0].id)
    world.run(timedelta(minutes=2))
    assert world.state(made.id) is State.ACTIVE
    assert world.made() == 2
    assert verify.differences(world.site.ctx) == []


def test_one_that_went_at_its_end_before_the_scheduler_came_has_ended(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.run(30 * SECOND)
    reservation = made.reservations[0].id
    world.clock.set(NOW.end + 2 * SECOND)
    world.outside.lose(reservation)
    epoch = world.site.ctx.db.read("epoch", lambda session: session.scalars(select(Leadership.epoch)).one())
    clusters.converge(world.site.ctx, epoch, world.outside)  # before the work that is due
    world.run(10 * SECOND)
    assert world.state(made.id) is State.ENDED
    assert verify.differences(world.site.ctx) == []


def test_one_that_is_lost_again_and_again_fails_and_gives_its_time_back(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    for _ in range(3):
        world.run(timedelta(minutes=2))
        world.outside.lose(made.reservations[0].id)
    world.run(timedelta(minutes=2))
    assert world.state(made.id) is State.FAILED
    assert "could not be kept" in world.detail(made.id)
    assert world.outside.inventory() == frozenset()
    assert verify.differences(world.site.ctx) == []


def test_refused_making_is_tried_a_bounded_number_of_times_and_told(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    with refusing(world, "provision"):
        world.scheduler.tick()
        assert "(attempt 2 of 3): the outside is asleep" in world.detail(made.id)
        world.run(timedelta(minutes=1))
    world.run(10 * SECOND)
    assert world.state(made.id) is State.FAILED
    assert "the outside is asleep" in world.detail(made.id)


def test_making_that_works_at_the_second_try_is_as_good(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    with refusing(world, "provision"):
        world.scheduler.tick()
    world.run(timedelta(minutes=1))
    assert world.state(made.id) is State.ACTIVE
    assert world.made() == 1


def test_ending_is_tried_until_it_is_done(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.run(30 * SECOND)
    bookings.cancel(world.site.ctx, world.ann, made.id)
    with refusing(world, "teardown"):
        world.run(timedelta(minutes=20), step=10 * SECOND)
        assert world.state(made.id) is State.ENDING
        assert "the outside is asleep" in world.detail(made.id)
    world.run(timedelta(minutes=10), step=10 * SECOND)
    assert world.state(made.id) is State.ENDED


def test_one_that_shows_up_again_while_it_ends_is_looked_at_twice_more(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    reservation = made.reservations[0].id
    world.run(30 * SECOND)
    bookings.cancel(world.site.ctx, world.ann, made.id)
    world.scheduler.tick()  # torn down
    world.scheduler.tick()  # nothing was there
    world.outside.lose(reservation)  # as a call to make it that lands late
    for state in (State.ENDING, State.ENDING, State.ENDED):
        world.clock.advance(2 * SECOND)
        world.scheduler.tick()
        assert world.state(made.id) is state
    assert world.outside.inventory() == frozenset()


def test_looks_that_failed_do_not_use_up_the_attempts_to_make_it_again(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.run(30 * SECOND)
    with refusing(world, "observe"):
        world.run(timedelta(minutes=5), step=10 * SECOND)
    world.run(timedelta(minutes=1))
    world.outside.lose(made.reservations[0].id)
    world.run(timedelta(minutes=2))
    assert world.state(made.id) is State.ACTIVE
    assert world.made() == 2


def test_one_that_could_not_be_ended_for_long_ends_within_a_minute_once_it_can_be(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.run(30 * SECOND)
    bookings.cancel(world.site.ctx, world.ann, made.id)
    with refusing(world, "teardown"):
        world.run(timedelta(minutes=20), step=10 * SECOND)
    world.run(timedelta(minutes=1) + 10 * SECOND, step=5 * SECOND)
    assert world.state(made.id) is State.ENDED


def test_one_that_never_becomes_ready_is_made_again_and_then_fails(doors: Doors, clock: TestClock) -> None:
    world = World(doors, clock, timedelta(days=1))
    made = world.site.book(world.ann, "half", NOW)
    world.run(timedelta(minutes=20), step=5 * SECOND)
    assert world.state(made.id) is State.FAILED
    assert "not ready within" in world.detail(made.id)
    assert world.outside.inventory() == frozenset()


def test_one_that_was_not_ready_by_its_end_has_failed(doors: Doors, clock: TestClock) -> None:
    clock.advance(timedelta(minutes=52))
    world = World(doors, clock, timedelta(days=1))
    made = world.site.book(world.ann, "half", Span(START, START + HOUR))
    world.run(timedelta(minutes=9), step=5 * SECOND)
    assert world.state(made.id) is State.FAILED
    assert world.site.only(made.id).end_reason == "it was not ready before its end"
    assert world.outside.inventory() == frozenset()


def test_what_belongs_to_nobody_is_torn_down(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.run(30 * SECOND)
    world.outside.lose("orphan00000000000000")
    assert len(world.outside.inventory()) == 2
    world.run(timedelta(minutes=1))
    assert world.outside.inventory() == {made.reservations[0].id}


def test_a_span_that_passed_while_nobody_ran_has_failed_and_made_nothing(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.clock.advance(3 * HOUR)
    world.scheduler.tick()
    assert world.state(made.id) is State.FAILED
    assert world.made() == 0
    assert verify.differences(world.site.ctx) == []


def test_a_scheduler_that_was_away_over_the_end_finds_the_cluster_gone_by_itself(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    world.run(30 * SECOND)
    world.clock.advance(5 * HOUR)
    world.run(10 * SECOND)
    assert world.state(made.id) is State.ENDED
    assert verify.differences(world.site.ctx) == []


def test_a_clock_that_jumps_back_and_forth_starts_and_ends_nothing_twice(world: World) -> None:
    made = world.site.book(world.ann, "half", LATER)
    world.run(10 * SECOND)
    for jump in (timedelta(hours=2, minutes=1), -HOUR, HOUR, timedelta(days=-1), timedelta(days=1, hours=3)):
        world.clock.set(world.clock.now() + jump)
        world.run(timedelta(minutes=1))
    assert world.state(made.id) is State.ENDED
    assert (world.made("created"), world.made("destroyed")) == (1, 1)


def test_touching_bookings_of_the_whole_pool_follow_one_another(world: World) -> None:
    world.site.package("whole", 8)
    first = world.site.book(world.ann, "whole", NOW)
    second = world.site.book(world.ann, "whole", Span(NOW.end, NOW.end + HOUR))
    world.run(NOW.end + 30 * SECOND - world.clock.now(), step=10 * SECOND)
    assert (world.state(first.id), world.state(second.id)) == (State.ENDED, State.ACTIVE)


def test_days_of_bookings_pass_in_seconds_and_leave_nothing(world: World) -> None:
    made = [
        world.site.book(
            world.ann, "half", Span(START + timedelta(hours=5 * n), START + timedelta(hours=5 * n + 3))
        )
        for n in range(1, 20)
    ]
    world.run(timedelta(days=5), step=timedelta(minutes=10))
    assert {world.state(booking.id) for booking in made} == {State.ENDED}
    assert world.made("created") == world.made("destroyed") == 19
    assert world.outside.inventory() == frozenset()
    assert verify.differences(world.site.ctx) == []


def test_an_anonymous_account_that_is_over_takes_its_cluster_with_it(world: World) -> None:
    guest = visitors.try_it(world.site.ctx)
    world.site.package("tiny", 2)
    actor = world.site.ctx.db.read("actor", lambda s: actor_of(s, accounts.find(s, guest.name)))
    made = world.site.book(actor, "tiny", Span(START, START + 4 * HOUR), sharing=Sharing.SHARED)
    world.run(30 * SECOND)
    assert actor.kind is AccountKind.ANONYMOUS
    visitors.leave(world.site.ctx, actor)
    world.run(10 * SECOND)
    assert world.state(made.id) is State.ENDED
    assert world.outside.inventory() == frozenset()
    cluster = world.site.only(made.id).cluster
    assert cluster is not None
    assert cluster.phase is ClusterPhase.GONE


def test_misfortunes_far_apart_do_not_add_up(world: World) -> None:
    made = world.site.book(world.ann, "half", NOW)
    for _ in range(4):
        world.run(timedelta(minutes=15), step=timedelta(minutes=1))
        assert world.state(made.id) is State.ACTIVE
        world.outside.lose(made.reservations[0].id)
    world.run(timedelta(minutes=5), step=timedelta(minutes=1))
    assert world.state(made.id) is State.ACTIVE
