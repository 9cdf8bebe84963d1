"""The page of a pool's capacity tells how its platform fares, what hosts it has, and what is set aside there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from booking.adapters.base import Host, Inquiry, Ports, ProvisionerError, Stranger
from booking.adapters.null import NullPledges, NullProvisioner
from booking.allocator.cells import Granularity
from booking.allocator.package import Sharing
from booking.allocator.span import Span
from booking.lanes import Lanes
from booking.scheduler import Scheduler
from booking.services import bookings, capacity, platforms, strangers
from booking.services.decision import BookingRequest
from booking.services.platforms import NewPlatform, PlatformChange, Setup
from tests.support.pages import POOL, PageSite, at
from tests.support.site import ROOT

CLOUD = NewPlatform("science cloud", PlatformChange(provisioner="null"))


def _at_once(_name: str, act: Callable[[], None]) -> Callable[[], bool]:
    act()
    return lambda: False


@dataclass
class Cloud:
    """A platform of two hosts, of which one is down."""

    site: PageSite
    is_down: bool = False

    def __post_init__(self) -> None:
        self.pledges = NullPledges(self.site.clock, cores=4)
        self.cloud = NullProvisioner(self.site.clock)
        platforms.make(self.site.ctx, ROOT, CLOUD, self.ports)
        new = capacity.NewPool("far", "Europe/London", Granularity.HOUR, "science cloud")
        capacity.make_pool(self.site.ctx, ROOT, new)
        lanes = Lanes(self.site.ctx, self.ports, start=_at_once)
        self.scheduler = Scheduler(self.site.ctx, NullProvisioner(self.site.clock), "one", lanes)

    def ports(self, _setup: Setup) -> Ports:
        return Ports(self.cloud, self.pledges, self)

    def hosts(self) -> tuple[Host, ...]:
        if self.is_down:
            raise ProvisionerError("the cloud 'science' did not answer while its hosts were listed.")
        lost = "Nova has lost this host."
        return Host("node-001", 16, 65536), Host("node-002", 16, 65536, is_up=False, detail=lost)

    def book(self, start: int, end: int) -> None:
        span = Span(at(start, 1), at(end, 1))
        request = BookingRequest("medium", Sharing.RESERVED, (span,), pool="far")
        bookings.book(self.site.ctx, self.site.actor("grace"), request, lambda _: {})


def furnished(site: PageSite) -> Cloud:
    """One booking is set aside, another refused."""
    cloud = Cloud(site)
    cloud.scheduler.tick()
    cloud.book(10, 12)
    cloud.book(11, 13)
    cloud.scheduler.tick()
    return cloud


def test_the_platform_is_told_with_its_hosts_and_what_is_set_aside(site: PageSite) -> None:
    cloud = furnished(site)
    root = site.reader("root")
    page = root.get("/admin/capacity?pool=far")
    text = page.text
    assert "Platform science cloud" in text
    assert "It answers. Its clusters are made by null." in text
    assert "Nova has lost this host." in text
    assert "set aside" in text
    assert "The platform has 4 cores; 8 would be set aside." in text

    cloud.is_down = True
    site.clock.advance(at(1) - at(0))
    cloud.scheduler.tick()
    text = root.get("/admin/capacity?pool=far").text
    assert "it has not answered as it should" in text
    assert "did not answer while its hosts were listed." in text


def test_what_others_have_reserved_is_told_with_what_was_only_asked_for(site: PageSite) -> None:
    cloud = furnished(site)
    wanted = Stranger("", at(10, 1), at(12, 1), 2, 4096, owner="astro", name="telescope night")
    strangers.admit(site.ctx, ROOT, "science cloud", Inquiry(wanted))
    text = site.reader("root").get("/admin/capacity?pool=far").text
    assert "Reserved there by others" in text
    assert "2 cores, 4 GiB telescope night asked for" in text
    assert cloud.pledges.strangers() == ()


def test_a_pool_of_the_installation_tells_of_no_platform(site: PageSite) -> None:
    furnished(site)
    assert "Platform science" not in site.reader("root").get(f"/admin/capacity?pool={POOL}").text
