"""A site with a long past: the rows of one booking that came and went, many times over."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update

from booking.adapters.null import NullProvisioner
from booking.allocator.lifecycle import State
from booking.allocator.span import Span, minute_of
from booking.doors import Doors
from booking.models import Booking
from booking.scheduler import Scheduler
from booking.services import backup, bookings, feeds
from tests.support.doors import TestClock
from tests.support.site import HOUR, Site, make_site, until

_BATCH = 2000
_ID = re.compile("[0-9a-z]{20}")
_OWN = {"id", "booking_id", "reservation_id", "subject"}
"""The columns whose ids belong to the booking itself."""
Rows = dict[str, list[dict[str, Any]]]


def inhabited(doors: Doors, clock: TestClock, now: datetime) -> tuple[Site, NullProvisioner, Booking]:
    """A site with a pool, a package, people, one booking that is over and one to come."""
    site = make_site(doors, provision_attempts=3)
    outside = NullProvisioner(clock)
    site.pool(8)
    site.package("half", 4)
    ann = site.person("ann")
    feeds.make(site.ctx, ann)
    over = site.book(ann, "half", Span(now, now + HOUR))
    scheduler = Scheduler(site.ctx, outside, "one")

    def step() -> None:
        scheduler.tick()
        clock.advance(timedelta(seconds=5))

    until(lambda: site.only(over.id).state is State.ACTIVE, step)
    bookings.cancel(site.ctx, ann, over.id)
    until(lambda: site.only(over.id).state is State.ENDED, step)
    site.book(ann, "half", Span(now + 3 * HOUR, now + 4 * HOUR))
    return site, outside, over


def multiply(site: Site, booking: Booking, times: int) -> int:
    """Copy every row of a booking that is over so many times, each under its own ids; how many rows that made."""
    with site.ctx.db.engine.begin() as connection:
        known = {table.name: table for table in backup.tables(connection)}
        rows = _left_by(connection, known, booking)
        pool = known["pool"]
        where = pool.c.id == booking.pool_id
        first = connection.execute(select(pool.c.generation).where(where)).scalar_one() + 1
        steps = len({row["generation"] for row in rows["ledger"]})
        for start in range(0, times, _BATCH):
            numbers = range(start, min(start + _BATCH, times))
            for name, table in known.items():
                if name in rows:
                    copies = [_copy(row, n, first + n * steps) for n in numbers for row in rows[name]]
                    connection.execute(insert(table), copies)
        connection.execute(update(pool).where(where).values(generation=first + times * steps))
    return times * sum(map(len, rows.values()))


def _left_by(connection: Connection, known: dict[str, Table], booking: Booking) -> Rows:
    """Everything that one booking has left, by table; the generations of its ledger are counted from 0."""
    (reservation,) = booking.reservations
    start = minute_of(reservation.start)
    work, journal, ledger = known["work"], known["journal"], known["ledger"]
    queries = {
        "booking": select(known["booking"]).where(known["booking"].c.id == booking.id),
        "reservation": select(known["reservation"]).where(known["reservation"].c.id == reservation.id),
        "cluster": select(known["cluster"]).where(known["cluster"].c.reservation_id == reservation.id),
        "work": select(work).where(work.c.reservation_id == reservation.id),
        "journal": select(journal).where(journal.c.subject == f"booking:{booking.id}"),
        "ledger": select(ledger).where(
            ledger.c.side == "reserved", ledger.c.start.between(start, start + 59)
        ),
    }
    rows = {
        name: [dict(row) for row in connection.execute(query).mappings()] for name, query in queries.items()
    }
    generations = sorted({row["generation"] for row in rows["ledger"]})
    for row in rows["ledger"]:
        row["generation"] = generations.index(row["generation"])
    return rows


def _copy(row: dict[str, Any], number: int, first: int) -> dict[str, Any]:
    """The row under other ids; a reference to a copied row refers to its copy."""
    fresh: dict[str, Any] = {
        key: _ID.sub(lambda found: f"{number:09d}{found[0][9:]}", value) if key in _OWN else value
        for key, value in row.items()
    }
    if "generation" in fresh:
        fresh["generation"] += first
    return fresh
