"""Who waits in line: what is free is offered."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import NamedTuple

from booking.allocator.span import EPOCH
from booking.config import Settings
from tests.trust.sim.hub import SECOND, Hub
from tests.trust.sim.rows import Claim, Rows

_WAITING = """
SELECT w.id, w.pool_id, w.sharing, w.start, w."end", w.joined_at,
       w.notebook_cores + w.worker_cores * w.worker_count,
       w.notebook_memory_mib + w.worker_memory_mib * w.worker_count
FROM wanted w JOIN account a ON a.id = w.account_id WHERE w.state = 'waiting' AND a.kind <> 'anonymous'
"""
_NOTICE = 16 * 60 * SECOND
"""An offer is made until a quarter of an hour before the start; and a minute."""
_PASS = 90 * SECOND
"""The whole line is asked in less, once its turn has come."""


class _Wish(NamedTuple):
    id: str
    pool_id: str
    side: str
    start: int
    end: int
    joined_at: int
    cores: int
    memory: int


class Line:
    """Watches the waiting list of one run; visitors are left out, who have a side of their own."""

    def __init__(self, hub: Hub, connection: sqlite3.Connection, settings: Settings) -> None:
        self._hub, self._connection, self._settings = hub, connection, settings
        self._generations: dict[str, int] = {}
        self._moved: dict[str, int] = {}
        """When something of a pool was last changed, in microseconds of the run."""

    def note_changes(self, rows: Rows) -> None:
        """Look at the pools after a commit."""
        for pool in rows.pools:
            if self._generations.get(pool.id) != pool.generation:
                self._generations[pool.id], self._moved[pool.id] = pool.generation, self._hub.micros

    def unserved(self) -> set[tuple[str, str]]:
        """Who waits for what has been free for longer than it takes to look."""
        rows, now = Rows(self._connection), (self._hub.now - EPOCH) // timedelta(microseconds=1)
        looked = now - int(self._settings.reconcile_seconds * SECOND) - _PASS
        pools = {pool.id: pool for pool in rows.pools}
        found = set()
        for wish in map(_Wish._make, self._connection.execute(_WAITING)):
            changed = now - self._hub.micros + self._moved.get(wish.pool_id, 0)
            if max(wish.joined_at, changed) > looked or wish.start * 60 * SECOND - _NOTICE <= now:
                continue
            present = rows.claims(wish.pool_id, flagged=True, now=now)
            asked = Claim(wish.start, wish.end, wish.side, (wish.cores, wish.memory))
            if rows.short(pools[wish.pool_id], [*present, asked], (wish.start, wish.end)) is None:
                found.add(("who waits is offered what is free", wish.id))
        return found
