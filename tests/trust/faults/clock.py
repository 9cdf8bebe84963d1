"""The clock of a real scheduler jumps: an hour, a day, over nights with a changed hour, over a leap day."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from booking import migrate
from booking.adapters.null import NullProvisioner
from booking.allocator.cells import Granularity
from booking.allocator.lifecycle import State
from booking.allocator.span import Span
from booking.doors import Db, Doors, SystemIds, open_engine
from booking.services import bookings
from booking.services.verify import differences
from tests.e2e.service import IMAGINED, Running
from tests.support.site import Site, make_site
from tests.trust.faults.leash import leashed

LATE = 5.0
"""Seconds after a jump, or a boundary, within which everything is as the clock says."""
PATIENCE = 120.0
SECOND = timedelta(seconds=1)
_SETTINGS = {
    "BOOKING_LEADERSHIP_SECONDS": "2",
    "BOOKING_RECONCILE_SECONDS": "1",
    "BOOKING_TEARDOWN_SECONDS": "0",
}
_LIBRARIES = (Path("/usr/lib"), Path("/usr/local/lib"))


def library() -> Path | None:
    """Where `libfaketime` is."""
    found = (path for folder in _LIBRARIES for path in folder.glob("**/libfaketimeMT.so.1"))
    return next(found, None)


class JumpingClock:
    """The machine's clock, put off by an offset that a process under `libfaketime` reads too."""

    def __init__(self, file: Path, now: datetime) -> None:
        self._file = file
        self._offset = timedelta()
        self.set(now)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def set(self, now: datetime) -> None:
        """Jump."""
        self._offset = now - datetime.now(UTC)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{self._offset.total_seconds():+.3f}\n")
        fresh.replace(self._file)


@dataclass(frozen=True)
class Scene:
    """A pool's grid, four boundaries of it in a row, and how far the clock goes back on the way."""

    name: str
    granularity: Granularity
    boundaries: tuple[datetime, ...]
    back: timedelta | None = None
    zone: str = "UTC"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


_MORNING = tuple(_at(f"2027-06-07 {hour:02}:00") for hour in (8, 9, 10, 11))
SCENES = (
    Scene("an hour", Granularity.HOUR, _MORNING, timedelta(hours=1)),
    Scene("a day", Granularity.HOUR, _MORNING, timedelta(days=1)),
    Scene(
        "the night in spring",
        Granularity.DAY,
        (_at("2027-03-26 23:00"), _at("2027-03-27 23:00"), _at("2027-03-28 22:00"), _at("2027-03-29 22:00")),
        zone="Europe/Berlin",
    ),
    Scene(
        "the night in autumn",
        Granularity.DAY,
        (_at("2027-10-29 22:00"), _at("2027-10-30 22:00"), _at("2027-10-31 23:00"), _at("2027-11-01 23:00")),
        zone="Europe/Berlin",
    ),
    Scene(
        "the leap day",
        Granularity.DAY,
        (_at("2028-02-28 00:00"), _at("2028-02-29 00:00"), _at("2028-03-01 00:00"), _at("2028-03-02 00:00")),
        timedelta(days=1),
    ),
)


@dataclass
class Seen:
    """How a scene went."""

    late: list[float] = field(default_factory=list)
    """Seconds after each jump or boundary until everything was as the clock said."""
    twice: int = 0
    """Clusters that were made or destroyed more than once."""
    never: int = 0
    """Bookings whose span the clock went through and that were not made, or not destroyed."""
    faults: list[str] = field(default_factory=list)


