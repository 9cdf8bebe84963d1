"""A bad network between the service and its database, as a proof."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.support.postgres import DURABLE, PostgresServer, database
from tests.support.proxy import Fault, Proxy
from tests.trust.chaos.calls import Caller, Tally
from tests.trust.chaos.clients import Client, Crowd
from tests.trust.chaos.judge import compare, verified
from tests.trust.chaos.readers import read_everything
from tests.trust.chaos.stage import Stage, stage
from tests.trust.proof import Finding, Scale

PROMISE = (
    "However bad the network to the database is, slow, cut, silent or a trickle: everybody is answered within "
    "10 seconds, nothing is lost or doubled, and the service recovers by itself."
)
CLIENTS = 20
"""More than the threads of the service: the last in the queue is answered in time, too."""
BACK_SECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    """Which faults, how long each, how often all."""

    faults: tuple[Fault, ...]
    seconds: float
    rounds: int = 1


_ALL = (Fault.DELAY, Fault.DROP, Fault.RESET, Fault.SILENCE, Fault.TRICKLE)
PLANS = {
    Scale.QUICK: Plan((Fault.RESET, Fault.SILENCE), 3),
    Scale.SHORT: Plan(_ALL, 5),
    Scale.FULL: Plan(_ALL, 15, rounds=40),
}


def prove(scale: Scale, seed: int) -> Finding:
    plan, finding, crowd, tally = PLANS[scale], Finding(), Crowd(), Tally()
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer(DURABLE))
        url = stack.enter_context(database(server.url, "booking"))
        proxy = stack.enter_context(Proxy(f"{url.query['host']}/.s.PGSQL.5432"))
        served = url.set(
            host="127.0.0.1", port=proxy.port, query={"sslmode": "disable", "gssencmode": "disable"}
        )
        made = stack.enter_context(stage(url, served=served, cores=64, workers=2))
        with _traffic(made, seed, crowd, tally):
            for _ in range(plan.rounds):
                for fault in plan.faults:
                    _suffer(finding, fault, plan.seconds, proxy, made, tally)
        _told(finding, crowd, tally)
        compare(finding, made, crowd)
        verified(finding, made)
    finding.remarks.append(
        f"{len(plan.faults)} kinds of faults, {plan.rounds} times {plan.seconds:g} s each."
    )
    return finding


@contextmanager
def _traffic(made: Stage, seed: int, crowd: Crowd, tally: Tally) -> Iterator[None]:
    """People book and read meanwhile; at the end what they have begun is finished."""
    caller = Caller(made.url, made.token, tally)
    clients = [Client(number, seed, caller, crowd, pause=0.3) for number in range(CLIENTS)]
    threads = [threading.Thread(target=client.live) for client in clients]
    threads.append(threading.Thread(target=read_everything, args=(caller, made.service.url, crowd.stop)))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        crowd.stop.set()
        for thread in threads:
            thread.join()


def _suffer(finding: Finding, fault: Fault, seconds: float, proxy: Proxy, made: Stage, tally: Tally) -> None:
    """One fault, and the time until the service can do its work again."""
    before = tally.answers[503]
    proxy.become(fault)
    time.sleep(seconds)
    proxy.become(Fault.NONE)
    began = time.monotonic()
    probe = Caller(made.url, made.token, Tally(), patience=60)
    back = probe.ask("GET", "/packages").status_code
    took = time.monotonic() - began
    finding.show(f"{fault}: answered 503", tally.answers[503] - before)
    finding.show(
        f"{fault}: seconds until it answers again",
        round(took, 1),
        f"<= {BACK_SECONDS:g}",
        back == 200 and took <= BACK_SECONDS,
    )


def _told(finding: Finding, crowd: Crowd, tally: Tally) -> None:
    finding.show("requests", tally.asked)
    finding.show("bookings answered 201", len(crowd.told), "> 0", bool(crowd.told))
    finding.zero("answered with another error of the server", tally.errors)
    finding.zero("requests without an answer", tally.cut)
    finding.show("slowest answer, seconds", round(tally.slowest, 1), "<= 10", tally.slowest <= 10)
    finding.faults += sorted({*tally.faults, *crowd.faults})[:10]
