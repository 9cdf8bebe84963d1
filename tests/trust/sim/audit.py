"""The audit after every commit, and at every call to the outside: what must never be."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

from booking.allocator.span import EPOCH, minute_of
from booking.config import Settings
from booking.errors import NoCapacity
from booking.services.availability import Answer
from tests.trust.sim.calendar import wrong_cells
from tests.trust.sim.hub import Hub, Process
from tests.trust.sim.line import Line
from tests.trust.sim.lives import Lives
from tests.trust.sim.locks import Locks
from tests.trust.sim.outlook import Outlook
from tests.trust.sim.promises import Promises
from tests.trust.sim.rows import (
    COUNTED,
    Claim,
    Row,
    Rows,
    holder,
    journal_length,
    ledger_areas,
    nameless,
    untended,
)

FENCED = frozenset(
    {
        "work",
        "postpone",
        "look",
        "note look",
        "note fault",
        "live reservations",
        "close or open pool",
        "offer",
    }
)
"""The transactions that only the leader may commit."""
_TENDED = 65_000_000
"""Within so many microseconds what ends is asked after again; a minute, and what clocks differ by."""
_FOREVER = minute_of(EPOCH + timedelta(days=365 * 100))


class Audit:
    """Watches one run."""

    def __init__(
        self, hub: Hub, connection: sqlite3.Connection, settings: Settings, promises: Promises
    ) -> None:
        self.hub, self.connection, self.settings, self.promises = hub, connection, settings, promises
        self.stirred: Callable[[], None] = lambda: None
        """Called after every commit that wrote something."""
        self.counts: Counter[str] = Counter()
        self.asking: dict[str, tuple[str, list[Claim]]] = {}
        """By the name of a task: the pool and the claims that its request would add."""
        self.lives = Lives(connection, settings, promises)
        self.line = Line(hub, connection, settings)
        self.outlook = Outlook(hub, connection, settings, self.lives)
        self._rows = Rows(connection)
        self.outlook.known = {row.id: row for row in self._rows.reservations}
        self._changes = connection.total_changes
        self._changed: list[tuple[Row | None, Row]] = []
        """What the present commit has changed of reservations: each before it, and now."""
        self._effects: Counter[tuple[str, str]] = Counter()
        """By request: how often it has written something."""
        self._reserve = ledger_areas(connection) - self._rows.areas
        self._journal = journal_length(connection)

    # -- the database ---------------------------------------------------------------------------

    def committed(self, name: str, process: Process | None, locks: Locks) -> None:
        """Look at everything, unless nothing was written."""
        if name in FENCED and process is not None:
            if holder(self.connection) != process.name:
                self.hub.violate("nothing is done by an old epoch", f"{name} by {process.name}")
            if not locks.held["leadership"]:
                self.hub.violate("what is changed is locked first", f"{name} does not lock the leadership")
        if self.connection.total_changes == self._changes:
            return
        self._changes = self.connection.total_changes
        self.counts["commits"] += 1
        before, self._rows = self._rows, self._rows.again(self.connection)
        self._changed = [] if self._rows is before else self._differing()
        for invariant, detail in self._faults(name, process):
            self.hub.violate(invariant, f"after {name}: {detail}")
        for fault in [*locks.faults, *self._unlocked(name, before, locks)]:
            self.hub.violate("what is changed is locked first", f"{name}: {fault}")
        if self._rows is not before:
            self.outlook.known = {row.id: row for row in self._rows.reservations}
        self._once_for_each_request(name)
        self.stirred()

    def _differing(self) -> list[tuple[Row | None, Row]]:
        known = self.outlook.known
        return [(known.get(row.id), row) for row in self._rows.reservations if row != known.get(row.id)]

    def _once_for_each_request(self, name: str) -> None:
        task = self.hub.task
        if task is None or task.call is None or name == "expire holds":
            return
        self._effects[task.name, name] += 1
        if self._effects[task.name, name] > 1:
            self.hub.violate("one request has one effect", name)

    def read(self, name: str, process: Process | None, found: object) -> None:
        """Is it true what the calendar says?"""
        if name == "waiting line" and process is not None:
            self.line.look(process.name)
        if isinstance(found, Answer):
            self.counts["calendars"] += 1
            rows, since = self._rows.again(self.connection), self.hub.now_of(process) - EPOCH
            minute, micros = since // timedelta(minutes=1), since // timedelta(microseconds=1)
            for fault in wrong_cells(rows, found, minute, micros):
                self.hub.violate("the calendar says what is free", f"{name}: {fault}")

    def _unlocked(self, name: str, before: Rows, locks: Locks) -> Iterator[str]:
        """Whatever has changed of a pool or a reservation without the lock that stands for it."""
        old = {pool.id: pool for pool in before.pools}
        for pool in self._rows.pools:
            if old.get(pool.id) not in (None, pool) and not locks.holds("pool", pool.id):
                yield f"pool {pool.id} is changed without its lock"
        for _, row in self._changed:
            if not locks.holds("pool", row.pool_id):
                yield f"reservation {row.id} is changed without the lock of its pool"
        for known, row in self._changed:
            made = name in ("book", "offer") and known is None
            if made and not locks.holds("account", row.account_id):
                yield f"{row.id} is booked without the lock of its account"

    def _faults(self, name: str, process: Process | None) -> Iterator[tuple[str, str]]:
        now = self.hub.now_of(process)
        minute, micros = (now - EPOCH) // timedelta(minutes=1), (now - EPOCH) // timedelta(microseconds=1)
        yield from self._oversold(name, minute)
        difference = ledger_areas(self.connection)
        difference.subtract(self._rows.areas + self._reserve)
        if any(difference.values()):
            yield (
                "the ledger is the sum of the rows",
                f"{ {key: area for key, area in difference.items() if area} }",
            )
        for before, row in self._changed:
            yield from self._moved(name, before, row, micros)
        for reservation_id, phase in untended(self.connection, micros + _TENDED):
            yield "clusters are tended", f"{reservation_id} is {phase}"
        by = process.name if process is not None else None
        yield from self.line.faults(name, by, self._rows, self._changed, micros)
        yield from self._unwritten(name)
        yield from self.promises.broken(self._rows.by_key)

    def _moved(self, name: str, before: Row | None, row: Row, now: int) -> Iterator[tuple[str, str]]:
        if before is not None and row.end > before.end:
            self.outlook.extended[row.id] = self.hub.micros
        if before is not None and row.state != before.state:
            self.counts[f"to {row.state}"] += 1
        yield from self.lives.faults(name, before, row, now)

    def _unwritten(self, name: str) -> Iterator[tuple[str, str]]:
        """Each change of a state is in the journal, by the transaction that made it."""
        changed = sum(before is not None and row.state != before.state for before, row in self._changed)
        made = len({row.booking_id for before, row in self._changed if before is None})
        length = journal_length(self.connection)
        if length - self._journal < changed + made:
            yield "each change is in the journal", f"{length - self._journal} entries for {changed + made}"
        if name in ("confirm", "cancel", "capacity") and nameless(self.connection, self._journal):
            yield "the journal says who did it", name
        self._journal = length

    def _oversold(self, name: str, now: int) -> Iterator[tuple[str, str]]:
        for pool in self._rows.pools:
            if self._rows.fits_from.get(pool.id, _FOREVER) <= now + 1:
                continue  # the same rows were found to fit from an earlier minute on
            firm = self._rows.claims(pool.id, flagged=False)
            at = self._rows.short(pool, firm, (now + 1, _FOREVER))
            if at is not None:
                yield "nothing is oversold", f"minute {at} of pool {pool.id}"
            else:
                self._rows.fits_from[pool.id] = now + 1
        for before, row in self._changed:
            grown = row.state in COUNTED and (before is None or row.end > before.end)
            if name in ("book", "change", "offer") and grown:
                yield from self._fits_beside_all(row, now)
            if row.at_risk and not (before and before.at_risk) and name not in ("capacity", "change pool"):
                yield "only a cut puts bookings at risk", row.id

    def _fits_beside_all(self, row: Row, now: int) -> Iterator[tuple[str, str]]:
        """Also those that a cut has put at risk keep their place."""
        before = self.outlook.known.get(row.id)
        pool = next(pool for pool in self._rows.pools if pool.id == row.pool_id)
        start = max(now + 1, before.end if before else row.start)
        claims = self._rows.claims(pool.id, flagged=True, guests=row.side == "level0")
        if start < row.end and self._rows.short(pool, claims, (start, row.end)) is not None:
            yield "nothing is oversold", f"{row.id} was promised beside bookings at risk"

    def refused(self, name: str, _process: Process | None, error: NoCapacity) -> None:
        """Called within the transaction that says no: is it true?"""
        task = self.hub.task
        asked = self.asking.get(task.name) if task is not None else None
        if asked is None:
            return
        self.counts["refused for capacity"] += 1
        rows, (pool_id, claims) = self._rows.again(self.connection), asked
        pool = next(pool for pool in rows.pools if pool.id == pool_id)
        since = self.hub.now_of(task.process if task else None) - EPOCH
        now, micros = since // timedelta(minutes=1), since // timedelta(microseconds=1)
        present = rows.claims(pool_id, flagged=True, guests=claims[0].side == "level0", now=micros)
        for claim in claims:
            if rows.short(pool, [*present, claim], (max(now, claim.start), claim.end)) is not None:
                return
        self.hub.violate("nothing is refused that fits", f"{name}: {error} {claims}")

    def final(self) -> list[str]:
        """Everything that matters of the database, for the trace."""
        return [repr(row) for row in Rows(self.connection).reservations]
