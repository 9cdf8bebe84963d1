"""What hurts a cloud or the service, brought about on real services: hosts that die, tokens that last seconds, SIGKILL."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from booking.adapters.openstack.leases import Leases
from booking.adapters.openstack.session import Cloud as Session
from booking.adapters.openstack.shapes import InstanceLeases
from booking.models import Host, PledgePhase, Stranger
from booking.services import bookings, platforms, stock
from tests.adapters.waiting import eventually
from tests.openstack.installation import Installation
from tests.openstack.rig import catalog
from tests.openstack.rig.cloud import Cloud
from tests.openstack.test_contracts import RealPlatform
from tests.openstack.test_story import Story
from tests.support.site import HOUR, ROOT

LEASES = int(os.environ.get("BOOKING_TEST_OPENSTACK_LEASES", "5"))
"""Of strangers; one takes Blazar a second or two."""


@pytest.fixture(autouse=True)
def clouds_file(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_file))


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'booking.sqlite'}"


@contextmanager
def configured(cloud: Cloud, path: str, old: str, new: str, process: str) -> Iterator[None]:
    """One line of a configuration is another for a while, and the process that reads it starts again."""
    config = cloud.folder / path
    before = config.read_text(encoding="utf-8")
    assert old in before
    try:
        _restarted(cloud, config, before.replace(old, new), process)
        yield
    finally:
        _restarted(cloud, config, before, process)


def _restarted(cloud: Cloud, config: Path, text: str, name: str) -> None:
    config.write_text(text, encoding="utf-8")
    process = cloud.process(name)
    process.kill()
    process.start_again()


def test_hosts_whose_nova_compute_is_killed_are_blackouts_until_they_are_back(
    cloud: Cloud, tmp_path: Path, database: str
) -> None:
    story = Story(cloud, tmp_path, database, cloud="admin", stock="nova")
    compute = cloud.process("nova-compute")

    def down() -> int:
        gone = select(func.count()).where(Host.is_up.is_(False), Host.blackout_id.is_not(None))
        return story.site.ctx.db.read("down", lambda session: session.scalar(gone)) or 0

    with configured(cloud, "nova/nova.conf", "service_down_time = 300", "service_down_time = 45", "nova-api"):
        story.until(lambda: story.hosts() == cloud.hosts)
        story.until(lambda: down() == 0)
        compute.kill()
        try:
            story.until(lambda: down() == cloud.hosts)
            said = story.site.ctx.db.read("s", lambda s: set(s.scalars(select(Host.detail)).all()))
            assert said == {"Nova has lost this host."}
        finally:
            compute.start_again()
        story.until(lambda: down() == 0)
    story.close()


def test_tokens_that_last_seconds_end_nothing(cloud: Cloud, tmp_path: Path, database: str) -> None:
    story = Story(cloud, tmp_path, database)
    with configured(cloud, "keystone/keystone.conf", "expiration = 14400", "expiration = 8", "keystone-api"):
        story.until(lambda: story.hosts() == cloud.reservable_hosts)
        kept = []
        for number in range(3):
            kept.append(story.book(ahead=30 + number))
            story.until(lambda: story.phase(kept[-1]) is PledgePhase.PENDING)
            time.sleep(5)
        assert len(story.leases()) == 3
        for booking in kept:
            bookings.cancel(story.site.ctx, story.ann, booking)
        story.until(lambda: story.leases() == [])
        story.until(lambda: platforms.platform(story.site.ctx, ROOT, "cloud").fault is None)
        assert "platform.fails" not in story.told()
    story.close()


def test_a_service_that_is_killed_while_blazar_makes_a_lease_adopts_it(cloud: Cloud, tmp_path: Path) -> None:
    with cloud.connection("service") as connection:
        image = connection.image.find_image(catalog.IMAGE, ignore_missing=False).id
    leases, here = Leases(Session("admin")), Installation(tmp_path, cloud.clouds_file, image)
    first = here.scheduler()
    here.await_hosts(cloud.reservable_hosts)
    reservation = here.book()

    def ours() -> list[str]:
        return [lease.id for lease in leases.all() if lease.name.startswith(f"bk-{reservation}-")]

    ends = time.monotonic() + 60
    while not (made := ours()):
        assert time.monotonic() < ends
    first.kill()
    assert here.count("pledge", "phase = 'wanted'") == 1, "nobody was told"
    eventually(lambda: leases.one(made[0]).status == "PENDING")
    second = here.scheduler()
    here.await_pledge()
    assert ours() == made
    second.stop()
    assert here.verified()
    here.close()
    leases.delete(made[0])


def test_one_reading_of_all_that_a_cloud_has_is_quick(
    cloud: Cloud, tmp_path: Path, database: str, record_property: Callable[[str, object], None]
) -> None:
    """The figures of the guide come from `BOOKING_TEST_OPENSTACK_HOSTS=102 BOOKING_TEST_OPENSTACK_LEASES=...`."""
    story, leases = Story(cloud, tmp_path, database), Leases(Session("tenant"))
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + 50 * HOUR
    part = InstanceLeases(1).shape(RealPlatform().spec(worker_count=0)).parts[0]
    theirs = []
    began = time.perf_counter()
    for number in range(LEASES):
        at = start + (number % 50) * HOUR
        theirs.append(leases.create(f"theirs {number}", f"{at:%Y-%m-%d %H:%M}", at + HOUR, [part.asked]))
    made = (time.perf_counter() - began) / LEASES
    story.until(lambda: story.hosts() == cloud.reservable_hosts)
    ctx = story.site.ctx
    (setup,) = platforms.setups(ctx)
    epoch, ports, seconds = story.scheduler._epoch or 0, story.ports_of(setup), []
    for _ in range(3):
        began = time.perf_counter()
        stock.refresh(ctx, epoch, setup, ports)
        seconds.append(time.perf_counter() - began)
    known = ctx.db.read("n", lambda s: s.scalar(select(func.count()).select_from(Stranger)))
    assert known == LEASES
    for name, value in {"a lease": made, "a reading": min(seconds)}.items():
        record_property(name, round(value, 3))
        print(f"{name}: {value:.3f} s with {cloud.reservable_hosts} hosts and {LEASES} leases")
    for lease in theirs:
        leases.delete(lease.id)
    story.close()
