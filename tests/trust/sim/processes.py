"""The processes of the service: web processes that answer, and schedulers that beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from booking import errors
from booking.allocator.span import EPOCH
from booking.config import Settings
from booking.doors import Doors
from booking.scheduler import Scheduler
from booking.services.context import Context
from tests.trust.sim.audit import Audit
from tests.trust.sim.doors import LATENCY, SimClock, SimDb, SimIds
from tests.trust.sim.hub import SECOND, Fate, Hub, Process, Task
from tests.trust.sim.outside import SimOutside
from tests.trust.sim.promises import Answer
from tests.trust.sim.rows import Claim, next_due
from tests.trust.sim.site import Ground

PATIENCE = 30 * SECOND
"""How long a client waits for an answer."""
_LAPSES = 0.03
_BROKEN: Answer = (0, None)
_STATUS: tuple[tuple[type[errors.BookingError], int], ...] = (
    (errors.Refused, 409),
    (errors.Conflict, 409),
    (errors.Stale, 412),
    (errors.NotFound, 404),
    (errors.Invalid, 422),
    (errors.Unavailable, 503),
)
_MICRO = timedelta(microseconds=1)


@dataclass
class Installation:
    """What all processes of one run share."""

    hub: Hub
    ground: Ground
    settings: Settings
    audit: Audit
    outside: SimOutside
    skews: list[int]
    _due: tuple[int, int | None] = (-1, None)
    """What is due next, and after how many changes of the database that was read."""

    def next_due(self) -> int | None:
        """In microseconds since the Unix epoch; read anew after every change of the database."""
        changes = self.ground.connection.total_changes
        if self._due[0] != changes:
            self._due = (changes, next_due(self.ground.connection))
        return self._due[1]

    def context(self, process: Process) -> Context:
        """The memory of a process that has just started."""
        clock = SimClock(self.hub, process)
        ids = SimIds(f"{self.hub.seed} {process.name}")
        db = SimDb(self.ground.engine, self.hub, process, self.audit)
        return Context(Doors(clock, ids, db), self.settings)


@dataclass(eq=False)
class Call:
    """A request on its way, from the client's side."""

    client: Task
    hub: Hub
    answer: Answer | None = None
    open: bool = True

    def put(self, answer: Answer) -> None:
        """Let the client have an answer, unless it has stopped waiting."""
        if self.open and self.answer is None:
            self.answer = answer
            self.hub.wake(self.client, self.hub.micros + self.hub.dice.randrange(LATENCY))


class Served:
    """A process that comes back some seconds after it died."""

    kind = "process"

    def __init__(self, site: Installation, number: int) -> None:
        self.site, self.number, self.lives = site, number, 0
        self.start()

    def start(self) -> None:
        self.lives += 1
        name = f"{self.kind}-{self.number}.{self.lives}"
        skews = self.site.skews
        self.process = Process(name, skews[self.number % len(skews)], on_death=self._died)
        self.ctx = self.site.context(self.process)
        self.begin()

    def begin(self) -> None:
        """Called at each start."""

    def _died(self) -> None:
        hub = self.site.hub
        hub.spawn(f"{self.process.name} comes back", None, self.start, hub.dice.randrange(10 * SECOND))


class Web(Served):
    """A web process; each request is a greenlet of its own, and all share one cache of timelines."""

    kind = "web"

    def ask(self, name: str, act: Callable[[Context], Any], asking: tuple[str, list[Claim]] | None) -> Answer:
        """Send a request as the present task and wait for the answer."""
        hub = self.site.hub
        assert hub.task is not None
        if not self.process.alive:
            hub.sleep(hub.dice.randrange(SECOND))
            return _BROKEN
        call = Call(hub.task, hub)
        title = f"{self.process.name}/{name} {len(hub.tasks)}"
        after = hub.dice.randrange(LATENCY) if hub.dice.random() < 0.5 else 0
        task = hub.spawn(title, self.process, lambda: self._serve(act, call), after)
        task.on_death = lambda: call.put(_BROKEN)
        task.call = call
        if asking is not None:
            self.site.audit.asking[title] = asking
        hub.sleep(PATIENCE)
        call.open = False
        return call.answer or _BROKEN

    def _serve(self, act: Callable[[Context], Any], call: Call) -> None:
        try:
            answer = (201, act(self.ctx))
        except errors.BookingError as error:
            status = next((number for kind, number in _STATUS if isinstance(error, kind)), 500)
            if status == 500:
                raise
            answer = (status, error.code)
        hub = self.site.hub
        hub.note(f"{answer[0]}")
        if hub.cross("answer", latency=LATENCY) is Fate.LOST:
            call.put(_BROKEN)
        else:
            call.put(answer)


@dataclass
class _Beats:
    """When a scheduler beats next, in the hub's time."""

    at: int = 0
    resting: bool = False


class Beating(Served):
    """A scheduler process: the real one, with beats left out in which nothing would be due."""

    kind = "scheduler"
    peers: Sequence[Beating] = ()

    def begin(self) -> None:
        self.scheduler = Scheduler(self.ctx, self.site.outside, self.process.name)
        self._beats = _Beats()
        self.task = self.site.hub.spawn(self.process.name, self.process, self._loop)

    def _loop(self) -> None:
        hub = self.site.hub
        while True:
            if not self._renewed():
                hub.cross("beat")
                self.scheduler.beat()
            if hub.chances.kill and hub.dice.random() < 0.01:
                self._resign()
            self._beats = _Beats(hub.micros + self._pause(), resting=True)
            hub.sleep(self._beats.at - hub.micros)
            self._beats.resting = False

    def _renewed(self) -> bool:
        """Whether a leader that only rests would have renewed its term by now, all beats made; at times it
        was too late."""
        led = any(peer.leads and peer._beats.resting and peer.process.alive for peer in self.peers)
        return led and not self.leads and self.site.hub.dice.random() > _LAPSES

    def _resign(self) -> None:
        try:
            self.scheduler.resign()
        except errors.Unavailable:
            self.site.hub.note("not resigned")
        self.site.hub.leave()

    def _pause(self) -> int:
        """One tick while something is due; else until something is, or a sweep would be."""
        hub, settings = self.site.hub, self.site.settings
        tick = int(settings.tick_seconds * SECOND)
        longest = int(settings.reconcile_seconds * SECOND)
        swept_at = self.scheduler._swept_at
        if swept_at is not None:
            longest -= (self.ctx.clock.now() - swept_at) // _MICRO
        due = self.site.next_due()
        wait = longest if due is None else min(longest, due - (hub.start - EPOCH) // _MICRO - hub.micros)
        if not self.leads:
            tick *= 3
        return max(tick, wait) + hub.dice.randrange(tick)

    @property
    def leads(self) -> bool:
        return self.scheduler._epoch is not None

    def stir(self) -> None:
        """Something was committed: beat earlier if something is due earlier."""
        if self._beats.resting and self.process.alive:
            at = self.site.hub.micros + self._pause()
            if at < self._beats.at:
                self._beats.at = at
                self.site.hub.wake(self.task, at)
