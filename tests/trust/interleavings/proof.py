"""Every order in which the steps of promises can be taken, one after another on a real PostgreSQL."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import permutations
from typing import NamedTuple
from unittest.mock import patch

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from booking.allocator.span import Span, minute_of
from booking.models import Ledger, Pool, Reservation
from booking.services import offers, verify
from booking.services.context import Actor
from tests.trust.interleavings.stepping import Stage, Stepping
from tests.trust.proof import Finding, Scale
from tests.trust.race.course import databases
from tests.trust.race.plants import Plant, planted
from tests.trust.race.sweep import oversold_hours
from tests.trust.race.track import Scene, prepared, scene

PROMISE = (
    "In whatever order the steps of promises that are made at once are taken, exactly as many are made as "
    "fit, as if one had been made after the other."
)
SESSIONS = 3
CORES = {"small": 2, "large": 4}


@dataclass(frozen=True)
class Act:
    """A play: what each session books, in how many steps, from a pool of so many cores."""

    title: str
    pool: str
    cores: int
    packages: tuple[str, ...]
    steps: int

    def schedules(self) -> list[tuple[int, ...]]:
        """All orders of all steps."""
        return list(_orders([self.steps] * len(self.packages)))

    def outcomes(self) -> set[tuple[bool, ...]]:
        """Who may be promised what, one session after another in any order."""
        found = set()
        for order in permutations(range(len(self.packages))):
            left, got = self.cores, [False] * len(self.packages)
            for number in order:
                got[number] = CORES[self.packages[number]] <= left
                left -= CORES[self.packages[number]] * got[number]
            found.add(tuple(got))
        return found


TWO = Act("2 sessions x 4 steps", "two", 2, ("small", "small"), 4)
THREE = Act("3 sessions x 3 steps", "three", 4, ("small", "small", "large"), 3)
SECONDS = {Scale.QUICK: (4.0, 4.0), Scale.SHORT: (20.0, 140.0), Scale.FULL: (3600.0, 3600.0)}
"""How long each act may take; then the rest of its schedules is left out, and it is said."""
QUICK = 8
"""Of each act."""


def _orders(left: Sequence[int]) -> Iterator[tuple[int, ...]]:
    if not any(left):
        yield ()
    for number, steps in enumerate(left):
        if steps:
            rest = [n - (index == number) for index, n in enumerate(left)]
            for tail in _orders(rest):
                yield (number, *tail)


def prove(scale: Scale, seed: int) -> Finding:
    finding = Finding()
    with databases("PostgreSQL") as new, patch.object(offers, "alternatives", lambda *_: []):
        for act, seconds in zip((TWO, THREE), SECONDS[scale], strict=True):
            with _staged(new, act) as theatre:
                _play_all(finding, theatre, scale, seed, seconds)
        for plant in (Plant.UNLOCKED, Plant.UNREFUSED):
            with planted(plant), _staged(new, TWO) as theatre:
                _control(finding, theatre, plant, scale, seed)
    finding.remarks.append(
        "Steps: lock, decide, write, commit; of three sessions the first two are one. Sessions stop before "
        "each step and are let go on in the order of the schedule; whether one waits for a lock is asked of "
        "PostgreSQL. The search for alternatives, which follows a refusal, is left out."
    )
    return finding


def _play_all(finding: Finding, theatre: Theatre, scale: Scale, seed: int, seconds: float) -> None:
    act = theatre.act
    everything = act.schedules()
    schedules = random.Random(seed).sample(everything, len(everything) if scale is not Scale.QUICK else QUICK)
    ends = time.monotonic() + seconds
    for schedule in schedules:
        if time.monotonic() > ends:
            break
        theatre.play(schedule)
    whole = theatre.played == len(everything)
    bar = f"{len(everything):,}" if scale is Scale.FULL else "more than 0"
    finding.show(
        f"{act.title}: schedules of {len(everything):,}",
        theatre.played,
        bar,
        whole if scale is Scale.FULL else theatre.played > 0,
    )
    if not whole:
        finding.remarks.append(
            f"{act.title}: a seeded share of {theatre.played:,} of {len(everything):,} schedules."
        )
    finding.show(
        f"{act.title}: schedules in which a session waited for a lock",
        theatre.waited,
        "more than 0",
        theatre.waited > 0,
    )
    finding.zero(f"{act.title}: schedules in which a session had to begin again", theatre.again)
    finding.zero(f"{act.title}: schedules that no serial order explains", len(theatre.faults))
    finding.zero(f"{act.title}: oversold hours", theatre.oversold())
    finding.zero(f"{act.title}: differences found by booking verify", len(theatre.differences()))
    finding.faults += theatre.faults[:5]


def _control(finding: Finding, theatre: Theatre, plant: Plant, scale: Scale, seed: int) -> None:
    """The same without the lock, with and without the database's refusal."""
    schedules = random.Random(seed).sample(theatre.act.schedules(), QUICK if scale is Scale.QUICK else 70)
    if scale is Scale.QUICK:
        schedules = [(0, 1, 0, 1, 0, 1, 0, 1), *schedules[1:]]
    for schedule in schedules:
        theatre.play(schedule)
    oversold, said = theatre.oversold(), f"control without {plant}: of {len(schedules)} schedules"
    if plant is Plant.UNREFUSED:
        finding.show(f"{said}, oversold", oversold, "more than 0", oversold > 0)
        return
    finding.zero(f"{said}, oversold", oversold)
    again = theatre.again
    finding.show(f"{said}, a session refused by the database", again, "more than 0", again > 0)


