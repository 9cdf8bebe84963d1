"""What is timed of the product: its public services, over their own doors, generation check included."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from booking.allocator import availability as allocator
from booking.allocator.package import CUSTOM, Package, Sharing, Size
from booking.allocator.span import Span
from booking.models import Pool, Snapshot
from booking.services import snapshots
from booking.services.availability import Question, availability
from booking.services.slots import SlotQuestion, slots
from booking.services.states import state_of
from tests.bench.measure import Case, timed
from tests.bench.workload import ASKED, DAYS, DEMANDS, Truth
from tests.bench.world import World, instant

CALENDAR = f"calendar, {DAYS} days x {len(DEMANDS)} packages"
SPREAD = "calendar, another pool with each call"
CAN_I = "can I book, 3 days"
EARLIEST = "earliest slot of 3 days in a year"
COLD = "calendar, cold start"
CHECK = "the check alone: one row by its key"
ENGINE = "calendar in memory, no database"
OURS = "booking"
BEST = "booking, with the best moment of each cell"
NO_SNAPSHOT = "booking, before the first snapshot"
DOOR = "the same through Db.read"
BARE = "bare np.minimum.reduceat"
SLOT_HOURS = 72


def calendar_of(world: World, number: int = 0) -> Question:
    """The calendar of a pool as somebody asks for it."""
    first = world.workload.today + timedelta(days=ASKED)
    return Question(first, first + timedelta(days=DAYS), pool=world.pool_ids[number])


class Ours:
    """The questions, put to the product."""

    def __init__(self, world: World, truth: Truth) -> None:
        self.world, self.truth = world, truth
        self._ctx = world.site.ctx
        self._calendar = calendar_of(world)
        window = world.workload.window
        self._can_i = Question(
            instant(window.start),
            instant(window.end),
            pool=world.pool_ids[0],
            packages=(f"size-{window.package + 1:02}",),
        )
        cores, self.found = truth.hardest(SLOT_HOURS)
        self._hardest = SlotQuestion(
            CUSTOM,
            timedelta(hours=SLOT_HOURS),
            limit=1,
            pool=world.pool_ids[0],
            custom=Package(CUSTOM, 1, Size(1, 1), Size(cores - 1, 1)),
        )

    def calendar(self) -> list[list[int]]:
        return [row.count for row in availability(self._ctx, self._calendar).rows]

    def with_best(self) -> None:
        availability(self._ctx, replace(self._calendar, best=True))

    def can_i(self) -> int:
        (row,) = availability(self._ctx, self._can_i).rows
        return min(row.count)

    def earliest(self) -> int:
        _, spans = slots(self._ctx, self._hardest)
        return int(spans[0].start.timestamp()) // 60

    def check(self) -> None:
        """:raises AssertionError: if an answer is not the truth."""
        assert self.calendar() == self.truth.calendar()
        snapshots.take(self._ctx)
        self._ctx.timelines.drop(self.world.pool_ids[0])
        assert self.calendar() == self.truth.calendar()
        assert self.can_i() == self.truth.fits(self.world.workload.window)
        # A slot may begin in the present hour, which is later than midnight.
        assert self.earliest() >= self.found
        assert self._engine().tolist() == self.truth.calendar()

    def cases(self) -> list[Case]:
        ctx, pool_id = self._ctx, self.world.pool_ids[0]

        def one_row(session: Session) -> int | None:
            return session.scalar(select(Pool.generation).where(Pool.id == pool_id))

        def begin_anew() -> None:
            snapshots.take(ctx)
            ctx.timelines.drop(pool_id)

        def begin_without() -> None:
            ctx.db.run("forget", lambda session: session.execute(delete(Snapshot)))
            ctx.timelines.drop(pool_id)

        return [
            self._case(CALENDAR, OURS, timed(self.calendar)),
            self._case(CALENDAR, BEST, timed(self.with_best)),
            self._case(CAN_I, OURS, timed(self.can_i)),
            self._case(EARLIEST, OURS, timed(self.earliest)),
            self._case(COLD, OURS, timed(self.calendar, begin_anew), calls=1),
            self._case(COLD, NO_SNAPSHOT, timed(self.calendar, begin_without), calls=1),
            self._case(CHECK, DOOR, timed(lambda: ctx.db.read("one", one_row))),
        ]

    def engine_cases(self) -> list[Case]:
        """The calculation alone, and the least that anybody has to do over the same bytes."""
        edges, room = self._edges_and_room()
        first = np.searchsorted(self._state.timeline.marks, edges[:-1], side="right") - 1
        until = int(np.searchsorted(self._state.timeline.marks, edges[-1]))
        bytes_read = np.ascontiguousarray(room[:, first[0] : until])
        offsets = first - first[0]
        return [
            self._case(ENGINE, OURS, timed(self._engine), calls=50),
            self._case(
                ENGINE,
                BARE,
                timed(lambda: np.minimum.reduceat(bytes_read, offsets, axis=1)),
                calls=50,
            ),
        ]

    def _engine(self) -> Any:
        edges, room = self._edges_and_room()
        return allocator.counts(self._state.timeline, room, edges, self._demands)

    def _edges_and_room(self) -> tuple[Any, Any]:
        if not hasattr(self, "_state"):
            ctx, pool_id = self._ctx, self.world.pool_ids[0]
            answer = availability(ctx, self._calendar)
            span = Span.of_minutes(answer.edges[0], answer.edges[-1])
            self._state = ctx.db.read("state", lambda session: state_of(ctx, session, pool_id, span))
            # Made into numbers once for each grid, as the service does.
            self._edges = np.array(answer.edges, dtype=np.int64)
            self._edges.flags.writeable = False
            self._demands = allocator.Demands([row.package.demand for row in answer.rows])
        return self._edges, allocator.free(self._state.timeline, Sharing.RESERVED)

    def _case(self, what: str, design: str, time: Any, calls: int = 10) -> Case:
        return Case(what, design, self.world.workload.n, self.world.database, time, calls)
