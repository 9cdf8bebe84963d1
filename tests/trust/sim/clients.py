"""The clients: they book, confirm, change and cancel, repeat what got no answer, and remember every answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from booking.allocator.cells import Granularity
from booking.allocator.package import Sharing
from booking.allocator.span import Span, minute_of
from booking.models import Booking
from booking.services import accounts, availability, bookings, changes, visitors
from booking.services.bookings import Idempotency
from booking.services.context import Actor, Context, actor_of
from booking.services.decision import BookingRequest
from tests.trust.sim.hub import SECOND, Hub
from tests.trust.sim.processes import Web
from tests.trust.sim.promises import Answer, Promise, Promises
from tests.trust.sim.rows import Claim
from tests.trust.sim.site import PACKAGES

_TRIES = 60
_FAULTS = (0, 503)
"""No answer, and an answer that says to come back."""


def rendered(booking: Booking) -> dict[str, Any]:
    """The body of a 201."""
    return {
        "id": booking.id,
        "reservations": [
            {
                "id": reservation.id,
                "start": minute_of(reservation.start),
                "end": minute_of(reservation.end),
                "expires_at": reservation.expires_at.isoformat() if reservation.expires_at else None,
            }
            for reservation in booking.reservations
        ],
    }


@dataclass
class Town:
    """What all clients know."""

    hub: Hub
    webs: list[Web]
    promises: Promises
    pools: tuple[str, ...]
    edges: list[datetime]
    """The edges of the hours of the run and of some after it."""
    moments: list[int]
    """When clients act: few moments, so that they meet."""

    def call(
        self, name: str, act: Callable[[Context], Any], asking: tuple[str, list[Claim]] | None = None
    ) -> Answer:
        """Send a request to some web process until there is an answer that is no fault."""
        dice = self.hub.dice
        answer: Answer = (0, None)
        for attempt in range(_TRIES):
            if attempt:
                self.hub.sleep(dice.randrange(1, 20) * SECOND // 2)
            answer = dice.choice(self.webs).ask(name, act, asking)
            said = answer[1] if isinstance(answer[1], dict | str) else ""
            self.hub.note(f"answer {name} {answer[0]} {said}")
            if answer[0] not in _FAULTS:
                return answer
        self.hub.violate("every request is answered in the end", name)
        return answer

    def hour(self) -> int:
        """The number of the current hour."""
        return max(sum(edge <= self.hub.now for edge in self.edges) - 1, 0)


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
        return self.dice.choices([self.extend, self.cancel, self.look], [5, 3, 1])[0]

    # -- booking --------------------------------------------------------------------------------

    def book(self) -> None:
        key = f"{self.actor.name}-{len(self.mine)}"
        pool = self.dice.choice(self.town.pools)
        package, spans = self.dice.choice(sorted(PACKAGES)), self.spans()
        sharing = Sharing.SHARED if self.dice.random() < 0.35 else Sharing.RESERVED
        hold = timedelta(minutes=self.dice.randint(1, 20)) if self.dice.random() < 0.3 else None
        self.request(
            key, BookingRequest(package, sharing, spans, pool=pool, title=key, hold=hold), sharing.value
        )

    def request(self, key: str, wanted: BookingRequest, side: str) -> None:
        size = PACKAGES[wanted.package]
        promise = self.town.promises.ask(Promise(key, wanted.spans, str(wanted.pool), side, size))
        self.mine.append(promise)
        claims = [Claim(*span.minutes, side, size) for span in sorted(wanted.spans)]
        idempotency = Idempotency(key, key)

        def send() -> None:
            answer = self.town.call(
                "book",
                lambda ctx: bookings.book(ctx, self.actor, wanted, rendered, idempotency).answer,
                (str(wanted.pool), claims),
            )
            self.booked(promise, answer)

        if self.dice.random() < 0.15:  # an impatient finger, or a proxy that repeats
            self.hub.spawn(f"{self.actor.name} again", None, send, self.dice.randrange(SECOND))
        send()
        if promise.answered and wanted.hold is not None:
            act = self.confirm if self.dice.random() < 0.7 else self.watch
            self.hub.spawn(f"{self.actor.name} {act.__name__}", None, lambda: act(promise))

    def booked(self, promise: Promise, answer: Answer) -> None:
        if answer[0] == 201:
            if promise.answered is not None and promise.answered != answer[1]:
                self.hub.violate("the same key gives the same answer", promise.key)
            promise.answer(answer[1])

    def spans(self) -> tuple[Span, ...]:
        edges, first = self.town.edges, self.town.hour()
        spans = []
        for _ in range(1 if self.dice.random() < 0.7 else self.dice.randint(2, 3)):
            start = first + self.dice.choice((0, 0, 1, 1, 2, 3, 4, 5))
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
        wait = self.dice.choice((0, left // 2, left - SECOND // 50, left, left, left + 1))
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
        status, _ = self.town.call(
            "change", lambda ctx: changes.change(ctx, self.actor, booking_id, wanted, None).id, asking
        )
        if status == 201:
            promise.ends[reservation_id] = minute

    def cancel(self) -> None:
        promise = self.pick()
        assert promise.answered is not None
        booking_id = promise.answered["id"]
        promise.cancel_asked = True
        status, _ = self.town.call("cancel", lambda ctx: bookings.cancel(ctx, self.actor, booking_id).id)
        if status == 201:
            promise.cancelled = True

    def look(self) -> None:
        """Look at the calendar, which warms the cache of one process."""
        edges, now = self.town.edges, self.town.hour()
        question = availability.Question(
            edges[now], edges[-1], pool=self.dice.choice(self.town.pools), granularity=Granularity.HOUR
        )
        self.town.call("look", lambda ctx: availability.availability(ctx, question).pool.generation)


class Guest(Client):
    """Somebody who gives it a try: an account without a name, one tiny cluster, and gone."""

    def live(self) -> None:
        for moment in sorted(self.dice.choices(self.town.moments, k=self.acts)):
            if moment > self.hub.micros:
                self.hub.sleep(moment - self.hub.micros)
            self.try_it()

    def try_it(self) -> None:
        status, actor = self.town.call("try", _try)
        if status != 201:
            return
        self.actor = actor
        edges, now = self.town.edges, self.town.hour()
        span = Span(edges[now], edges[min(now + self.dice.randint(1, 3), len(edges) - 1)])
        key = f"{actor.name}-0"
        self.request(
            key, BookingRequest("tiny", Sharing.SHARED, (span,), pool=self.town.pools[0], title=key), "level0"
        )
        if self.dice.random() < 0.5:
            self.hub.sleep(self.dice.randrange(7200) * SECOND)
            for promise in self.mine:
                promise.cancel_asked = True
            self.town.call("leave", lambda ctx: visitors.leave(ctx, actor))


def _try(ctx: Context) -> Actor:
    account = visitors.try_it(ctx)
    return ctx.db.read("actor", lambda session: actor_of(session, accounts.find(session, account.id)))
