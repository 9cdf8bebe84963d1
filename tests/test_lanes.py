"""Lanes: what hangs holds up nobody, and what comes back is taken up again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from booking.adapters.base import ClusterSpec, Observed, Ports
from booking.adapters.null import NullProvisioner
from booking.allocator.cells import Granularity
from booking.allocator.lifecycle import State
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.doors import Doors
from booking.lanes import Lanes
from booking.scheduler import Scheduler
from booking.services import capacity, platforms
from booking.services.platforms import NewPlatform, PlatformChange, Setup
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, ROOT, Site, make_site

NOW = Span(START, START + 2 * HOUR)


class Hanging(NullProvisioner):
    """A cloud that answers when the test lets it."""

    def __init__(self, clock: TestClock) -> None:
        super().__init__(clock)
        self.may_answer = threading.Event()
        self.asked = threading.Event()

    def observe(self, reservation_id: str) -> Observed:
        self.asked.set()
        assert self.may_answer.wait(60)
        return super().observe(reservation_id)

    def provision(self, spec: ClusterSpec) -> None:
        super().provision(spec)


class World:
    def __init__(self, doors: Doors, clock: TestClock) -> None:
        self.site: Site = make_site(doors, lead_minutes=5)
        self.clouds = {"slow": Hanging(clock), "quick": NullProvisioner(clock)}
        self.site.package("half", 4)
        for name in self.clouds:
            setup = NewPlatform(name, PlatformChange(provisioner="null"))
            platforms.make(self.site.ctx, ROOT, setup, self.ports)
            capacity.make_pool(self.site.ctx, ROOT, capacity.NewPool(name, "UTC", Granularity.HOUR, name))
            self.site.add(name, Span(START, START + 90 * HOUR), Resources(8, 8192))
        self.scheduler = Scheduler(
            self.site.ctx, NullProvisioner(clock), "one", Lanes(self.site.ctx, self.ports)
        )

    def ports(self, setup: Setup) -> Ports:
        return Ports(self.clouds[setup.name])

    @property
    def slow(self) -> Hanging:
        cloud = self.clouds["slow"]
        assert isinstance(cloud, Hanging)
        return cloud


@pytest.fixture
def world(doors: Doors, clock: TestClock) -> Iterator[World]:
    made = World(doors, clock)
    yield made
    made.slow.may_answer.set()
    settle(
        made,
        lambda: not any(thread.daemon and thread.name == "lane slow" for thread in threading.enumerate()),
    )


def settle(world: World, condition: object) -> None:
    """Tick until it holds; the lanes are threads, so that real time must pass."""
    pause = threading.Event()
    for _ in range(1200):
        if callable(condition) and condition():
            return
        world.scheduler.tick()
        pause.wait(0.05)
    raise AssertionError("it never came to that")


def test_a_cloud_that_hangs_holds_up_neither_the_tick_nor_the_other_clouds(world: World) -> None:
    ann = world.site.person("ann")
    slow, quick = (world.site.book(ann, "half", NOW, pool=name).id for name in ("slow", "quick"))
    settle(world, lambda: world.slow.asked.is_set() and world.site.states(quick) == [State.ACTIVE])
    assert world.site.states(slow) == [State.PREPARING]
    lanes = [thread.name for thread in threading.enumerate() if thread.name == "lane slow"]
    assert lanes == ["lane slow"], "one round at a time, however often the scheduler ticks"
    world.slow.may_answer.set()
    settle(world, lambda: world.site.states(slow) == [State.ACTIVE])
    assert world.slow.created(world.site.only(slow).id) == 1
