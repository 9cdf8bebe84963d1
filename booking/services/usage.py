"""Usage: of the core-hours that were booked, which were used; and the demand that was refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, and_, select, true, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from booking.allocator.lifecycle import COUNTED, State
from booking.allocator.span import floor_minute, instant_of, minute_of
from booking.allocator.usage import Grain, Minutes, Share, edges, folded
from booking.errors import Forbidden, Invalid
from booking.models import (
    Account,
    Blackout,
    Booking,
    Cluster,
    ClusterPhase,
    Group,
    Inventory,
    Membership,
    Pool,
    Reservation,
    Role,
)
from booking.services.context import Actor, Context
from booking.services.finding import find_pool
from booking.services.transitions import AT_ITS_END
from booking.services.windows import window_of

MOST_CELLS = 100_000
"""Of all keys together, in one answer."""
_THERE = (ClusterPhase.READY, ClusterPhase.STOPPING)


class By(StrEnum):
    """What usage is told apart by."""

    PACKAGE = "package"
    ACCOUNT = "account"
    GROUP = "group"


@dataclass(frozen=True)
class Question:
    """Which usage; a date means the local midnight of the pool's zone. Cells are counted whole."""

    start: date | datetime
    end: date | datetime
    by: By = By.PACKAGE
    grain: Grain = Grain.DAY
    pool: str | None = None
    """Id or name; None means the first pool."""


class Amount(NamedTuple):
    """Core-minutes."""

    booked: int
    used: int
    """While a cluster was there, from when it was ready."""
    idle: int
    """Booked and gone by, without a cluster."""

    @property
    def ahead(self) -> int:
        """Booked and still to come."""
        return self.booked - self.used - self.idle

    @classmethod
    def sum(cls, amounts: Iterable[Amount]) -> Amount:
        """All of them together; of none it is nothing."""
        return cls(*map(sum, zip(cls(0, 0, 0), *amounts, strict=True)))


@dataclass(frozen=True)
class Cell:
    """One day, week or month of the pool's zone; keys under which nothing is booked in it are left out."""

    start: datetime
    end: datetime
    physical: int
    """Core-minutes of the whole pool."""
    total: Amount
    amounts: Sequence[tuple[str | None, Amount]]
    """By key; None is what belongs to no group."""


@dataclass(frozen=True)
class Usage:
    """The answer."""

    pool: Pool
    question: Question
    cells: Sequence[Cell]


def usage(ctx: Context, actor: Actor, question: Question) -> Usage:
    """Booked, used and idle core-minutes of a pool by cell and key, for administrators everybody's.

    Others see their own by package, and by group that of the groups they are administrators of. Booked is what
    counts or ended normally; what was ended early counts until its cluster was gone. A cluster that was lost
    counts as used from when it was ready again.

    :raises Forbidden: if somebody else asks by account.
    :raises NotFound: if there is no such pool.
    :raises Invalid: if the window is empty or too long.
    """
    actor.require("bookings:read")
    if question.by is By.ACCOUNT and not actor.acts_as_admin:
        raise Forbidden("Usage by account needs an administrator.")

    def read(session: Session) -> Usage:
        pool = session.get_one(Pool, find_pool(session, question.pool))
        marks = edges(pool.zone, window_of(question.start, question.end, pool.zone), question.grain)
        rows = _booked(session, actor, question.by, pool, marks)
        keys = sorted({row.key for row in rows}, key=lambda key: (key is None, key or ""))
        if (len(marks) - 1) * max(len(keys), 1) > MOST_CELLS:
            raise Invalid(
                {"to": [f"asks for more than {MOST_CELLS} cells; ask for less time or longer cells"]}
            )
        sums = _summed(rows, keys, marks, ctx.clock.now())
        return Usage(pool, question, _cells(marks, keys, sums, _physical(session, pool, marks)))

    return ctx.db.read("usage of a pool", read)


_KEYS: dict[By, InstrumentedAttribute[Any]] = {
    By.PACKAGE: Booking.package_name,
    By.ACCOUNT: Account.name,
    By.GROUP: Group.name,
}


