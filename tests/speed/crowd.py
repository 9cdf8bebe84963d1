"""A site as large as wanted, put into the tables at once: people, pools, and what has been booked in years.

What is in it is what the services would have written, row by row; `booking verify` finds no fault in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, insert, text

from booking.allocator.lifecycle import State
from booking.allocator.package import Sharing
from booking.allocator.span import FOREVER
from booking.allocator.timeline import Side
from booking.models import (
    Account,
    AccountKind,
    Base,
    Blackout,
    Booking,
    Cluster,
    ClusterPhase,
    Feed,
    Group,
    Guest,
    Inventory,
    Journal,
    Ledger,
    Level,
    Membership,
    Platform,
    Pool,
    Reservation,
    Role,
    Template,
    Token,
    Work,
)
from booking.models.booking import Action
from booking.services import tokens
from booking.services.context import SCOPES, Context

ADMIN, PERSON = "root", "ada"
SECRET = "the-secret-of-{name}-in-this-crowd"
HOUR = timedelta(hours=1)
_CHUNK = 2000
_CORES, _MIB = 1, 1024
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Size:
    """How many of each there are; `own` of the bookings, tokens and groups are the administrator's and Ada's each."""

    accounts: int
    bookings: int
    pools: int
    own: int


FULL = Size(accounts=5_000, bookings=50_000, pools=200, own=50)
"""A large site of which a year has gone by."""


def secret(name: str) -> str:
    """The bearer token of the administrator or of Ada."""
    return SECRET.format(name=name)


def fill(ctx: Context, size: Size) -> None:
    """Put a crowd of that size into a database that is migrated and has packages, the first of them `small`."""
    crowd = _Crowd(ctx.clock.now().replace(minute=0, second=0, microsecond=0), size)

    def write(session: Any) -> None:
        connection = session.connection()
        for table, rows in crowd.tables():
            _insert(connection, table, rows)

    ctx.db.run("crowd", write)


def count(ctx: Context) -> None:
    """Let the database count its rows, as it does by itself in time."""
    with ctx.db.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()


def _insert(connection: Connection, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    for first in range(0, len(rows), _CHUNK):
        connection.execute(insert(table.__table__), rows[first : first + _CHUNK])  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Crowd:
    now: datetime
    size: Size

    def tables(self) -> Iterator[tuple[type[Base], Rows]]:
        """The rows of each table, those first that others refer to."""
        yield Level, [{"level": 3 + n, "limits": {}} for n in range(min(self.size.own, 50))]
        yield Account, [self._account(name) for name in self._names]
        yield Token, list(self._tokens())
        yield Feed, [self._feed(name) for name in self._names]
        yield (
            Group,
            [
                {"id": f"group-{n}", "name": f"group-{n:05}", "created_at": self.now}
                for n in range(self.size.own)
            ],
        )
        yield (
            Membership,
            [
                {"group_id": f"group-{n}", "account_id": name, "role": role}
                for n in range(self.size.own)
                for name, role in ((ADMIN, Role.ADMIN), (PERSON, Role.WRITER), (self._names[2], Role.READER))
            ],
        )
        yield Platform, [{"id": "cloud", "name": "cloud", "traits": []}]
        yield Pool, [self._pool(n) for n in range(self.size.pools)]
        yield Inventory, list(self._inventory())
        yield Blackout, list(self._blackouts())
        yield Template, [self._template(n) for n in range(min(self.size.own, 30))]
        bookings = list(range(self.size.bookings))
        yield Booking, [self._booking(n) for n in bookings]
        yield (
            Guest,
            [{"booking_id": f"booking-{n}", "account_id": PERSON} for n in bookings if n % self._every == 2],
        )
        yield Reservation, [self._reservation(n) for n in bookings]
        yield Cluster, [self._cluster(n) for n in bookings if self._state(n) is not State.CONFIRMED]
        yield Work, [self._work(n) for n in bookings]
        yield Ledger, list(self._ledger())
        yield Journal, [self._entry(n) for n in bookings]

    @cached_property
    def _names(self) -> list[str]:
        return [ADMIN, PERSON, *(f"person-{n:05}" for n in range(max(1, self.size.accounts - 2)))]

    @cached_property
    def _every(self) -> int:
        """Every so manieth booking is the administrator's, the one after it Ada's."""
        return max(4, self.size.bookings // self.size.own)

    def _feed(self, name: str) -> dict[str, Any]:
        return {"account_id": name, "hash": tokens.token_hash(secret(name)), "created_at": self.now}

    def _account(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "name": name,
            "kind": AccountKind.PERSON,
            "level": 2,
            "is_admin": name == ADMIN,
            "limits": {},
            "session_epoch": 0,
            "created_at": self.now,
        }

    def _tokens(self) -> Iterator[dict[str, Any]]:
        until = self.now + timedelta(days=365)
        for name in (ADMIN, PERSON):
            scopes = [scope for scope in SCOPES if name == ADMIN or scope != "admin"]
            common = {"account_id": name, "scopes": scopes, "created_at": self.now, "expires_at": until}
            yield {"id": f"{name}-token", "hash": tokens.token_hash(secret(name)), "label": "own", **common}
            for n in range(self.size.own):
                yield {"id": f"{name}-token-{n}", "hash": f"{name}-{n}", "label": f"token {n}", **common}

    def _pool(self, n: int) -> dict[str, Any]:
        return {
            "id": f"pool-{n}",
            "platform_id": "cloud",
            "name": f"pool-{n:03}",
            "traits": [],
            "timezone": "Europe/London",
            "granularity": "hour",
            "share_ratio_milli": 1000,
            "generation": 1 + len(range(n, self.size.bookings, self.size.pools)),
            "epoch": f"epoch-{n}",
            "created_at": self.now + timedelta(seconds=n),
        }

    def _inventory(self) -> Iterator[dict[str, Any]]:
        for n in range(self.size.pools):
            yield {
                "id": f"inventory-{n}",
                "pool_id": f"pool-{n}",
                "start": self.now - timedelta(days=800),
                "end": FOREVER,
                "cores": 10**6,
                "memory_mib": 10**9,
                "reason": "bought",
                "created_at": self.now,
            }

    def _blackouts(self) -> Iterator[dict[str, Any]]:
        """Of the first pool, of nothing, so that its timeline stays what it is."""
        for n in range(self.size.own):
            start = self.now + n * HOUR
            yield {
                "id": f"blackout-{n}",
                "pool_id": "pool-0",
                "start": start,
                "end": start + HOUR,
                "reason": "looked at",
                "created_at": self.now,
            }

    def _template(self, n: int) -> dict[str, Any]:
        return {
            "id": f"template-{n}",
            "title": f"card {n}",
            "text": "",
            "package_name": "small",
            "minutes": 120,
            "sharing": Sharing.SHARED,
            "position": n,
            "shown": True,
            "created_at": self.now,
        }

    def _owner(self, n: int) -> str:
        place = n % self._every
        return (ADMIN, PERSON)[place] if place < 2 else self._names[2 + n % (len(self._names) - 2)]

    def _start(self, n: int) -> datetime:
        """Spread over a year, of which eleven months have gone by."""
        share = n / (self.size.bookings - self._every + 1)  # everybody has something ahead
        return self.now - 334 * 24 * HOUR + int(share * 365 * 24) * HOUR

    def _state(self, n: int) -> State:
        start = self._start(n)
        if start + 3 * HOUR <= self.now:
            return State.ENDED
        return State.ACTIVE if start <= self.now else State.CONFIRMED

    def _booking(self, n: int) -> dict[str, Any]:
        return {
            "id": f"booking-{n}",
            "account_id": self._owner(n),
            "group_id": f"group-{n % self.size.own}" if n % self._every == 3 else None,
            "pool_id": f"pool-{n % self.size.pools}",
            "package_name": "small",
            "package_version": 1,
            "sharing": Sharing.RESERVED,
            "side": Side.RESERVED,
            "title": f"title {n}",
            "revision": 1,
            "created_at": self._start(n) - 240 * HOUR,
            "notebook_cores": _CORES,
            "notebook_memory_mib": _MIB,
            "worker_cores": 0,
            "worker_memory_mib": 0,
            "worker_count": 1,
            "lead_minutes": 0,
        }

    def _reservation(self, n: int) -> dict[str, Any]:
        return {
            "id": f"reservation-{n}",
            "booking_id": f"booking-{n}",
            "pool_id": f"pool-{n % self.size.pools}",
            "start": self._start(n),
            "end": self._start(n) + 3 * HOUR,
            "state": self._state(n),
            "end_reason": "",
            "at_risk": False,
            "revision": 1,
        }

    def _cluster(self, n: int) -> dict[str, Any]:
        over = self._state(n) is State.ENDED
        return {
            "reservation_id": f"reservation-{n}",
            "provisioner": "null",
            "phase": ClusterPhase.GONE if over else ClusterPhase.READY,
            "detail": "",
            "attempts": 0,
            "endpoints": [],
            "changed_at": self._start(n),
            "look_at": self.now + 24 * HOUR,
            "ready_at": self._start(n),
        }

    def _work(self, n: int) -> dict[str, Any]:
        done = self._state(n) is not State.CONFIRMED
        return {
            "id": f"work-{n}",
            "reservation_id": f"reservation-{n}",
            "action": Action.PROVISION,
            "revision": 1,
            "due_at": self._start(n),
            "attempts": 0,
            "done_at": self._start(n) if done else None,
            "detail": "",
        }

    def _ledger(self) -> Iterator[dict[str, Any]]:
        generations = [1] * self.size.pools
        start = (self.now - timedelta(days=800) - datetime.fromtimestamp(0, self.now.tzinfo)) // timedelta(
            minutes=1
        )
        end = (FOREVER - datetime.fromtimestamp(0, self.now.tzinfo)) // timedelta(minutes=1)
        for n in range(self.size.pools):
            yield from self._entries(f"pool-{n}", 1, "physical", (start, end), (10**6, 10**9))
        for n in range(self.size.bookings):
            pool = n % self.size.pools
            generations[pool] += 1
            first = (self._start(n) - datetime.fromtimestamp(0, self.now.tzinfo)) // timedelta(minutes=1)
            span = first, first + 180
            yield from self._entries(f"pool-{pool}", generations[pool], "reserved", span, (_CORES, _MIB))

    @staticmethod
    def _entries(
        pool: str, generation: int, side: str, span: tuple[int, int], amounts: tuple[int, int]
    ) -> Iterator[dict[str, Any]]:
        for seq, (kind, amount) in enumerate(zip(("cores", "memory_mib"), amounts, strict=True)):
            yield {
                "pool_id": pool,
                "generation": generation,
                "seq": seq,
                "side": side,
                "start": span[0],
                "end": span[1],
                "kind": kind,
                "amount": amount,
            }

    def _entry(self, n: int) -> dict[str, Any]:
        return {
            "id": f"entry-{n}",
            "at": self._start(n) - 240 * HOUR,
            "account_id": self._owner(n),
            "action": "booking.made",
            "subject": f"booking:booking-{n}",
            "detail": {"package": "small", "spans": 1},
        }
