"""The text drawing of the calendar: `===` free, `---` not free, `[### ###]` yours.

    large  --- --- --- --- --- === ===
    medium === --- --- --- === === ===
    small  === === ---[### ###]=== ===
    tiny   === === === === === === ===
           Mon Tue Wed Thu Fri Sat Sun

Pure over an answer by the day and the spans that are yours: nothing is read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from booking.allocator.cells import Granularity
from booking.allocator.package import CUSTOM
from booking.allocator.span import Span
from booking.errors import Invalid
from booking.services.availability import Answer, Question, Row

FREE, TAKEN, YOURS = "===", "---", "###"
VIEWS = ("week", "month", "10w")
_DAYS_A_WEEK = 7
_WEEKS = 10


def window(view: str, day: date) -> tuple[date, date]:
    """The first date of the view that holds a date, and the one after its last; weeks begin on Monday.

    :raises Invalid: if there is no such view.
    """
    if view not in VIEWS:
        raise Invalid({"view": [f"is one of {', '.join(VIEWS)}"]})
    if view == "month":
        return day.replace(day=1), day.replace(day=1) + relativedelta(months=1)
    monday = day - timedelta(days=day.weekday())
    return monday, monday + timedelta(weeks=_WEEKS if view == "10w" else 1)


def question(view: str, day: date, pool: str | None = None) -> Question:
    """What to ask for, to draw that view."""
    first, last = window(view, day)
    return Question(first, last, pool=pool, granularity=Granularity.DAY)


def largest_first(rows: Iterable[Row]) -> list[Row]:
    """Rows as calendars show them: the largest package on top, custom at the end."""
    ordered = sorted(rows, key=lambda row: (row.package.demand.vector(), row.package.name), reverse=True)
    return sorted(ordered, key=lambda row: row.package.name == CUSTOM)


def draw(answer: Answer, mine: Mapping[str, Sequence[Span]]) -> str:
    """The drawing of an answer by the day; `mine` are your spans by package. It ends with a newline."""
    cells = answer.cells
    days = [start.astimezone(ZoneInfo(answer.timezone)).date() for start, _ in cells]
    rows = largest_first(answer.rows)
    width = max((len(row.package.name) for row in rows), default=0)
    lines = []
    for row in rows:
        yours = [_is_mine(mine.get(row.package.name, ()), start, end) for start, end in cells]
        marks = [
            YOURS if own else FREE if count > 0 else TAKEN
            for own, count in zip(yours, row.count, strict=True)
        ]
        lines.append(f"{row.package.name:{width}}{_joined(marks, yours)}")
    return "\n".join([*lines, *_labels(days, width)]) + "\n"


def _is_mine(spans: Sequence[Span], start: datetime, end: datetime) -> bool:
    return any(span.start < end and start < span.end for span in spans)


def _joined(marks: Sequence[str], yours: Sequence[bool]) -> str:
    """The cells with brackets around each run of yours, in the columns that separate them."""
    text, before = "", False
    for mark, own in zip(marks, yours, strict=True):
        text += "[" if own and not before else "]" if before and not own else " "
        text += mark
        before = own
    return text + ("]" if before else "")


def _labels(days: Sequence[date], width: int) -> list[str]:
    """The names of the days; past a week also their numbers, and the months where they begin."""
    named = [[f"{day:%a}" for day in days]]
    if len(days) > _DAYS_A_WEEK:
        named.append([f"{day.day:>3}" for day in days])
        named.append([f"{day:%b}" if day.day == 1 or index == 0 else "   " for index, day in enumerate(days)])
    return [f"{'':{width}} {' '.join(names)}".rstrip() for names in named]
