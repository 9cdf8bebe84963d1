"""Thousands of random acts in zones with awkward clocks, each answer compared with a model that counts by hand.

The model knows only lists of dated amounts and claims, and the zone's wall clock. It shares no code with
the product but the names of things.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from booking import errors
from booking.allocator.cells import Granularity
from booking.allocator.package import Sharing
from booking.allocator.resources import Resources
from booking.allocator.span import Span, instant_of
from booking.doors import Doors
from booking.models import Blackout, Booking, Inventory
from booking.services import availability, bookings, capacity, changes, verify
from booking.services.exact import exact_timeline
from tests.support.doors import TestClock
from tests.support.site import ROOT, Site, make_site

ROUNDS = int(os.environ.get("BOOKING_TEST_ORACLE_ROUNDS", "45"))
SPRING, AUTUMN = date(2030, 3, 28), date(2030, 10, 24)
SCENES = [
    ("Europe/London", SPRING),
    ("Europe/London", AUTUMN),
    ("America/St_Johns", date(2030, 3, 8)),
    ("America/St_Johns", date(2030, 11, 1)),
    ("Asia/Kolkata", date(2030, 2, 26)),
    ("Asia/Kathmandu", date(2030, 12, 29)),
    ("Australia/Lord_Howe", date(2030, 4, 5)),
    ("Australia/Lord_Howe", date(2030, 10, 4)),
    ("UTC", date(2032, 2, 27)),
]
MINUTE = timedelta(minutes=1)


@dataclass
class Claim:
    """What the model remembers of a booking's span."""

    booking: str
    reservation: str
    start: datetime
    end: datetime
    cores: int
    memory: int
    shared: bool
    order: int


@dataclass
class Model:
    """Lists, and sums over them."""

    ratio: float
    physical: dict[str, tuple[int, datetime, datetime, int, int]] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)

    def at(self, moment: datetime) -> tuple[list[int], list[int], list[int]]:
        """Physical, reserved in full, and shared, each as cores and memory."""
        physical, full, shared = [0, 0], [0, 0], [0, 0]
        for sign, start, end, cores, memory in self.physical.values():
            if start <= moment < end:
                physical[0] += sign * cores
                physical[1] += sign * memory
        for claim in self.claims:
            if claim.start <= moment < claim.end:
                side = shared if claim.shared else full
                side[0] += claim.cores
                side[1] += claim.memory
        return physical, full, shared

    def count(self, moment: datetime, cores: int, memory: int, *, shared: bool) -> int:
        """How many more fit at a moment, by trying one more until it does not."""
        physical, full, sharers = self.at(moment)
        count = 0
        while count < 500:
            more = count + 1
            for index, amount in enumerate((cores, memory)):
                extra_full = 0 if shared else more * amount
                extra_shared = more * amount if shared else 0
                taken = full[index] + extra_full + self.ceil(sharers[index] + extra_shared)
                if taken > physical[index]:
                    return count
            count = more
        return count

    def ceil(self, shared: int) -> int:
        whole = int(shared / self.ratio)
        while whole * self.ratio < shared - 1e-9:
            whole += 1
        return whole

    def moments(self, start: datetime, end: datetime) -> list[datetime]:
        """The start and every moment within at which anything changes."""
        found = {start}
        for _, first, last, _, _ in self.physical.values():
            found |= {first, last}
        for claim in self.claims:
            found |= {claim.start, claim.end}
        return [moment for moment in found if start <= moment < end]

    def least(
        self, start: datetime, end: datetime, size: tuple[int, int], *, shared: bool
    ) -> tuple[int, int]:
        counts = [self.count(m, *size, shared=shared) for m in self.moments(start, end)]
        return min(counts), max(counts)


def hours(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Hour cells by looking at the wall clock each minute."""
    edges = []
    moment = start - timedelta(hours=3)
    while moment <= end + timedelta(hours=3):
        if moment.astimezone(zone).minute == 0:
            edges.append(moment)
        moment += MINUTE * 15 if moment.minute % 15 == 0 else MINUTE
    for first, last in pairwise(edges):
        if last > start and first < end:
            yield first, last


def days(zone: ZoneInfo, first: date, count: int) -> Iterator[tuple[datetime, datetime]]:
    """Day cells by looking at the wall clock's date each quarter of an hour."""
    for n in range(count):
        day = first + timedelta(days=n)
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=16)
        while moment.astimezone(zone).date() != day:
            moment += MINUTE * 15
        start = moment
        while moment.astimezone(zone).date() == day:
            moment += MINUTE * 15
        yield start, moment


