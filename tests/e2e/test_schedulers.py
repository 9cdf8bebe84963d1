"""Two schedulers on one database, of which one is killed at its work."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.allocator.span import Span
from booking.config import Settings
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.models import Reservation
from booking.services.context import Context
from booking.services.verify import differences
from tests.adapters.waiting import eventually
from tests.e2e.service import IMAGINED, Running
from tests.support.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("serve")]

BOOKINGS = 100


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A pool that holds every booking of this test, in real time."""
    engine, clock = open_engine(database_url), SystemClock()
    doors = Doors(clock, SystemIds(), Db(engine, clock))
    site = Site(Context(doors, Settings(home=tmp_path / "service" / "home", database_url=database_url)))
    site.pool(cores=2 * BOOKINGS, memory_mib=1024 * BOOKINGS)
    site.package("pair", 2)
    yield site
    engine.dispose()


@pytest.fixture
def schedulers(site: Site, tmp_path: Path) -> Iterator[list[Running]]:
    """Two processes that both want to lead; started by the test when it asks for them."""
    started: list[Running] = []
    yield started
    for one in started:
        one.close()


def start(site: Site, folder: Path) -> Running:
    quick = {"BOOKING_DATABASE_URL": site.ctx.settings.database_url, "BOOKING_LEADERSHIP_SECONDS": "2"}
    return Running(folder, "scheduler", settings=IMAGINED | quick)


def events(site: Site) -> Counter[tuple[str, str]]:
    """What really happened outside: how often each cluster was made and destroyed."""
    outside = NullProvisioner(site.ctx.clock, site.ctx.settings.home / "null")
    return Counter((event.kind, event.reservation_id) for event in outside.events)


def states(site: Site) -> Counter[State]:
    query = select(Reservation.state, func.count()).group_by(Reservation.state)
    rows = site.ctx.db.read("states", lambda session: session.execute(query).all())
    return Counter({row[0]: row[1] for row in rows})


def test_every_cluster_is_made_exactly_once_though_the_leader_is_killed_at_its_work(
    site: Site, schedulers: list[Running], tmp_path: Path
) -> None:
    ann = site.person("ann", level=2)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for _ in range(BOOKINGS):
        site.book(ann, "pair", Span(hour, hour + timedelta(hours=3)))
    schedulers.append(start(site, tmp_path / "service"))
    schedulers[0].logs("leading with epoch")
    schedulers.append(start(site, tmp_path / "service"))
    eventually(lambda: len(events(site)) > 5)
    os.kill(schedulers[0].process.pid, signal.SIGKILL)
    made = len(events(site))
    assert 0 < made < BOOKINGS

    schedulers[1].logs("leading with epoch")
    eventually(lambda: states(site) == {State.ACTIVE: BOOKINGS})
    happened = events(site)
    assert set(happened.values()) == {1}
    assert {kind for kind, _ in happened} == {"created"}
    assert len(happened) == BOOKINGS
    assert differences(site.ctx) == []
