"""The chaos hour as a proof: everything is killed again and again while people book."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.postgres import DURABLE, PostgresServer, database
from tests.trust.chaos.calls import Caller, Tally
from tests.trust.chaos.clients import Client, Crowd
from tests.trust.chaos.judge import judge
from tests.trust.chaos.killing import ProcessKiller, Wounds, kill_database
from tests.trust.chaos.readers import read_everything
from tests.trust.chaos.stage import Stage, left_running, stage
from tests.trust.chaos.sweep import sweep
from tests.trust.proof import Finding, Scale

PROMISE = (
    "While the database, the web processes and the schedulers are killed again and again: nothing that was "
    "answered is lost or doubled, and whoever cannot be served is told so at once."
)


@dataclass(frozen=True)
class Plan:
    """How long, and how often something dies; pauses are in seconds, from and to."""

    seconds: float
    database: tuple[float, float]
    processes: tuple[float, float]
    bookings: int = 1
    """What is demanded at least."""
    clients: int = 8
    pause: float = 0.3
    """Of a client between two bookings, on average."""
    schedulers: int = 3
    workers: int = 3
    sweep: float = 0.0
    """Which share of all statements of all routes the database is lost at."""


PLANS = {
    Scale.QUICK: Plan(6, (2, 3), (60, 61), pause=0.1, schedulers=1, workers=1),
    Scale.SHORT: Plan(120, (5, 15), (3, 10), bookings=300, pause=0.1, sweep=0.2),
    Scale.FULL: Plan(3600, (5, 40), (5, 30), bookings=20_000, clients=14, pause=0.2, sweep=1.0),
}


def prove(scale: Scale, seed: int) -> Finding:
    plan, finding, crowd, tally, wounds = PLANS[scale], Finding(), Crowd(), Tally(), Wounds()
    with PostgresServer(DURABLE) as server, database(server.url, "booking") as url:
        with stage(url, cores=64, workers=plan.workers) as made:
            _live(plan, seed, server, made, crowd, tally, wounds)
            _told(finding, plan, crowd, tally, wounds)
            judge(finding, made, crowd, wounds)
        finding.zero("processes left running", len(left_running(made.folder)))
    if plan.sweep:
        swept = sweep(seed, plan.sweep)
        finding.show("routes and pages asked with the database lost at one of their statements", swept.routes)
        finding.show("statements it was lost at", swept.outages)
        finding.zero("answers other than 503, or as if nothing were", len(swept.faults))
        finding.faults += swept.faults[:10]
    if scale is not Scale.FULL:
        finding.remarks.append(
            f"{plan.seconds:.0f} s of the hour; clusters are imagined, everything else is real."
        )
    return finding


def _live(
    plan: Plan, seed: int, server: PostgresServer, made: Stage, crowd: Crowd, tally: Tally, wounds: Wounds
) -> None:
    """People book and read while things die; at the end everything is there again and all is answered."""
    dice, calm = random.Random(f"{seed}/database"), threading.Event()
    killer = ProcessKiller(made, seed, wounds, plan.processes, plan.schedulers)
    caller = Caller(made.url, made.token, tally, is_excused=wounds.hides)
    clients = [Client(number, seed, caller, crowd, plan.pause) for number in range(plan.clients)]
    acts = [
        *(client.live for client in clients),
        lambda: read_everything(caller, made.service.url, crowd.stop),
    ]
    ending = time.monotonic() + plan.seconds
    with _threads(*acts, stop=crowd.stop), _threads(lambda: killer.live(calm), stop=calm):
        # The database is started by this thread, for it ends with the one that started it.
        while (pause := dice.uniform(*plan.database)) < ending - time.monotonic():
            time.sleep(pause)
            kill_database(server, dice, wounds)
        time.sleep(max(0.0, ending - time.monotonic()))


@contextmanager
def _threads(*acts: Callable[[], object], stop: threading.Event) -> Iterator[None]:
    """Run acts beside; at the end tell them to stop and wait for them."""
    threads = [threading.Thread(target=act) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _told(finding: Finding, plan: Plan, crowd: Crowd, tally: Tally, wounds: Wounds) -> None:
    """What was done, and what the clients saw of it."""
    finding.show("seconds", round(plan.seconds))
    finding.show("database kills", len(wounds.outages), "> 0", bool(wounds.outages))
    away = sum(outage.ended - outage.began for outage in wounds.outages)
    finding.show("seconds without a database", round(away, 1))
    finding.show("kills of web processes", wounds.web_kills)
    finding.show("kills of schedulers", len(wounds.scheduler_kills))
    booked = len(crowd.told)
    finding.show("bookings answered 201", booked, f">= {plan.bookings}", booked >= plan.bookings)
    finding.show("bookings refused for want of capacity", crowd.refused)
    finding.show("requests", tally.asked)
    finding.show("answered 503 with Retry-After", tally.answers[503])
    finding.zero("answered with another error of the server", tally.errors)
    finding.show("connections cut with a web process", tally.cut)
    finding.show(
        "slowest answer, seconds, while the web was there",
        round(tally.slowest, 1),
        "<= 10",
        tally.slowest <= 10,
    )
    finding.faults += sorted({*tally.faults, *crowd.faults})[:10]
