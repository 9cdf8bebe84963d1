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
from booking.allocator.span import floor_minute, instant_of, minute_of
from booking.pages import hours
from booking.pages.calendar import grid
from booking.pages.calendar.basis import Basis, basis
from booking.pages.calendar.cells import Grid, Mine
from booking.pages.calendar.form import Form, blank
from booking.pages.calendar.query import LABELS, Query, View, bounds, custom_numbers, monday
from booking.pages.calendar.ribbon import Columns, Ribbon, ribbon
from booking.pages.language import gettext
from booking.pages.words import Wall
from booking.services import availability, drawing, marks, mine, packages
from booking.services.context import Actor, Context
from booking.services.exact import exact_timeline
from booking.services.marks import Mark, PoolName

OFFERED = (Sharing.RESERVED, Sharing.SHARED)
"""The ways of sharing that a person may choose, the usual first."""
MORNING = "09:00"
"""From when on something is proposed on a day that somebody looks at ahead of time."""


@dataclass(frozen=True)
class Link:
    """Somewhere to go from here."""

    label: str
    href: str
    is_here: bool = False


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
    ribbon: Ribbon | None
    """What exists and what is reserved, on the columns of the grid."""

    @property
    def wall(self) -> Wall:
        return Wall(self.site.zone)

    @property
    def also(self) -> Wall | None:
        """The wall clock of a second zone that the reader has asked for, where it tells another time."""
        zone = self.query.zone
        return Wall(ZoneInfo(zone)) if zone and zone != self.site.zone.key else None

    @property
    def title(self) -> str:
        return self.basis.title

    @property
    def pools(self) -> Sequence[PoolName]:
        """Those that have what was chosen, or all if none has."""
        return [pool for pool in self.basis.pools if pool.has(self.query.traits)] or self.basis.pools

    @property
    def traits(self) -> Sequence[str]:
        """What may be chosen: whatever some pools have and others have not."""
        every = [set(pool.traits) for pool in self.basis.pools]
        return sorted(set[str]().union(*every) - every[0].intersection(*every))

    @property
    def is_without(self) -> bool:
        """Whether no pool has all of what was chosen."""
        return not any(pool.has(self.query.traits) for pool in self.basis.pools)

    @property
    def own(self) -> Sequence[mine.Own]:
        return self.basis.own

    @property
    def offsets(self) -> str:
        """The offset of the zone; both where the clocks change in between."""
        first, after = bounds(self.query.view, self.start)
        said = [self.wall.offset(day_start(self.site.zone, day)) for day in (first, after)]
        return gettext(" then ").join(dict.fromkeys(said))

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
            Link(gettext(label), self.query.url(view=view, start=keep, select=None), view is self.query.view)
            for view, label in LABELS.items()
        ]

    @property
    def jumps(self) -> list[Link]:
        today = self.today
        following = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
        places = (
            (gettext("Today"), View.DAY, today),
            (gettext("Tomorrow"), View.DAY, today + timedelta(days=1)),
            (gettext("Next week"), View.WEEK, monday(today) + timedelta(weeks=1)),
            (gettext("Next month"), View.MONTH, following),
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
        return Link(gettext("Earlier"), self.query.url(start=before, select=None))

    @property
    def later(self) -> Link:
        return Link(
            gettext("Later"), self.query.url(start=bounds(self.query.view, self.start)[1], select=None)
        )

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
    drawn = [Mine(o.booking_id, o.package, o.start, o.end, o.demand) for o in base.own]
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
        _ribbon(ctx, base, answer, drawn),
    )


def _ribbon(ctx: Context, base: Basis, answer: availability.Answer, drawn: Sequence[Mine]) -> Ribbon | None:
    """The ribbon; ten weeks have none, since their columns are weekdays."""
    if base.asked.view is View.TEN_WEEKS:
        return None
    first, after = bounds(base.asked.view, base.start)
    found = exact_timeline(ctx, base.mark.id, first, after)
    edges: Sequence[int] = answer.edges
    if base.asked.view not in (View.DAY, View.HOURS):
        dates = [first + timedelta(days=number) for number in range((after - first).days + 1)]
        edges = [minute_of(day_start(base.zone, day)) for day in dates]
    return ribbon(
        Columns(edges),
        found.segments,
        drawn,
        found.blackouts,
        Wall(base.zone),
        minute_of(floor_minute(base.now)),
    )


def _looked_at(query: Query, site: Site, now: datetime) -> datetime:
    """The moment after which a span is proposed: now, or just before the first morning that somebody looks at."""
    if query.start is None:
        return now
    choice = MORNING if site.pool.granularity is Granularity.HOUR else "00:00"
    morning, latest = hours.instant(site.zone, query.start, choice), site.latest_start(now)
    if morning is None or (latest is not None and morning > latest):
        return now
    return max(now, morning - timedelta(minutes=1))


def usual_form(query: Query, site: Site, sharing: Sharing, now: datetime) -> Form:
    """The form before anybody has touched it, or as a selection fills it."""
    names = [package.name for package in site.packages]
    wanted = query.packages[0] if query.packages else "small"
    package = wanted if wanted in names else names[0] if names else ""
    form = Form(
        package,
        sharing,
        site.pool.id,
        *blank(
            site.zone,
            _looked_at(query, site, now),
            site.pool.granularity,
            at_once=site.latest_start(now) == now,
        ),
        custom=query.custom or site.named(CUSTOM),
    )
    return form.selected(query.select)
