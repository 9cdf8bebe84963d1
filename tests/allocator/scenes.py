"""Scenes: days on which clocks change, months end, and a few bookings lie on odd minutes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from booking.allocator.availability import free
from booking.allocator.cells import Granularity
from booking.allocator.package import Package, Sharing, Size
from booking.allocator.resources import Resources
from booking.allocator.runs import Place
from booking.allocator.span import instant_of
from booking.allocator.timeline import Entry, ShareRatio, Timeline
from tests.allocator import oracle

DAYS: tuple[tuple[str, date], ...] = (
    ("Europe/London", date(2027, 3, 28)),
    ("Europe/London", date(2026, 10, 25)),
    ("America/St_Johns", date(2027, 3, 14)),
    ("America/St_Johns", date(2026, 11, 1)),
    ("Asia/Kolkata", date(2027, 1, 31)),
    ("Asia/Kathmandu", date(2028, 2, 29)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),  # half an hour forward
    ("Australia/Lord_Howe", date(2027, 4, 4)),  # half an hour back
    ("UTC", date(2026, 12, 31)),
    ("Africa/Cairo", date(2027, 4, 30)),  # midnight does not exist
    ("Africa/Cairo", date(2026, 10, 30)),  # the day before lasts 25 hours
    ("America/Havana", date(2026, 11, 1)),  # midnight comes twice
    ("America/Havana", date(2027, 3, 14)),  # midnight does not exist
)
RATIOS = (1000, 1500, 3000)
KINDS = ("cores", "memory_mib")
property_test = settings(
    max_examples=int(os.environ.get("BOOKING_ORACLE_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""The oracle is slow by design; 1,500 examples take a quarter of an hour."""


def around(day: date, before: int, after: int) -> tuple[int, int]:
    """The UTC minutes of some days on either side of a date."""
    noon = datetime(day.year, day.month, day.day, tzinfo=UTC)
    first = noon - timedelta(days=before)
    return int(first.timestamp()) // 60, int((noon + timedelta(days=after)).timestamp()) // 60


@dataclass(frozen=True)
class Scene:
    """One pool twice: as the allocator keeps it and as the oracle does."""

    zone: str
    day: date
    granularity: Granularity
    milli: int
    entries: tuple[Entry, ...]

    @cached_property
    def reach(self) -> tuple[int, int]:
        return around(self.day, 2, 3)

    @cached_property
    def days(self) -> tuple[int, ...]:
        return oracle.day_edges(self.zone, *self.reach)[:4]

    @cached_property
    def edges(self) -> tuple[int, ...]:
        """The cell edges of the pool's own grid over the covered days."""
        if self.granularity is Granularity.DAY:
            return self.days
        hours = oracle.hour_edges(self.zone, *self.reach)
        return tuple(edge for edge in hours if self.days[0] <= edge <= self.days[-1])

    @cached_property
    def timeline(self) -> Timeline:
        empty = Timeline.empty(self.days[0], self.days[-1], ratio=ShareRatio(self.milli))
        return empty.applied(self.entries)

    @cached_property
    def oracle(self) -> oracle.Oracle:
        pool = oracle.Oracle(self.days[0], self.days[-1], Fraction(self.milli, 1000))
        for entry in self.entries:
            pool.add(entry.side, entry.start, entry.end, entry.kind, entry.amount)
        return pool

    def place(self, sharing: Sharing = Sharing.RESERVED, pool_id: str = "here", start: int = 0) -> Place:
        """The pool to search in, from the given edge on to the last."""
        return Place(
            pool_id,
            ZoneInfo(self.zone),
            self.granularity,
            self.timeline,
            free(self.timeline, sharing),
            instant_of(self.edges[start]),
            instant_of(self.edges[-1]),
        )

    def free_minutes(self, demand: Resources, sharing: Sharing) -> list[bool]:
        """For each covered minute, whether the oracle has room for one more."""
        return [count >= 1 for count in self.counts(demand, sharing)]

    def counts(self, demand: Resources, sharing: Sharing) -> list[int]:
        """For each covered minute, how many more the oracle has room for."""
        return self.oracle.counts(demand.amounts(), sharing is Sharing.SHARED)


@st.composite
def scenes(draw: st.DrawFn, granularity: Granularity | None = None, most: int = 8) -> Scene:
    """A few days around a difficult one, with capacity that comes and goes and bookings in it."""
    zone, day = draw(st.sampled_from(DAYS))
    grid = granularity or draw(st.sampled_from(list(Granularity)))
    milli = draw(st.sampled_from(RATIOS))
    bare = Scene(zone, day, grid, milli, ())
    first, last = bare.days[0], bare.days[-1]
    hours = oracle.hour_edges(zone, *bare.reach)
    minutes = st.one_of(
        st.sampled_from(hours),
        st.sampled_from(hours).map(lambda hour: hour + 20),
        st.integers(first - 90, last + 90),
    )
    entries = [Entry("physical", first - 500, last + 500, kind, draw(st.integers(0, 12))) for kind in KINDS]
    for _ in range(draw(st.integers(0, most))):
        start, end = sorted((draw(minutes), draw(minutes)))
        side = draw(st.sampled_from(("physical", "reserved", "reserved", "shared", "shared")))
        # Physical may fall below what is reserved: machines die.
        amount = draw(st.integers(-12, 6) if side == "physical" else st.integers(1, 6))
        kinds = KINDS if draw(st.booleans()) else KINDS[:1]
        entries += [Entry(side, start, max(end, start + 1), kind, amount) for kind in kinds]
    return Scene(zone, day, grid, milli, tuple(entries))


def sizes(cores: int, memory: int) -> Resources:
    return Resources(cores=cores, memory_mib=memory)


demands = st.builds(sizes, st.integers(0, 4), st.integers(0, 4)).filter(lambda demand: any(demand.vector()))
sharings = st.sampled_from((Sharing.RESERVED, Sharing.SHARED))


def package(name: str, demand: Resources) -> Package:
    """A package of exactly that demand."""
    return Package(name, 1, Size(demand.cores, demand.memory_mib), Size(0, 0), worker_count=0)
