"""A site for tests: a context over a migrated database, with people, a pool and packages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from booking.allocator.cells import Granularity
from booking.allocator.lifecycle import State
from booking.allocator.package import Package, Sharing, Size
from booking.allocator.policy import Limits
from booking.allocator.resources import Resources
from booking.allocator.span import EPOCH, FOREVER, Span
from booking.config import Settings
from booking.doors import Doors
from booking.models import AccountKind, Booking, Inventory, Pool, Reservation
from booking.services import accounts, bookings, capacity, packages
from booking.services.context import Actor, Context, actor_of
from booking.services.decision import BookingRequest

HOUR = timedelta(hours=1)
ROOT = Actor("", "root", AccountKind.SERVICE, 2, is_admin=True, limits=Limits())
"""The service itself: its acts are in nobody's name."""


def rendered(booking: Booking) -> dict[str, Any]:
    """The answer that is stored with an idempotency key in these tests."""
    return {"id": booking.id}


@dataclass
class Site:
    """Short names for the acts that tests do again and again."""

    ctx: Context
    people: dict[str, Actor] = field(default_factory=dict)

    def person(self, name: str, *, level: int = 2, admin: bool = False) -> Actor:
        """The account of that name, made at first use."""
        if name not in self.people:
            accounts.create(self.ctx, None, accounts.NewAccount(name, None, level, admin))
        self.people[name] = self.ctx.db.read(name, lambda s: actor_of(s, accounts.find(s, name)))
        return self.people[name]

    def pool(
        self,
        cores: int = 8,
        memory_mib: int = 32768,
        *,
        timezone: str = "UTC",
        granularity: Granularity = Granularity.HOUR,
        name: str = "pool",
        share_ratio_milli: int = 1000,
        reserve: Resources | None = None,
        start: datetime = EPOCH,
    ) -> Pool:
        """A pool with inventory until further notice; none if `cores` is 0."""
        new = capacity.NewPool(
            name,
            timezone,
            granularity,
            share_ratio_milli=share_ratio_milli,
            reserve=reserve or Resources(),
        )
        pool = capacity.make_pool(self.ctx, ROOT, new)
        if cores:
            self.add(name, Span(start, FOREVER), Resources(cores, memory_mib))
        return pool

    def add(self, pool: str, span: Span, amounts: Resources) -> str:
        """Inventory; its id."""
        wanted = capacity.Edit(pool, Inventory, None, capacity.Holding(span, amounts, "bought"))
        row = capacity.edit(self.ctx, ROOT, wanted).row
        assert row is not None
        return row.id

    def package(
        self, name: str, cores: int, memory_mib: int = 1024, *, lead: timedelta = timedelta(0)
    ) -> Package:
        """A package whose notebook takes one core and whose worker takes the rest."""
        worker = Size(cores - 1, memory_mib // 2)
        package = Package(name, 1, Size(1, memory_mib - memory_mib // 2), worker, 1, lead)
        packages.publish(self.ctx, ROOT, package)
        return package

    def book(
        self,
        who: Actor,
        package: str,
        *spans: Span,
        sharing: Sharing = Sharing.RESERVED,
        pool: str | None = None,
        hold: timedelta | None = None,
    ) -> Booking:
        """A booking, promised."""
        request = BookingRequest(package, sharing, spans, pool=pool, hold=hold)
        return bookings.book(self.ctx, who, request, rendered).booking

    def look(self, booking_id: str) -> Booking:
        """A booking as it is now."""

        def read(session: Session) -> Booking:
            booking = session.get_one(Booking, booking_id)
            for reservation in booking.reservations:
                assert reservation.cluster is None or reservation.cluster.reservation_id
            return booking

        return self.ctx.db.read("look", read)

    def only(self, booking_id: str) -> Reservation:
        """The one reservation of a booking."""
        (reservation,) = self.look(booking_id).reservations
        return reservation

    def states(self, booking_id: str) -> Sequence[State]:
        return [reservation.state for reservation in self.look(booking_id).reservations]


def make_site(doors: Doors, **settings: Any) -> Site:
    """A site over migrated doors."""
    return Site(Context(doors, Settings(**settings)))


def until(condition: Callable[[], bool], step: Callable[[], object], tries: int = 1000) -> None:
    """Step until the condition holds."""
    for _ in range(tries):
        if condition():
            return
        step()
    raise AssertionError("it never came to that")
