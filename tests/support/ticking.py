"""A scheduler whose beats a test makes, as the test's own time goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from booking.lanes import Lanes
from booking.scheduler import Scheduler
from booking.services.platforms import Examine
from tests.support.doors import TestClock
from tests.support.site import Site


def at_once(_name: str, act: Callable[[], None]) -> Callable[[], bool]:
    """A lane that is done before its scheduler goes on."""
    act()
    return lambda: False


def lanes_of(site: Site, ports_of: Examine) -> Lanes:
    """The lanes of a process that has just started."""
    return Lanes(site.ctx, ports_of, start=at_once)


def let_pass(clock: TestClock, scheduler: Scheduler, by: timedelta, step: timedelta) -> None:
    """Let time pass, with a beat at each step and one at the end."""
    end = clock.now() + by
    while clock.now() < end:
        scheduler.tick()
        clock.advance(step)
    scheduler.tick()
