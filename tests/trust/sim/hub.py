"""The hub: who runs next, what time it is, and what goes wrong, all drawn from one seed.

Every actor is a greenlet. At each door it switches to the hub, which lets somebody else run, moves time,
or never switches back: a process that was killed is simply left where it stood, so that no `finally` of
it runs, as after kill -9.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from heapq import heappop, heappush
from typing import ClassVar
from zlib import crc32

from greenlet import getcurrent, greenlet

SECOND = 1_000_000
"""In microseconds, the unit of the hub's time."""
_ROUND = 12
"""In so many consecutive seeds each point meets each fate once by plan, where it is passed at all."""
_MOST_STEPS = 50_000
"""Ten times what a run takes where nobody runs in circles."""
_PLAN = {0: "kill", 4: "stall", 8: "lost"}


class Fate(StrEnum):
    """What happens to whoever passes a point."""

    CONTINUE = "continue"
    KILL = "kill"
    STALL = "stall"
    LOST = "lost"
    """Before an effect: it never happens. After it: it happened, and nobody is told."""


@dataclass(frozen=True)
class Chances:
    """How likely each fate is at a point."""

    kill: float = 0.0
    stall: float = 0.0
    lost: float = 0.0
    planned: bool = False
    """Whether the fates that the plan wants for this seed happen too."""


CALM = Chances()
Aims = tuple[tuple[str, str], ...]
"""Points with the fate that one of their passings must meet."""


@dataclass
class Process:
    """What dies at once: its memory, and everybody who runs in it."""

    name: str
    skew: int = 0
    """By how many microseconds its clock is ahead."""
    alive: bool = True
    on_death: Callable[[], None] = lambda: None


@dataclass(eq=False)
class Task:
    """One greenlet; `process` is None for those that are never killed, such as clients."""

    name: str
    process: Process | None
    green: greenlet = field(init=False)
    ticket: int = 0
    """Only the wake-up call of this number counts."""
    in_transaction: bool = False
    on_death: Callable[[], None] = lambda: None
    call: object = None
    """The request that it answers, if it answers one."""

    @property
    def dead(self) -> bool:
        return bool(self.green.dead) or (self.process is not None and not self.process.alive)


@dataclass(frozen=True)
class Violation:
    """Something that must never be."""

    invariant: str
    detail: str
    at: str


