"""What was booked, used and idle: against the clock that the test moves, and against a walk through every minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from booking.adapters.null import NullProvisioner
from booking.allocator.cells import Granularity
from booking.allocator.lifecycle import State
from booking.allocator.package import Sharing
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.allocator.usage import Grain
from booking.doors import Doors
from booking.errors import Forbidden, Invalid, NoCapacity, NotFound
from booking.models import Blackout, Booking, Role
from booking.scheduler import Scheduler
from booking.services import bookings, capacity, groups, refusals, usage
from booking.services.context import Actor
from booking.services.decision import BookingRequest
from booking.services.usage import Amount, By, Question
from tests.support.doors import START, TestClock
from tests.support.site import HOUR, ROOT, Site, make_site

MINUTE = timedelta(minutes=1)
DAY = START.date()
WEEK = DAY, DAY + timedelta(days=7)


@dataclass
class World:
    """A site whose scheduler makes clusters as the test lets time pass, a minute at a time."""

    site: Site
    clock: TestClock
    scheduler: Scheduler

    def run_until(self, moment: datetime) -> None:
        while self.clock.now() < moment:
            self.scheduler.tick()
            self.scheduler.tick()
            self.clock.advance(min(MINUTE, moment - self.clock.now()))
        self.scheduler.tick()

    def asked(self, who: Actor, by: By = By.PACKAGE, grain: Grain = Grain.DAY) -> Sequence[usage.Cell]:
        return usage.usage(self.site.ctx, who, Question(*WEEK, by=by, grain=grain)).cells

    def hours(self, who: Actor, by: By = By.PACKAGE) -> dict[str | None, tuple[float, float, float]]:
        """Core-hours booked, used and idle on the first day, by key."""
        found = self.asked(who, by)[0].amounts
        return {key: (one.booked / 60, one.used / 60, one.idle / 60) for key, one in found}

    def book(self, who: Actor, first: int, last: int, package: str = "half") -> Booking:
        """Hours counted from where the clock of a test starts."""
        return self.site.book(who, package, Span(START + first * HOUR, START + last * HOUR))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: time passes in many ticks here; the API's tests ask both databases."""
    return sqlite_url


@pytest.fixture
def world(doors: Doors, clock: TestClock) -> World:
    site = make_site(doors, lead_minutes=5, provision_attempts=3)
    site.pool(8)
    site.package("half", 4)
    site.package("small", 1)
    provisioner = NullProvisioner(clock, ready_after=90 * timedelta(seconds=1))
    return World(site, clock, Scheduler(site.ctx, provisioner, "one"))


@pytest.fixture
def root(world: World) -> Actor:
    return world.site.person("root", admin=True)


def test_what_runs_is_used_what_went_by_without_a_cluster_is_idle_and_the_rest_is_ahead(
    world: World, root: Actor
) -> None:
    world.book(world.site.person("ann"), 0, 3)
    world.run_until(START + HOUR)
    cell = world.asked(root)[0]
    assert cell.total.booked == 4 * 3 * 60
    assert (cell.total.used, cell.total.idle) == (4 * 58, 4 * 2)
    assert cell.total.ahead == 4 * 2 * 60
    assert cell.amounts == [("half", cell.total)]
    assert cell.physical == 8 * 24 * 60


def test_a_cluster_that_came_early_is_used_from_the_start_of_its_booking(world: World, root: Actor) -> None:
    world.book(world.site.person("ann"), 1, 2)
    world.run_until(START + 3 * HOUR)
    booked, used, idle = world.hours(root)["half"]
    assert (booked, used + idle) == (4, 4)
    assert used >= 4 * 58 / 60


def test_what_was_ended_early_is_booked_until_its_cluster_was_gone(world: World, root: Actor) -> None:
    ann = world.site.person("ann")
    made = world.book(ann, 1, 6)
    world.run_until(START + HOUR + 20 * MINUTE)
    bookings.cancel(world.site.ctx, ann, made.id)
    world.run_until(START + 3 * HOUR)
    assert world.site.only(made.id).state is State.ENDED
    booked, used, idle = world.hours(root)["half"]
    assert booked == used
    assert 4 * 20 / 60 <= booked <= 4 * 22 / 60
    assert idle == 0


def test_what_never_was_or_came_to_nothing_counts_for_nothing(
    world: World, root: Actor, clock: TestClock
) -> None:
    ann = world.site.person("ann")
    gone = world.book(ann, 2, 4)
    bookings.cancel(world.site.ctx, ann, gone.id)
    span = Span(START + 5 * HOUR, START + 6 * HOUR)
    world.site.book(ann, "half", span, hold=10 * MINUTE)
    assert world.hours(root) == {"half": (4, 0, 0)}
    clock.advance(10 * MINUTE)
    assert world.hours(root) == {}


