"""A platform of which the test says what it has, and what others have reserved there."""

from __future__ import annotations

from datetime import timedelta

from booking.adapters.base import Host, Ports, Stranger
from booking.adapters.null import NullPledges, NullProvisioner
from booking.allocator.cells import Granularity
from booking.services import audit, capacity, leadership, platforms, stock, verify
from booking.services.exact import exact_timeline
from booking.services.platforms import NewPlatform, PlatformChange, Setup
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, ROOT, Site

FIRST, SECOND = Host("node-1", 8, 8192), Host("node-2", 8, 8192, disk_gib=50, gpus=1)


class Cloud:
    """A platform of which the test says what it has, and a pool on it."""

    def __init__(self, site: Site, clock: TestClock) -> None:
        self.site, self.clock = site, clock
        self.seen: tuple[Host, ...] = (FIRST, SECOND)
        self.others: tuple[Stranger, ...] = ()
        self.pledges = NullPledges(clock)
        self.pledges.strangers = lambda: self.others  # type: ignore[method-assign]
        row = platforms.make(
            site.ctx, ROOT, NewPlatform("cloud", PlatformChange(provisioner="null")), lambda _: self.ports
        )
        self.setup = Setup(row.id, "cloud", "null", {})
        self.epoch = leadership.lead(site.ctx, "one") or 0
        site.package("half", 4)
        self.ann = site.person("ann")

    def pool(self, timezone: str = "UTC") -> None:
        capacity.make_pool(self.site.ctx, ROOT, capacity.NewPool("far", timezone, Granularity.HOUR, "cloud"))

    def hosts(self) -> tuple[Host, ...]:
        return self.seen

    @property
    def ports(self) -> Ports:
        return Ports(NullProvisioner(self.clock), self.pledges, self)

    def refresh(self) -> int:
        self.epoch = leadership.lead(self.site.ctx, "one") or 0
        return stock.refresh(self.site.ctx, self.epoch, self.setup, self.ports)

    def timeline(self, kind: int = 0, end: timedelta = 6 * HOUR) -> list[tuple[int, int, int]]:
        """From now on: (minutes from the start of the test, physical, reserved) of one kind."""
        exact = exact_timeline(self.site.ctx, "far", self.clock.now(), START + end)
        zero = int(START.timestamp()) // 60
        return [(s.start - zero, s.physical[kind], s.reserved[kind]) for s in exact.segments]

    def well(self) -> bool:
        return not verify.differences(self.site.ctx) and not audit.audit(self.site.ctx, self.epoch)