class Story:
    """One pool, one model, and a dice."""

    def __init__(self, site: Site, zone: str, day: date, granularity: Granularity, seed: int) -> None:
        self.dice = random.Random(seed)
        self.site, self.zone, self.day, self.granularity = site, ZoneInfo(zone), day, granularity
        ratio = self.dice.choice([1000, 1500, 3000])
        site.pool(0, timezone=zone, granularity=granularity, share_ratio_milli=ratio)
        self.model = Model(ratio / 1000)
        self.sizes = {}
        for name, cores, memory in (("tiny", 2, 700), ("small", 3, 1500), ("large", 7, 4096)):
            site.package(name, cores, memory)
            self.sizes[name] = (cores, memory)
        self.who = site.person("oracle", admin=True)
        cells = days(self.zone, day, 9) if granularity is Granularity.DAY else None
        span = list(days(self.zone, day, 9))
        grid = list(cells) if cells else list(hours(self.zone, span[0][0], span[-1][1]))
        self.edges = [cell[0] for cell in grid] + [grid[-1][1]]
        self.turn = 0

    def pick(self, least: int = 1, most: int = 40) -> tuple[datetime, datetime]:
        first = self.dice.randrange(len(self.edges) - 1)
        last = min(len(self.edges) - 1, first + self.dice.randint(least, most))
        return self.edges[first], self.edges[last]

    def step(self) -> None:
        self.turn += 1
        act = self.dice.choices(
            [self.inventory, self.blackout, self.book, self.extend, self.cancel, self.remove],
            [2, 2, 10, 3, 3, 1],
        )[0]
        act()

    def holding(self) -> tuple[datetime, datetime, int, int]:
        start, end = self.pick(5, 120)
        if self.dice.random() < 0.3:
            start, end = (
                start + MINUTE * self.dice.randrange(1, 50),
                end + MINUTE * self.dice.randrange(1, 50),
            )
        return start, end, self.dice.randint(1, 16), self.dice.randint(500, 12000)

    def edit(self, table: type[Inventory] | type[Blackout], row: str | None, *, remove: bool = False) -> None:
        start, end, cores, memory = self.holding()
        holding = None if remove else capacity.Holding(Span(start, end), Resources(cores, memory), "dice")
        wanted = capacity.Edit("pool", table, row, holding, capacity.OnConflict.KEEP)
        made = capacity.edit(self.site.ctx, ROOT, wanted).row
        if row is not None:
            del self.model.physical[row]
        if not remove:
            assert made is not None
            sign = 1 if table is Inventory else -1
            self.model.physical[made.id] = (sign, start, end, cores, memory)

    def inventory(self) -> None:
        known = [key for key, value in self.model.physical.items() if value[0] == 1]
        self.edit(Inventory, self.dice.choice(known) if known and self.dice.random() < 0.4 else None)

    def blackout(self) -> None:
        known = [key for key, value in self.model.physical.items() if value[0] == -1]
        self.edit(Blackout, self.dice.choice(known) if known and self.dice.random() < 0.4 else None)

    def remove(self) -> None:
        if self.model.physical:
            key = self.dice.choice(sorted(self.model.physical))
            self.edit(Inventory if self.model.physical[key][0] == 1 else Blackout, key, remove=True)

    def book(self) -> None:
        name, shared = self.dice.choice(sorted(self.sizes)), self.dice.random() < 0.4
        spans: list[tuple[datetime, datetime]] = []
        for _ in range(self.dice.choice([1, 1, 1, 2, 3])):
            start, end = self.pick(1, 30)
            if all(end <= other[0] or start >= other[1] for other in spans):
                spans.append((start, end))
        fits = all(self.model.least(*span, self.sizes[name], shared=shared)[0] >= 1 for span in spans)
        sharing = Sharing.SHARED if shared else Sharing.RESERVED
        try:
            made = self.site.book(self.who, name, *[Span(*span) for span in spans], sharing=sharing)
        except errors.NoCapacity as refusal:
            assert not fits, f"turn {self.turn}: refused though the model has room"
            self.take_up(refusal)
            return
        assert fits, f"turn {self.turn}: promised though the model has no room"
        self.remember(made)

    def take_up(self, refusal: errors.NoCapacity) -> None:
        """Every alternative can really be booked; each is undone again."""
        for alternative in refusal.alternatives:
            request = alternative["request"]
            spans = [
                Span(datetime.fromisoformat(span["start"]), datetime.fromisoformat(span["end"]))
                for span in request["spans"]
            ]
            made = self.site.book(self.who, request["package"], *spans, sharing=Sharing(request["sharing"]))
            bookings.cancel(self.site.ctx, self.who, made.id)

    def remember(self, made: Booking) -> None:
        size = self.sizes[made.package_name]
        for reservation in made.reservations:
            shared = made.sharing is Sharing.SHARED
            self.model.claims.append(
                Claim(made.id, reservation.id, reservation.start, reservation.end, *size, shared, self.turn)
            )

    def extend(self) -> None:
        if not self.model.claims:
            return
        claim = self.dice.choice(self.model.claims)
        later = [edge for edge in self.edges if edge > claim.start]
        end = self.dice.choice(later)
        without = Model(
            self.model.ratio, self.model.physical, [c for c in self.model.claims if c is not claim]
        )
        added = (claim.end, end)
        fits = (
            end <= claim.end
            or without.least(*added, (claim.cores, claim.memory), shared=claim.shared)[0] >= 1
        )
        wanted = changes.Change(ends={claim.reservation: end})
        try:
            changes.change(self.site.ctx, self.who, claim.booking, wanted, None)
        except errors.NoCapacity:
            assert not fits, f"turn {self.turn}: not extended though the model has room"
            return
        assert fits, f"turn {self.turn}: extended though the model has no room"
        claim.end = end

    def cancel(self) -> None:
        if self.model.claims:
            booking = self.dice.choice(self.model.claims).booking
            bookings.cancel(self.site.ctx, self.who, booking)
            self.model.claims = [claim for claim in self.model.claims if claim.booking != booking]

    def compare(self) -> None:
        """Every cell by day and by hour, for every package and sharing."""
        shared = self.dice.random() < 0.5
        sharing = Sharing.SHARED if shared else Sharing.RESERVED
        grids = {
            Granularity.DAY: list(days(self.zone, self.day, 9)),
            Granularity.HOUR: list(hours(self.zone, self.edges[0], self.edges[0] + timedelta(hours=72))),
        }
        for granularity, cells in grids.items():
            question = availability.Question(
                cells[0][0],
                cells[-1][1],
                granularity=granularity,
                sharing=sharing,
                packages=tuple(self.sizes),
                best=True,
            )
            answer = availability.availability(self.site.ctx, question)
            assert answer.cells == cells
            for row in answer.rows:
                size = self.sizes[row.package.name]
                wanted = [self.model.least(*cell, size, shared=shared) for cell in cells]
                assert list(zip(row.count, row.best, strict=True)) == wanted, f"turn {self.turn}"

    def compare_segments(self) -> None:
        exact = exact_timeline(self.site.ctx, "pool", self.edges[0], self.edges[-1])
        for segment in exact.segments:
            physical, full, shared = self.model.at(instant_of(segment.start))
            reserved = [full[n] + self.model.ceil(shared[n]) for n in (0, 1)]
            assert list(segment.physical[:2]) == [max(n, 0) for n in physical]
            assert list(segment.reserved[:2]) == reserved
            free = [max(p - r, 0) for p, r in zip(physical, reserved, strict=True)]
            assert list(segment.available[:2]) == free


@pytest.mark.parametrize("granularity", list(Granularity), ids=str)
@pytest.mark.parametrize("zone, day", SCENES, ids=str)
def test_every_answer_is_that_of_a_model_that_counts_by_hand(
    doors: Doors, clock: TestClock, zone: str, day: date, granularity: Granularity
) -> None:
    clock.set(datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - timedelta(days=3))
    story = Story(make_site(doors), zone, day, granularity, seed=day.toordinal())
    for turn in range(ROUNDS):
        story.step()
        if turn % 15 == 14:
            story.compare()
    story.compare()
    story.compare_segments()
    assert verify.differences(story.site.ctx) == []
