"""The whole story on a cloud that answers as OpenStack does: booked, leased, made, warned, ended, given back.

Time is the test's, so that an hour passes in seconds; what real services do in real minutes is beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from booking.adapters.null import NullProvisioner
from booking.allocator.cells import Granularity
from booking.allocator.lifecycle import State
from booking.allocator.package import Package, Size
from booking.allocator.span import Span
from booking.doors import Doors
from booking.errors import NoCapacity
from booking.models import Pledge, PledgePhase
from booking.provisioning import ports_of
from booking.scheduler import Scheduler
from booking.services import audit, bookings, capacity, changes, packages, platforms, verify
from booking.services.platforms import NewPlatform, PlatformChange
from tests.openstack.fake.cloud import FakeCloud
from tests.openstack.fake.glance import IMAGE
from tests.openstack.fake.leases import Lease, Reservation
from tests.openstack.fake.settings import running
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, ROOT, make_site
from tests.support.ticking import lanes_of, let_pass

SECOND = timedelta(seconds=1)
NOW = Span(START, START + 2 * HOUR)
TOMORROW = Span(START + 24 * HOUR, START + 26 * HOUR)
HOSTS = {"pledges": "physical:host", "host_cores": 16, "host_memory_mib": 64 * 1024}
INSTANCES = {"pledges": "virtual:instance"}


class Story:
    """A site with one pool on the fake cloud, whose hosts Blazar tells."""

    def __init__(
        self, doors: Doors, clock: TestClock, cloud: FakeCloud, home: Path, kind: Mapping[str, object]
    ):
        self.clock, self.cloud = clock, cloud
        self.site = make_site(doors, home=home, lead_minutes=5, warning_minutes=10)
        self.ports_of = ports_of(self.site.ctx, "here")
        settings = {"cloud": "service", "image": IMAGE, "stock": "blazar", **kind}
        setup = PlatformChange(provisioner="nova", settings=settings, lead_minutes=5, teardown_seconds=120)
        platforms.make(self.site.ctx, ROOT, NewPlatform("cloud", setup), self.ports_of)
        capacity.make_pool(self.site.ctx, ROOT, capacity.NewPool("far", "UTC", Granularity.HOUR, "cloud"))
        self.site.package("host", 16, 64 * 1024)
        self.ann = self.site.person("ann")
        self.restart()
        self.run()

    def restart(self) -> None:
        """Another process takes over."""
        name, lanes = f"holder-{self.clock.monotonic()}", lanes_of(self.site, self.ports_of)
        self.scheduler = Scheduler(self.site.ctx, NullProvisioner(self.clock), name, lanes)

    def run(self, by: timedelta = 20 * SECOND, step: timedelta = 5 * SECOND) -> None:
        let_pass(self.clock, self.scheduler, by, step)

    def book(self, span: Span = TOMORROW) -> str:
        return self.site.book(self.ann, "host", span, pool="far").id

    def leases(self) -> list[Lease]:
        return self.cloud.blazar.named("bk-")

    def phase(self, booking: str) -> PledgePhase | None:
        name = self.site.only(booking).id
        row = self.site.ctx.db.read("pledge", lambda session: session.get(Pledge, name))
        return None if row is None else row.phase

    def well(self) -> bool:
        return not verify.differences(self.site.ctx) and not audit.closed(self.site.ctx)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: time passes in many ticks here."""
    return sqlite_url


@pytest.fixture
def cloud(clock: TestClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloud]:
    with running(clock, tmp_path, monkeypatch) as started:
        yield started


@pytest.fixture
def story(doors: Doors, clock: TestClock, cloud: FakeCloud, tmp_path: Path) -> Story:
    return Story(doors, clock, cloud, tmp_path, INSTANCES)


def test_from_the_booking_to_the_free_pool(story: Story) -> None:
    booking = story.book()
    story.run()
    (lease,) = story.leases()
    assert (lease.status, lease.start, lease.end) == ("PENDING", TOMORROW.start, TOMORROW.end)
    assert not story.cloud.servers.all()

    story.clock.set(TOMORROW.start)
    story.run(60 * SECOND)
    assert story.site.states(booking) == [State.ACTIVE]
    flavors = {reservation.id for reservation in lease.reservations}
    assert {server.flavor for server in story.cloud.servers.all()} == flavors, "they stand in their lease"
    cluster = story.site.only(booking).cluster
    assert cluster is not None
    assert cluster.warned_at is None

    story.clock.set(TOMORROW.end - 9 * timedelta(minutes=1))
    story.run()
    cluster = story.site.only(booking).cluster
    assert cluster is not None
    assert cluster.warned_at is not None
    story.clock.set(TOMORROW.end - 119 * SECOND)
    story.run(60 * SECOND)
    assert story.clock.now() < TOMORROW.end
    assert not story.cloud.servers.all(), "nothing stands in a lease when it ends"
    assert story.site.states(booking) == [State.ENDED]
    assert story.phase(booking) is PledgePhase.RELEASED
    assert not story.leases()
    assert story.well()


