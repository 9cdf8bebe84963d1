"""The leading scheduler stands still for three terms, and then goes on as if nothing had happened."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from booking import migrate
from booking.adapters.null import NullProvisioner
from booking.allocator.span import Span
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.errors import ConcurrentUpdate, Unavailable
from booking.models import Leadership
from booking.services.verify import differences
from tests.e2e.service import IMAGINED, Running
from tests.support.site import Site, make_site
from tests.trust.faults.leash import leashed
from tests.trust.kills.inject import Injection

TERM = 1.0
PATIENCE = 120.0
LOOKS = 60
"""So many calls after it went on, it has looked more than once who leads."""
_WROTE = re.compile(r"pwrite64\([^<]*<[^>]*\.sqlite-wal>")
"""All that a transaction writes goes to the log."""
_COPIED = re.compile(r"pwrite64\([^<]*<[^>]*\.sqlite>")
"""The file itself is written by checkpoints alone: they copy what the log has, which is committed, and whoever made it
long enough begins one after its commit (sqlite.org/wal.html, §2.1)."""
_HOUR = timedelta(hours=1)


@dataclass
class Seen:
    """How the stalls went."""

    stalls: int = 0
    inside: int = 0
    """Stalls inside a transaction, while SQLite lets nobody else write: not counted among the others."""
    taken_over: list[float] = field(default_factory=list)
    """Seconds until another one led."""
    late_writes: int = 0
    """Writes of the one that had stalled, to the log of the database, before it knew that it leads no more."""
    writes: int = 0
    """Of the same one before it stood still: what counts them does see them."""
    copied: int = 0
    """Pages that its checkpoints copied meanwhile: not counted among its writes."""
    twice: int = 0
    faults: list[str] = field(default_factory=list)


class Stage:
    """Two schedulers on one database."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = folder, Seen()
        folder.mkdir(parents=True)
        self.home = folder / "service" / "home"
        self.url = f"sqlite:///{folder / 'booking.sqlite'}"
        self.engine, clock = open_engine(self.url), SystemClock()
        migrate.upgrade(self.engine)
        with self.engine.connect() as connection:
            mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        assert mode == "wal", "the file itself would be written by transactions, too"
        self.site: Site = make_site(Doors(clock, SystemIds(), Db(self.engine, clock)), home=self.home)
        self.site.pool(1000, 10**6)
        self.site.package("pair", 2)
        self.person = self.site.person("ann", admin=True)
        self.outside = NullProvisioner(clock, self.home / "null")
        self.schedulers = [self._start(), self._start()]

    def _start(self) -> Running:
        settings = {"BOOKING_DATABASE_URL": self.url, "BOOKING_LEADERSHIP_SECONDS": str(TERM)}
        return Running(
            self.folder / "service", "scheduler", settings=IMAGINED | settings, program=leashed(self.folder)
        )

    def close(self) -> None:
        for one in self.schedulers:
            if one.process.poll() is None:
                os.kill(one.process.pid, signal.SIGCONT)
            one.close()
        self.engine.dispose()

    def leader(self) -> tuple[Running, int]:
        """The process that leads, and its epoch."""
        while True:
            row = self.site.ctx.db.read("leader", lambda session: session.scalar(select(Leadership)))
            for one in self.schedulers:
                if row is not None and f":{one.process.pid}:" in row.holder and row.until > datetime.now(UTC):
                    return one, row.epoch
            time.sleep(0.02)

    def book(self) -> str:
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        span = Span(start, start + 2 * _HOUR)  # who books shortly before the full hour shall have one, too
        return self.site.only(self.site.book(self.person, "pair", span).id).id

    def epoch(self) -> int:
        """Of whoever leads."""
        query = select(Leadership.epoch)
        return self.site.ctx.db.read("epoch", lambda session: session.scalars(query).one())

    def is_alone(self) -> bool:
        """Whether the one that stands still holds no lock of the database, nor of the outside."""
        connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=0.2, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return False
        finally:
            connection.close()
        with (self.home / "null" / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


def stall(stage: Stage, kind: str, nth: int) -> None:
    """Stop the leader at its N-th call of a kind after a booking was made, for three terms."""
    leader, epoch = stage.leader()
    pid, log, seen = leader.process.pid, stage.folder / "strace", stage.seen
    reservation_id = None
    with Injection(pid, log, kind, nth, "SIGSTOP", also="fcntl") as injection:
        with suppress(ConcurrentUpdate, Unavailable):  # it stood still before that, inside a transaction
            reservation_id = stage.book()
        _await(lambda: injection.struck)
        began = time.monotonic()
        if stage.is_alone():
            seen.stalls += 1
            _await(lambda: stage.epoch() > epoch)
            seen.taken_over.append(time.monotonic() - began)
            _await(lambda: time.monotonic() > began + 3 * TERM)
            mark = len(injection.trace)
            seen.writes += len(_WROTE.findall(injection.trace))
            _await(lambda: len(injection.trace[mark:].splitlines()) > LOOKS, awake=pid)
            seen.late_writes += len(_WROTE.findall(injection.trace[mark:]))
            seen.copied += len(_COPIED.findall(injection.trace[mark:]))
        else:
            seen.inside += 1
    _await(lambda: reservation_id is None or reservation_id in stage.outside.inventory(), awake=pid)


def _await(condition: Callable[[], bool], awake: int | None = None) -> None:
    """Until it holds; meanwhile that process goes on: each of its threads counts to N, and stops all of them."""
    until = time.monotonic() + PATIENCE
    while True:
        if awake is not None:
            os.kill(awake, signal.SIGCONT)
        if condition():
            return
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def stalls(folder: Path, points: Iterable[int]) -> Seen:
    """A stall at each of these system calls of the leader, counted from the booking of a cluster."""
    stage = Stage(folder)
    try:
        for nth in points:
            stall(stage, "fcntl", nth)
        stage.seen.twice = sum(times > 1 for times in _events(stage).values())
        stage.seen.faults += differences(stage.site.ctx)
    finally:
        stage.close()
    return stage.seen


def _events(stage: Stage) -> Counter[tuple[str, str]]:
    return Counter((event.kind, event.reservation_id) for event in stage.outside.events)
