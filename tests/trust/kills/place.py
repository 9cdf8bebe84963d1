"""An installation to kill: a database, a home, somebody who books, and what must hold of it at any time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from booking import migrate
from booking.doors import Clock, Db, Doors, SystemIds, open_engine
from booking.models import Booking, Journal
from booking.services import setup, tokens
from booking.services.context import Actor
from booking.services.verify import differences
from tests.support.site import Site, make_site

PACKAGE = "pair"
SCOPES = ["bookings:read", "bookings:write"]


@dataclass(frozen=True)
class Place:
    """Where the acts happen."""

    home: Path
    url: str
    site: Site
    person: Actor
    token: str

    def leave(self) -> None:
        """Let go of the database, so that nobody but the victim is connected."""
        self.site.ctx.db.engine.dispose()

    def wrong(self) -> list[str]:
        """What `booking verify` finds."""
        return differences(self.site.ctx)

    def titled(self, title: str) -> list[str]:
        """The ids of the bookings of that title."""
        query = select(Booking.id).where(Booking.title == title)
        return self.site.ctx.db.read("titled", lambda session: list(session.scalars(query)))

    def told(self, booking_id: str, action: str) -> int:
        """How often the journal says that this was done to a booking."""
        query = select(func.count()).select_from(Journal)
        query = query.where(Journal.subject == f"booking:{booking_id}", Journal.action == action)
        return self.site.ctx.db.read("told", lambda session: session.scalar(query) or 0)


@contextmanager
def place(home: Path, url: str, clock: Clock) -> Iterator[Place]:
    """A new installation with a roomy pool, in an empty database."""
    home.mkdir(parents=True, exist_ok=True)
    engine = open_engine(url)
    migrate.upgrade(engine)
    site = make_site(Doors(clock, SystemIds(), Db(engine, clock)), home=home, database_url=url)
    site.pool(40_000, 40_000_000)
    site.package(PACKAGE, 2)
    person = site.person("service", admin=True)
    setup.bare(site.ctx)
    token = tokens.make(site.ctx, None, "service", SCOPES)
    try:
        yield Place(home, url, site, person, token.secret)
    finally:
        engine.dispose()
