"""What the database holds, read past the services: the simulator's own eyes and its own arithmetic."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

COUNTED = frozenset({"held", "confirmed", "preparing", "active", "ending"})
FINAL = frozenset({"ended", "cancelled", "expired", "failed", "preempted"})
KINDS = ("cores", "memory_mib")
LIVE = frozenset({"preparing", "active", "ending"})

_RESERVATIONS = """
SELECT r.id, r.booking_id, b.title, r.pool_id, b.side,
       b.notebook_cores + b.worker_cores * b.worker_count,
       b.notebook_memory_mib + b.worker_memory_mib * b.worker_count,
       r.start, r."end", r.state, r.expires_at, r.at_risk, r.end_reason, c.phase, r.outcome, b.lead_minutes,
       c.absent_at, c.warned_at, b.account_id
FROM reservation r JOIN booking b ON b.id = r.booking_id LEFT JOIN cluster c ON c.reservation_id = r.id
ORDER BY r.id
"""
_POOLS = "SELECT id, share_ratio_milli, cores, memory_mib, generation FROM pool ORDER BY id"
_PHYSICAL = """
SELECT pool_id, start, "end", cores, memory_mib FROM inventory
UNION ALL SELECT pool_id, start, "end", -cores, -memory_mib FROM blackout
"""
_AREAS = """
SELECT pool_id, side, kind, sum(amount * ("end" - start)) FROM ledger
WHERE kind IN ('cores', 'memory_mib') GROUP BY pool_id, side, kind
"""
_DUE = """
SELECT min(at) FROM (
    SELECT min(due_at) AS at FROM work WHERE done_at IS NULL
    UNION ALL SELECT min(look_at) FROM cluster WHERE phase IN ('wanted', 'starting', 'ready', 'stopping')
)
"""


class Row(NamedTuple):
    """A reservation with what matters of its booking and cluster; `start` and `end` in minutes."""

    id: str
    booking_id: str
    key: str
    pool_id: str
    side: str
    cores: int
    memory: int
    start: int
    end: int
    state: str
    expires_at: int | None
    """Microseconds since the Unix epoch."""
    at_risk: int
    reason: str
    phase: str | None
    outcome: str | None
    lead: int
    absent_at: int | None
    """When a look first found nothing, in microseconds."""
    warned_at: int | None
    account_id: str


_LEFT = """
SELECT r.id, r.state FROM reservation r JOIN booking b ON b.id = r.booking_id
JOIN account a ON a.id = b.account_id
WHERE a.kind = 'anonymous'
AND CASE WHEN a.disabled_at IS NULL THEN a.expires_at <= ? ELSE b.created_at < a.disabled_at END
"""


class PoolRow(NamedTuple):
    """A pool's standing reservation and ratio."""

    id: str
    ratio: int
    cores: int
    memory: int
    generation: int


class Holding(NamedTuple):
    """What a pool has or lacks over `[start, end)`; cores and MiB, negative for a blackout."""

    pool_id: str
    start: int
    end: int
    size: tuple[int, int]


class Claim(NamedTuple):
    """An amount on one side over `[start, end)`; cores and MiB."""

    start: int
    end: int
    side: str
    size: tuple[int, int]


