"""The sweep: the victim dies at its 1st, 2nd, 3rd ... step of an act, until the act ends undisturbed."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import make_url

from tests.trust.kills.acts import Ask
from tests.trust.kills.inject import Injection
from tests.trust.kills.place import Place
from tests.trust.kills.postgres import DurableServer
from tests.trust.kills.server import SECONDS, Answer, Web

MOST = 2000
"""No act has so many steps: a sweep that comes so far does not end."""


@dataclass
class Swept:
    """What a sweep saw."""

    points: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """How many of them at which system call."""
    answered: int = 0
    """How many were answered as done although the victim died."""
    lost: int = 0
    """How many of those were not there afterwards."""
    doubles: int = 0
    """How often the act was not done exactly once after it had been asked again."""
    faults: list[str] = field(default_factory=list)
    verified_every: int = 1

    def verify(self, place: Place, where: str) -> None:
        """`booking verify`, when it is its turn."""
        if self.points % self.verified_every == 0:
            self.faults += [f"{where}: {fault}" for fault in place.wrong()]


@dataclass(frozen=True)
class Step:
    """Where the victim is to die: at its N-th call of one kind; without a kind it lives and is watched."""

    kind: str = ""
    nth: int = 1


@dataclass(frozen=True)
class Outcome:
    """How it went: the answer, whether it was struck, and the kinds of calls that were seen."""

    answer: Answer
    struck: bool
    kinds: list[str]


@dataclass(frozen=True)
class Victim:
    """Who dies, and how that is brought about while something is asked."""

    name: str
    strike: Callable[[Step, Callable[[], Answer]], Outcome]


def sweep(
    place: Place,
    web: Web,
    make: Callable[[Place, str], Ask],
    victim: Victim,
    stride: int = 1,
    verified_every: int = 1,
) -> Swept:
    """Every `stride`-th point of an act; the first of every kind among them.

    What was asked for is looked at after every point, all of the database after every `verified_every`-th.
    """
    seen = Swept(verified_every=verified_every)
    for kind in _strike(place, web, make, victim, Step(), seen).kinds:
        for nth in range(1, MOST, stride):
            if not _strike(place, web, make, victim, Step(kind, nth), seen).struck:
                break
            seen.points += 1
            seen.kinds[kind] += 1
    seen.faults += place.wrong()
    return seen


def _strike(
    place: Place, web: Web, make: Callable[[Place, str], Ask], victim: Victim, step: Step, seen: Swept
) -> Outcome:
    where = f"{make.__name__}, {victim.name}, {step.kind} {step.nth}"
    ask = make(place, where)
    place.leave()
    outcome = victim.strike(step, lambda: web.call(ask.method, ask.path, **ask.more))
    _judge(place, web, ask, outcome, seen, where)
    return outcome


def _judge(place: Place, web: Web, ask: Ask, outcome: Outcome, seen: Swept, where: str) -> None:
    """What was answered is there; everything else is whole, and is done when it is asked for again."""
    answer = outcome.answer
    status = None if answer is None else answer.status_code
    seen.verify(place, where)
    if status == ask.status:
        seen.answered += outcome.struck
        seen.lost += bool(ask.kept())
    elif status not in (None, 503):
        seen.faults.append(f"{where}: answered {status}")
    elif answer is not None and "Retry-After" not in answer.headers:
        seen.faults.append(f"{where}: 503 without Retry-After")
    again = web.settled(ask.method, ask.path, **ask.more)
    if again.status_code != ask.status and again.status_code not in ask.again:
        seen.faults.append(f"{where}: asked again, answered {again.status_code} {again.text[:200]}")
    if wrong := ask.kept():
        seen.doubles += 1
        seen.faults += [f"{where}, asked again: {fault}" for fault in wrong]


def the_app(place: Place, web: Web) -> Victim:
    """The web process itself dies."""

    def strike(step: Step, ask: Callable[[], Answer]) -> Outcome:
        with Injection(web.worker(), place.home / "strace", step.kind, step.nth) as injection:
            answer = ask()
            if answer is not None:
                # Its one thread answers this when it is done with all of the other, also with what it
                # might still do after the answer.
                web.call("GET", "/pools")
        return Outcome(answer, injection.struck, injection.kinds)

    return Victim("web process", strike)


def the_backend(place: Place, web: Web, server: DurableServer) -> Victim:
    """The process of PostgreSQL that serves the web process dies, and all others of it with it."""
    database = str(make_url(place.url).database)

    def strike(step: Step, ask: Callable[[], Answer]) -> Outcome:
        web.call("GET", "/bookings")  # before its first transaction it has no connection for them
        backend = server.transacting(database)
        with Injection(backend, place.home / "strace", step.kind, step.nth) as injection:
            answer = ask()
        server.await_answer()
        return Outcome(answer, injection.struck, injection.kinds)

    return Victim("database backend", strike)


def the_postmaster(place: Place, web: Web, server: DurableServer) -> Victim:
    """All of PostgreSQL dies while the web process stands before its N-th step, and starts again."""

    def strike(step: Step, ask: Callable[[], Answer]) -> Outcome:
        worker = web.worker()
        stopping = Injection(worker, place.home / "strace", step.kind, step.nth, "SIGSTOP")
        with ThreadPoolExecutor(1) as hands, stopping as injection:
            asked = hands.submit(ask)
            killed = _stopped(injection, asked)
            if killed:
                server.crash()
                os.kill(worker, signal.SIGCONT)
                server.start()
            answer = asked.result(SECONDS)
        # A step that comes after the answer, as a line of the log, stops it too, and then nobody is killed.
        os.kill(worker, signal.SIGCONT)
        return Outcome(answer, killed, injection.kinds)

    return Victim("postmaster", strike)


def _stopped(injection: Injection, asked: Future[Answer]) -> bool:
    """Whether the process has been stopped before it could answer."""
    while not asked.done():
        if injection.struck:
            return True
        time.sleep(0.002)
    return False