@pytest.mark.parametrize("phase", ["leasing", "leased", "making", "running", "ending"])
def test_killed_in_any_phase_another_process_brings_it_to_its_end(story: Story, phase: str) -> None:
    booking = story.book()
    if phase != "leasing":
        story.run()
    if phase in ("making", "running", "ending"):
        story.clock.set(TOMORROW.start - timedelta(minutes=4))
        story.run(5 * SECOND)
    if phase in ("running", "ending"):
        story.clock.set(TOMORROW.start)
        story.run(60 * SECOND)
        assert story.site.states(booking) == [State.ACTIVE]
    if phase == "ending":
        story.clock.set(TOMORROW.end - 119 * SECOND)
        story.scheduler.tick()
    story.clock.advance(60 * SECOND)
    story.restart()
    story.clock.set(max(story.clock.now(), TOMORROW.start))
    story.run(60 * SECOND)
    if phase != "ending":
        assert story.site.states(booking) == [State.ACTIVE]
        assert len(story.cloud.servers.all()) == 2
    assert len(set(story.cloud.servers.made)) == len(story.cloud.servers.made)
    story.clock.set(TOMORROW.end)
    story.run(60 * SECOND)
    assert story.site.states(booking) == [State.ENDED]
    assert not story.leases()
    assert not story.cloud.servers.all()
    assert story.well()


def test_what_blazar_tells_is_what_may_be_booked(story: Story) -> None:
    assert story.site.ctx.db.read("pool", lambda s: platforms.setups(story.site.ctx))
    for _ in range(4):
        story.book(NOW)
    with pytest.raises(NoCapacity):
        story.book(NOW)


def test_where_blazar_gives_the_same_hosts_to_everybody_our_ledger_gives_them_to_one(
    doors: Doors, clock: TestClock, cloud: FakeCloud, tmp_path: Path
) -> None:
    """Each wants 3 of 4 hosts. Blazar alone, which checks and then acts, would say yes to all of them."""
    cloud.blazar.pause = 0.05
    story = Story(doors, clock, cloud, tmp_path, HOSTS)
    host = Size(16, 64 * 1024)
    packages.publish(story.site.ctx, ROOT, Package("most", 1, host, host, 2))

    def books(_: int) -> bool:
        try:
            story.site.book(story.ann, "most", TOMORROW, pool="far")
        except NoCapacity:
            return False
        return True

    with ThreadPoolExecutor(8) as crowd:
        assert sum(crowd.map(books, range(16))) == 1
    story.run()
    (lease,) = story.leases()
    assert len(set(lease.reservations[0].hosts)) == 3


def test_leases_of_strangers_are_not_promised_to_anybody(story: Story) -> None:
    taken = Reservation(
        "virtual:instance", {"vcpus": 16, "memory_mb": 64 * 1024, "amount": 3}, ["1", "2", "3"]
    )
    stranger = Lease("azimuth-42", "u", "p", TOMORROW.start, TOMORROW.end, START, [taken], status="PENDING")
    story.cloud.blazar.leases[stranger.id] = stranger
    story.run(60 * SECOND)
    story.book()
    with pytest.raises(NoCapacity):
        story.book()
    assert story.well()


def test_a_lease_that_somebody_deleted_is_made_again(story: Story) -> None:
    booking = story.book()
    story.run()
    story.cloud.blazar.leases.clear()
    story.run(60 * SECOND)
    assert len(story.leases()) == 1
    assert story.phase(booking) is PledgePhase.PENDING


def test_an_extension_and_an_early_release_reach_blazar_and_the_servers(story: Story) -> None:
    booking = story.book(NOW)
    story.run(60 * SECOND)
    later = NOW.end + 2 * HOUR
    change = changes.Change(ends={story.site.only(booking).id: later})
    changes.change(story.site.ctx, story.ann, booking, change, None)
    story.run(60 * SECOND)
    assert [lease.end for lease in story.leases()] == [later]
    ends = {server.metadata["booking_ends_at"] for server in story.cloud.servers.all()}
    assert ends == {later.isoformat()}
    bookings.cancel(story.site.ctx, story.ann, booking)
    story.run(60 * SECOND)
    assert not story.leases()
    assert not story.cloud.servers.all()


def test_a_manager_that_is_down_is_shown_and_nothing_is_made_twice(story: Story) -> None:
    story.cloud.faults.is_manager_down, story.cloud.faults.manager_seconds = True, 0.01
    made = [story.book() for _ in range(3)]
    story.run(120 * SECOND, 10 * SECOND)
    fault = platforms.platform(story.site.ctx, ROOT, "cloud").fault
    assert fault is not None
    assert {story.phase(booking) for booking in made} <= {None, PledgePhase.WANTED}
    story.cloud.faults.is_manager_down = False
    story.run(120 * SECOND, 10 * SECOND)
    assert platforms.platform(story.site.ctx, ROOT, "cloud").fault is None
    assert {story.phase(booking) for booking in made} == {PledgePhase.PENDING}
    assert len(story.leases()) == 3


def test_a_host_that_dies_becomes_a_blackout(story: Story) -> None:
    story.cloud.machines[0].is_reservable = False
    story.run(60 * SECOND)
    for _ in range(3):
        story.book()
    with pytest.raises(NoCapacity):
        story.book()
    story.cloud.machines[0].is_reservable = True
    story.run(60 * SECOND)
    story.book()
    assert story.well()


def test_a_lease_in_error_is_replaced_before_it_begins(story: Story) -> None:
    booking = story.book()
    story.run()
    (first,) = story.leases()
    story.cloud.blazar.fail(first)
    story.run(90 * SECOND)
    (second,) = story.leases()
    assert second.id != first.id
    assert story.phase(booking) is PledgePhase.PENDING
    assert not story.site.only(booking).at_risk
