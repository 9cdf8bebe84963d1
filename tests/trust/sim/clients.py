"""The clients: they book, confirm, change and cancel, repeat what got no answer, and remember every answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from booking.allocator.cells import Granularity
from booking.allocator.package import Sharing
from booking.allocator.span import Span, minute_of
from booking.errors import NoCapacity
from booking.services import availability, bookings, changes
from booking.services.bookings import Idempotency
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest
from tests.trust.sim.doors import SimDb
from tests.trust.sim.hub import SECOND
from tests.trust.sim.promises import Answer, Promise
from tests.trust.sim.rows import Claim
from tests.trust.sim.site import PACKAGES
from tests.trust.sim.town import Town, rendered
from tests.trust.sim.waiters import Waiter

_SURELY = 23 * 3600 * SECOND
"""So long a key is kept, whatever the clocks say."""
_SKEW = timedelta(seconds=2)
"""More than any clock is ahead or behind."""


class Client:
    """One person at a keyboard."""

    def __init__(self, town: Town, actor: Actor, acts: int) -> None:
        self.town, self.actor, self.acts = town, actor, acts
        self.hub, self.dice = town.hub, town.hub.dice
        self.mine: list[Promise] = []

    def live(self) -> None:
        """Act at some of the town's moments."""
        for moment in sorted(self.dice.choices(self.town.moments, k=self.acts)):
            if moment > self.hub.micros:
                self.hub.sleep(moment - self.hub.micros)
            self.choose()()

    def choose(self) -> Callable[[], None]:
        if not [p for p in self.mine if p.answered and not p.cancel_asked] or self.dice.random() < 0.5:
            return self.book
        acts = [self.extend, self.cancel, self.look, self.meddle, self.mistake, self.repeat]
        return self.dice.choices(acts, [10, 6, 3, 1, 1, 2])[0]

    # -- booking --------------------------------------------------------------------------------

    def book(self) -> None:
        key = self.title()
        pool = self.dice.choice(self.town.pools)
        package, spans = self.dice.choice(sorted(PACKAGES)), self.spans()
        sharing = Sharing.SHARED if self.dice.random() < 0.35 else Sharing.RESERVED
        hold = timedelta(minutes=self.dice.randint(1, 20)) if self.dice.random() < 0.4 else None
        self.request(
            key, BookingRequest(package, sharing, spans, pool=pool, title=key, hold=hold), sharing.value
        )

    def request(self, key: str, wanted: BookingRequest, side: str) -> None:
        size = PACKAGES[wanted.package]
        promise = self.town.promises.ask(
            Promise(key, wanted.spans, str(wanted.pool), side, size, self.actor.id)
        )
        self.mine.append(promise)
        claims = [Claim(*span.minutes, side, size) for span in sorted(wanted.spans)]
        number = f"key-{len(self.mine)}"  # the same for everybody: keys belong to accounts
        promise.send = partial(self.send, promise, wanted, Idempotency(number, key), claims)
        if self.dice.random() < 0.15:  # an impatient finger, or a proxy that repeats
            self.hub.spawn(f"{self.actor.name} again", None, promise.send, self.dice.randrange(SECOND))
        promise.send()
        if promise.answered and wanted.hold is not None:
            act = self.confirm if self.dice.random() < 0.7 else self.watch
            self.hub.spawn(f"{self.actor.name} {act.__name__}", None, lambda: act(promise))

    def title(self) -> str:
        return f"{self.actor.name}-{len(self.mine)}"

    def send(self, promise: Promise, wanted: BookingRequest, key: Idempotency, claims: list[Claim]) -> None:
        answer = self.town.call(
            "book",
            lambda ctx: bookings.book(ctx, self.actor, wanted, rendered, key).answer,
            (str(wanted.pool), claims),
        )
        self.booked(promise, answer)
        if answer[0] == 422 and self._in_time(wanted):
            self.hub.violate("nothing is refused that is well-formed", f"{promise.key}: {answer[1]}")
        if answer == (409, NoCapacity.code) and not promise.waits and self.dice.random() < 0.8:
            promise.waits = True
            self.hub.spawn(f"{promise.key} waits", None, Waiter(self.town, self.actor, wanted).wait)

    def _in_time(self, wanted: BookingRequest) -> bool:
        """Whether the hour in which it begins is not over even now, so that it was not when it was decided."""
        begins = min(span.start for span in wanted.spans)
        over = next(edge for edge in self.town.edges if edge > begins)
        return over > self.hub.now + _SKEW

    def booked(self, promise: Promise, answer: Answer) -> None:
        if answer[0] == 201:
            promise.at = min(promise.at, self.hub.micros)
            if promise.answered is not None and promise.answered != answer[1]:
                self.hub.violate("the same key gives the same answer", promise.key)
            promise.answer(answer[1])
            got = sorted((r["start"], r["end"]) for r in answer[1]["reservations"])
            if got != sorted(span.minutes for span in promise.spans):
                self.hub.violate("what was asked is what is booked", f"{promise.key}: {got}")

    def spans(self) -> tuple[Span, ...]:
        edges, first = self.town.edges, self.town.hour()
        spans = []
        for _ in range(1 if self.dice.random() < 0.7 else self.dice.randint(2, 3)):
            start = first + self.dice.choice(self.town.begins)
            end = start + self.dice.choice((1, 1, 2, 2, 3, 4))
            if end >= len(edges):
                break
            spans.append(Span(edges[start], edges[end]))
            first = end
        return tuple(spans) or (Span(edges[-2], edges[-1]),)

    # -- what follows ----------------------------------------------------------------------------

    def left(self, promise: Promise) -> int:
        """The time until a hold expires."""
        assert promise.answered is not None
        expires_at = datetime.fromisoformat(promise.answered["reservations"][0]["expires_at"])
        return self.hub.micros_of(expires_at) - self.hub.micros

    def watch(self, promise: Promise) -> None:
        """Look at the calendar when a hold is over."""
        self.hub.sleep(max(self.left(promise) + self.dice.choice((0, SECOND)), 0))
        self.look()

    def confirm(self, promise: Promise) -> None:
        """Confirm a hold: at once, a little later, or at the very moment at which it expires."""
        assert promise.answered is not None
        left = self.left(promise)
        wait = self.dice.choice((0, left // 2, left - SECOND // 50, left, left, left, left + 1))
        self.hub.sleep(max(wait, 0))
        booking_id = promise.answered["id"]
        status, _ = self.town.call("confirm", lambda ctx: bookings.confirm(ctx, self.actor, booking_id).id)
        if status == 201 and not promise.cancel_asked:
            promise.confirmed = True

    def pick(self) -> Promise:
        """One of mine, more often one that has begun."""
        mine = [p for p in self.mine if p.answered and not p.cancel_asked]
        begun = [p for p in mine if min(p.spans).start <= self.hub.now < max(p.spans).end]
        return self.dice.choice(begun if begun and self.dice.random() < 0.7 else mine)

    def extend(self) -> None:
        """Move the end of one reservation, later or earlier."""
        promise = self.pick()
        assert promise.answered is not None
        reservation = self.dice.choice(promise.answered["reservations"])
        before = promise.ends[reservation["id"]]
        now = self.town.hour()
        at = sum(minute_of(edge) <= before for edge in self.town.edges) - 1
        end = self.town.edges[
            min(max(at + self.dice.choice((-2, -1, 1, 1, 2)), now + 1), len(self.town.edges) - 1)
        ]
        asking = None
        if minute_of(end) > before and not promise.maybe[reservation["id"]]:
            asking = (promise.pool, [Claim(before, minute_of(end), promise.side, promise.size)])
        self.change(promise, reservation["id"], end, asking)

    def change(
        self, promise: Promise, reservation_id: str, end: datetime, asking: tuple[str, list[Claim]] | None
    ) -> None:
        assert promise.answered is not None
        booking_id, minute = promise.answered["id"], minute_of(end)
        promise.maybe[reservation_id].add(minute)
        wanted = changes.Change(ends={reservation_id: end})
        seen = promise.revision if self.dice.random() < 0.5 else None
        status, revision = self.town.call(
            "change",
            lambda ctx: changes.change(ctx, self.actor, booking_id, wanted, seen).revision,
            asking,
        )
        if status == 201:
            promise.ends[reservation_id] = minute
            if seen is not None and revision != seen + 1:
                self.hub.violate("nothing is changed unseen", f"{promise.key}: {seen} became {revision}")
            promise.revision = revision

    def cancel(self) -> None:
        promise = self.pick()
        assert promise.answered is not None
        booking_id = promise.answered["id"]
        promise.cancel_asked = True
        status, _ = self.town.call("cancel", lambda ctx: bookings.cancel(ctx, self.actor, booking_id).id)
        if status == 201:
            promise.cancelled = True

    def meddle(self) -> None:
        """Try to cancel, confirm or move what belongs to somebody else: it is not there."""
        theirs = [p for p in self.town.promises.by_key.values() if p.answered and p.owner != self.actor.id]
        if not theirs:
            return
        answered = self.dice.choice(theirs).answered or {}
        end = self.town.edges[-1]
        wanted = changes.Change(ends={answered["reservations"][0]["id"]: end})
        acts: list[Callable[[Context], Any]] = [
            lambda ctx: bookings.cancel(ctx, self.actor, answered["id"]).id,
            lambda ctx: bookings.confirm(ctx, self.actor, answered["id"]).id,
            lambda ctx: changes.change(ctx, self.actor, answered["id"], wanted, None).id,
        ]
        status, _ = self.town.call("meddle", self.dice.choice(acts))
        if status != 404:
            self.hub.violate("what is somebody else's is not there", f"{answered['id']}: {status}")

    def mistake(self) -> None:
        """Use a key again for something else: it is refused."""
        number, promise = self.dice.choice(list(enumerate(self.mine, 1)))
        if promise.answered is None or self.hub.micros - promise.at > _SURELY:
            return
        wanted = BookingRequest("small", Sharing.SHARED, self.spans(), pool=self.town.pools[0], title="other")
        key = Idempotency(f"key-{number}", "another body")
        status, _ = self.town.call(
            "book", lambda ctx: bookings.book(ctx, self.actor, wanted, rendered, key).answer
        )
        if status != 422:
            self.hub.violate("a key stands for one request", f"{promise.key}: {status}")

    def repeat(self) -> None:
        """Send a request once more, long after it was answered."""
        promise = self.pick()
        if promise.send is not None and self.hub.micros - promise.at < _SURELY:
            promise.send()

    def look(self) -> None:
        """Look at the calendar, which warms the cache of one process."""
        edges, now = self.town.edges, self.town.hour()
        question = availability.Question(
            edges[now], edges[-1], pool=self.dice.choice(self.town.pools), granularity=Granularity.HOUR
        )

        def seen(ctx: Context) -> int:
            answer = availability.availability(ctx, question)
            assert isinstance(ctx.db, SimDb)
            ctx.db.answered(answer)
            return answer.pool.generation

        self.town.call("look", seen)
