"""One client of the race: a process of its own that acts on the real services and writes down each answer."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from booking.allocator.cells import Granularity
from booking.allocator.lifecycle import State
from booking.allocator.package import Sharing
from booking.allocator.resources import Resources
from booking.allocator.span import minute_of
from booking.errors import CapacityConflict, ConcurrentUpdate, Conflict, NoCapacity, NotFound
from booking.models import Blackout, Booking
from booking.services import availability, bookings, capacity, changes
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest
from tests.trust.history.model import Claim, Op
from tests.trust.race.board import Board, Notice
from tests.trust.race.sweep import oversold_hours
from tests.trust.race.track import PACKAGES, SHOP, Scene, WatchedDb

MIXED = {"book": 38, "move": 26, "confirm": 10, "cancel": 15, "look": 8, "cut": 2, "rehearse": 3, "sweep": 1}
"""How often which act is drawn: most find the pool full, and want its last unit."""
HEATED = {"book": 65, "cancel": 35}
"""For the controls: as much at once as can be."""
SHORT_HOLDS = (30, 300, 3_600_000)
"""Milliseconds: most expire while the others race for them."""


class Client:
    """Draws acts from its seed; whatever is no answer is kept as an error."""

    def __init__(
        self, ctx: Context, number: int, people: dict[str, Actor], board: Board, scene: Scene
    ) -> None:
        assert isinstance(ctx.db, WatchedDb)
        self.ctx, self.db, self.number, self.board, self.scene = ctx, ctx.db, number, board, scene
        self.people, self.me = people, people[f"client{number}"]
        self.first = 0
        """The hour at which the raced hours begin."""
        self.holds: tuple[int, ...] = SHORT_HOLDS
        self.ops: list[Op] = []
        self.counts: Counter[str] = self.db.counts
        self.errors: list[str] = []
        self._said: dict[str, Any] = {}
        """What is known of the present act, and then of its answer."""
        self._cuts: list[tuple[str, str, Claim]] = []
        self._acts: dict[str, Callable[[random.Random, str], dict[str, Any]]] = {
            "book": self._book,
            "confirm": self._confirm,
            "cancel": self._cancel,
            "move": self._move,
            "look": self._look,
            "cut": self._cut,
            "rehearse": self._rehearse,
        }

    def act(self, what: str, rng: random.Random, key: str = "") -> None:
        """One attempt; what was answered is noted."""
        self.counts["attempts"] += 1
        self.counts[what] += 1
        if what == "sweep":
            self._sweep()
            return
        self._said = {}
        call, answer = time.monotonic(), self._answer(what, rng, key)
        back = time.monotonic()
        if answer == "error" or what == "rehearse" or (what != "look" and not self.db.pool):
            return
        self.counts[f"answered {self._said.get('answer', answer)}"] += 1
        db = self.db
        at = db.looked_at if what == "look" else db.at
        op = Op(what, answer, call, back, db.generation, db.wrote, at, self.number, db.pool)
        self.ops.append(op._replace(**self._said))

    def _answer(self, what: str, rng: random.Random, key: str) -> str:
        try:
            said = self._acts[what](rng, key)
        except (NoCapacity, CapacityConflict):
            return "no"
        except ConcurrentUpdate:
            return "lost"
        except (Conflict, NotFound):
            return "gone"
        except Exception as error:  # noqa: BLE001  # whatever it is, it is counted
            self.counts["errors"] += 1
            self.errors.append(f"{what}: {type(error).__name__}: {str(error)[:300]}")
            return "error"
        self._said |= said
        return "ok"

    def _book(self, rng: random.Random, key: str) -> dict[str, Any]:
        claim = self._wish(rng)
        pool = self._pool(rng)
        hold = timedelta(milliseconds=rng.choice(self.holds)) if rng.random() < 0.35 else None
        request = BookingRequest(
            PACKAGES[claim.cores],
            Sharing.SHARED if claim.shared else Sharing.RESERVED,
            (self.scene.span(self.first + claim.start, self.first + claim.end),),
            pool=pool,
            title=key,
            hold=hold,
        )
        self._said = {"claim": claim, "key": key}
        actor, idempotency = (self.people[SHOP], bookings.Idempotency(key, key)) if key else (self.me, None)
        promise = bookings.book(self.ctx, actor, request, _told, idempotency)
        until, reservation = promise.answer["until"], promise.answer["reservation"]
        notice = Notice(pool, promise.answer["id"], reservation, claim.start)
        self.board.post(self.number, notice)
        return {
            "answer": "again" if promise.replayed else "ok",
            "booking": notice.booking,
            "claim": claim if until is None else claim._replace(until=until),
        }

    def _confirm(self, rng: random.Random, _: str) -> dict[str, Any]:
        booking = self._somebodys(rng).booking
        bookings.confirm(self.ctx, self.me, booking)
        return {}

    def _cancel(self, rng: random.Random, _: str) -> dict[str, Any]:
        bookings.cancel(self.ctx, self.me, self._somebodys(rng).booking)
        return {}

    def _move(self, rng: random.Random, _: str) -> dict[str, Any]:
        notice = self._somebodys(rng)
        end = min(self.scene.hours, notice.start + rng.randint(1, 5))
        self._said["claim"] = Claim(notice.start, end)
        ends = {notice.reservation: self.scene.span(self.first, self.first + end).end}
        changes.change(self.ctx, self.me, notice.booking, changes.Change(ends=ends), None)
        return {}

    def _look(self, rng: random.Random, _: str) -> dict[str, Any]:
        window = self.scene.span(self.first, self.first + self.scene.hours)
        pool = self._pool(rng)
        question = availability.Question(
            window.start, window.end, pool, Granularity.HOUR, ("small",), sharing=Sharing.RESERVED
        )
        answer = availability.availability(self.ctx, question)
        self.db.generation = answer.pool.generation
        return {"pool": pool, "given": tuple(answer.rows[0].count)}

    def _cut(self, rng: random.Random, _: str) -> dict[str, Any]:
        mode = rng.choice(list(capacity.OnConflict))
        if len(self._cuts) >= 2:
            pool, row, claim = self._cuts.pop(0)
            self._said["claim"] = claim
            capacity.edit(self.ctx, self.me, capacity.Edit(pool, Blackout, row, None))
            return {}
        claim = self._wish(rng)._replace(cores=2, shared=False)
        self._said["claim"] = claim._replace(cores=-2)
        span = self.scene.span(self.first + claim.start, self.first + claim.end)
        holding = capacity.Holding(span, Resources(claim.cores), "a race")
        pool = self._pool(rng)
        impact = capacity.edit(self.ctx, self.me, capacity.Edit(pool, Blackout, None, holding, mode))
        assert impact.row is not None
        self._cuts.append((pool, impact.row.id, claim))
        ended = mode is capacity.OnConflict.CANCEL
        return {"given": tuple(lost.booking_id for lost in impact.conflicts) if ended else ()}

    def _rehearse(self, rng: random.Random, _: str) -> dict[str, Any]:
        """Everything but the commit: nobody may see anything of it afterwards, this process neither."""
        if rng.random() < 0.5:
            claim = self._wish(rng)
            span = self.scene.span(self.first + claim.start, self.first + claim.end)
            holding = capacity.Holding(span, Resources(claim.cores), "a rehearsal")
            wanted = capacity.Edit(self._pool(rng), Blackout, None, holding, dry_run=True)
            capacity.edit(self.ctx, self.me, wanted)
            return {}
        notice = self._somebodys(rng)
        end = self.scene.span(self.first, self.first + notice.start + 1).end
        wanted_end = changes.Change(ends={notice.reservation: end})
        changes.change(self.ctx, self.me, notice.booking, wanted_end, None, dry_run=True)
        return {}

    def _sweep(self) -> None:
        first = minute_of(self.scene.base)
        hours = self.first + self.scene.hours
        found = self.db.read("sweep", lambda session: oversold_hours(session, first, hours))
        self.counts["oversold hours seen"] += found.total()

    def _pool(self, rng: random.Random) -> str:
        pools = list(self.scene.pools)
        return pools[0] if rng.random() < 0.7 else rng.choice(pools)

    def _wish(self, rng: random.Random) -> Claim:
        length = min(rng.choice((1, 1, 1, 2, 2, 4)), self.scene.hours)
        start = rng.randrange(self.scene.hours - length + 1)
        return Claim(start, start + length, rng.choice((2, 2, 4)), rng.random() < 0.4)

    def _somebodys(self, rng: random.Random) -> Notice:
        notice = self.board.draw(rng)
        self._said["booking"] = notice.booking
        return notice


def _told(booking: Booking) -> dict[str, Any]:
    reservation = booking.reservations[0]
    held = reservation.state is State.HELD and reservation.expires_at is not None
    return {
        "id": booking.id,
        "reservation": reservation.id,
        "until": reservation.expires_at.timestamp() if held and reservation.expires_at else None,
    }
