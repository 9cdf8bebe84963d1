"""What a platform has set aside follows the bookings, whatever the platform and the process go through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from booking.adapters.base import ClusterSpec, Pledged, Ports, SettingsFault, Unreachable
from booking.adapters.null import NullPledges, NullProvisioner
from booking.allocator.cells import Granularity
from booking.allocator.lifecycle import State
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.doors import Doors
from booking.errors import Conflict, Invalid, NotFound
from booking.models import Journal, Pause, Platform, Pledge, PledgePhase
from booking.scheduler import Scheduler
from booking.services import bookings, capacity, changes, checks, doctor, platforms, readings
from booking.services.platforms import NewPlatform, PlatformChange, Setup
from tests.metrics.told import counted
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, ROOT, make_site
from tests.support.ticking import lanes_of, let_pass

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
TOMORROW = Span(START + 24 * HOUR, START + 26 * HOUR)
NOW = Span(START, START + 2 * HOUR)


class Killed(BaseException):
    """The process is gone."""


class Watched(NullPledges):
    """The twin, with every call told and, at a chosen one, an answer that never comes."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.calls: list[str] = []
        self.at: Callable[[str, str], None] = lambda _call, _moment: None

    def pledge(self, spec: ClusterSpec) -> Pledged:
        with self._told("pledge"):
            return super().pledge(spec)

    def release(self, reservation_id: str) -> None:
        with self._told("release"):
            super().release(reservation_id)

    @contextmanager
    def _told(self, call: str) -> Iterator[None]:
        self.at(call, "before")
        self.calls.append(call)
        yield
        self.at(call, "after")


