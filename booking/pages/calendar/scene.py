"""Everything the calendar page shows, read through the services and put together once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from booking.allocator.cells import Granularity, day_start
from booking.allocator.durations import later
from booking.allocator.limits import Limits
from booking.allocator.package import CUSTOM, Package, Sharing
from booking.allocator.span import instant_of, minute_of
from booking.pages.calendar import grid
from booking.pages.calendar.basis import Basis, basis
from booking.pages.calendar.cells import Grid, Mine
from booking.pages.calendar.form import Form, blank
from booking.pages.calendar.query import LABELS, Query, View, bounds, custom_numbers, monday
from booking.pages.words import Wall
from booking.services import availability, drawing, marks, mine, packages
from booking.services.context import Actor, Context
from booking.services.marks import Mark, PoolName

OFFERED = (Sharing.RESERVED, Sharing.SHARED)
"""The ways of sharing that a person may choose, the usual first."""


@dataclass(frozen=True)
class Link:
    """Somewhere to go from here."""

    label: str
    href: str
    is_here: bool = False


@dataclass(frozen=True)
class Load:
    """How much of what exists on a day is reserved, in core-hours."""

    reserved: float
    physical: float

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.reserved / self.physical)) if self.physical else 0


@dataclass(frozen=True)
class Site:
    """What there is to book for somebody: a pool, packages of their level, ways of sharing."""

    pool: Mark
    packages: list[Package]
    sharings: list[Sharing]
    limits: Limits

    def latest_start(self, now: datetime) -> datetime | None:
        """The last moment at which a booking may start; None where any may."""
        ahead = self.limits.max_ahead
        return None if ahead is None else later(self.zone, now, ahead)

    @property
    def zone(self) -> ZoneInfo:
        return self.pool.zone

    def named(self, name: str) -> Package | None:
        return next((package for package in self.packages if package.name == name), None)


@dataclass(frozen=True)
class Scene:
    """The calendar as somebody sees it now."""

    basis: Basis
    query: Query
    site: Site
    sharing: Sharing
    start: date
    now: datetime
    answer: availability.Answer
    grid: Grid
    form: Form
    loads: list[Load]
    """By day, where a column is one."""

    @property
    def wall(self) -> Wall:
        return Wall(self.site.zone)

    @property
    def title(self) -> str:
        return self.basis.title

    @property
    def pools(self) -> Sequence[PoolName]:
        return self.basis.pools

    @property
    def own(self) -> Sequence[mine.Own]:
        return self.basis.own

    @property
    def offsets(self) -> str:
        """The offset of the zone; both where the clocks change in between."""
        first, after = bounds(self.query.view, self.start)
        said = [self.wall.offset(day_start(self.site.zone, day)) for day in (first, after)]
        return " then ".join(dict.fromkeys(said))

    @property
    def refresh(self) -> str:
        """Where the calendar looks whether it is still true."""
        address = self.query.url(start=self.start)
        return f"{address}&seen={self.basis.tag}"

    @property
    def reaches_too_far(self) -> bool:
        """Whether some of this time lies further ahead than the reader's level may book."""
        latest = self.site.latest_start(self.now)
        return latest is not None and instant_of(self.answer.edges[-2]) > latest

    @property
    def today(self) -> date:
        return self.now.astimezone(self.site.zone).date()

    @property
    def views(self) -> list[Link]:
        keep = self.start
        return [
            Link(label, self.query.url(view=view, start=keep, select=None), view is self.query.view)
            for view, label in LABELS.items()
        ]

    @property
    def jumps(self) -> list[Link]:
        today = self.today
        following = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
        places = (
            ("Today", View.DAY, today),
            ("Tomorrow", View.DAY, today + timedelta(days=1)),
            ("Next week", View.WEEK, monday(today) + timedelta(weeks=1)),
            ("Next month", View.MONTH, following),
        )
        return [
            Link(
                label,
                self.query.url(view=view, start=day, select=None),
                (view, day) == (self.query.view, bounds(self.query.view, self.start)[0]),
            )
            for label, view, day in places
        ]

    @property
    def earlier(self) -> Link:
        first, _ = bounds(self.query.view, self.start)
        before = bounds(self.query.view, first - timedelta(days=1))[0]
        if self.query.view is View.TEN_WEEKS:
            before = first - timedelta(weeks=10)
        return Link("Earlier", self.query.url(start=before, select=None))

    @property
    def later(self) -> Link:
        return Link("Later", self.query.url(start=bounds(self.query.view, self.start)[1], select=None))

    @property
    def custom(self) -> dict[str, int] | None:
        """The four numbers of the custom package in force, if it may be booked."""
        package = self.form.custom
        return custom_numbers(package) if package and self.site.named(CUSTOM) else None


