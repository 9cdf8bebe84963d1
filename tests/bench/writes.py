"""Bookings a second of several processes at once, each time beside the least that the database demands."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from booking.models import Ledger
from booking.services import accounts
from tests.bench.measure import Ratio, ratio
from tests.bench.workload import Workload
from tests.bench.world import World, make_world

FLOOR = {
    "postgresql": "hot-row UPDATE and commit",
    "sqlite": "BEGIN IMMEDIATE, two writes, commit (synchronous FULL)",
}
POOLS = 16
_EXISTING = 20_000


@dataclass
class Rate:
    """How many acts a second, round by round, and how long each took."""

    database: str
    design: str
    pools: int
    processes: int
    rounds: list[float] = field(default_factory=list)
    millis: list[float] = field(default_factory=list)
    refused: int = 0
    locked: int = 0

    def add(self, said: Sequence[dict[str, Any]], seconds: float) -> None:
        took = [value for one in said for value in one["millis"]]
        self.rounds.append(len(took) / seconds)
        self.millis += took
        self.refused += sum(one["refused"] for one in said)
        self.locked += sum(one["locked"] for one in said)

    @property
    def middle(self) -> float:
        return median(self.rounds)

    def percentile(self, percent: int) -> float:
        return quantiles(self.millis, n=100)[percent - 1] if len(self.millis) > 1 else float("nan")

    def as_json(self) -> dict[str, Any]:
        return {
            "what": "writes",
            "design": self.design,
            "database": self.database,
            "pools": self.pools,
            "processes": self.processes,
            "unit": "per second",
            "median": round(self.middle, 1),
            "rounds": [round(value, 1) for value in self.rounds],
            "p50_ms": round(self.percentile(50), 2),
            "p99_ms": round(self.percentile(99), 2),
            "refused": self.refused,
            "locked": self.locked,
        }


@dataclass
class Writes:
    """The rates of one database: a floor and ours for each number of pools."""

    rates: list[Rate]
    oversold: int
    """Minutes at which more is promised than there is; counted anew from the ledger afterwards."""

    def rate(self, ours: bool, pools: int) -> Rate:
        return next(r for r in self.rates if (r.design == "booking") is ours and r.pools == pools)

    def share(self, pools: int) -> Ratio:
        """How much of the floor we reach."""
        return ratio(self.rate(True, pools).rounds, self.rate(False, pools).rounds)


def measure(url: Any, workload: Workload, rounds: int, seconds: float, processes: int) -> Writes:
    """Rounds of floor and bookings in turn, on a fresh database."""
    many = Workload(_EXISTING if workload.n > _EXISTING else workload.n, workload.seed, workload.today, POOLS)
    world = make_world(url, many, rivals=False)
    _prepare(world, processes)
    pools = (1, POOLS) if world.database == "postgresql" else (1,)
    rates = [
        Rate(world.database, design, count, processes)
        for count in pools
        for design in (FLOOR[world.database], "booking")
    ]
    with ExitStack() as stack:
        writers = [_writer(world, number, stack) for number in range(processes)]
        for number in range(rounds):
            for rate in rates if number % 2 else rates[::-1]:
                act = "book" if rate.design == "booking" else "floor"
                rate.add(_at_once(writers, act, rate.pools, seconds), seconds)
    oversold = world.site.ctx.db.read("oversold", lambda session: _oversold(session, world.pool_ids))
    world.engine.dispose()
    return Writes(rates, oversold)


def _prepare(world: World, processes: int) -> None:
    """Ample capacity, so that nothing is refused; the accounts; the rows of the floor."""
    many = 10**9

    def write(session: Session) -> None:
        session.execute(text("CREATE TABLE bench_floor (id INTEGER PRIMARY KEY, n BIGINT)"))
        session.execute(text("CREATE TABLE bench_log (id INTEGER)"))
        for row in range(POOLS):
            session.execute(text("INSERT INTO bench_floor VALUES (:id, 0)"), {"id": row})
        session.execute(
            Ledger.__table__.update()  # type: ignore[attr-defined]
            .where(Ledger.side == "physical", Ledger.amount > 0)
            .values(amount=many)
        )

    world.site.ctx.db.run("prepare", write)
    for number in range(processes):
        # What an administrator books is limited by capacity alone.
        accounts.create(world.site.ctx, None, accounts.NewAccount(f"writer-{number}", None, 2, is_admin=True))


def _writer(world: World, number: int, stack: ExitStack) -> subprocess.Popen[str]:
    url = world.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.writer", url, f"writer-{number}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def end() -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.wait(30)
        process.stdout.close()

    stack.callback(end)
    return process


def _at_once(
    writers: Sequence[subprocess.Popen[str]], act: str, rows: int, seconds: float
) -> list[dict[str, Any]]:
    _tell(writers, {"act": act, "rows": rows, "seconds": seconds})
    for writer in writers:
        assert _line(writer) == "ready\n", "a writer died"
    _tell(writers, {"at": time.time() + 0.1})
    return [json.loads(_line(writer)) for writer in writers]


def _tell(writers: Sequence[subprocess.Popen[str]], order: dict[str, Any]) -> None:
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(json.dumps(order) + "\n")
        writer.stdin.flush()


def _line(writer: subprocess.Popen[str]) -> str:
    assert writer.stdout is not None
    return writer.stdout.readline()


def _oversold(session: Session, pool_ids: Sequence[str]) -> int:
    """Edges of the ledger at which more cores or memory are promised than are there."""
    found = 0
    for pool_id in pool_ids:
        for kind in ("cores", "memory_mib"):
            rows = session.execute(
                text(
                    "SELECT start, \"end\", CASE WHEN side = 'physical' THEN amount ELSE -amount END "
                    "FROM ledger WHERE pool_id = :pool AND kind = :kind"
                ),
                {"pool": pool_id, "kind": kind},
            ).all()
            start, end, amount = np.array([tuple(row) for row in rows], dtype=np.int64).T
            minutes = np.unique(np.concatenate([start, end]))
            change = np.zeros(len(minutes), dtype=np.int64)
            np.add.at(change, np.searchsorted(minutes, start), amount)
            np.subtract.at(change, np.searchsorted(minutes, end), amount)
            found += int((np.cumsum(change) < 0).sum())
    return found