class World:
    """A site with a pool on a platform that pledges, and one on the installation's own."""

    def __init__(self, doors: Doors, clock: TestClock, *, may_change: bool = True, cores: int | None = None):
        self.clock = clock
        self.site = make_site(doors, lead_minutes=5, warning_minutes=10, reconcile_seconds=30)
        self.pledges = Watched(clock, may_change=may_change, cores=cores)
        self.cloud = NullProvisioner(clock)
        self.own = NullProvisioner(clock)
        platforms.make(
            self.site.ctx, ROOT, NewPlatform("cloud", PlatformChange(provisioner="null")), self.ports
        )
        self.site.pool(8, name="near")
        capacity.make_pool(self.site.ctx, ROOT, capacity.NewPool("far", "UTC", Granularity.HOUR, "cloud"))
        self.site.add("far", Span(START, START + 900 * HOUR), Resources(64, 65536))
        self.site.package("half", 4)
        self.ann = self.site.person("ann")
        self.restart()

    def ports(self, setup: Setup) -> Ports:
        if setup.provisioner != "null":
            raise SettingsFault({"provisioner": "must be null"})
        return Ports(self.cloud, self.pledges)

    def restart(self) -> None:
        """Another process takes over."""
        name, lanes = f"holder-{self.clock.monotonic()}", lanes_of(self.site, self.ports)
        self.scheduler = Scheduler(self.site.ctx, self.own, name, lanes)

    def run(self, by: timedelta = 10 * SECOND, step: timedelta = 5 * SECOND) -> None:
        let_pass(self.clock, self.scheduler, by, step)

    def book(self, span: Span = TOMORROW) -> str:
        return self.site.book(self.ann, "half", span, pool="far").id

    def pledge(self, booking: str) -> Pledge | None:
        reservation = self.site.only(booking).id
        return self.site.ctx.db.read("pledge", lambda session: session.get(Pledge, reservation))

    def phase(self, booking: str) -> PledgePhase | None:
        pledge = self.pledge(booking)
        return None if pledge is None else pledge.phase

    def outside(self, booking: str) -> Pledged | None:
        return self.pledges.look().get(self.site.only(booking).id)

    def told(self, action: str) -> int:
        query = select(Journal.id).where(Journal.action == action)
        return len(self.site.ctx.db.read("journal", lambda session: session.scalars(query).all()))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: time passes in many ticks here."""
    return sqlite_url


@pytest.fixture
def world(doors: Doors, clock: TestClock) -> World:
    return World(doors, clock)


def test_what_is_booked_is_set_aside_at_once_and_the_cluster_is_made_in_it(world: World) -> None:
    booking = world.book()
    world.run()
    assert world.phase(booking) is PledgePhase.PENDING
    seen = world.outside(booking)
    assert seen is not None
    assert (seen.starts_at, seen.ends_at, seen.revision) == (TOMORROW.start, TOMORROW.end, 1)
    assert not world.cloud.inventory()

    world.clock.set(TOMORROW.start)
    world.run(60 * SECOND)
    assert world.phase(booking) is PledgePhase.ACTIVE
    assert world.site.states(booking) == [State.ACTIVE]
    assert len(world.cloud.inventory()) == 1
    assert not world.own.inventory(), "each pool's clusters are made by its own platform"

    world.clock.set(TOMORROW.end - 20 * SECOND)
    world.run(60 * SECOND)
    assert world.site.states(booking) == [State.ENDED]
    assert world.phase(booking) is PledgePhase.RELEASED
    assert not world.pledges.look()
    assert not world.cloud.inventory()
    assert [world.told(f"pledge.{act}") for act in ("made", "released", "lost", "refused")] == [1, 1, 0, 0]


def test_pools_of_the_installation_are_set_aside_nowhere(world: World) -> None:
    booking = world.site.book(world.ann, "half", NOW, pool="near")
    world.run()
    assert world.pledge(booking.id) is None
    assert world.site.states(booking.id) == [State.ACTIVE]
    assert len(world.own.inventory()) == 1


def test_a_hold_is_set_aside_when_it_is_confirmed(world: World) -> None:
    booking = world.site.book(world.ann, "half", TOMORROW, pool="far", hold=HOUR)
    world.run()
    assert world.pledge(booking.id) is None
    bookings.confirm(world.site.ctx, world.ann, booking.id)
    world.run()
    assert world.phase(booking.id) is PledgePhase.PENDING


def test_what_the_platform_refuses_is_at_risk_and_asked_for_until_it_is_there(
    doors: Doors, clock: TestClock
) -> None:
    world = World(doors, clock, cores=4)
    first, second = world.book(), world.book()
    world.run()
    assert {world.phase(first), world.phase(second)} == {PledgePhase.PENDING, PledgePhase.REFUSED}
    lucky, other = (first, second) if world.phase(first) is PledgePhase.PENDING else (second, first)
    assert world.site.only(other).at_risk
    assert not world.site.only(lucky).at_risk
    world.site.add("far", NOW, Resources(8, 8192))
    assert world.site.only(other).at_risk, "a change of capacity does not make it safe"

    bookings.cancel(world.site.ctx, world.ann, lucky)
    world.run(600 * SECOND, 30 * SECOND)
    assert world.phase(other) is PledgePhase.PENDING
    assert not world.site.only(other).at_risk
    assert world.told("pledge.refused") == 1


def test_without_an_active_pledge_no_cluster_is_made(doors: Doors, clock: TestClock) -> None:
    world = World(doors, clock, cores=0)
    booking = world.book(NOW)
    world.run(60 * SECOND)
    assert world.site.states(booking) == [State.PREPARING]
    assert not world.cloud.inventory()
    clock.set(NOW.end - SECOND)
    world.run(60 * SECOND)
    assert world.site.states(booking) == [State.FAILED]
    assert world.phase(booking) is PledgePhase.RELEASED


def test_a_longer_and_a_shorter_span_are_set_aside_anew(world: World) -> None:
    booking = world.book()
    world.run()
    for hours in (3, 1):
        reservation = world.site.only(booking)
        end = TOMORROW.start + hours * HOUR
        change = changes.Change(ends={reservation.id: end})
        changes.change(world.site.ctx, world.ann, booking, change, None)
        world.run()
        seen = world.outside(booking)
        assert seen is not None
        assert (seen.ends_at, seen.revision) == (end, world.site.only(booking).revision)
    assert world.told("pledge.made") == 3
    assert len(world.pledges.look()) == 1


def test_where_the_platform_cannot_change_the_promise_is_not_given(doors: Doors, clock: TestClock) -> None:
    world = World(doors, clock, may_change=False)
    booking = world.book()
    change = changes.Change(ends={world.site.only(booking).id: TOMORROW.end + HOUR})
    with pytest.raises(Conflict) as refused:
        changes.change(world.site.ctx, world.ann, booking, change, None)
    assert refused.value.code == "platform.fixed"
    assert world.site.only(booking).end == TOMORROW.end
    changes.change(world.site.ctx, world.ann, booking, changes.Change(title="still called something"), None)


def test_what_is_cancelled_is_given_back(world: World) -> None:
    booking = world.book()
    world.run()
    bookings.cancel(world.site.ctx, world.ann, booking)
    world.run()
    assert world.phase(booking) is PledgePhase.RELEASED
    assert not world.pledges.look()


def test_what_is_cancelled_before_it_was_asked_for_never_is(world: World) -> None:
    booking = world.book()
    bookings.cancel(world.site.ctx, world.ann, booking)
    world.run()
    assert world.pledges.calls == []


def test_what_disappears_outside_is_asked_for_again(world: World) -> None:
    booking = world.book()
    world.run()
    world.pledges.lose(world.site.only(booking).id)
    world.run(60 * SECOND)
    assert world.phase(booking) is PledgePhase.PENDING
    assert world.outside(booking) is not None
    assert world.told("pledge.lost") == 1


def test_a_broken_one_is_made_anew_but_never_under_a_cluster(world: World) -> None:
    booking, running = world.book(), world.book(NOW)
    world.run()
    for one in (booking, running):
        world.pledges.lose(world.site.only(one).id, broken=True)
    world.run(60 * SECOND)
    assert world.phase(booking) is PledgePhase.PENDING
    assert not world.site.only(booking).at_risk
    assert world.phase(running) is PledgePhase.BROKEN
    assert world.site.only(running).at_risk
    assert world.site.states(running) == [State.ACTIVE]
    assert world.told("pledge.broken") == 2


def test_what_belongs_to_nobody_is_released_but_not_when_it_is_much(world: World) -> None:
    for _ in range(6):
        world.book()
    world.run()
    spec = _spec(world, "strayofnobody1")
    NullPledges.pledge(world.pledges, spec)
    world.run(60 * SECOND)
    assert "strayofnobody1" not in world.pledges.look()
    for number in range(9):
        NullPledges.pledge(world.pledges, _spec(world, f"strayofnobody{number}"))
    world.run(60 * SECOND)
    assert len(world.pledges.look()) == 15
    paused = world.site.ctx.db.read("paused", lambda session: session.scalar(select(Pause.reason)))
    assert paused == "9 of 15 pledges outside are known to no row of this database"


def _spec(world: World, name: str) -> ClusterSpec:
    return ClusterSpec(name, "booking", "ann", "half", 1, 512, 3, 512, 1, TOMORROW.start, TOMORROW.end)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["pledge", "release"])
def test_killed_at_any_call_it_is_there_once_and_gone_at_the_end(
    world: World, call: str, moment: str
) -> None:
    booking = world.book()

    def kill(now: str, when: str) -> None:
        if (now, when) == (call, moment):
            world.pledges.at = lambda _call, _moment: None
            raise Killed

    world.pledges.at = kill
    if call == "pledge":
        with pytest.raises(Killed):
            world.run()
        world.clock.advance(60 * SECOND)
        world.restart()
    world.run()
    assert world.phase(booking) is PledgePhase.PENDING
    assert len(world.pledges.look()) == 1
    bookings.cancel(world.site.ctx, world.ann, booking)
    if call == "release":
        with pytest.raises(Killed):
            world.run()
        world.clock.advance(60 * SECOND)
        world.restart()
    world.run()
    assert world.phase(booking) is PledgePhase.RELEASED
    assert not world.pledges.look()


def test_a_platform_that_does_not_answer_rests_is_shown_and_heals(world: World) -> None:
    def dead(_call: str, moment: str) -> None:
        if moment == "before":
            raise Unreachable("the cloud is away")

    world.pledges.at = dead
    far, near = world.book(), world.site.book(world.ann, "half", NOW, pool="near").id
    world.run(120 * SECOND)
    assert world.site.states(near) == [State.ACTIVE], "nobody else waits for it"
    assert world.phase(far) is PledgePhase.WANTED
    row = platforms.platform(world.site.ctx, ROOT, "cloud")
    assert (row.fault, row.fault_since) == ("the cloud is away", START)
    assert world.pledges.calls == []

    world.pledges.at = lambda _call, _moment: None
    world.run(120 * SECOND)
    assert world.phase(far) is PledgePhase.PENDING
    assert platforms.platform(world.site.ctx, ROOT, "cloud").fault is None
    assert [world.told(f"platform.{act}") for act in ("fails", "heals")] == [1, 1]


def test_one_answer_that_always_fails_does_not_hold_up_the_others(world: World) -> None:
    bad, good = world.book(), world.book()
    poisoned = world.site.only(bad).id
    pledge = world.pledges.pledge

    def fails(spec: ClusterSpec) -> Pledged:
        if spec.reservation_id == poisoned:
            raise Unreachable("Internal Server Error")
        return pledge(spec)

    world.pledges.pledge = fails  # type: ignore[method-assign]
    world.run(120 * SECOND)
    assert (world.phase(bad), world.phase(good)) == (PledgePhase.WANTED, PledgePhase.PENDING)


def test_an_answer_that_was_lost_is_found_and_not_doubled(world: World) -> None:
    lost: list[str] = []

    def once(call: str, moment: str) -> None:
        if moment == "after" and not lost:
            lost.append(call)
            raise Unreachable("no answer in time")

    world.pledges.at = once
    booking = world.book()
    world.run(60 * SECOND)
    assert lost == ["pledge"]
    assert world.phase(booking) is PledgePhase.PENDING
    assert len(world.pledges.look()) == 1


def test_what_makes_clusters_cannot_be_changed_under_them(world: World) -> None:
    world.book()
    world.run()
    with pytest.raises(Conflict) as refused:
        platforms.change(world.site.ctx, ROOT, "cloud", PlatformChange(provisioner=""), world.ports)
    assert refused.value.code == "platform.conflict"
    assert platforms.platform(world.site.ctx, ROOT, "cloud").provisioner == "null"
    with pytest.raises(Invalid) as wrong:
        platforms.change(world.site.ctx, ROOT, "cloud", PlatformChange(provisioner="nowhere"), world.ports)
    assert wrong.value.errors == {"provisioner": ["must be null"]}
    with pytest.raises(NotFound):
        platforms.platform(world.site.ctx, ROOT, "nowhere")


def test_settings_that_nobody_reads_are_refused(world: World) -> None:
    with pytest.raises(Invalid) as wrong:
        platforms.change(world.site.ctx, ROOT, "near", PlatformChange(settings={"a": 1}), world.ports)
    assert wrong.value.errors == {"settings": ["mean nothing without a provisioner"]}
    with pytest.raises(Conflict):
        platforms.make(world.site.ctx, ROOT, NewPlatform("near"), world.ports)
    changed = platforms.change(
        world.site.ctx,
        ROOT,
        "near",
        PlatformChange(traits=["gpu"], lead_minutes=7, teardown_seconds=90),
        world.ports,
    )
    assert (changed.traits, changed.lead_minutes, changed.teardown_seconds) == (["gpu"], 7, 90)
    names = [row.name for row in platforms.platforms(world.site.ctx, ROOT)]
    assert names == ["cloud", "near"]


def test_a_platform_takes_its_own_time_before_the_start_and_the_end(world: World) -> None:
    platforms.change(
        world.site.ctx, ROOT, "cloud", PlatformChange(lead_minutes=30, teardown_seconds=600), world.ports
    )
    booking = world.book()
    world.clock.set(TOMORROW.start - 29 * timedelta(minutes=1))
    world.run()
    assert world.site.states(booking) == [State.PREPARING]
    world.clock.set(TOMORROW.start)
    world.run(60 * SECOND)
    world.clock.set(TOMORROW.end - 599 * SECOND)
    world.run(20 * SECOND)
    assert world.site.states(booking) == [State.ENDED]


def test_a_platform_whose_settings_went_bad_is_told_and_left_alone(world: World) -> None:
    def write(session: Any) -> None:
        session.scalars(select(Platform).where(Platform.name == "cloud")).one().provisioner = "gone"

    world.site.ctx.db.run("break", write)
    world.book()
    world.run()
    assert platforms.platform(world.site.ctx, ROOT, "cloud").fault == "provisioner must be null"
    assert world.pledges.calls == []


def test_how_a_platform_fares_is_measured_and_the_doctor_finds_it(world: World) -> None:
    def fares() -> list[object]:
        found = {(name, labels): value for name, labels, value in readings.take(world.site.ctx)}
        phases = {labels[1]: value for (name, labels), value in found.items() if name == "booking_pledges"}
        return [
            found["booking_platform_answers", ("cloud",)],
            counted("booking_platform_rests", platform="cloud"),
            {phase: count for phase, count in phases.items() if count},
        ]

    def ill() -> dict[str, str]:
        names = ("platforms answer", "pledges kept")
        looks = [replace(check, needs="") for check in checks.CHECKS if check.name in names]
        found = doctor.examine(doctor.Patient(world.site.ctx, lambda: world.own), looks)
        return {one.name: one.fault or "" for one in found if one.fault != ""}

    def dead(_call: str, moment: str) -> None:
        if moment == "before":
            raise Unreachable("the cloud is away")

    world.run()  # the numbers are the process's, where others have had a cloud before
    assert fares() == [True, 0, {}]
    world.book()
    world.run()
    read_at = counted("booking_platform_last_reading_timestamp_seconds", platform="cloud")
    assert START.timestamp() <= read_at <= world.clock.now().timestamp()
    assert fares() == [True, 0, {"pending": 1}]
    assert ill() == {}
    world.pledges.at = dead
    late = world.book()
    world.run(15 * MINUTE)
    assert fares() == [False, 1, {"pending": 1, "wanted": 1}]
    assert "cloud: the cloud is away" in ill()["platforms answer"]
    assert world.site.only(late).id in ill()["pledges kept"]
    world.pledges.at = lambda _call, _moment: None
    world.run(2 * MINUTE)
    assert fares() == [True, 0, {"pending": 2}]
    assert ill() == {}
