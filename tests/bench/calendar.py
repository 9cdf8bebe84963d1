"""The calendar at 10^5 and 10^6 ledger entries, through the real service, generation check included.

    python -m tests.bench.calendar [--entries 100000,1000000] [--rounds 15] [--check]

JSON lines on stdout, a table on stderr. With --check the exit code is 1 unless the ratio of medians of the
calendar is at most 1.3.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.cells import Granularity
from booking.allocator.resources import Resources
from booking.allocator.span import Span
from booking.allocator.timeline import Side
from booking.models import Pool
from booking.services.availability import Question, SlotQuestion, availability, slots
from booking.services.timelines import append, entries, lock_pool
from tests.bench.measure import Case, interleaved, report
from tests.bench.world import PACKAGES, World, make_world
from tests.support.doors import START

DAYS = 70
GOAL = 1.3
CALENDAR = f"calendar, {DAYS} days x {PACKAGES} packages"
_SPAN = Span(START + timedelta(days=9), START + timedelta(days=10))


def cases_of(world: World) -> list[Case]:
    """What is timed in one world."""
    ctx = world.site.ctx
    first = START.date()
    calendar = Question(first, first + timedelta(days=DAYS), granularity=Granularity.DAY)
    hours = Question(first, first + timedelta(days=7), granularity=Granularity.HOUR)
    wanted = SlotQuestion(f"size-{PACKAGES:02}", timedelta(days=3))
    signs = iter([1, -1] * 10**6)

    def generation(session: Session) -> int | None:
        return session.scalar(select(Pool.generation).where(Pool.id == world.pool_id))

    def somebody_books(session: Session) -> None:
        change = entries(Side.RESERVED, _SPAN, Resources(cores=1, memory_mib=4096), next(signs))
        append(session, lock_pool(session, world.pool_id), change)

    assert len(availability(ctx, calendar).rows) == PACKAGES
    size = world.entries
    return [
        Case("generation alone", size, lambda: ctx.db.read("generation", generation)),
        Case(CALENDAR, size, lambda: availability(ctx, calendar)),
        Case(f"a week of hours x {PACKAGES} packages", size, lambda: availability(ctx, hours)),
        Case(
            "calendar after a booking elsewhere",
            size,
            lambda: availability(ctx, calendar),
            before=lambda: ctx.db.run("book", somebody_books),
            calls=4,
        ),
        Case("ten earliest slots in two years", size, lambda: slots(ctx, wanted)),
    ]


def cold_case(world: World) -> Case:
    """The first calendar of a process: the whole window is read from the ledger."""
    ctx, first = world.site.ctx, START.date()
    calendar = Question(first, first + timedelta(days=DAYS))
    return Case(
        "calendar, cold",
        world.entries,
        lambda: availability(ctx, calendar),
        before=lambda: ctx.timelines.drop(world.pool_id),
        calls=1,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entries", default="100000,1000000", help="sizes of the ledger, comma apart")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--check", action="store_true", help="exit 1 unless the goal is met")
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="booking-bench-") as folder:
        worlds = [make_world(Path(folder), int(size)) for size in options.entries.split(",")]
        cold = [cold_case(world) for world in worlds]
        interleaved(cold, 3)
        warm = [case for world in worlds for case in cases_of(world)]
        interleaved(warm, options.rounds)
        for world in worlds:
            world.engine.dispose()
    met = report([*warm, *cold], {CALENDAR: GOAL})
    return 0 if met or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
