"""A real Blazar asks us before others lease, and what they lease obeys our calendar."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from booking import create_app, migrate
from booking.adapters.base import Ports
from booking.allocator.cells import Granularity
from booking.allocator.span import Span
from booking.app import context_of
from booking.config import Settings
from booking.doors import open_engine
from booking.errors import NoCapacity
from booking.models import Pledge, Stranger
from booking.provisioning import ports_of
from booking.services import (
    audit,
    capacity,
    leadership,
    levels,
    platforms,
    pledging,
    setup,
    stock,
    tokens,
    verify,
)
from booking.services.platforms import NewPlatform, PlatformChange
from booking.services.strangers import LAPSES
from tests.openstack.rig import catalog
from tests.openstack.rig.cloud import Cloud
from tests.openstack.test_rig import hosts, instances, lease
from tests.support.served import served
from tests.support.site import HOUR, ROOT, Site

DAY = timedelta(days=1)


class Asked:
    """The service as Blazar asks it: over HTTP, with one pool of whole hosts on the real cloud."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        url = f"sqlite:///{folder / 'booking.sqlite'}"
        engine = open_engine(url)
        migrate.upgrade(engine)
        engine.dispose()
        self.app = create_app(Settings(database_url=url, home=folder, secret_key="k" * 40))
        ctx = context_of(self.app)
        self.site = Site(ctx)
        setup.bare(ctx)
        with cloud.connection("service") as connection:
            image = connection.image.find_image(catalog.IMAGE, ignore_missing=False).id
        values = {"cloud": "service", "image": image, "stock": "blazar"}
        values |= {"pledges": "physical:host", "host_cores": 64, "host_memory_mib": 262144}
        change = PlatformChange(provisioner="nova", settings=values)
        row = platforms.make(
            ctx, ROOT, NewPlatform("science", change), ports_of(ctx, setup.installation(ctx))
        )
        capacity.make_pool(ctx, ROOT, capacity.NewPool("far", "UTC", Granularity.HOUR, "science"))
        self.setup = platforms.setup(ctx, row.id)
        self.site.package("host", 64, 262144)
        self.ann, root = self.site.person("ann"), self.site.person("root", admin=True)
        self.token = tokens.make(ctx, root, root.name, ["strangers:write"], "blazar").secret
        self.read()

    @property
    def ports(self) -> Ports:
        ctx = self.site.ctx
        return ports_of(ctx, setup.installation(ctx))(self.setup)

    def read(self) -> None:
        self.epoch = leadership.lead(self.site.ctx, "one") or 0
        stock.refresh(self.site.ctx, self.epoch, self.setup, self.ports)

    def pledge(self) -> None:
        assert self.ports.pledges is not None
        self.epoch = leadership.lead(self.site.ctx, "one") or 0
        pledging.ask_due(self.site.ctx, self.epoch, pledging.Lessor(self.setup.id, self.ports.pledges))

    def strangers(self) -> list[Stranger]:
        query = select(Stranger).order_by(Stranger.id)
        return list(self.site.ctx.db.read("strangers", lambda session: session.scalars(query).all()))


@pytest.fixture(scope="module")
def asked(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_file))
        made = Asked(cloud, tmp_path_factory.mktemp("asked"))
        port = urlsplit(cloud.asked_at).port
        assert port
        with served(made.app, port):
            base = f"{cloud.asked_at}api/v1/platforms/science/inquiries/"
            cloud.restart_blazar(external_url=base, token=made.token)
            yield made
            cloud.restart_blazar()


@pytest.fixture(autouse=True)
def _left_free(cloud: Cloud) -> Iterator[None]:
    yield
    with cloud.connection("admin") as connection:
        for one in connection.reservation.get("/leases").json()["leases"]:
            connection.reservation.delete(f"/leases/{one['id']}")


def day(number: int, hours: int = 2) -> Span:
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + number * DAY
    return Span(start, start + hours * HOUR)


def told(span: Span) -> tuple[str, str]:
    return f"{span.start:%Y-%m-%d %H:%M}", f"{span.end:%Y-%m-%d %H:%M}"


def tenant(cloud: Cloud) -> Any:
    return cloud.connection("tenant")