def _booked(session: Session, actor: Actor, by: By, pool: Pool, marks: Sequence[int]) -> Sequence[Row[Any]]:
    """Every reservation of the cells that counts or ended normally, with its key and its cluster."""
    query = (
        select(
            _KEYS[by].label("key"),
            Reservation.start,
            Reservation.end,
            Reservation.state,
            Reservation.expires_at,
            Reservation.end_reason,
            (Booking.notebook_cores + Booking.worker_cores * Booking.worker_count).label("cores"),
            Cluster.phase,
            Cluster.ready_at,
            Cluster.changed_at,
        )
        .select_from(Reservation)
        .join(Booking, Booking.id == Reservation.booking_id)
        .outerjoin(Cluster, Cluster.reservation_id == Reservation.id)
        .where(
            Reservation.pool_id == pool.id,
            Reservation.state.in_([*COUNTED, State.ENDED]),
            Reservation.end > instant_of(marks[0]),
            Reservation.start < instant_of(marks[-1]),
            _whose(actor, by),
        )
    )
    if by is By.ACCOUNT:
        query = query.join(Account, Account.id == Booking.account_id)
    elif by is By.GROUP:
        query = query.outerjoin(Group, Group.id == Booking.group_id)
    return session.connection().execute(query).all()


def _whose(actor: Actor, by: By) -> ColumnElement[bool]:
    if actor.acts_as_admin:
        return true()
    if by is By.GROUP:
        kept = and_(Membership.account_id == actor.id, Membership.role == Role.ADMIN)
        return Booking.group_id.in_(select(Membership.group_id).where(kept))
    return Booking.account_id == actor.id


def _summed(
    rows: Sequence[Row[Any]], keys: Sequence[str | None], marks: Sequence[int], now: datetime
) -> list[Minutes]:
    """What is booked, what of it is past, and what of that was used."""
    number = {key: n for n, key in enumerate(keys)}
    shares: tuple[list[Share], ...] = ([], [], [])
    for row in rows:
        if row.state is State.HELD and row.expires_at <= now:
            continue
        for found, (start, end) in zip(shares, _spans(row, _minute(now)), strict=True):
            if start < end:
                found.append(Share(number[row.key], start, end, row.cores))
    return [folded(marks, len(keys), found) for found in shares]


def _spans(row: Row[Any], now: int) -> Iterator[tuple[int, int]]:
    """From when until when a reservation is booked, is past, and had a cluster; in minutes."""
    start, end = minute_of(row.start), minute_of(row.end)
    if row.state is State.ENDED and row.end_reason != AT_ITS_END and row.phase is ClusterPhase.GONE:
        end = min(end, _minute(row.changed_at))
    yield start, end
    past = min(end, now)
    yield start, past
    if row.ready_at is None:
        yield past, past
    else:
        # A cluster that has come is there until it is found gone or lost, which is its last change.
        yield (
            max(start, _minute(row.ready_at)),
            past if row.phase in _THERE else min(past, _minute(row.changed_at)),
        )


def _minute(instant: datetime) -> int:
    return minute_of(floor_minute(instant))


def _physical(session: Session, pool: Pool, marks: Sequence[int]) -> Sequence[int]:
    """The core-minutes of the whole pool by cell."""

    def of(table: type[Inventory] | type[Blackout], sign: int) -> Select[datetime, datetime, int]:
        return select(table.start, table.end, (sign * table.cores).label("cores")).where(
            table.pool_id == pool.id, table.end > instant_of(marks[0]), table.start < instant_of(marks[-1])
        )

    rows = session.connection().execute(union_all(of(Inventory, 1), of(Blackout, -1)))
    shares = [Share(0, minute_of(row.start), minute_of(row.end), row.cores) for row in rows]
    physical: Sequence[int] = folded(marks, 1, shares)[0].tolist()
    return physical


def _cells(
    marks: Sequence[int], keys: Sequence[str | None], sums: Sequence[Minutes], physical: Sequence[int]
) -> list[Cell]:
    booked, past, used = (found.T.tolist() for found in sums)
    cells = []
    for n, (start, end) in enumerate(pairwise(marks)):
        found = [
            (key, Amount(ordered, taken, gone_by - taken))
            for key, ordered, gone_by, taken in zip(keys, booked[n], past[n], used[n], strict=True)
            if ordered
        ]
        cells.append(
            Cell(instant_of(start), instant_of(end), physical[n], Amount.sum(a for _, a in found), found)
        )
    return cells
