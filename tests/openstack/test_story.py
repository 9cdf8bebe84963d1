"""The whole story on real services, in real minutes: booked, leased, made, warned, ended before the lease is.

A service whose every process is killed is one of which another scheduler takes over: at each step here one does.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from booking import migrate
from booking.adapters.null import NullProvisioner
from booking.allocator.cells import Granularity
from booking.allocator.lifecycle import State
from booking.allocator.package import Package, Size
from booking.allocator.span import Span
from booking.cli import main
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.errors import NoCapacity
from booking.lanes import Lanes
from booking.models import Host, Journal, Pledge, PledgePhase, Reservation
from booking.provisioning import ports_of
from booking.scheduler import Scheduler
from booking.services import audit, bookings, capacity, packages, platforms, transitions, verify
from booking.services.ledger import append, lock_pool, moved
from booking.services.platforms import NewPlatform, PlatformChange
from tests.openstack.rig import catalog
from tests.openstack.rig.cloud import Cloud
from tests.support.site import HOUR, ROOT, Site, make_site

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
CORES, MEMORY = 64, 262144
"""Of a host of the rig."""
PATIENCE = 300


class Story:
    """A site with one pool on the real cloud, whose hosts Blazar tells, and one scheduler after the other."""

    def __init__(self, cloud: Cloud, folder: Path, database: str, /, **settings: Any) -> None:
        self.cloud, self.folder, clock = cloud, folder, SystemClock()
        self._rounds: list[threading.Thread] = []
        engine = open_engine(database)
        migrate.upgrade(engine)
        self.site: Site = make_site(
            Doors(clock, SystemIds(), Db(engine, clock)),
            home=folder,
            database_url=database,
            lead_minutes=1,
            warning_minutes=2,
            reconcile_seconds=5,
        )
        self.ports_of = ports_of(self.site.ctx, "story")
        with cloud.connection("service") as connection:
            image = connection.image.find_image(catalog.IMAGE, ignore_missing=False).id
        values = {"cloud": "service", "image": image, "pledges": "virtual:instance", "disk_gib": 1}
        values |= {"stock": "blazar", **settings}
        change = PlatformChange(provisioner="nova", settings=values, lead_minutes=1, teardown_seconds=40)
        platforms.make(self.site.ctx, ROOT, NewPlatform("cloud", change), self.ports_of)
        capacity.make_pool(self.site.ctx, ROOT, capacity.NewPool("far", "UTC", Granularity.HOUR, "cloud"))
        self.site.package("few", 6, 8192)
        self.ann = self.site.person("ann")
        self.restart()

    def restart(self) -> None:
        """The process is gone; another one begins with nothing but the rows."""
        before: Scheduler | None = getattr(self, "scheduler", None)
        if before is not None:
            before.resign()
        ctx = self.site.ctx
        lanes = Lanes(ctx, self.ports_of, self._start)
        self.scheduler: Scheduler = Scheduler(ctx, NullProvisioner(ctx.clock), ctx.ids.new(), lanes)

    def _start(self, name: str, act: Callable[[], None]) -> Callable[[], bool]:
        thread = threading.Thread(target=act, name=name, daemon=True)
        self._rounds = [*(round_ for round_ in self._rounds if round_.is_alive()), thread]
        thread.start()
        return thread.is_alive

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Tick as the service does until it holds."""
        pause, ends = threading.Event(), datetime.now(UTC) + seconds * SECOND
        while not condition():
            assert datetime.now(UTC) < ends, self.told()
            self.scheduler.tick()
            pause.wait(0.5)

    def told(self) -> str:
        """What was written so far, for who looks for a fault."""
        query = select(Journal).order_by(Journal.at)
        rows = self.site.ctx.db.read("journal", lambda session: session.scalars(query).all())
        pledges = self.site.ctx.db.read("p", lambda session: session.scalars(select(Pledge)).all())
        lines = [f"{row.at:%H:%M:%S} {row.action} {row.detail}" for row in rows]
        lines += [f"{row.reservation_id} {row.phase} {row.detail}" for row in pledges]
        return "\n".join([*lines, str(platforms.platform(self.site.ctx, ROOT, "cloud").fault)])

    def book(self, package: str = "few", hours: int = 2, ahead: int = 0) -> str:
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + ahead * HOUR
        return self.site.book(self.ann, package, Span(start, start + hours * HOUR), pool="far").id

    def ends_at(self, booking: str, end: datetime) -> None:
        """Let it end between two hours, as no user may, so that nobody waits an hour for its end."""
        ctx = self.site.ctx

        def write(session: Any) -> None:
            row = session.get_one(Reservation, self.site.only(booking).id)
            pool = lock_pool(session, row.pool_id)
            after = Span(row.start, end)
            append(session, pool, moved(row.booking.side, row.span, after, row.booking.size.demand))
            row.end, row.revision = end, row.revision + 1
            transitions.schedule(ctx, session, row)

        ctx.db.run("end in between", write)

    def phase(self, booking: str) -> PledgePhase | None:
        name = self.site.only(booking).id
        row = self.site.ctx.db.read("pledge", lambda session: session.get(Pledge, name))
        return None if row is None else row.phase

    def leases(self) -> list[dict[str, Any]]:
        with self.cloud.connection("service") as connection:
            found = connection.reservation.get("/leases").json()["leases"]
            return [lease for lease in found if lease["name"].startswith("bk-")]

    def servers(self) -> list[Any]:
        with self.cloud.connection("service") as connection:
            return [server for server in connection.compute.servers() if server.name.startswith("bk-")]

    def hosts(self) -> int:
        return len(self.site.ctx.db.read("hosts", lambda session: session.scalars(select(Host)).all()))

    def close(self) -> None:
        """Whatever a test left goes, so that the next begins with a free cloud.

        First nobody asks for more: a round that is under way may be making a lease, and Blazar deletes none that
        is being made. The next test would take what stays for its own, known to none of its rows, and pause.
        """
        self.scheduler.resign()
        for thread in self._rounds:
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread.name
        ends = datetime.now(UTC) + PATIENCE * SECOND
        while left := [*self.servers(), *self.leases()]:
            assert datetime.now(UTC) < ends, left
            self._delete_all()
            threading.Event().wait(0.5)
        self.site.ctx.db.engine.dispose()

    def _delete_all(self) -> None:
        with self.cloud.connection("service") as connection:
            for server in self.servers():
                connection.compute.delete_server(server, ignore_missing=True)
            for lease in self.leases():
                connection.reservation.delete(f"/leases/{lease['id']}")