class Stage:
    """One scene with its own database, clock, and scheduler in a process of its own."""

    def __init__(self, folder: Path, scene: Scene, preload: Path) -> None:
        self.scene, self.seen = scene, Seen()
        folder.mkdir(parents=True)
        self.clock = JumpingClock(folder / "offset", scene.boundaries[0] + timedelta(minutes=5))
        self.engine = open_engine(f"sqlite:///{folder / 'booking.sqlite'}")
        migrate.upgrade(self.engine)
        doors = Doors(self.clock, SystemIds(), Db(self.engine, self.clock))
        self.site: Site = make_site(doors, home=folder / "service" / "home")
        self.site.pool(64, 65536, timezone=scene.zone, granularity=scene.granularity)
        self.site.package("pair", 2)
        self.person = self.site.person("ann", admin=True)
        self.outside = NullProvisioner(self.clock, folder / "service" / "home" / "null")
        self.booked = [self._book(Span(*pair)) for pair in pairwise(scene.boundaries)]
        settings = _SETTINGS | {
            "BOOKING_DATABASE_URL": str(self.engine.url),
            "LD_PRELOAD": str(preload),
            "FAKETIME_TIMESTAMP_FILE": str(folder / "offset"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.scheduler = Running(
            folder / "service", "scheduler", settings=IMAGINED | settings, program=leashed(folder)
        )

    def _book(self, span: Span) -> str:
        return self.site.book(self.person, "pair", span).id

    def close(self) -> None:
        self.scheduler.close()
        self.engine.dispose()

    def expect(self, what: str, *wanted: State) -> None:
        """Wait until the bookings of the scene are in these states, and note how long it took."""
        began = time.monotonic()
        while (found := [self.site.states(one)[0] for one in self.booked]) != list(wanted):
            if time.monotonic() > began + PATIENCE:
                self.seen.faults.append(f"{self.scene.name}, {what}: {found}, not {list(wanted)}")
                break
            time.sleep(0.05)
        self.seen.late.append(time.monotonic() - began)

    def pass_by(self, boundary: datetime) -> None:
        """Jump to shortly before a boundary, and let time pass it as it always does."""
        self.clock.set(boundary - 2 * SECOND)
        while self.clock.now() < boundary:
            time.sleep(0.02)


_ENDED, _ACTIVE, _NEXT, _GONE = State.ENDED, State.ACTIVE, State.CONFIRMED, State.CANCELLED


def play(stage: Stage) -> Seen:
    """A scene: bookings start and end while the clock jumps, forwards by each whole booking, and back."""
    scene, boundaries = stage.scene, stage.scene.boundaries
    stage.expect("the first start", _ACTIVE, _NEXT, _NEXT)
    stage.seen.late.clear()  # the process has only just begun
    stage.pass_by(boundaries[1])
    stage.expect("the first boundary", _ENDED, _ACTIVE, _NEXT)
    if scene.back is not None:
        _go_back(stage, scene.back)
    stage.pass_by(boundaries[2])
    stage.expect("the second boundary", _ENDED, _ENDED, _ACTIVE)
    stage.clock.set(boundaries[3] + timedelta(days=1))
    stage.expect("far beyond the last", _ENDED, _ENDED, _ENDED)
    return _judged(stage)


def _go_back(stage: Stage, back: timedelta) -> None:
    """The clock goes back while a cluster ends; what ran, runs; what is booked then, starts and ends."""
    now = stage.clock.now()
    stage.clock.set(now - back)
    stage.expect("after it went back", _ENDED, _ACTIVE, _NEXT)
    first = stage.booked.pop(0)
    start = (now - back).replace(minute=0, second=0, microsecond=0)
    length = stage.scene.boundaries[1] - stage.scene.boundaries[0]
    stage.booked.append(stage._book(Span(start, start + length)))
    stage.expect("booked after it went back", _ACTIVE, _NEXT, _ACTIVE)
    bookings.cancel(stage.site.ctx, stage.person, stage.booked[-1])
    stage.clock.set(stage.clock.now() - back)
    stage.expect("it went back while one ended", _ACTIVE, _NEXT, _ENDED)
    stage.booked.pop()
    stage.booked.insert(0, first)
    if stage.site.states(first) != [_ENDED]:
        stage.seen.faults.append(f"{stage.scene.name}: what had ended is {stage.site.states(first)}")


def _judged(stage: Stage) -> Seen:
    """Every cluster was made once and destroyed once, and nothing is left."""
    happened = Counter((event.kind, event.reservation_id) for event in stage.outside.events)
    stage.seen.twice = sum(times > 1 for times in happened.values())
    for booking_id in stage.booked:
        reservation = stage.site.only(booking_id)
        stage.seen.never += not all(happened[kind, reservation.id] for kind in ("created", "destroyed"))
    if left := stage.outside.inventory():
        stage.seen.faults.append(f"{stage.scene.name}: {len(left)} clusters are left")
    stage.seen.faults += [f"{stage.scene.name}: {fault}" for fault in differences(stage.site.ctx)]
    return stage.seen
