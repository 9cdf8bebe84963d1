"""What a calendar is drawn from: who has the same may be shown the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from booking.allocator.cells import day_start
from booking.allocator.limits import Limits
from booking.allocator.span import Span
from booking.pages.calendar.query import Query, View, bounds
from booking.pages.language import current, dated
from booking.services import groups, marks, mine
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
    language: str

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
            return dated(first, "EEEE d MMMM y")
        if self.asked.view is View.MONTH:
            return dated(first, "MMMM y")
        if first.year != last.year:
            said = dated(first, "d MMM y"), dated(last, "d MMM y")
        elif first.month != last.month:
            said = dated(first, "d MMM"), dated(last, "d MMM y")
        else:
            said = dated(first, "d"), dated(last, "d MMMM y")
        return " – ".join(said)

    @property
    def tag(self) -> str:
        """Changes when the calendar would look different; the same in every process."""
        viewer = None
        if self.viewer is not None:
            viewer = self.viewer._replace(limits=Limits()), sorted(self.limits.as_dict().items(), key=str)
        return self.mark.tag(self.pools, self.now, viewer, self.language)[:16]


def basis(ctx: Context, actor: Actor | None, asked: Query) -> Basis:
    """What the calendar that somebody asks for is drawn from.

    :raises NotFound: if there is no such pool, or none at all.
    :raises Forbidden: if a token may not read what is its account's own, which stands in every calendar.
    """
    if actor is not None:
        actor.require("bookings:read")
    now, language = ctx.clock.now(), current()
    quarter = now.replace(minute=now.minute - now.minute % QUARTER, second=0, microsecond=0)

    ctx = ctx.reader
    pools = marks.listed(ctx)
    mark = marks.current(ctx, _pool_of(asked, pools))
    found = Basis(asked, mark, pools, quarter, None, language)
    if actor is None:
        return found
    first, after = bounds(asked.view, found.start)
    span = Span(day_start(mark.zone, first), day_start(mark.zone, after))

    def read(session: Session) -> Viewer:
        own = tuple(mine.within(session, actor, mark.id, span, now))
        return Viewer(actor.limits, mark.draws(actor), own, tuple(groups.bookable(session, actor)))

    return replace(found, viewer=ctx.db.read("calendar", read))


def _pool_of(asked: Query, pools: Sequence[PoolName]) -> str | None:
    """The pool that was asked for, unless it lacks a chosen trait and another has all."""
    fit = [pool for pool in pools if pool.has(asked.traits)]
    if not asked.traits or not fit or any(asked.pool in (pool.id, pool.name) for pool in fit):
        return asked.pool
    return fit[0].id