@pytest.fixture
def story(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_file))
    told = Story(cloud, tmp_path, f"sqlite:///{tmp_path / 'booking.sqlite'}")
    yield told
    told.close()


def test_from_the_booking_to_the_free_pool_though_every_process_dies(story: Story) -> None:
    story.until(lambda: story.hosts() == story.cloud.reservable_hosts)
    booking = story.book()
    story.until(lambda: story.phase(booking) in (PledgePhase.PENDING, PledgePhase.ACTIVE))
    story.restart()
    story.until(lambda: story.site.states(booking) == [State.ACTIVE])
    (lease,) = story.leases()
    flavors = {reservation["id"] for reservation in lease["reservations"]}
    servers = story.servers()
    assert {server.status for server in servers} == {"ACTIVE"}
    assert len(servers) == 2
    with story.cloud.connection("admin") as admin:
        # Nova names the flavor of a server by its name from version 2.47 on.
        used = {admin.compute.get_server(server.id).flavor["original_name"] for server in servers}
    assert used == {f"reservation:{flavor}" for flavor in flavors}, "they stand in their lease"

    story.restart()
    end = datetime.now(UTC).replace(second=0, microsecond=0) + 3 * MINUTE
    story.ends_at(booking, end)
    story.until(lambda: f"{end:%Y-%m-%dT%H:%M}" in story.leases()[0]["end_date"])
    story.until(lambda: story.site.only(booking).cluster.warned_at is not None)  # type: ignore[union-attr]
    story.until(lambda: story.site.states(booking) == [State.ENDING])
    story.restart()
    story.until(lambda: story.site.states(booking) == [State.ENDED])
    assert datetime.now(UTC) < end, "the cluster is gone before the lease ends"
    assert story.servers() == []
    story.until(lambda: story.phase(booking) is PledgePhase.RELEASED)
    assert story.leases() == []
    with story.cloud.connection("service") as connection:
        told = connection.reservation.get("/os-hosts/allocations").json()["allocations"]
    assert not any(host["reservations"] for host in told), "the hosts are free again"
    assert verify.differences(story.site.ctx) == []
    assert not audit.closed(story.site.ctx)


