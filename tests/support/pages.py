"""A site whose pages are read: a pool, packages, people, and the scheduler as the test drives it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session, contains_eager

from booking.adapters.null import NullProvisioner
from booking.allocator.cells import Granularity
from booking.allocator.limits import Limits
from booking.allocator.package import Package, Sharing, Size
from booking.allocator.resources import Resources
from booking.allocator.span import FOREVER, Span
from booking.app import context_of
from booking.models import AccountKind, Booking, Inventory, Reservation
from booking.scheduler import Scheduler
from booking.services import accounts, bookings, capacity, packages, waitlist
from booking.services.context import Actor, Context, actor_of
from booking.services.decision import BookingRequest
from tests.support.doors import START, TestClock
from tests.support.reader import Reader

SERVICE = Actor("", "set-up", AccountKind.SERVICE, 0, is_admin=True, limits=Limits())
POOL = "main"
PASSWORD = "correct horse"
DAY = START.replace(hour=0) + timedelta(days=1)
"""The Tuesday after the Monday morning at which the clock of a test stands, in London and in UTC."""


def at(hour: int, days: int = 0) -> datetime:
    """An hour of :data:`DAY`, or of a day after it."""
    return DAY + timedelta(days=days, hours=hour)


@dataclass(frozen=True)
class PageSite:
    """Everything a test of pages needs."""

    app: Flask
    clock: TestClock
    provisioner: NullProvisioner
    scheduler: Scheduler

    @property
    def ctx(self) -> Context:
        return context_of(self.app)

    def reader(self, name: str | None = None) -> Reader:
        """A new browser without scripts, signed in where a name is given."""
        reader = Reader(self.app)
        return reader.sign_in(name) if name else reader

    def actor(self, name: str) -> Actor:
        return self.ctx.db.read("actor", lambda s: actor_of(s, accounts.find(s, name)))

    def book(self, name: str, package: str, start: datetime, end: datetime, title: str = "") -> Booking:
        """A booking that somebody has made elsewhere."""
        request = BookingRequest(package, Sharing.RESERVED, (Span(start, end),), title=title)
        return bookings.book(self.ctx, self.actor(name), request, lambda _: {}).booking

    def want(self, name: str, package: str, start: datetime, end: datetime) -> None:
        """Somebody waits for what is taken."""
        request = BookingRequest(package, Sharing.RESERVED, (Span(start, end),))
        waitlist.add(self.ctx, self.actor(name), request)

    def rows(self, name: str) -> list[Reservation]:
        """Every reservation of an account, in order."""

        def read(session: Session) -> list[Reservation]:
            found = accounts.find(session, name)
            query = (
                select(Reservation)
                .join(Booking)
                .where(Booking.account_id == found.id)
                .options(contains_eager(Reservation.booking))
            )
            return list(session.scalars(query.order_by(Reservation.start, Reservation.id)).unique())

        return self.ctx.db.read("rows", read)

    def pass_time(self, by: timedelta) -> None:
        """Let time pass, and the scheduler do what is due then."""
        self.clock.advance(by)
        for _ in range(3):
            assert self.scheduler.tick()
            self.clock.advance(timedelta(seconds=1))

    def pass_until(self, moment: datetime) -> None:
        self.pass_time(moment - self.clock.now())


def make_page_site(app: Flask, zone: str = "Europe/London") -> PageSite:
    """The site of :mod:`tests.pages`."""
    ctx = context_of(app)
    clock = ctx.clock
    assert isinstance(clock, TestClock)
    provisioner = app.extensions["booking.provisioner"]()
    site = PageSite(app, clock, provisioner, Scheduler(ctx, provisioner, "test"))
    capacity.make_pool(ctx, SERVICE, capacity.NewPool(POOL, zone, Granularity.HOUR, share_ratio_milli=4000))
    whole = capacity.Holding(Span(START - timedelta(days=8, hours=9), FOREVER), Resources(8, 32768), "bought")
    capacity.edit(ctx, SERVICE, capacity.Edit(POOL, Inventory, None, whole))
    for name, cores in (("tiny", 1), ("small", 2), ("medium", 4), ("large", 8), ("custom", 2)):
        worker = Size(cores - 1, 2048 * (cores - 1))
        packages.publish(ctx, SERVICE, Package(name, 0, Size(1, 1024), worker))
    for name, level, is_admin in (("ada", 1, False), ("grace", 2, False), ("root", 2, True)):
        accounts.create(ctx, None, accounts.NewAccount(name, PASSWORD, level, is_admin))
    return site
