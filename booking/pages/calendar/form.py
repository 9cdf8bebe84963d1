"""The booking form: what it shows, and the spans and request it stands for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from werkzeug.datastructures import MultiDict

from booking.allocator.cells import Granularity, cell_at
from booking.allocator.package import CUSTOM, Package, Sharing
from booking.allocator.recurrence import Pattern, Recurrence
from booking.allocator.recurrence import spans as spans_of
from booking.allocator.span import Span, merged
from booking.api.schemas.bookings import ADDRESS, ADDRESS_SAID
from booking.errors import Invalid
from booking.pages import hours
from booking.pages.calendar.query import Selection, one_of, read_custom, read_date
from booking.pages.language import gettext, marked
from booking.services.decision import BookingRequest

LONGEST_TITLE, LONGEST_URL = 200, 2000
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
REPEATS = {
    "once": marked("Once"),
    "nightly": marked("Every day or night"),
    "weekends": marked("Weekends"),
    "weekdays": marked("Chosen weekdays"),
}
_WEEKEND, _WORKING_DAYS = frozenset({5, 6}), frozenset(range(5))


@dataclass(frozen=True)
class Form:
    """What the fields hold; hours as the choices of :mod:`booking.pages.hours`."""

    package: str
    sharing: Sharing
    pool: str
    from_date: date
    from_hour: str
    until_date: date
    until_hour: str
    repeat: str = "once"
    weekdays: frozenset[int] = _WORKING_DAYS
    repeat_until: date | None = None
    repeat_count: int | None = None
    custom: Package | None = None
    title: str = ""
    notebook_url: str = ""
    group: str = ""

    def selected(self, chosen: Selection | None) -> Form:
        """The form filled from chosen cells; unchanged where they are no cells."""
        if chosen is None:
            return self
        try:
            start_day, _, start = chosen.start.partition("T")
            end_day, _, end = chosen.end.partition("T")
            first, last = date.fromisoformat(start_day), date.fromisoformat(end_day)
        except ValueError:
            return self
        return replace(
            self, package=chosen.package, from_date=first, from_hour=start, until_date=last, until_hour=end
        )

    def spans(self, zone: ZoneInfo) -> list[Span]:
        """The spans that the fields stand for.

        :raises Invalid: naming the field that is wrong.
        """
        if self.repeat == "once":
            return [self._once(zone)]
        try:
            found = spans_of(self._recurrence(), zone)
        except ValueError as error:
            name, _, fault = str(error).partition(": ")
            raise Invalid({_FIELDS.get(name, "repeat"): [fault]}) from None
        # Saturday and Sunday in full are one weekend with one cluster.
        return merged(found)

    def _once(self, zone: ZoneInfo) -> Span:
        start = hours.instant(zone, self.from_date, self.from_hour)
        end = hours.instant(zone, self.until_date, self.until_hour)
        if start is None or end is None:
            name = "from_hour" if start is None else "until_hour"
            raise Invalid({name: [gettext("that date has no such hour: the clocks change")]})
        if start >= end:
            raise Invalid({"until_date": [gettext("must be after the start")]})
        return Span(start, end)

    def _recurrence(self) -> Recurrence:
        weekdays = {"weekends": _WEEKEND, "weekdays": self.weekdays}.get(self.repeat, frozenset())
        return Recurrence(
            Pattern.WEEKLY if weekdays or self.repeat == "weekdays" else Pattern.DAILY,
            _time(self.from_hour),
            _time(self.until_hour),
            self.from_date,
            weekdays,
            None if self.repeat_count else self.repeat_until,
            self.repeat_count,
        )


_FIELDS = {
    "start_time": "from_hour",
    "end_time": "until_hour",
    "weekdays": "weekday",
    "until": "repeat_until",
    "count": "repeat_count",
    "first": "from_date",
}


def _time(choice: str) -> time:
    text = "00:00" if choice == hours.DAY_END else choice.removesuffix("/2")
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise Invalid({"from_hour": [gettext("is an hour such as 09:00")]}) from None


def blank(
    zone: ZoneInfo, now: datetime, granularity: Granularity, *, at_once: bool
) -> tuple[date, str, date, str]:
    """One cell, the next one; or `at_once` the present one and the next, for those who may not book ahead."""
    cell = cell_at(zone, now, granularity)
    following = cell_at(zone, cell.end, granularity)
    start = cell.start if at_once else following.start
    return (*hours.start_choice(zone, start), *hours.end_choice(zone, following.end))


def parse(args: MultiDict[str, str], usual: Form, zone: ZoneInfo) -> Form:
    """The form as it was sent, over what is usual.

    :raises Invalid: naming every field that is wrong.
    """
    errors: dict[str, list[str]] = {}

    def day(name: str, default: date | None) -> date | None:
        try:
            return read_date(name, args.get(name)) or default
        except Invalid as error:
            errors.update(error.errors)
            return default

    count = args.get("repeat_count", "").strip() if args.get("repeat_ends") != "date" else ""
    if count and not (count.isascii() and count.isdigit() and len(count) < 4):
        errors["repeat_count"] = [gettext("is a whole number")]
        count = ""
    repeat = args.get("repeat") or "once"
    if repeat not in REPEATS:
        errors["repeat"] = [gettext("is one of %(names)s", names=", ".join(REPEATS))]
    from_date = day("from_date", usual.from_date) or usual.from_date
    form = replace(
        usual,
        package=args.get("package") or usual.package,
        sharing=one_of(Sharing, "sharing", args.get("sharing")) or usual.sharing,
        from_date=from_date,
        from_hour=args.get("from_hour") or usual.from_hour,
        until_date=day("until_date", from_date) or from_date,
        until_hour=args.get("until_hour") or usual.until_hour,
        repeat=repeat,
        weekdays=frozenset(WEEKDAYS.index(name) for name in args.getlist("weekday") if name in WEEKDAYS)
        if "repeat" in args
        else usual.weekdays,
        repeat_until=day("repeat_until", None),
        repeat_count=int(count) if count else None,
        custom=read_custom(args) or usual.custom,
        title=_text(args, "title", LONGEST_TITLE, errors),
        notebook_url=_address(args, "notebook_url", errors),
        group=args.get("group", ""),
    )
    if errors:
        raise Invalid(errors)
    return form


def _text(args: MultiDict[str, str], name: str, longest: int, errors: dict[str, list[str]]) -> str:
    text = args.get(name, "").strip()
    if len(text) > longest or "\0" in text or not all(c.isprintable() for c in text):
        errors[name] = [gettext("is one line of at most %(count)s characters", count=longest)]
        return ""
    return text


def _address(args: MultiDict[str, str], name: str, errors: dict[str, list[str]]) -> str:
    text = _text(args, name, LONGEST_URL, errors)
    if text and not re.fullmatch(ADDRESS, text):
        errors[name] = [ADDRESS_SAID]
    return text


def request_of(form: Form, spans: Sequence[Span], hold: timedelta | None = None) -> BookingRequest:
    """The request that a form stands for."""
    return BookingRequest(
        package=form.package,
        sharing=form.sharing,
        spans=tuple(spans),
        pool=form.pool,
        custom=form.custom if form.package == CUSTOM else None,
        title=form.title,
        notebook_url=form.notebook_url or None,
        group=form.group or None,
        hold=hold,
    )