def test_of_sixteen_who_want_most_of_the_hosts_exactly_one_has_them(story: Story) -> None:
    """Blazar alone grants all of them the same hosts; our ledger is the arbiter."""
    story.until(lambda: story.hosts() == story.cloud.reservable_hosts)
    most = story.cloud.reservable_hosts * 6 // 10
    host = Size(CORES, MEMORY)
    packages.publish(story.site.ctx, ROOT, Package("most", 1, host, host, most - 1))

    def books(_: int) -> bool:
        try:
            story.book("most", ahead=30)
        except NoCapacity:
            return False
        return True

    with ThreadPoolExecutor(16) as crowd:
        assert sum(crowd.map(books, range(16))) == 1
    story.until(lambda: len(story.leases()) == 1)
    assert verify.differences(story.site.ctx) == []


def test_a_manager_that_stands_still_slows_nothing_else_and_nothing_is_doubled(story: Story) -> None:
    story.until(lambda: story.hosts() == story.cloud.reservable_hosts)
    near = story.site.pool(64, 65536 * 16, name="near")
    manager = story.cloud.process("blazar-manager")
    manager.stop()
    try:
        far = [story.book(ahead=30 + number) for number in range(2)]
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        here = story.site.book(story.ann, "few", Span(start, start + 2 * HOUR), pool=near.name).id
        story.until(lambda: story.site.states(here) == [State.ACTIVE], 20)
        story.until(lambda: platforms.platform(story.site.ctx, ROOT, "cloud").fault, 120)
    finally:
        manager.go_on()
    story.until(lambda: {story.phase(booking) for booking in far} == {PledgePhase.PENDING})
    story.until(lambda: platforms.platform(story.site.ctx, ROOT, "cloud").fault is None)
    assert len(story.leases()) == 2
    for booking in far:
        bookings.cancel(story.site.ctx, story.ann, booking)
    story.until(lambda: story.leases() == [])


def test_a_lease_that_was_deleted_behind_our_back_is_made_again(story: Story) -> None:
    story.until(lambda: story.hosts() == story.cloud.reservable_hosts)
    booking = story.book(ahead=40)
    story.until(lambda: story.phase(booking) is PledgePhase.PENDING)
    (lease,) = story.leases()
    with story.cloud.connection("service") as connection:
        connection.reservation.delete(f"/leases/{lease['id']}")
    story.until(lambda: story.leases() and story.leases()[0]["id"] != lease["id"])
    story.until(lambda: story.phase(booking) is PledgePhase.PENDING)


def test_the_dry_check_finds_everything_and_says_who_may_not(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKING_HOME", str(story.folder))
    monkeypatch.setenv("BOOKING_DATABASE_URL", str(story.site.ctx.settings.database_url))
    run = CliRunner().invoke(main, ["platform", "check", "cloud", "--json"])
    lines = json.loads(run.stdout)["items"]
    assert [line["what"] for line in lines if not line["ok"]] == []
    assert run.exit_code == 0
    settings = dict(platforms.platform(story.site.ctx, ROOT, "cloud").settings or {}) | {"cloud": "tenant"}
    platforms.change(story.site.ctx, ROOT, "cloud", PlatformChange(settings=settings), story.ports_of)
    run = CliRunner().invoke(main, ["platform", "check", "cloud", "--json"])
    wrong = [line["what"] for line in json.loads(run.stdout)["items"] if not line["ok"]]
    assert "Blazar shows allocations (administrators only)" in wrong
    assert run.exit_code == 1
