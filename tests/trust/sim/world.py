"""One seed: a site, its processes and clients, some hours of faults, and two minutes of peace at the end.

Everything that is drawn comes from the seed, so `simulate(57)` is the same run each time, here and anywhere;
`python -m tests.trust.sim --seeds 1 --first 57` tells what it shows. A run that was aimed at crash points is
repeated with the same aims. `docs/trust-simulator.md` says what is simulated and what is not.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from booking.allocator.cells import Granularity, boundaries
from booking.allocator.span import Span, floor_minute, instant_of
from booking.config import Settings
from booking.doors import Clock, Db, Doors
from booking.errors import BookingError
from booking.services import snapshots, verify
from booking.services.context import Context
from tests.trust.sim.admin import Admin
from tests.trust.sim.audit import Audit
from tests.trust.sim.clients import Client
from tests.trust.sim.doors import SimClock, SimIds
from tests.trust.sim.guests import Guest
from tests.trust.sim.hub import CALM, SECOND, Aims, Chances, Hub, Violation
from tests.trust.sim.locks import watched
from tests.trust.sim.outside import SimOutside, Trouble
from tests.trust.sim.processes import Beating, Installation, Served, Web
from tests.trust.sim.promises import Promises
from tests.trust.sim.site import PEOPLE, PLOTS, ground
from tests.trust.sim.town import Town

T = TypeVar("T")
PEACE = 120 * SECOND
"""How long after the last fault everything must be as it should."""
_SNAPSHOTS = 5
"""After so many generations a snapshot is taken: a run has some hundreds, and its processes often start."""
_HOUR = 3600 * SECOND
_MINUTE = 60 * SECOND
_ROUND = 10 * 60 * SECOND


@dataclass(frozen=True)
class Weather:
    """What a seed brings."""

    hours: float
    acts: tuple[int, int]
    """How often a person acts, at least and at most."""
    guests: tuple[int, ...]
    begins: tuple[int, ...]
    """In how many hours bookings begin: many at once make many clusters."""
    chances: Chances
    trouble: Trouble
    settings: Settings
    speed: tuple[timedelta, timedelta]
    skews: list[int]


@dataclass
class Result:
    """What one seed showed."""

    seed: int
    hours: float
    trace: str
    violations: list[Violation]
    points: Counter[tuple[str, str]]
    counts: Counter[str] = field(default_factory=Counter)
    aims: Aims = ()


def weather(seed: int, hours: float | None = None) -> Weather:
    """Every other seed is one hour of rush at the counter; one in eight sweeps twice a minute; the others
    are longer, with fewer people and more clusters. A tenth is calm."""
    dice = random.Random(f"weather {seed}")
    rush, short = seed % 2 == 0, seed % 8 == 7
    hours = hours or (1 if rush else 0.5 if short else dice.choice((3, 6, 12)))
    kind = dice.random()
    chances = Chances(0.004, 0.006, 0.01, planned=True)
    outside = Chances(0.004, 0.01, 0.05, planned=True)
    trouble = Trouble(dice.choice((0.06, 0.3)), 0.06, 0.06, outside, stuck="08")
    if kind < 0.1:
        chances, trouble = CALM, Trouble()
    elif kind < 0.25:
        trouble = Trouble(chances=chances)
    settings = Settings(
        horizon_months=1,
        lead_minutes=dice.choice((1, 5)),
        warning_minutes=10,
        tick_seconds=dice.choice((2.0, 5.0)),
        leadership_seconds=dice.choice((10.0, 30.0)),
        reconcile_seconds=30.0 if short else min(300.0 * hours, 3600.0),
        audit_seconds=60.0 if short else 3600.0,
        provision_seconds=60.0,
        offer_minutes=5 if seed % 4 < 2 else 60,
        teardown_seconds=dice.choice((0.0, 10.0, 60.0)),
        anonymous_hours=dice.choice((1, 2, 12)),
    )
    speed = dice.choice((0, 3, 8)), dice.choice((0, 3, 8))
    skewed = dice.random() < 0.3
    return Weather(
        hours=hours,
        acts=(9, 14) if rush else (3, 6),
        guests=(1, 4, 8) if rush else (1, 2, 4),
        begins=(0, 1, 1, 2, 2, 3, 4, 5) if rush else (0, 0, 1, 1, 2, 3, 4, 5),
        chances=chances,
        trouble=trouble,
        settings=settings,
        speed=(timedelta(seconds=speed[0]), timedelta(seconds=speed[1])),
        skews=[dice.randrange(-SECOND, SECOND) if skewed else 0 for _ in range(5)],
    )


class World:
    """Everything that lives in one run."""

    def __init__(self, seed: int, hours: float | None = None, aims: Aims = ()) -> None:
        self.weather, self.aims = weather(seed, hours), aims
        plot = PLOTS[seed % len(PLOTS)]
        self.ground = ground(plot)
        self.hub = Hub(seed, plot.day, self.weather.chances, aims)
        self.promises = Promises()
        settings = self.weather.settings
        self.audit = Audit(self.hub, self.ground.connection, settings, self.promises)
        self.outside = SimOutside(self.hub, self.weather.trouble, self.audit.outlook, self.weather.speed)
        self.audit.outlook.watch(self.outside)
        site = Installation(self.hub, self.ground, settings, self.audit, self.outside, self.weather.skews)
        self.webs = [Web(site, number) for number in range(2 + seed % 2)]
        self.schedulers = [Beating(site, number) for number in range(2 + seed // 2 % 2)]
        for scheduler in self.schedulers:
            scheduler.peers = self.schedulers
        self.audit.stirred = self._stir
        self._people(plot.zone)

    def _people(self, zone: str) -> None:
        hub, dice, end = self.hub, self.hub.dice, int(self.weather.hours * _HOUR)
        window = Span(
            floor_minute(hub.start), floor_minute(hub.start + timedelta(hours=self.weather.hours + 8))
        )
        edges = [instant_of(edge) for edge in boundaries(ZoneInfo(zone), window, Granularity.HOUR)]
        for edge in edges:
            if edge.astimezone(ZoneInfo(zone)).minute:
                hub.violate("cells are local hours", f"{edge.isoformat()} in {zone}")
        moments = [dice.randrange(int(end * 0.9)) // (60 * SECOND) * 60 * SECOND for _ in range(8)]
        town = Town(hub, self.webs, self.promises, self.ground.pools, edges, moments, self.weather.begins)
        actors = self.ground.actors
        people: list[Client] = [
            Client(town, actors[name], dice.randint(*self.weather.acts)) for name in PEOPLE
        ]
        people += [Guest(town, actors["ann"], 1) for _ in range(dice.choice(self.weather.guests))]
        people.append(Admin(town, actors["root"], dice.randint(1, self.weather.acts[1] // 2)))
        hub.spawn("patrol", None, self._patrol)
        for number, person in enumerate(people):
            hub.spawn(f"client {number}", None, person.live)

    def _doors(self) -> Doors:
        clock = SimClock(self.hub, None)
        return Doors(clock, SimIds("audit"), _Patient(self.ground.engine, clock, self.audit))

    def _stir(self) -> None:
        for scheduler in self.schedulers:
            scheduler.stir()

    def run(self) -> Result:
        """Let it all happen."""
        hub, end = self.hub, int(self.weather.hours * _HOUR)
        with ErrorsAreFindings(hub):
            hub.run(end)
            hub.calm()
            self.outside.calm()
            reconcile = self.weather.settings.reconcile_seconds
            peace = PEACE if reconcile <= 30 else PEACE + int(reconcile * SECOND)
            if not hub.violations:
                self._rest(end + peace)
        if not hub.violations:
            self._verify([*self.hub.dice.sample(self.webs, 1), self.schedulers[0]])
        for row in self.audit.final():
            hub.note(row)
        counts = self.audit.counts + self.audit.outlook.counts + self.outside.counts
        counts["steps"] = hub.steps
        hours = hub.micros / _HOUR
        return Result(hub.seed, hours, hub.trace, hub.violations, hub.points, counts, self.aims)

    def _rest(self, until: int) -> None:
        """Everything comes to rest; what ended only at the last moment has a minute more."""
        self.hub.run(until)
        restless = self._restless()
        if restless:
            self.hub.run(until + _MINUTE)
            for invariant, detail in sorted(
                restless & (self.audit.outlook.unsettled() | self.audit.line.unserved())
            ):
                self.hub.violate(invariant, detail)

    def _restless(self) -> set[tuple[str, str]]:
        """What should have come to rest and has not."""
        return self.audit.outlook.unsettled() | self.audit.line.unserved()

    def _patrol(self) -> None:
        """Every ten minutes; every two hours with the service's own check."""
        for number in count(1):
            self.hub.sleep(_ROUND)
            self.audit.outlook.patrol()
            if self.hub.dice.random() < 0.03:
                self.outside.breakage()
            if number % 12 == 0:
                self._verify(self.hub.dice.sample(self.webs, 1))

    def _verify(self, processes: Sequence[Served]) -> None:
        """The service's own check, with the caches of some processes."""
        for served in processes:
            context = Context(self._doors(), self.weather.settings, served.ctx.timelines)
            try:
                faults = verify.differences(context)
            except _Endless:
                faults = ["the check does not end"]
            for fault in faults:
                self.hub.violate(
                    "the rows, the ledger and the caches agree", f"{served.process.name}: {fault}"
                )


