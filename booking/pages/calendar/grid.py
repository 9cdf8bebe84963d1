"""The grid as the templates draw it: rows of cells over days, over weeks, or over hours that are merged.

Everything is folded from one answer by the hour. What has gone by is past; the cell that holds the
present counts from the present hour on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import groupby
from zoneinfo import ZoneInfo

from booking.allocator.cells import Granularity, day_start
from booking.allocator.package import Package
from booking.allocator.span import instant_of, minute_of
from booking.pages import hours
from booking.pages.calendar.cells import Block, Cell, Column, Grid, Line, Mine
from booking.pages.calendar.labels import Labels, labels
from booking.pages.calendar.query import Query, View, bounds, written
from booking.pages.language import dated, gettext
from booking.pages.words import Wall
from booking.services.availability import Answer, Row

DAYS_A_WEEK = 7
HourState = tuple[str, bool, int]
"""The booking of mine it belongs to, whether it is past, and how many are free."""
_NARROW = 2


@dataclass(frozen=True)
class Day:
    """A local date of the grid: its hours in the answer, from the first that can still be booked."""

    date: date
    start: datetime
    end: datetime
    first: int
    last: int
    """Indexes of hours; where they are equal the day is over."""
    is_too_far: bool
    form_start: str
    form_end: str


@dataclass(frozen=True)
class Drawer:
    """What every cell is drawn from."""

    answer: Answer
    mine: Sequence[Mine]
    query: Query
    now: datetime
    latest: datetime | None = None
    """The last moment at which a booking may start, where a level sets one."""

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.answer.timezone)

    @cached_property
    def also(self) -> Wall | None:
        """The wall clock of the second zone, if one is asked for."""
        return Wall(ZoneInfo(self.query.zone)) if self.query.zone else None

    @cached_property
    def said(self) -> Labels:
        """What the cells say."""
        return labels()

    @cached_property
    def past(self) -> Cell:
        return Cell("past", "", self.said.past)

    @cached_property
    def too_far(self) -> Cell:
        return Cell("past far", "", self.said.far)

    @cached_property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def index(self, at: datetime) -> int:
        """The first hour that starts at or after an instant."""
        return bisect_left(self.answer.edges, minute_of(at))

    @cached_property
    def first_open(self) -> int:
        """The hour that holds the present: nothing before it can be booked."""
        minute = (self.now - datetime.fromtimestamp(0, self.now.tzinfo)) // timedelta(minutes=1)
        return max(0, bisect_left(self.answer.edges, minute + 1) - 1)

    def days(self, dates: Sequence[date]) -> list[Day]:
        return [self._day(day) for day in dates]

    def _day(self, day: date) -> Day:
        start, end = day_start(self.zone, day), day_start(self.zone, day + timedelta(days=1))
        first, last = max(self.index(start), self.first_open), self.index(end)
        opening = hours.starts(self.zone, day)[0].value
        is_too_far = False
        if first < last:
            begins = instant_of(self.answer.edges[first])
            is_too_far = self.latest is not None and begins > self.latest
            if day == self.today and self.answer.pool.granularity is Granularity.HOUR:
                opening = hours.start_choice(self.zone, begins)[1]
        return Day(day, start, end, first, last, is_too_far, f"{day}T{opening}", f"{day}T{hours.DAY_END}")

    def mine_in(self, package: str, start: datetime, end: datetime) -> list[Mine]:
        return [m for m in self.mine if m.package == package and m.start < end and start < m.end]

    @cached_property
    def _bare(self) -> str:
        """The address of this calendar up to where its selection, the last of its parameters, begins."""
        address = self.query.url(select=None)
        return f"{address}{'&' if '?' in address else '?'}select="

    def finished(self, cell: Cell, package: str) -> Cell:
        """The cell with its link, and whether it is selected."""
        if cell.booking_id or not cell.start:
            return cell
        chosen = self.query.select
        if chosen is None:
            return cell._replace(href=f"{self._bare}{written(package, cell.start, cell.end)}#book")
        inside = chosen.package == package and cell.start < chosen.end and chosen.start < cell.end
        after = chosen.joined(package, cell.start, cell.end)
        return cell._replace(href=self.query.url(select=after) + "#book", selected=inside)


def days_of(query: Query, start: date) -> list[date]:
    first, last = bounds(query.view, start)
    return [first + timedelta(days=n) for n in range((last - first).days)]


def draw(drawer: Drawer, days: Sequence[date], rows: Sequence[Row]) -> Grid:
    """The grid of those dates and packages, in the layout of the view."""
    view = drawer.query.view
    if view in (View.DAY, View.HOURS):
        return _by_hour(drawer, days, rows)
    if view is View.TEN_WEEKS:
        return _by_week(drawer, days, rows)
    slots = drawer.days(days)
    lines = [
        Line(
            row.package.name, sizes(row.package), row.package.name, [_day(drawer, row, day) for day in slots]
        )
        for row in rows
    ]
    return Grid(view, [_head(drawer, day, days) for day in days], [Block("", lines)], len(days))


def sizes(package: Package) -> str:
    """The size of a package in one short line."""
    demand = package.demand
    gib = demand.memory_mib / 1024
    return f"{demand.cores} c, {gib:.0f} GiB" if gib >= 1 else f"{demand.cores} c, {demand.memory_mib} MiB"


def _head(drawer: Drawer, day: date, days: Sequence[date]) -> Column:
    opens_month = day == days[0] or day.day == 1
    return Column(
        dated(day, "EEE"),
        str(day.day),
        dated(day, "MMM") if opens_month else "",
        day,
        gettext("Hours of %(day)s", day=dated(day, "EEEE d MMMM")),
        is_today=day == drawer.today,
        is_weekend=day.weekday() >= 5,
        is_past=day < drawer.today,
        href=drawer.query.url(view=View.DAY, start=day, select=None),
    )


def _day(drawer: Drawer, row: Row, day: Day) -> Cell:
    """One local day of one package."""
    own = drawer.mine_in(row.package.name, day.start, day.end) if drawer.mine else ()
    if own:
        return _own_day(drawer, own, day.start, day.end)
    if day.first >= day.last:
        return drawer.past
    if day.is_too_far:
        return drawer.too_far
    counts = row.count[day.first : day.last]
    whole, longest = min(counts), 0
    if whole > 0:
        return drawer.finished(_free(drawer, whole, day.form_start, day.form_end), row.package.name)
    if drawer.answer.pool.granularity is Granularity.HOUR:
        longest = _longest_run(counts)
    said = drawer.said.part(longest) if longest else drawer.said.none
    kind, text = ("part", f"{longest}h") if longest else ("none", "–")
    return drawer.finished(Cell(kind, text, said, day.form_start, day.form_end), row.package.name)


def _free(drawer: Drawer, count: int, start: str, end: str, columns: int = 1) -> Cell:
    plenty = 1 if count == 1 else 2 if count < 5 else 3
    text = str(count) if count < 100 else "99+"
    return Cell("free", text, drawer.said.free(count), start, end, columns, plenty=plenty)


def _own_day(drawer: Drawer, own: Sequence[Mine], start: datetime, end: datetime) -> Cell:
    wall = Wall(drawer.zone)
    whole = any(m.start <= start and end <= m.end for m in own)
    taken = sum((min(m.end, end) - max(m.start, start) for m in own), timedelta(0))
    text = "" if whole else f"{max(1, round(taken / timedelta(hours=1)))}h"
    said = ", ".join(wall.span(max(m.start, start), min(m.end, end)) for m in own)
    return Cell("mine", text, f"{drawer.said.mine}, {said}", booking_id=own[0].booking_id)


def _longest_run(counts: Sequence[int]) -> int:
    return max((len(list(run)) for free, run in groupby(count > 0 for count in counts) if free), default=0)


def _by_week(drawer: Drawer, days: Sequence[date], rows: Sequence[Row]) -> Grid:
    """One block a package, one row a week, Monday first."""
    slots = drawer.days(days)
    weeks = [slots[n : n + DAYS_A_WEEK] for n in range(0, len(slots), DAYS_A_WEEK)]
    blocks = []
    for row in rows:
        lines = []
        for week in weeks:
            cells = [_day(drawer, row, day) for day in week]
            monday = week[0].date
            opens_year = monday.year != days[0].year and monday.month == 1 and monday.day <= DAYS_A_WEEK
            name = dated(monday, "d MMM y") if opens_year else dated(monday, "d MMM")
            detail = gettext("week %(number)s", number=monday.isocalendar().week)
            lines.append(Line(name, detail, row.package.name, cells))
        blocks.append(Block(row.package.name if len(rows) > 1 else "", lines))
    dates = days[:DAYS_A_WEEK]
    heads = [Column("", dated(day, "EEE"), "", day, is_weekend=day.weekday() >= 5) for day in dates]
    return Grid(drawer.query.view, heads, blocks, DAYS_A_WEEK)


def _by_hour(drawer: Drawer, days: Sequence[date], rows: Sequence[Row]) -> Grid:
    """Hours; over a week, equal neighbours of a day are one cell."""
    every = 6 if drawer.query.view is View.HOURS else 1
    columns = [_hours_head(drawer, day, every) for day in days]
    lines = []
    for row in rows:
        cells = [
            cell for day in days for cell in _runs(drawer, row, day, merge=drawer.query.view is View.HOURS)
        ]
        lines.append(Line(row.package.name, sizes(row.package), row.package.name, cells))
    return Grid(drawer.query.view, columns, [Block("", lines)], sum(column.columns for column in columns))


def _hours_head(drawer: Drawer, day: date, every: int) -> Column:
    found = hours.starts(drawer.zone, day)
    labels = [hour.label[:2] if len(hour.label) == 5 else hour.label.replace(":00", "") for hour in found]
    marks = tuple((labels[index], min(every, len(found) - index)) for index in range(0, len(found), every))
    values = " ".join(hour.value for hour in found)
    head = _head(drawer, day, [day])
    return replace(head, columns=len(found), marks=marks, also=_also(drawer, found, every), hours=values)


def _also(drawer: Drawer, found: Sequence[hours.Hour], every: int) -> tuple[tuple[str, int], ...]:
    """The marks of the hours in the second zone; where it is off by half an hour they need twice the room."""
    if drawer.also is None:
        return ()
    clocks = [drawer.also.clock(hour.at).removesuffix(":00") for hour in found]
    every *= 2 if every > 1 and any(":" in clock for clock in clocks) else 1
    return tuple((clocks[n], min(every, len(found) - n)) for n in range(0, len(found), every))


def _runs(drawer: Drawer, row: Row, day: date, *, merge: bool) -> Iterator[Cell]:
    edges = hours.edges(drawer.zone, day)
    first, open_from = drawer.index(edges[0].at), drawer.first_open
    own = drawer.mine_in(row.package.name, edges[0].at, edges[-1].at) if drawer.mine else ()
    states: list[HourState] = []
    for offset in range(len(edges) - 1):
        owner = _owner(own, edges[offset].at, edges[offset + 1].at) if own else ""
        past = first + offset < open_from
        states.append((owner, past and not owner, 0 if owner or past else row.count[first + offset]))
    position = 0
    for state, length in _lengths(states, merge=merge):
        span = edges[position], edges[position + length]
        cell = _hours_cell(drawer, day, state, span, length, opens=not position)
        yield drawer.finished(cell, row.package.name)
        position += length


def _owner(own: Sequence[Mine], start: datetime, end: datetime) -> str:
    """Which of my bookings an hour belongs to."""
    return next((m.booking_id for m in own if m.start < end and start < m.end), "")


def _lengths(states: Sequence[HourState], *, merge: bool) -> Iterator[tuple[HourState, int]]:
    """Each state with how many hours in a row it holds; one by one where they are not merged."""
    if not merge:
        yield from ((state, 1) for state in states)
        return
    for state, group in groupby(states):
        yield state, len(list(group))


def _hours_cell(
    drawer: Drawer,
    day: date,
    state: HourState,
    span: tuple[hours.Hour, hours.Hour],
    length: int,
    *,
    opens: bool,
) -> Cell:
    booking_id, past, count = state
    words = drawer.said
    said = words.hours(span[0].label, span[1].label)
    form = f"{day}T{span[0].value}", f"{day}T{span[1].value}"
    if booking_id:
        return Cell("mine", "", f"{words.mine}, {said}", columns=length, booking_id=booking_id, opens=opens)
    if past:
        return Cell("past", "", f"{words.past}, {said}", columns=length, opens=opens)
    if count <= 0:
        return Cell(
            "none",
            "–" if _has_room(drawer, length) else "",
            f"{words.none}, {said}",
            *form,
            columns=length,
            opens=opens,
        )
    cell = _free(drawer, count, *form, columns=length)
    text = cell.text if _has_room(drawer, length) else ""
    return cell._replace(text=text, label=f"{cell.label}, {said}", opens=opens)


def _has_room(drawer: Drawer, length: int) -> bool:
    """Whether a run has room for a number: in a week of hours two hours have not."""
    return drawer.query.view is not View.HOURS or length > _NARROW