def test_others_cannot_lease_what_is_promised_and_what_they_lease_is_not(cloud: Cloud, asked: Asked) -> None:
    span, every = day(40), cloud.reservable_hosts
    for _ in range(every - 2):
        asked.site.book(asked.ann, "host", span, pool="far")
    with tenant(cloud) as others:
        refused = lease(others, hosts(3), *told(span))
        assert refused.status_code == 400
        assert refused.json()["error_message"].startswith("192 cores and 786432 MiB are not free from ")
        assert asked.strangers() == []
        made = lease(others, hosts(2), *told(span), name="night")
        assert made.status_code == 201, made.text
        (row,) = asked.strangers()
        assert (row.cores, row.name, row.inquired_at is None) == (128, "night", False)
        with pytest.raises(NoCapacity):
            asked.site.book(asked.ann, "host", span, pool="far")
        asked.read()
        (row,) = asked.strangers()
        assert (row.reference, row.inquired_at) == (made.json()["lease"]["id"], None)
        # Ours are let in, though nothing is free any more.
        asked.pledge()
        query = select(Pledge.phase, Pledge.detail)
        found = asked.site.ctx.db.read("pledges", lambda session: session.execute(query).all())
        assert {phase.value for phase, _ in found} == {"pending"}, found
        assert len(found) == every - 2
        assert others.reservation.delete(f"/leases/{row.reference}").status_code == 204
        assert asked.strangers() == []
    asked.site.book(asked.ann, "host", span, pool="far")
    assert not verify.differences(asked.site.ctx)
    assert not audit.audit(asked.site.ctx, asked.epoch)


def test_a_lease_is_lengthened_only_into_what_is_free(cloud: Cloud, asked: Asked) -> None:
    span, every = day(50), cloud.reservable_hosts
    longer, longest = day(50, 3), day(50, 4)
    for _ in range(every):
        asked.site.book(asked.ann, "host", Span(longer.end, longest.end), pool="far")
    with tenant(cloud) as others:
        made = lease(others, hosts(1), *told(span)).json()["lease"]
        too_long = others.reservation.put(f"/leases/{made['id']}", json={"end_date": told(longest)[1]})
        assert too_long.status_code == 400
        assert "are not free from" in too_long.json()["error_message"]
        fits = others.reservation.put(f"/leases/{made['id']}", json={"end_date": told(longer)[1]})
        assert fits.status_code == 200, fits.text
        asked.read()
        (row,) = asked.strangers()
        assert (row.reference, row.span) == (made["id"], longer)
        shorter = others.reservation.put(f"/leases/{made['id']}", json={"end_date": told(span)[1]})
        assert shorter.status_code == 200, shorter.text
        asked.read()
        assert [row.span for row in asked.strangers()] == [span]
        assert others.reservation.delete(f"/leases/{made['id']}").status_code == 204
    assert asked.strangers() == []


def test_others_keep_the_limits_of_their_level(cloud: Cloud, asked: Asked) -> None:
    ctx = asked.site.ctx
    levels.change(ctx, ROOT, 7, {"max_length": "PT2H"})
    examine = ports_of(ctx, setup.installation(ctx))
    platforms.change(ctx, ROOT, "science", PlatformChange(stranger_level=7), examine)
    with tenant(cloud) as others:
        refused = lease(others, hosts(1), *told(day(60, 3)))
        assert refused.status_code == 400
        assert "2 hours long" in refused.json()["error_message"]
        assert lease(others, hosts(1), *told(day(60, 2))).status_code == 201


def test_of_many_at_once_as_many_are_let_in_as_fit(cloud: Cloud, asked: Asked) -> None:
    """Blazar alone gives the same hosts to several of them."""
    span = day(70)
    count = -(-cloud.reservable_hosts * 6 // 10)

    def one(number: int) -> int:
        with tenant(cloud) as others:
            return int(lease(others, hosts(count), *told(span), name=f"n{number}").status_code)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(one, range(8)))
    assert answers.count(201) == 1, answers
    asked.read()
    assert len([row for row in asked.strangers() if row.start == span.start]) == 1


def test_machines_count_with_their_sizes_and_what_blazar_refuses_after_us_lapses(
    cloud: Cloud, asked: Asked
) -> None:
    with tenant(cloud) as others:
        assert lease(others, instances(2, 4096, 3), *told(day(80))).status_code == 201
        rows = [row for row in asked.strangers() if row.start == day(80).start]
        assert [(row.cores, row.memory_mib) for row in rows] == [(6, 12288)]
        # Blazar asks us, and then finds fault with the date of its own warning.
        values = {
            "name": "odd",
            "events": [],
            "reservations": [hosts(1)],
            "before_end_date": "2000-01-01 00:00",
        }
        start, end = told(day(81))
        odd = others.reservation.post("/leases", json=values | {"start_date": start, "end_date": end})
        assert odd.status_code == 403
    assert [row.start for row in asked.strangers() if row.name == "odd"] == [day(81).start]

    def long_ago(session: Any) -> None:
        row = session.scalar(select(Stranger).where(Stranger.name == "odd"))
        row.inquired_at -= LAPSES

    asked.site.ctx.db.run("long ago", long_ago)
    asked.read()
    assert [row for row in asked.strangers() if row.name == "odd"] == []