def site_of(ctx: Context, actor: Actor | None, pool: str | None) -> Site:
    """What somebody may book in a pool.

    :raises NotFound: if there is no such pool, or none at all.
    """
    return _site(ctx, marks.current(ctx, pool), actor.limits if actor else Limits())


def _site(ctx: Context, mark: Mark, limits: Limits) -> Site:
    found = ctx.db.read("packages", packages.current)
    names, allowed = limits.packages, limits.sharing
    return Site(
        mark,
        [package for package in found if names is None or package.name in names],
        [sharing for sharing in OFFERED if allowed is None or sharing in allowed] or [Sharing.SHARED],
        limits,
    )


def _fitted(query: Query, site: Site) -> tuple[Query, list[Package], Package | None]:
    """The query without what is not there, the packages to draw, and the custom one in force."""
    custom = query.custom or site.named(CUSTOM)
    shown = [package for package in site.packages if package.name in query.packages] or site.packages
    if query.view is View.TEN_WEEKS and not query.packages:
        chosen = query.select.package if query.select else None
        shown = [site.named(chosen or "") or largest(site.packages)] if site.packages else []
    sharing = query.sharing if query.sharing in site.sharings else None
    names = tuple(package.name for package in shown) if query.packages else ()
    return query.with_(sharing=sharing, packages=names), shown, custom


def largest(found: Sequence[Package]) -> Package:
    """The largest package that is not custom, if there is one."""
    named = [package for package in found if package.name != CUSTOM] or list(found)
    return max(named, key=lambda package: package.demand.vector())


def scene(ctx: Context, actor: Actor | None, asked: Query, form: Form | None = None) -> Scene:
    """The calendar for somebody.

    :raises NotFound: if there is no such pool, or none at all.
    """
    return scene_of(ctx, actor, basis(ctx, actor, asked), form)


def scene_of(ctx: Context, actor: Actor | None, base: Basis, form: Form | None = None) -> Scene:
    """The calendar on a basis that has been read; of the actor nothing else counts."""
    site, now, start = _site(ctx, base.mark, base.limits), base.now, base.start
    query, shown, custom = _fitted(base.asked, site)
    sharing = query.sharing or site.sharings[0]
    days = grid.days_of(query, start)
    question = availability.Question(
        days[0],
        days[-1] + timedelta(days=1),
        pool=site.pool.id,
        granularity=Granularity.HOUR,
        packages=tuple(package.name for package in shown),
        custom=custom,
        sharing=sharing,
    )
    answer = availability.availability(ctx, question, actor)
    drawn = [Mine(o.booking_id, o.package, o.start, o.end) for o in base.own]
    drawer = grid.Drawer(answer, drawn, query, now, site.latest_start(now))
    return Scene(
        base,
        query,
        site,
        sharing,
        start,
        now,
        answer,
        grid.draw(drawer, days, drawing.largest_first(answer.rows)),
        form or usual_form(query, site, sharing, now),
        _loads(ctx, site, days) if actor and query.view in (View.WEEK, View.MONTH) else [],
    )


def _loads(ctx: Context, site: Site, days: Sequence[date]) -> list[Load]:
    """What is reserved and what exists, by day."""
    after = days[-1] + timedelta(days=1)
    segments = availability.timeline(ctx, site.pool.id, days[0], after).segments
    found = []
    for day in days:
        first = minute_of(day_start(site.zone, day))
        last = minute_of(day_start(site.zone, day + timedelta(days=1)))
        parts = [
            (min(s.end, last) - max(s.start, first), s) for s in segments if s.start < last and first < s.end
        ]
        reserved = sum(length * min(s.reserved[0], s.physical[0]) for length, s in parts)
        found.append(Load(reserved / 60, sum(length * s.physical[0] for length, s in parts) / 60))
    return found


def usual_form(query: Query, site: Site, sharing: Sharing, now: datetime) -> Form:
    """The form before anybody has touched it, or as a selection fills it."""
    names = [package.name for package in site.packages]
    wanted = query.packages[0] if query.packages else "small"
    package = wanted if wanted in names else names[0] if names else ""
    form = Form(
        package,
        sharing,
        site.pool.id,
        *blank(site.zone, now, site.pool.granularity, at_once=site.latest_start(now) == now),
        custom=query.custom or site.named(CUSTOM),
    )
    return form.selected(query.select)
