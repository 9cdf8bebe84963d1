"""What a calendar is drawn from, read in one transaction: who has the same may be shown the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from booking.allocator.cells import day_start
from booking.allocator.limits import Limits
from booking.allocator.span import Span
from booking.pages.calendar.query import Query, View, bounds
from booking.services import groups, holds, marks, mine
from booking.services.context import Actor, Context
from booking.services.marks import Mark, PoolName

QUARTER = 15
"""Minutes: in every zone of today an hour begins on a quarter, so within one a calendar looks the same."""


class Viewer(NamedTuple):
    """Everything about who looks that a calendar depends on."""

    limits: Limits
    draws: bool
    """Whether what is free for them comes out of the standing reservation for level 0."""
    own: tuple[mine.Own, ...]
    """What they have themselves in this time."""
    groups: tuple[str, ...]
    """The groups that they may book for."""


@dataclass(frozen=True)
class Basis:
    """Everything that the HTML of a calendar depends on; equal ones are drawn once."""

    asked: Query
    mark: Mark
    pools: tuple[PoolName, ...]
    now: datetime
    """The beginning of the present quarter of an hour."""
    viewer: Viewer | None
    """None where nobody is signed in."""

    @property
    def zone(self) -> ZoneInfo:
        return self.mark.zone

    @property
    def limits(self) -> Limits:
        return self.viewer.limits if self.viewer else Limits()

    @property
    def own(self) -> tuple[mine.Own, ...]:
        return self.viewer.own if self.viewer else ()

    @property
    def start(self) -> date:
        return self.asked.start or self.now.astimezone(self.zone).date()

    @property
    def title(self) -> str:
        """The time that is shown, as people write it."""
        first, after = bounds(self.asked.view, self.start)
        last = after - timedelta(days=1)
        if self.asked.view is View.DAY:
            return f"{first:%A} {first.day} {first:%B %Y}"
        if self.asked.view is View.MONTH:
            return f"{first:%B %Y}"
        if first.year != last.year:
            return f"{first.day} {first:%b %Y} – {last.day} {last:%b %Y}"
        if first.month != last.month:
            return f"{first.day} {first:%b} – {last.day} {last:%b %Y}"
        return f"{first.day} – {last.day} {last:%B %Y}"

    @property
    def tag(self) -> str:
        """Changes when the calendar would look different; the same in every process."""
        viewer = None
        if self.viewer is not None:
            viewer = self.viewer._replace(limits=Limits()), sorted(self.limits.as_dict().items(), key=str)
        return self.mark.tag(self.pools, self.now, viewer)[:16]


def basis(ctx: Context, actor: Actor | None, asked: Query) -> Basis:
    """What the calendar that somebody asks for is drawn from.

    :raises NotFound: if there is no such pool, or none at all.
    :raises Forbidden: if a token may not read what is its account's own, which stands in every calendar.
    """
    if actor is not None:
        actor.require("bookings:read")
    now = ctx.clock.now()
    quarter = now.replace(minute=now.minute - now.minute % QUARTER, second=0, microsecond=0)

    def read(session: Session) -> Basis:
        mark = marks.read(session, asked.pool, now)
        found = Basis(asked, mark, tuple(marks.names(session)), quarter, None)
        if actor is None:
            return found
        first, after = bounds(asked.view, found.start)
        span = Span(day_start(mark.zone, first), day_start(mark.zone, after))
        own = tuple(mine.within(session, actor, mark.id, span, now))
        names = tuple(groups.bookable(session, actor))
        return replace(found, viewer=Viewer(actor.limits, mark.draws(actor), own, names))

    return holds.reading(ctx.reader, "calendar", read)