class _Endless(Exception):
    """The same is asked again and again."""


class _Patient(Db):
    """The database as the simulator itself uses it; it notices who runs in circles.

    What is written through it is audited as all else: the check lets holds expire that are due at its moment.
    """

    _left = 200

    def __init__(self, engine: Engine, clock: Clock, audit: Audit) -> None:
        super().__init__(engine, clock)
        self._audit = audit

    def _once(self, name: str, fn: Callable[[Session], T], *, writes: bool) -> T:
        self._left -= 1
        if not self._left:
            raise _Endless(name)
        if not writes:
            return super()._once(name, fn, writes=writes)
        with watched() as locks:
            result = super()._once(name, fn, writes=writes)
        self._audit.committed(name, None, locks)
        return result


class ErrorsAreFindings(logging.Handler):
    """Within `with`: what the scheduler only logs is a finding, unless the simulator caused it."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(logging.ERROR)
        self._hub = hub
        self._log = logging.getLogger("booking")

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, BookingError):
            self._hub.violate(
                "no unexpected error", f"{record.getMessage()}: {type(error).__name__}: {error}"
            )

    def __enter__(self) -> None:
        self._before = (self._log.level, self._log.propagate)
        self._log.addHandler(self)
        self._log.setLevel(logging.ERROR)
        self._log.propagate = False

    def __exit__(self, *_: object) -> None:
        self._log.removeHandler(self)
        self._log.setLevel(self._before[0])
        self._log.propagate = self._before[1]


def simulate(seed: int, hours: float | None = None, aims: Aims = ()) -> Result:
    """Run one seed; with aims, these fates are met where their points are passed."""
    kept, snapshots.EVERY = snapshots.EVERY, _SNAPSHOTS
    try:
        return _simulated(seed, hours, aims)
    finally:
        snapshots.EVERY = kept


def _simulated(seed: int, hours: float | None, aims: Aims) -> Result:
    try:
        world = World(seed, hours, aims)
    except BookingError as error:
        return Result(seed, 0.0, "", [Violation("a site can be made", repr(error), "")], Counter())
    return world.run()
