"""Who waits in line: what is free is offered, to whoever asked first, and an offer ends as its hold does."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import NamedTuple

from booking.allocator.span import EPOCH
from booking.config import Settings
from tests.trust.sim.hub import SECOND, Hub
from tests.trust.sim.rows import Claim, Row, Rows

_WANTED = """
SELECT w.id, w.pool_id, w.sharing, w.start, w."end", w.state, w.joined_at, w.lapses, w.booking_id,
       w.notebook_cores + w.worker_cores * w.worker_count,
       w.notebook_memory_mib + w.worker_memory_mib * w.worker_count
FROM wanted w JOIN account a ON a.id = w.account_id WHERE a.kind <> 'anonymous'
ORDER BY w.joined_at, w.id
"""
_NOTICE = 16 * 60 * SECOND
"""An offer is made until a quarter of an hour before the start; and a minute."""
_PASS = 90 * SECOND
"""The whole line is asked in less, once its turn has come."""
_MOST_LAPSES = 2
"""By the rules of the waiting list, counted here once more."""


class _Wish(NamedTuple):
    id: str
    pool_id: str
    side: str
    start: int
    end: int
    state: str
    joined_at: int
    lapses: int
    booking_id: str | None
    cores: int
    memory: int

    @property
    def claim(self) -> Claim:
        return Claim(self.start, self.end, self.side, (self.cores, self.memory))


class Line:
    """Watches the waiting list of one run; visitors are left out, who have a side of their own."""

    def __init__(self, hub: Hub, connection: sqlite3.Connection, settings: Settings) -> None:
        self._hub, self._connection, self._settings = hub, connection, settings
        self._generations: dict[str, int] = {}
        self._moved: dict[str, int] = {}
        """When something of a pool was last changed, in microseconds of the run."""
        self._commits = 0
        self._stirred: dict[str, int] = {}
        """By pool: the number of the last commit that changed more than to make an offer."""
        self._looked: dict[str, int] = {}
        """By process: how many commits there had been when it last read who waits."""
        self._wishes: dict[str, _Wish] = {}

    def look(self, process: str) -> None:
        """A process reads who waits, to ask them one after the other."""
        self._looked[process] = self._commits

    def faults(
        self,
        name: str,
        process: str | None,
        rows: Rows,
        changed: Collection[tuple[Row | None, Row]],
        now: int,
    ) -> Iterator[tuple[str, str]]:
        """What is wrong with what the transaction of that name made of the line; `now` in microseconds."""
        self._commits += 1
        old, wishes = self._wishes, {wish.id: wish for wish in self._read()}
        self._wishes = wishes
        offered = [w for w in wishes.values() if w.state == "offered" and old.get(w.id, w) != w]
        only_offers = name == "offer" and len(changed) == len(offered) == 1
        for pool in rows.pools:
            if self._generations.get(pool.id) != pool.generation:
                self._generations[pool.id], self._moved[pool.id] = pool.generation, self._hub.micros
                if not only_offers:
                    self._stirred[pool.id] = self._commits
        if only_offers and process is not None:
            yield from self._overtaken(process, offered[0], rows, now)
        for before in old.values():
            if before.state == "offered" and wishes.get(before.id) != before:
                hold = next(row.state for row in rows.reservations if row.booking_id == before.booking_id)
                yield from _ended(before, wishes[before.id], hold)

    def _overtaken(self, process: str, served: _Wish, rows: Rows, now: int) -> Iterator[tuple[str, str]]:
        """Those who asked before, and to whom the same room could have been offered all the time."""
        looked = self._looked.get(process, self._commits)
        if self._stirred.get(served.pool_id, 0) > looked:
            return
        pool = next(pool for pool in rows.pools if pool.id == served.pool_id)
        others = rows.claims(pool.id, flagged=True, now=now)
        others.remove(served.claim)
        for wish in self._wishes.values():
            if wish.joined_at >= served.joined_at:
                return
            waits = wish.state == "waiting" and wish.pool_id == pool.id
            in_time = wish.start * 60 * SECOND - _NOTICE > now
            if waits and in_time and rows.short(pool, [*others, wish.claim], (wish.start, wish.end)) is None:
                yield "whoever asked first is offered first", f"{served.id} before {wish.id}"

    def unserved(self) -> set[tuple[str, str]]:
        """Who waits for what has been free for longer than it takes to look."""
        rows, now = Rows(self._connection), (self._hub.now - EPOCH) // timedelta(microseconds=1)
        looked = now - int(self._settings.reconcile_seconds * SECOND) - _PASS
        pools = {pool.id: pool for pool in rows.pools}
        found = set()
        for wish in self._read():
            changed = now - self._hub.micros + self._moved.get(wish.pool_id, 0)
            if wish.state != "waiting" or max(wish.joined_at, changed) > looked:
                continue
            if wish.start * 60 * SECOND - _NOTICE <= now:
                continue
            present = rows.claims(wish.pool_id, flagged=True, now=now)
            if rows.short(pools[wish.pool_id], [*present, wish.claim], (wish.start, wish.end)) is None:
                found.add(("who waits is offered what is free", wish.id))
        return found

    def _read(self) -> list[_Wish]:
        return [_Wish._make(row) for row in self._connection.execute(_WANTED)]


def _ended(before: _Wish, wish: _Wish, hold: str) -> Iterator[tuple[str, str]]:
    """Is what became of an offer what became of its hold?"""
    lapsed = hold == "expired"
    may_be = {
        "held": {"offered"},
        "expired": {"waiting"} if before.lapses + 1 < _MOST_LAPSES else {"gone"},
        "cancelled": {"waiting", "gone"},
    }.get(hold, {"taken"})
    if wish.state not in may_be:
        yield "an offer ends as its hold does", f"{wish.id} is {wish.state}, its hold {hold}"
    if wish.lapses != before.lapses + lapsed:
        yield "lapsed offers are counted", f"{wish.id} has {wish.lapses} after {before.lapses}"
    if wish.state == "waiting" and (wish.joined_at > before.joined_at) is not lapsed:
        yield (
            "who let an offer lapse goes to the end",
            f"{wish.id} was {before.joined_at}, is {wish.joined_at}",
        )