class Left(NamedTuple):
    """What there is of one hour, and at which generation."""

    generation: int
    booked: set[str]
    cores: int


class Theatre:
    """One act on a database: each schedule has an hour of its own."""

    def __init__(self, url: str, act: Act, people: dict[str, Actor], where: Scene) -> None:
        self.act, self._where = act, where
        self._stage = Stage(url, [people[f"client{number}"] for number in range(SESSIONS)])
        self._ctx = self._stage.sessions[0].ctx
        self.played = self.waited = self.again = 0
        self.faults: list[str] = []

    def close(self) -> None:
        self._stage.close()

    def play(self, schedule: Sequence[int]) -> None:
        """Play one schedule and look at what it left."""
        span = self._where.span(self.played, self.played + 1)
        self.played += 1
        before = self._left(span)
        playing = self._stage.play(schedule, self.act.packages, self.act.pool, span)
        self.waited += any(session.blocked for session in playing)
        self.again += any(session.attempts > 1 or session.answer not in ("ok", "no") for session in playing)
        after = self._left(span)
        fault = self._fault(playing, before, after)
        if fault is not None:
            said = "".join(str(number + 1) for number in schedule)
            self.faults.append(f"{self.act.title}, schedule {said}: {fault}")

    def _fault(self, playing: Sequence[Stepping], before: Left, after: Left) -> str | None:
        answers = tuple(session.answer for session in playing)
        got = tuple(answer == "ok" for answer in answers)
        if any(answer not in ("ok", "no") for answer in answers) or got not in self.act.outcomes():
            return f"was answered {answers}"
        if after.booked != {session.booked for session in playing if session.booked}:
            return f"has other rows than were answered: {answers}"
        if after.cores != sum(CORES[p] for p, ok in zip(self.act.packages, got, strict=True) if ok):
            return f"has {after.cores} cores in the ledger after {answers}"
        if after.generation != before.generation + sum(got):
            return f"went from generation {before.generation} to {after.generation} with {answers}"
        return None

    def _left(self, span: Span) -> Left:
        start = minute_of(span.start)

        def read(session: Session) -> Left:
            pool = session.scalars(select(Pool).where(Pool.name == self.act.pool)).one()
            booked = select(Reservation.booking_id).where(Reservation.start == span.start)
            cores = select(func.sum(Ledger.amount)).where(Ledger.start == start, Ledger.kind == "cores")
            return Left(pool.generation, set(session.scalars(booked)), int(session.scalar(cores) or 0))

        return self._ctx.db.read("left", read)

    def oversold(self) -> int:
        """The hours that were promised twice, which is one for each schedule at fault."""
        first = minute_of(self._where.base)
        found = self._ctx.db.read("sweep", lambda session: oversold_hours(session, first, self.played))
        return found.total()

    def differences(self) -> list[str]:
        return verify.differences(self._ctx)


@contextmanager
def _staged(new: Callable[[], AbstractContextManager[str]], act: Act) -> Iterator[Theatre]:
    with new() as url:
        where = replace(scene(), pools={act.pool: act.cores})
        theatre = Theatre(url, act, prepared(url, where, SESSIONS), where)
        try:
            yield theatre
        finally:
            theatre.close()
