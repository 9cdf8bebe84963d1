"""The audit after every commit, and at every call to the outside: what must never be."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from booking.adapters.base import ClusterState, Observed
from booking.allocator.span import EPOCH, minute_of
from booking.config import Settings
from booking.errors import NoCapacity
from tests.trust.sim.hub import SECOND, Hub, Process
from tests.trust.sim.outside import SimOutside
from tests.trust.sim.promises import Promises
from tests.trust.sim.rows import COUNTED, LIVE, Claim, Row, Rows, holder, ledger_areas

_FOLLOWS = {
    "held": {"confirmed", "expired", "cancelled"},
    "confirmed": {"preparing", "cancelled", "failed"},
    "preparing": {"active", "ending"},
    "active": {"preparing", "ending"},
    "ending": {"ended", "cancelled", "failed", "preempted"},
}
FENCED = frozenset({"work", "postpone", "look", "note look", "note fault", "live reservations"})
"""The transactions that only the leader may commit."""
_SPAN_MOVERS = frozenset({"change", "cancel", "capacity", "leave", "end account"})
_PATIENCE = 1800 * SECOND
"""How long something may be late while processes are killed and stalled."""
_FOREVER = minute_of(EPOCH + timedelta(days=365 * 100))


class Audit:
    """Watches one run."""

    def __init__(
        self, hub: Hub, connection: sqlite3.Connection, settings: Settings, promises: Promises
    ) -> None:
        self.hub, self.connection, self.settings, self.promises = hub, connection, settings, promises
        self.outside: SimOutside | None = None
        self.stirred: Callable[[], None] = lambda: None
        """Called after every commit that wrote something."""
        self.counts: Counter[str] = Counter()
        self.asking: dict[str, tuple[str, list[Claim]]] = {}
        """By the name of a task: the pool and the claims that its request would add."""
        self._rows = Rows(connection)
        self._known = {row.id: row for row in self._rows.reservations}
        self._changes = connection.total_changes
        self._doubted: set[str] = set()
        self._extended: dict[str, int] = {}
        self._astray: dict[str, int] = {}
        """Since when a row and the outside do not agree."""
        self._reserve = ledger_areas(connection) - self._rows.areas()

    # -- the database ---------------------------------------------------------------------------

    def committed(self, name: str, process: Process | None) -> None:
        """Look at everything, unless nothing was written."""
        if name in FENCED and process is not None and holder(self.connection) != process.name:
            self.hub.violate("nothing is done by an old epoch", f"{name} by {process.name}")
        if self.connection.total_changes == self._changes:
            return
        self._changes = self.connection.total_changes
        self.counts["commits"] += 1
        self._rows = Rows(self.connection)
        for invariant, detail in self._faults(name, process):
            self.hub.violate(invariant, f"after {name}: {detail}")
        self._known = {row.id: row for row in self._rows.reservations}
        self.stirred()

    def _faults(self, name: str, process: Process | None) -> Iterator[tuple[str, str]]:
        now = self.hub.now_of(process)
        minute, micros = (now - EPOCH) // timedelta(minutes=1), (now - EPOCH) // timedelta(microseconds=1)
        yield from self._oversold(name, minute)
        difference = ledger_areas(self.connection)
        difference.subtract(self._rows.areas() + self._reserve)
        if any(difference.values()):
            yield (
                "the ledger is the sum of the rows",
                f"{ {key: area for key, area in difference.items() if area} }",
            )
        for row in self._rows.reservations:
            before = self._known.get(row.id)
            if row != before:
                yield from self._changed(name, before, row, micros)
        yield from self.promises.broken(self._rows.reservations)

    def _oversold(self, name: str, now: int) -> Iterator[tuple[str, str]]:
        for pool in self._rows.pools:
            firm = self._rows.claims(pool.id, flagged=False)
            at = self._rows.short(pool, firm, (now + 1, _FOREVER))
            if at is not None:
                yield "nothing is oversold", f"minute {at} of pool {pool.id}"
        for row in self._rows.reservations:
            before = self._known.get(row.id)
            grown = row.state in COUNTED and (before is None or row.end > before.end)
            if name in ("book", "change") and grown:
                yield from self._fits_beside_all(row, now)
            if row.at_risk and not (before and before.at_risk) and name not in ("capacity", "change pool"):
                yield "only a cut puts bookings at risk", row.id

    def _fits_beside_all(self, row: Row, now: int) -> Iterator[tuple[str, str]]:
        """Also those that a cut has put at risk keep their place."""
        before = self._known.get(row.id)
        pool = next(pool for pool in self._rows.pools if pool.id == row.pool_id)
        start = max(now + 1, before.end if before else row.start)
        claims = self._rows.claims(pool.id, flagged=True, guests=row.side == "level0")
        if start < row.end and self._rows.short(pool, claims, (start, row.end)) is not None:
            yield "nothing is oversold", f"{row.id} was promised beside bookings at risk"

    def _changed(self, name: str, before: Row | None, row: Row, now: int) -> Iterator[tuple[str, str]]:
        if before is None:
            if name != "book" or row.state not in ("held", "confirmed"):
                yield "only legal states", f"{row.id} begins as {row.state}"
            return
        if row.start != before.start or (row.end != before.end and name not in _SPAN_MOVERS):
            yield "only people move spans", row.id
        if row.end > before.end:
            self._extended[row.id] = self.hub.micros
        if row.state == before.state:
            return
        self.counts[f"to {row.state}"] += 1
        if row.state not in _FOLLOWS.get(before.state, set()):
            yield "only legal states", f"{row.id} goes from {before.state} to {row.state}"
        fault = self._untimely(name, before, row, now)
        if fault:
            yield "nothing happens before or after its time", f"{row.id} is {row.state}: {fault}"
        if before.state == "ending":
            yield from self._gone(before, row)

    def _untimely(self, name: str, before: Row, row: Row, now: int) -> str | None:
        """What is wrong with the moment or the cause of a change of state."""
        start, end = row.start * 60_000_000, before.end * 60_000_000
        lead = max(self.settings.lead_minutes, row.lead) * 60_000_000
        over = end - int(self.settings.teardown_seconds * 1_000_000)
        asked = self._may_cancel(name, row)
        rules = {
            "confirmed": before.expires_at is None or now < before.expires_at,
            "expired": before.expires_at is not None and now >= before.expires_at,
            "preparing": now >= start - lead and now < end,
            "active": now >= start,
            "cancelled": before.state == "ending" or asked,
            "ending": now >= over or asked or name in ("note look", "note fault"),
            "failed": before.state == "ending" or now >= over,
        }
        if rules.get(row.state, True):
            return None
        return (
            f"it was {before.state}, from {before.start} to {before.end}, now {now / 60e6:.2f} ({row.reason})"
        )

    def _may_cancel(self, name: str, row: Row) -> bool:
        promise = self.promises.by_key.get(row.key)
        return name in ("capacity", "end account", "leave") or (promise is not None and promise.cancel_asked)

    def _gone(self, before: Row, row: Row) -> Iterator[tuple[str, str]]:
        assert self.outside is not None
        if before.absent_at is None:
            yield "gone is said after two looks", row.id
        if row.id in self.outside.truth() and row.id not in self._doubted:
            yield "gone is said of what is gone", row.id

    def refused(self, name: str, _process: Process | None, error: NoCapacity) -> None:
        """Called within the transaction that says no: is it true?"""
        task = self.hub.task
        asked = self.asking.get(task.name) if task is not None else None
        if asked is None:
            return
        self.counts["refused for capacity"] += 1
        rows, (pool_id, claims) = Rows(self.connection), asked
        pool = next(pool for pool in rows.pools if pool.id == pool_id)
        now = (self.hub.now_of(task.process if task else None) - EPOCH) // timedelta(minutes=1)
        present = rows.claims(pool_id, flagged=True, guests=claims[0].side == "level0")
        for claim in claims:
            if rows.short(pool, [*present, claim], (max(now, claim.start), claim.end)) is not None:
                return
        self.hub.violate("nothing is refused that fits", f"{name}: {error} {claims}")

    # -- the outside ------------------------------------------------------------------------------

    def asked(self, call: str, reservation_id: str) -> None:
        """Called when somebody begins to change the outside."""
        task = self.hub.task
        if task is None or task.process is None:
            return
        if task.in_transaction:
            self.hub.violate("no outside call within a transaction", f"{call} {reservation_id}")
            return
        row = self._known.get(reservation_id)
        if call == "provision" and (row is None or row.phase is None):
            self.hub.violate("intent before effect", f"nothing says that {reservation_id} is wanted")
        leads = holder(self.connection) == task.process.name
        if call == "teardown" and leads and row is not None and row.phase in ("starting", "ready"):
            self.hub.violate("no live cluster is torn down", f"{reservation_id} is {row.phase}")
        self.counts[call] += 1

    def doubted(self, reservation_id: str) -> None:
        self._doubted.add(reservation_id)

    def doubled(self, reservation_id: str) -> None:
        self.hub.violate("one cluster for each reservation", reservation_id)

    def lapsed(self, reservation_id: str, ends_at: datetime) -> None:
        """Was it told in time that it may run longer?"""
        row = self._known.get(reservation_id)
        extended = self._extended.get(reservation_id)
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

    # -- at the end -------------------------------------------------------------------------------

    def final(self) -> list[str]:
        """Everything that matters of the database, for the trace."""
        return [repr(row) for row in Rows(self.connection).reservations]

    def settled(self) -> None:
        """What must be so once nothing has gone wrong for a while."""
        assert self.outside is not None
        now = (self.hub.now - EPOCH) // timedelta(minutes=1)
        rows = {row.id: row for row in Rows(self.connection).reservations}
        for name, seen in self.outside.truth().items():
            row = rows.get(name)
            if row is None or row.state not in LIVE or row.state == "ending":
                self.hub.violate(
                    "nothing outside belongs to nobody", f"{name}: {row.state if row else 'no row'}"
                )
            elif seen.ends_at is not None and minute_of(seen.ends_at) != row.end:
                self.hub.violate("a cluster knows its end", f"{name} ends at {seen.ends_at}")
        for row in rows.values():
            if row.state == "active" and not _runs(self.outside.truth().get(row.id)):
                self.hub.violate("rows and clusters find together", f"{row.id} is said to be active")
            due = {
                "held": False,
                "confirmed": row.start <= now,
                "preparing": row.start < now - 2,
                "ending": True,
            }
            over = row.end <= now and row.state in COUNTED
            if over or due.get(row.state, False):
                self.hub.violate(
                    "every due booking is active or final", f"{row.id} is {row.state} ({row.reason})"
                )


def _runs(seen: Observed | None) -> bool:
    return seen is not None and seen.state in (ClusterState.STARTING, ClusterState.READY)
