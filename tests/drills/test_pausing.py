"""The scheduler pauses rather than end many clusters that no row knows; nothing happens until it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from booking.adapters.base import ClusterSpec, Ports, SettingsFault, Unreachable
from booking.adapters.null import NullPledges, NullProvisioner
from booking.allocator.lifecycle import State
from booking.doors import Doors
from booking.errors import Conflict
from booking.lanes import Lanes
from booking.models import Verdict
from booking.scheduler import Scheduler
from booking.services import checks, doctor, pausing, platforms
from booking.services.pausing import Outside
from booking.services.platforms import NewPlatform, PlatformChange, Setup
from tests.services.test_clusters import NOW, World
from tests.support.doors import START, TestClock
from tests.support.site import ROOT

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


@pytest.fixture
def cloudy(world: World) -> tuple[Outside, NullProvisioner, NullPledges]:
    """The same site with a platform that makes clusters by itself, and sets aside."""
    clock = world.site.ctx.clock
    cloud, pledges = NullProvisioner(clock), NullPledges(clock)
    change = PlatformChange(provisioner="null")
    row = platforms.make(world.site.ctx, ROOT, NewPlatform("cloud", change), lambda _: Ports(cloud, pledges))
    there = Setup(row.id, "cloud", "null", {})
    return Outside(there, lambda _: Ports(cloud, pledges)), cloud, pledges


def test_every_platform_is_compared_with_its_own_rows(
    world: World, cloudy: tuple[Outside, NullProvisioner, NullPledges]
) -> None:
    outside, cloud, pledges = cloudy
    ctx, here = world.site.ctx, world.site.book(world.ann, "half", NOW)
    name = here.reservations[0].id
    world.run(MINUTE)
    cloud.lose("cluster0of0nobody")
    pledges.pledge(replace(SPEC, reservation_id="pledge0of0nobody", ends_at=ctx.clock.now() + 9 * MINUTE))
    found = pausing.difference(ctx, world.outside, [outside])
    assert found.strays == ("cluster0of0nobody", "pledge0of0nobody")
    assert found.missing == (), "what stands here is not looked for there"
    assert pausing.difference(ctx, cloud).missing == (name,)
    (check,) = [check for check in checks.CHECKS if check.name == "no orphans"]
    patient = doctor.Patient(ctx, lambda: world.outside, lambda: [outside])
    (told,) = doctor.examine(patient, [replace(check, needs="")])
    assert told.fault == "1 clusters outside belong to nobody: cluster0of0nobody"


def test_a_platform_that_does_not_answer_is_told_and_keeps_nothing_back(
    world: World, cloudy: tuple[Outside, NullProvisioner, NullPledges]
) -> None:
    class Away(NullProvisioner):
        def inventory(self) -> frozenset[str]:
            raise Unreachable("it hangs")

    strays(world, 2)

    def wrong(_: Setup) -> Ports:
        raise SettingsFault({"image": "is needed"})

    away = replace(cloudy[0], examine=lambda _: Ports(Away(world.site.ctx.clock)))
    found = pausing.difference(world.site.ctx, world.outside, [away, replace(away, examine=wrong)])
    assert len(found.strays) == 2
    assert found.unlisted == ("cloud: it hangs", "cloud: image is needed")
    assert "not compared: cloud: it hangs" in str(found)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_is_said_of_strays_holds_on_every_platform_and_for_pledges(
    world: World,
    cloudy: tuple[Outside, NullProvisioner, NullPledges],
    verdict: Verdict,
    caplog: pytest.LogCaptureFixture,
) -> None:
    outside, cloud, pledges = cloudy
    ctx, names = world.site.ctx, {f"stray{number:015d}" for number in range(3)}
    for name in names:
        cloud.lose(name)
        pledges.pledge(replace(SPEC, reservation_id=name, ends_at=ctx.clock.now() + 60 * MINUTE))
    world.outside.lose("here0of0nobody0known")
    lanes = Lanes(ctx, outside.examine, start=_at_once)
    scheduler = Scheduler(ctx, world.outside, "another", lanes)

    def run() -> None:
        for _ in range(40):
            scheduler.tick()
            world.clock.advance(timedelta(seconds=5))

    world.scheduler.resign()
    caplog.set_level(logging.WARNING)
    run()
    assert pausing.reason(ctx) is not None
    assert "clusters on cloud: 3 known to no row (stray000000000000000, " in caplog.text
    assert (set(cloud.inventory()), set(pledges.look())) == (names, names)
    found = pausing.difference(ctx, world.outside, [outside])
    assert set(found.strays) == names | {"here0of0nobody0known"}
    pausing.resume(ctx, verdict, found.strays)
    run()
    left = names if verdict is Verdict.KEEP else set[str]()
    assert pausing.reason(ctx) is None, "it does not pause for the same ones again"
    assert (set(cloud.inventory()), set(pledges.look())) == (left, left)
    assert bool(world.outside.inventory()) is bool(left)


def _at_once(_name: str, act: Callable[[], None]) -> Callable[[], bool]:
    act()
    return lambda: False


SPEC = ClusterSpec(
    reservation_id="",
    booking_id="booking0of0nobody",
    owner="nobody",
    package="half",
    notebook_cores=1,
    notebook_memory_mib=1024,
    worker_cores=1,
    worker_memory_mib=1024,
    worker_count=1,
    starts_at=START,
    ends_at=START,
)