class Rows:
    """One look at everything; what is counted from it is counted once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._found = _found(connection)
        self.reservations = [Row._make(row) for row in self._found[0]]
        self.pools = [PoolRow._make(row) for row in self._found[1]]
        self.physical = [
            Holding(pool, start, end, (cores, memory)) for pool, start, end, cores, memory in self._found[2]
        ]
        self.fits_from: dict[str, int] = {}
        """By pool: from which minute on all that is firm was found to fit, for ever."""

    def again(self, connection: sqlite3.Connection) -> Rows:
        """Another look at everything: these rows themselves where every single value is still the same."""
        return self if _found(connection) == self._found else Rows(connection)

    @cached_property
    def by_key(self) -> dict[str, list[Row]]:
        """The reservations by the key of their booking."""
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for row in self.reservations:
            found[row.key].append(row)
        return found

    def claims(self, pool_id: str, *, flagged: bool, guests: bool = False, now: int = 0) -> list[Claim]:
        """What is promised of a pool; with `flagged` also what does not fit since a cut, and without the
        holds that are over by `now`, in microseconds.

        Level 0 stands on the reserve, which nobody else touches: it is either all or nothing.
        """
        return [
            Claim(r.start, r.end, r.side, (r.cores, r.memory))
            for r in self.reservations
            if r.pool_id == pool_id
            and r.state in COUNTED
            and (flagged or not r.at_risk)
            and (r.side == "level0") is guests
            and not (r.state == "held" and r.expires_at is not None and r.expires_at <= now)
        ]

    @cached_property
    def areas(self) -> Counter[tuple[str, str, str]]:
        """Amount times minutes by pool, side and kind, as the rows say; the standing reserve is left out."""
        areas: Counter[tuple[str, str, str]] = Counter()
        for held in self.physical:
            for kind, amount in zip(KINDS, held.size, strict=True):
                areas[held.pool_id, "physical", kind] += amount * (held.end - held.start)
        for pool in self.pools:
            both = (self.claims(pool.id, flagged=True, guests=guests) for guests in (False, True))
            for claim in chain(*both):
                for kind, amount in zip(KINDS, claim.size, strict=True):
                    areas[pool.id, claim.side, kind] += amount * (claim.end - claim.start)
        return areas

    def short(self, pool: PoolRow, claims: Iterable[Claim], within: tuple[int, int]) -> int | None:
        """The first minute at which the claims do not fit into the pool; None if there is none.

        A minute at which nobody claims anything is never short, however little the pool has.
        """
        claims = [c for c in claims if c.start < within[1] and c.end > within[0]]
        having = [p for p in self.physical if p.pool_id == pool.id]
        edges = {max(edge, within[0]) for c in claims for edge in (c.start, c.end)}
        edges |= {edge for p in having for edge in (p.start, p.end)} | {within[0]}
        for at in sorted(edge for edge in edges if within[0] <= edge < within[1]):
            if self._overfull(pool, having, [c for c in claims if c.start <= at < c.end], at):
                return at
        return None

    @staticmethod
    def _overfull(pool: PoolRow, having: list[Holding], claims: list[Claim], at: int) -> bool:
        present = [held for held in having if held.start <= at < held.end]
        for n, reserve in enumerate((pool.cores, pool.memory)):
            asked: Counter[str] = Counter()
            for claim in claims:
                asked[claim.side] += claim.size[n]
            taken = reserve + asked["reserved"] - (-asked["shared"] * 1000 // pool.ratio)
            physical = sum(held.size[n] for held in present)
            guests = -(-asked["level0"] * 1000 // pool.ratio)
            if (asked["reserved"] + asked["shared"] and taken > physical) or guests > reserve:
                return True
        return False


def _found(connection: sqlite3.Connection) -> tuple[list[tuple[Any, ...]], ...]:
    return tuple([connection.execute(query).fetchall() for query in (_RESERVATIONS, _POOLS, _PHYSICAL)])


def ledger_areas(connection: sqlite3.Connection) -> Counter[tuple[str, str, str]]:
    """The same as the ledger says."""
    return Counter({(pool, side, kind): area for pool, side, kind, area in connection.execute(_AREAS)})


def next_due(connection: sqlite3.Connection) -> int | None:
    """When the scheduler has to do something next, in microseconds since the Unix epoch."""
    found: int | None = connection.execute(_DUE).fetchone()[0]
    return found


def holder(connection: sqlite3.Connection) -> str | None:
    """Who leads by the database."""
    row = connection.execute("SELECT holder FROM leadership").fetchone()
    return None if row is None else str(row[0])


def journal_length(connection: sqlite3.Connection) -> int:
    """How many entries the journal has."""
    return int(connection.execute("SELECT coalesce(max(rowid), 0) FROM journal").fetchone()[0])


_ASTRAY = """
SELECT reservation_id, phase FROM cluster
WHERE (phase = 'stopping' AND look_at > ?) OR (phase IN ('wanted', 'gone', 'failed') AND endpoints <> '[]')
"""


def untended(connection: sqlite3.Connection, latest: int) -> list[tuple[str, str]]:
    """Clusters that end and are not looked at by `latest`, and those that are not there but have endpoints."""
    return connection.execute(_ASTRAY, (latest,)).fetchall()


def left_behind(connection: sqlite3.Connection, before: int) -> list[str]:
    """The reservations that still stand although their visitor left or was over by `before`."""
    found = connection.execute(_LEFT, (before,))
    return [name for name, state in found if state in COUNTED and state != "ending"]


_NAMELESS = """
SELECT 1 FROM journal WHERE rowid > ? AND account_id IS NULL
AND action IN ('reservation.confirmed', 'reservation.cancelled', 'reservation.ending')
"""


def nameless(connection: sqlite3.Connection, since: int) -> bool:
    """Whether a later entry of the journal does not say who confirmed or ended something."""
    return connection.execute(_NAMELESS, (since,)).fetchone() is not None


def awaits_warning(connection: sqlite3.Connection, reservation_id: str) -> bool:
    """Whether telling its owner of the end is still to be done."""
    query = "SELECT 1 FROM work WHERE reservation_id = ? AND action = 'warn' AND done_at IS NULL"
    return connection.execute(query, (reservation_id,)).fetchone() is not None