def test_a_booking_over_midnight_is_cut_at_the_cells_and_a_blackout_withdrawn(
    world: World, root: Actor
) -> None:
    ann = world.site.person("ann")
    world.book(ann, 10, 20)
    away = capacity.Holding(Span(START + 30 * HOUR, START + 31 * HOUR), Resources(2), "power")
    capacity.edit(world.site.ctx, ROOT, capacity.Edit("pool", Blackout, None, away))
    days = world.asked(root)
    assert [cell.total.booked for cell in days] == [4 * 5 * 60, 4 * 5 * 60, 0, 0, 0, 0, 0]
    assert [cell.physical for cell in days[:3]] == [8 * 24 * 60, 8 * 24 * 60 - 2 * 60, 8 * 24 * 60]
    (week,) = world.asked(root, grain=Grain.WEEK)
    assert (week.start, week.end) == (days[0].start, days[-1].end)
    assert week.total == Amount.sum(cell.total for cell in days)
    assert week.physical == sum(cell.physical for cell in days)


def test_administrators_see_everybody_and_others_their_own_and_the_groups_they_keep(
    world: World, root: Actor
) -> None:
    site = world.site
    ann, bob = site.person("ann"), site.person("bob")
    groups.create(site.ctx, ann, "team")
    groups.put_member(site.ctx, ann, "team", "bob", Role.WRITER)
    shared = Span(START + HOUR, START + 2 * HOUR)
    request = BookingRequest("small", Sharing.RESERVED, (shared,), group="team")
    bookings.book(site.ctx, bob, request, lambda _: {})
    world.book(ann, 1, 2)
    assert world.hours(root) == {"half": (4, 0, 0), "small": (1, 0, 0)}
    assert world.hours(root, By.ACCOUNT) == {"ann": (4, 0, 0), "bob": (1, 0, 0)}
    assert world.hours(root, By.GROUP) == {"team": (1, 0, 0), None: (4, 0, 0)}
    assert world.hours(ann) == {"half": (4, 0, 0)}
    assert world.hours(bob) == {"small": (1, 0, 0)}
    assert world.hours(ann, By.GROUP) == {"team": (1, 0, 0)}
    assert world.hours(bob, By.GROUP) == {}
    with pytest.raises(Forbidden):
        world.hours(ann, By.ACCOUNT)


def test_a_pool_that_is_not_there_and_a_window_without_end_are_refused(world: World, root: Actor) -> None:
    with pytest.raises(NotFound):
        usage.usage(world.site.ctx, root, Question(*WEEK, pool="nowhere"))
    with pytest.raises(Invalid):
        usage.usage(world.site.ctx, root, Question(WEEK[1], WEEK[0]))


def test_more_cells_than_an_answer_holds_are_refused(
    world: World, root: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "MOST_CELLS", 7)
    world.book(root, 1, 2)
    assert len(world.asked(root)) == 7
    world.book(root, 1, 2, "small")
    with pytest.raises(Invalid, match="7 cells"):
        world.asked(root)


@pytest.mark.parametrize(
    "zone,change,hours",
    [
        ("Europe/London", date(2030, 10, 27), 25),
        ("Europe/London", date(2030, 3, 31), 23),
        ("Australia/Lord_Howe", date(2030, 4, 7), 24.5),
        ("Australia/Lord_Howe", date(2030, 10, 6), 23.5),
    ],
)
def test_a_booked_day_has_as_many_hours_as_its_clocks_show(
    doors: Doors, zone: str, change: date, hours: float
) -> None:
    site = make_site(doors)
    pool = site.pool(8, timezone=zone, granularity=Granularity.DAY)
    site.package("half", 4)
    root = site.person("root", admin=True)
    midnights = [
        datetime.combine(change + timedelta(days=n), datetime.min.time(), pool.zone).astimezone(UTC)
        for n in (0, 1)
    ]
    site.book(root, "half", Span(*midnights))
    found = usage.usage(site.ctx, root, Question(change, change + timedelta(days=1))).cells
    assert [(cell.total.booked, cell.physical) for cell in found] == [(4 * hours * 60, 8 * hours * 60)]


def test_refused_demand_is_told_by_the_week_that_was_asked_for(world: World, root: Actor) -> None:
    site = world.site
    ann, bob = site.person("ann"), site.person("bob")
    world.book(root, 0, 400, "half")
    world.book(root, 0, 400, "half")
    monday = START.replace(hour=0) + timedelta(days=7)

    def refused(who: Actor, package: str, *starts: datetime) -> None:
        for start in starts:
            with pytest.raises(NoCapacity):
                site.book(who, package, Span(start, start + HOUR))

    refused(ann, "half", monday - HOUR, monday, monday, monday + HOUR)
    refused(bob, "small", monday)

    def told(who: Actor) -> list[tuple[date, str, float, int]]:
        _, found = refusals.demand(site.ctx, who, refusals.Question(DAY, DAY + timedelta(days=14)))
        return [(row.start.date(), row.package, row.core_minutes / 60, row.times) for row in found]

    assert told(ann) == [(DAY, "half", 4, 1), (monday.date(), "half", 8, 3)]
    assert told(root) == [*told(ann), (monday.date(), "small", 1, 1)]
