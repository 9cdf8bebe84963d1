"""One process of those that write at once: `python -m tests.bench.writer URL ACCOUNT`; see `writes.py`.

It reads one order a line, begins when the order says, and answers with the milliseconds that each act took.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import make_url

from booking.allocator.package import Sharing
from booking.allocator.span import Span
from booking.config import Settings
from booking.doors import Db, Doors, SystemClock, SystemIds, open_engine
from booking.models import Booking
from booking.services import accounts, bookings
from booking.services.context import Actor, Context, actor_of
from booking.services.decision import BookingRequest
from tests.bench.workload import SIZES
from tests.support.postgres import conninfo

Act = Callable[[int], object]
"""Does the one thing that is measured, on the pool or row of that number."""


def floor_of(url: str) -> Act:
    """The least that anybody does who lets writers of one pool wait for each other."""
    made = make_url(url)
    if made.get_backend_name() == "postgresql":
        postgres = psycopg.connect(conninfo(made), autocommit=True, prepare_threshold=0)
        return lambda row: postgres.execute("UPDATE bench_floor SET n = n + 1 WHERE id = %s", (row,))
    sqlite = sqlite3.connect(str(made.database), isolation_level=None)
    sqlite.executescript("PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")

    def two_writes(row: int) -> None:
        sqlite.execute("BEGIN IMMEDIATE")
        sqlite.execute("UPDATE bench_floor SET n = n + 1 WHERE id = ?", (row,))
        sqlite.execute("INSERT INTO bench_log VALUES (?)", (row,))
        sqlite.execute("COMMIT")

    return two_writes


def promise_of(url: str, account: str, db: Db | None = None) -> Act:
    """One booking of an hour to three days within the next four weeks, by the service."""
    clock = SystemClock()
    ctx = Context(Doors(clock, SystemIds(), db or Db(open_engine(url), clock)), Settings())
    actor: Actor = ctx.db.read("account", lambda s: actor_of(s, accounts.find(s, account)))
    chance = random.Random(account)

    def answer(booking: Booking) -> dict[str, Any]:
        return {"id": booking.id}

    def promise(row: int) -> None:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        start = hour + timedelta(hours=chance.randrange(1, 28 * 24))
        span = Span(start, start + timedelta(hours=chance.randrange(1, 73)))
        name = f"size-{chance.randrange(len(SIZES)) + 1:02}"
        bookings.book(ctx, actor, BookingRequest(name, Sharing.RESERVED, (span,), pool=f"pool-{row}"), answer)

    return promise


def main() -> int:
    url, account = sys.argv[1:]
    acts = {"floor": floor_of(url), "book": promise_of(url, account)}
    chance = random.Random(f"{account} chooses")
    for line in sys.stdin:
        order = json.loads(line)
        act, rows = acts[order["act"]], order["rows"]
        act(chance.randrange(rows))  # connections are made before it counts
        print("ready", flush=True)
        begin = json.loads(sys.stdin.readline())["at"]
        time.sleep(max(0.0, begin - time.time()))
        took, refused, locked = [], 0, 0
        while time.time() < begin + order["seconds"]:
            started = time.perf_counter()
            try:
                act(chance.randrange(rows))
            except Exception as error:  # noqa: BLE001  # whatever goes wrong is counted
                refused += 1
                locked += "database is locked" in f"{error} {error.__cause__}"
                continue
            took.append((time.perf_counter() - started) * 1e3)
        print(json.dumps({"millis": took, "refused": refused, "locked": locked}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
