"""The audit of the outside: what is asked of it, and whether rows and clusters find together."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from booking.adapters.base import ClusterSpec, ClusterState, Observed
from booking.allocator.span import EPOCH, minute_of
from booking.config import Settings
from tests.trust.sim.hub import SECOND, Hub, Task
from tests.trust.sim.lives import Lives
from tests.trust.sim.outside import SimOutside
from tests.trust.sim.rows import COUNTED, LIVE, Row, Rows, holder, left_behind

_PATIENCE = 1800 * SECOND
"""How long something may be late while processes are killed and stalled."""


class Outlook:
    """Watches the outside of one run."""

    def __init__(self, hub: Hub, connection: sqlite3.Connection, settings: Settings, lives: Lives) -> None:
        self.hub, self.connection, self.settings, self.lives = hub, connection, settings, lives
        self.outside: SimOutside | None = None
        self.counts: Counter[str] = Counter()
        self.known: dict[str, Row] = {}
        """The reservations as they were after the last commit."""
        self.extended: dict[str, int] = {}
        """When a reservation was given a later end."""
        self._sweeps: set[Task] = set()
        """Who listed the outside and has not looked at a cluster since."""
        self._astray: dict[str, int] = {}
        """Since when a row and the outside do not agree."""

    def watch(self, outside: SimOutside) -> None:
        """Called once the outside is there."""
        self.outside = self.lives.outside = outside

    def asked(self, call: str, reservation_id: str) -> None:
        """Called when somebody begins to change the outside."""
        task = self.hub.task
        if task is None or task.process is None:
            return
        if task.in_transaction:
            self.hub.violate("no outside call within a transaction", f"{call} {reservation_id}")
            return
        row = self.known.get(reservation_id)
        if call == "provision" and (row is None or row.phase is None):
            self.hub.violate("intent before effect", f"nothing says that {reservation_id} is wanted")
        leads = holder(self.connection) == task.process.name
        if call == "teardown" and leads and row is not None and row.phase in ("starting", "ready"):
            self.hub.violate("no live cluster is torn down", f"{reservation_id} is {row.phase}")
        if call != "teardown":
            self._sweeps.discard(task)
        elif task in self._sweeps and row is not None and row.phase in ("wanted", "starting", "ready"):
            self.hub.violate("no live cluster is swept away", f"{reservation_id} is {row.phase}")
        self.counts[call] += 1

    def listed(self) -> None:
        """Called when somebody lists the outside: what they tear down next are orphans to them."""
        if self.hub.task is not None:
            self._sweeps.add(self.hub.task)

    def specified(self, spec: ClusterSpec) -> None:
        """Is it made as it was booked?"""
        row = self.known.get(spec.reservation_id)
        size = spec.notebook_cores + spec.worker_cores * spec.worker_count
        if row is not None and (row.cores, row.start) != (size, minute_of(spec.starts_at)):
            self.hub.violate("a cluster is what was booked", f"{row.id}: {size} cores, {row.cores} booked")

    def doubted(self, reservation_id: str) -> None:
        self.lives.doubted.add(reservation_id)

    def doubled(self, reservation_id: str) -> None:
        self.hub.violate("one cluster for each reservation", reservation_id)

    def lapsed(self, reservation_id: str, ends_at: datetime) -> None:
        """Was it told in time that it may run longer?"""
        row = self.known.get(reservation_id)
        extended = self.extended.get(reservation_id)
        if row is None or extended is None or row.state != "active" or minute_of(ends_at) >= row.end:
            return
        if self.hub.micros_of(ends_at) - extended > _PATIENCE:
            self.hub.violate("a cluster knows its end", f"{reservation_id} ended at {ends_at}")

    def patrol(self) -> None:
        """Called now and then: whatever goes wrong, nothing outside belongs to nobody for long, and nobody
        is told for long that something runs that does not."""
        assert self.outside is not None
        known = {row.id: row for row in Rows(self.connection).reservations}
        there = self.outside.truth()
        names = {name for name in there if name not in known or known[name].state not in LIVE}
        names |= {row.id for row in known.values() if row.state == "active" and not _runs(there.get(row.id))}
        self._astray = {name: self._astray.get(name, self.hub.micros) for name in names}
        limit = _PATIENCE + 2 * int(self.settings.reconcile_seconds * SECOND)
        for name, since in self._astray.items():
            if self.hub.micros - since > limit:
                self.hub.violate("rows and clusters find together", f"{name}: {there.get(name)}")

    def unsettled(self) -> set[tuple[str, str]]:
        """What is not at rest once nothing has gone wrong for a while, as invariants and details."""
        rows = {row.id: row for row in Rows(self.connection).reservations}
        return {*self._outside_at_rest(rows), *self._rows_at_rest(rows)}

    def _outside_at_rest(self, rows: dict[str, Row]) -> Iterator[tuple[str, str]]:
        assert self.outside is not None
        for name, seen in self.outside.truth().items():
            row = rows.get(name)
            if row is None or row.state not in LIVE or row.state == "ending":
                yield "nothing outside belongs to nobody", f"{name}: {row.state if row else 'no row'}"
            elif seen.ends_at is not None and minute_of(seen.ends_at) != row.end:
                yield "a cluster knows its end", f"{name} ends at {seen.ends_at}"
        for row in rows.values():
            if row.state == "active" and not _runs(self.outside.truth().get(row.id)):
                yield "rows and clusters find together", f"{row.id} is said to be active"

    def _rows_at_rest(self, rows: dict[str, Row]) -> Iterator[tuple[str, str]]:
        micros = (self.hub.now - EPOCH) // timedelta(microseconds=1)
        now = micros // 60_000_000
        for row in rows.values():
            due = {
                "held": row.expires_at is not None and row.expires_at <= micros - 60_000_000,
                "confirmed": row.start <= now,
                "preparing": row.start < now - 2,
                "ending": True,
            }
            # A hold may outlive its span; it goes at its own time.
            over = row.end <= now and row.state in COUNTED and row.state != "held"
            if over or due.get(row.state, False):
                yield "every due booking is active or final", f"{row.id} is {row.state} ({row.reason})"
        over_by = micros - int(2 * self.settings.reconcile_seconds * SECOND)
        for name in left_behind(self.connection, over_by):
            yield "what a visitor had goes with them", name


def _runs(seen: Observed | None) -> bool:
    return seen is not None and seen.state in (ClusterState.STARTING, ClusterState.READY)
