"""The soak as a proof: after a warm-up, nothing that the service holds grows."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

from tests.adapters.waiting import eventually
from tests.e2e.service import IMAGINED, Service
from tests.support.postgres import PostgresServer, conninfo, database
from tests.trust.faults.leash import leashed
from tests.trust.kills.inject import alive
from tests.trust.proof import Finding, Scale
from tests.trust.soak.people import People
from tests.trust.soak.sample import Sample, sample

PROMISE = (
    "However long it runs, the service holds no more memory, descriptors, threads or sessions than at first."
)
GROWTH_PERCENT = 5
_CROWD = 12
"""Readers of the warm-up: more than a web process has threads, so that all of them have been used."""


@dataclass(frozen=True)
class Plan:
    """Requests that read, and cycles of clusters, in the warm-up and after it."""

    warm: int
    warm_cycles: int
    requests: int
    cycles: int


PLANS = {
    Scale.QUICK: Plan(240, 4, 240, 4),
    Scale.SHORT: Plan(6000, 40, 6000, 40),
    Scale.FULL: Plan(30_000, 250, 100_000, 1000),
}
_READERS, _BOOKERS = 4, 4
_TOGETHER_SECONDS = 1.0
"""Less than a request waits for a lock."""
_SETTINGS = IMAGINED | {"BOOKING_TICK_SECONDS": "0.1", "BOOKING_RECONCILE_SECONDS": "1"}


def prove(scale: Scale, seed: int) -> Finding:
    """What is read is drawn from the seed."""
    finding, plan = Finding(), PLANS[scale]
    with (
        tempfile.TemporaryDirectory(prefix="booking-soak-", ignore_cleanup_errors=True) as folder,
        PostgresServer() as server,
        database(server.url, f"soak_{uuid4().hex}") as url,
    ):
        address = url.render_as_string(hide_password=False)
        settings = _SETTINGS | {"BOOKING_DATABASE_URL": address}
        service = Service(Path(folder), settings=settings, program=leashed(Path(folder)))
        try:
            _soak(finding, plan, service, address, seed)
            left = service.parts()
        finally:
            service.close()
        finding.zero("processes left after its end", sum(alive(pid) for pid in left))
    if scale is not Scale.FULL:
        full = PLANS[Scale.FULL]
        finding.remarks.append(
            f"Shortened from {full.requests:,} requests and {full.cycles:,} cycles of clusters."
        )
    finding.remarks.append("Clusters are imagined, on PostgreSQL, with one web process and one scheduler.")
    return finding


def _soak(finding: Finding, plan: Plan, service: Service, address: str, seed: int) -> None:
    people = People(service, seed)
    people.fill_shelf()
    people.come(_CROWD, plan.warm // _CROWD, _BOOKERS, plan.warm_cycles // _BOOKERS)
    for table in ("pool", "reservation"):
        _wait_together(people, address, table)
    before = _quiet(service, address)
    people.answered.clear()
    people.cycles = 0
    people.come(_READERS, plan.requests // _READERS, _BOOKERS, plan.cycles // _BOOKERS)
    after = _quiet(service, address)
    finding.show("requests", sum(people.answered.values()), f"at least {plan.requests}")
    finding.show("clusters made and gone", people.cycles, "more than 0", people.cycles > 0)
    finding.show("answered 503, for lack of time", people.answered[503])
    _compare(finding, before, after)
    finding.faults += people.faults


def _wait_together(people: People, address: str, table: str) -> None:
    """Let all threads of the web process wait for the database once, each with a session of its own.

    How many do so by chance depends on the machine; what the service may hold at most, it holds after this.
    """
    with psycopg.connect(conninfo(address)) as connection, ThreadPoolExecutor(1) as hand:
        connection.execute(f"LOCK TABLE {table}".encode())
        crowd = hand.submit(people.come, _CROWD, 4, 0, 0)
        wait([crowd], _TOGETHER_SECONDS)
        connection.rollback()
        crowd.result()


def _quiet(service: Service, address: str) -> Sample:
    """A look when the connections of those who have gone are closed on this side too."""
    looks: list[int] = []

    def settled() -> Sample | None:
        now = sample(service, address)
        looks.append(now.total("descriptors"))
        return now if len(looks) >= 3 and len(set(looks[-3:])) == 1 else None

    found = eventually(settled)
    assert found is not None
    return found


def _compare(finding: Finding, before: Sample, after: Sample) -> None:
    if set(before.processes) != set(after.processes):
        finding.faults.append("a process of the service was started again")
    for pid, held in before.processes.items():
        if pid in after.processes:
            grown = 100 * (after.processes[pid].rss_kib / held.rss_kib - 1)
            finding.show(
                f"memory of process {list(before.processes).index(pid) + 1} of {len(before.processes)}, "
                f"{held.rss_kib // 1024} MiB: growth in percent",
                round(grown, 1),
                f"at most {GROWTH_PERCENT}",
                grown <= GROWTH_PERCENT,
            )
    for name in ("descriptors", "threads"):
        more = after.total(name) - before.total(name)
        finding.show(f"{name}: more than the {before.total(name)} at first", more, "at most 0", more <= 0)
    more = after.sessions - before.sessions
    finding.show(f"database sessions: more than the {before.sessions} at first", more, "at most 0", more <= 0)