class Hub:
    """One run of one seed."""

    active: ClassVar[Hub]
    """The one that runs; a planted bug has no other way to it."""

    def __init__(self, seed: int, start: datetime, chances: Chances, aims: Aims = ()) -> None:
        self.seed, self.start, self.chances = seed, start, chances
        self._aims = list(aims)
        self.dice = random.Random(seed)
        self.micros = 0
        self.steps = 0
        self.points: Counter[tuple[str, str]] = Counter()
        self.violations: list[Violation] = []
        self.tasks: list[Task] = []
        self._heap: list[tuple[int, float, int, Task]] = []
        self._met: Counter[str] = Counter()
        self._stalled: set[Task] = set()
        self._trace = blake2b(digest_size=16)
        self._main = getcurrent()
        self.task: Task | None = None
        Hub.active = self

    # -- time ---------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The true time."""
        return self.start + timedelta(microseconds=self.micros)

    def now_of(self, process: Process | None) -> datetime:
        """The time by the clock of a process."""
        skew = process.skew if process is not None else 0
        return self.start + timedelta(microseconds=self.micros + skew)

    def micros_of(self, instant: datetime) -> int:
        return (instant - self.start) // timedelta(microseconds=1)

    # -- who runs -----------------------------------------------------------------------------

    def spawn(self, name: str, process: Process | None, act: Callable[[], object], after: int = 0) -> Task:
        """A new greenlet that begins after so many microseconds."""
        task = Task(name, process)

        def guarded() -> None:
            try:
                act()
            except Exception as error:  # noqa: BLE001  # it is a finding, whatever it is
                self.violate("no unexpected error", f"{name}: {type(error).__name__}: {error}")

        task.green = greenlet(guarded, self._main)
        self.tasks.append(task)  # kept to the end: a greenlet that is forgotten would be told to exit
        self.wake(task, self.micros + after)
        return task

    def wake(self, task: Task, at: int) -> None:
        """Let a task run at that moment, and not when it was to run before."""
        task.ticket += 1
        heappush(self._heap, (max(at, self.micros), self.dice.random(), task.ticket, task))

    def sleep(self, micros: int) -> None:
        """Let so much time pass for the present task."""
        assert self.task is not None
        self.wake(self.task, self.micros + micros)
        self._main.switch()

    def run(self, until: int) -> None:
        """Let everybody run up to that moment, or to the first violation."""
        while self._heap and self._heap[0][0] <= until and not self.violations:
            at, _, ticket, task = heappop(self._heap)
            if ticket != task.ticket or task.dead:
                continue
            self.micros, self.task = max(self.micros, at), task
            task.green.switch()
        self.task = None
        self.micros = max(self.micros, until)

    # -- what goes wrong ----------------------------------------------------------------------

    def cross(self, point: str, chances: Chances | None = None, latency: int = 0) -> Fate:
        """Pass a named point: others may run, time may pass, the process may die here."""
        task = self.task
        assert task is not None
        if task.in_transaction:
            self.violate("no door within a transaction", point)
        self.steps += 1
        if self.steps == _MOST_STEPS:
            self.violate("everybody comes to rest", point)
        fate = self.fate(point, self.chances if chances is None else chances)
        if fate is Fate.KILL:
            self.kill(task)
        if fate is Fate.STALL:
            self._stalled.add(task)
            self.sleep(self._stall())
            self._stalled.discard(task)
        else:
            self.sleep(self.dice.randrange(latency) if latency and self.dice.random() < 0.5 else 0)
        return fate

    def fate(self, point: str, chances: Chances) -> Fate:
        """Draw what happens at a point, and note it."""
        task = self.task
        mortal = task is not None and task.process is not None
        self._met[point] += 1
        fate = self._aimed(point, mortal=mortal)
        if fate is None and chances.planned:
            fate = self._planned(point)
        if fate is None:
            lot = self.dice.random()
            if lot < chances.kill:
                fate = Fate.KILL
            elif lot < chances.kill + chances.stall:
                fate = Fate.STALL
            elif lot < chances.kill + chances.stall + chances.lost:
                fate = Fate.LOST
            else:
                fate = Fate.CONTINUE
        if fate is Fate.KILL and not mortal:
            fate = Fate.CONTINUE
        self.points[point, fate] += 1
        self.note(f"{point} {fate} {task.name if task else ''}")
        return fate

    def calm(self) -> None:
        """From now on nothing goes wrong any more, and whoever was stalled runs on."""
        self.chances = CALM
        self._aims = []
        for task in sorted(self._stalled, key=lambda task: task.name):
            self.wake(task, self.micros)

    def _aimed(self, point: str, *, mortal: bool) -> Fate | None:
        """The fate that this seed was sent to try here, once."""
        for aim in self._aims if mortal else ():
            if aim[0] == point:
                self._aims.remove(aim)
                return Fate(aim[1])
        return None

    def _planned(self, point: str) -> Fate | None:
        round_, place = divmod(self.seed, _ROUND)
        if self._met[point] != (1, 3)[round_ % 2]:
            return None
        wanted = _PLAN.get((crc32(point.encode()) + place) % _ROUND)
        return Fate(wanted) if wanted else None

    def _stall(self) -> int:
        kind = self.dice.random()
        if kind < 0.4:
            return self.dice.randrange(3 * SECOND)
        return self.dice.randrange(60 * SECOND) if kind < 0.85 else self.dice.randrange(600 * SECOND)

    def kill(self, task: Task) -> None:
        """End the process of the present task here and now; this never returns."""
        assert task.process is not None
        self.end(task.process)
        self._main.switch()
        raise AssertionError("somebody who was killed ran on")

    def leave(self) -> None:
        """End the process of the present task in order, from its own loop; this never returns."""
        assert self.task is not None
        self.kill(self.task)

    def end(self, process: Process) -> None:
        """Let a process be dead: nobody in it ever runs again."""
        process.alive = False
        self.note(f"dead {process.name}")
        for task in self.tasks:
            if task.process is process and not task.green.dead:
                task.on_death()
        process.on_death()

    # -- what is told -------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Add to the trace; the same seed gives the same trace."""
        self._trace.update(f"{self.micros} {text}\n".encode())

    def violate(self, invariant: str, detail: str) -> None:
        who = f" ({self.task.name})" if self.task is not None else ""
        self.violations.append(Violation(invariant, detail + who, self.now.isoformat()))

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()
