"""What the address of the calendar says: a view, a start, a pool, packages, a selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote_plus, urlencode

from dateutil.relativedelta import relativedelta
from werkzeug.datastructures import MultiDict

from booking.allocator.package import CUSTOM, Package, Sharing, Size
from booking.errors import Invalid
from booking.pages.language import gettext, marked
from booking.services.windows import known_zone

E = TypeVar("E", bound=StrEnum)
CUSTOM_FIELDS = ("notebook_cores", "notebook_memory_mib", "worker_cores", "worker_memory_mib")
_WEEKS = 10
_MOST_CORES, _MOST_MIB = 10**6, 10**9


class View(StrEnum):
    """How much time is shown, and how finely."""

    DAY = "day"
    WEEK = "week"
    HOURS = "hours"
    MONTH = "month"
    TEN_WEEKS = "10w"


LABELS = {
    View.DAY: marked("Day"),
    View.WEEK: marked("Week"),
    View.HOURS: marked("Hours"),
    View.MONTH: marked("Month"),
    View.TEN_WEEKS: marked("10 weeks"),
}


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def bounds(view: View, day: date) -> tuple[date, date]:
    """The first date of the view that holds a date, and the one after its last."""
    if view is View.DAY:
        return day, day + timedelta(days=1)
    if view is View.MONTH:
        first = day.replace(day=1)
        return first, first + relativedelta(months=1)
    weeks = _WEEKS if view is View.TEN_WEEKS else 1
    return monday(day), monday(day) + timedelta(weeks=weeks)


@dataclass(frozen=True)
class Selection:
    """Cells of one row that were chosen: from and until as the form writes them, `YYYY-MM-DDTHH:MM`."""

    package: str
    start: str
    end: str
    is_set: bool = False
    """Both ends were chosen; the next click begins anew."""

    @classmethod
    def parse(cls, text: str) -> Selection | None:
        parts = text.split("~")
        if len(parts) not in (3, 4) or not all(parts):
            return None
        return cls(parts[0], parts[1], parts[2], len(parts) == 4)

    def written(self) -> str:
        return "~".join([self.package, self.start, self.end, *(["set"] if self.is_set else [])])

    def joined(self, package: str, start: str, end: str) -> Selection:
        """What a click on a cell makes of this: the range up to it, or a new beginning."""
        if self.is_set or package != self.package:
            return Selection(package, start, end)
        return Selection(package, min(self.start, start), max(self.end, end), is_set=True)


@dataclass(frozen=True)
class Query:
    """The state of the calendar as its address carries it; what is None takes its default."""

    view: View = View.WEEK
    start: date | None = None
    pool: str | None = None
    sharing: Sharing | None = None
    packages: tuple[str, ...] = ()
    custom: Package | None = None
    zone: str | None = None
    """A second zone to say times in, beside the pool's."""
    select: Selection | None = None
    traits: tuple[str, ...] = ()
    """What the pool shall have."""

    def with_(self, **changes: object) -> Query:
        return replace(self, **changes)  # type: ignore[arg-type]

    def parameters(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        if self.view is not View.WEEK:
            found.append(("view", self.view))
        if self.start is not None:
            found.append(("start", self.start.isoformat()))
        if self.pool is not None:
            found.append(("pool", self.pool))
        if self.sharing is not None:
            found.append(("sharing", self.sharing))
        found += [("trait", name) for name in self.traits]
        found += [("package", name) for name in self.packages]
        if self.custom is not None:
            found += [(name, str(value)) for name, value in custom_numbers(self.custom).items()]
        if self.zone is not None:
            found.append(("timezone", self.zone))
        if self.select is not None:
            found.append(("select", self.select.written()))
        return found

    def url(self, **changes: object) -> str:
        """The address of the same calendar with some things different."""
        query = self.with_(**changes) if changes else self
        # `~` and `:` need no escape in a query; unescaped, a view of many cells is a third smaller.
        text = urlencode(query.parameters(), safe="~:")
        return f"/calendar?{text}" if text else "/calendar"


def written(*parts: str) -> str:
    """The parts of a selection as an address carries them; unescaped `~` and `:` make it a third shorter."""
    return "~".join(map(_escaped, parts))


@lru_cache(maxsize=4096)
def _escaped(text: str) -> str:
    return quote_plus(text, safe="~:")


def custom_numbers(package: Package) -> dict[str, int]:
    """The four numbers of a custom package by the names of the form."""
    values = (
        package.notebook.cores,
        package.notebook.memory_mib,
        package.worker.cores,
        package.worker.memory_mib,
    )
    return dict(zip(CUSTOM_FIELDS, values, strict=True))


def parse(args: MultiDict[str, str]) -> Query:
    """The query of an address.

    :raises Invalid: naming the parameter that is wrong.
    """
    names = tuple(dict.fromkeys(name for name in args.getlist("package") if name))
    select = args.get("select")
    return Query(
        view=one_of(View, "view", args.get("view")) or View.WEEK,
        start=read_date("start", args.get("start")),
        pool=args.get("pool") or None,
        sharing=one_of(Sharing, "sharing", args.get("sharing")),
        packages=names,
        custom=read_custom(args),
        zone=known_zone(args["timezone"]).key if args.get("timezone") else None,
        select=Selection.parse(select) if select else None,
        traits=tuple(dict.fromkeys(name for name in args.getlist("trait") if name)),
    )


def one_of(enum: type[E], name: str, text: str | None) -> E | None:
    """The member of that value, or None where nothing is said.

    :raises Invalid: if there is no such member.
    """
    if not text:
        return None
    try:
        return enum(text)
    except ValueError:
        raise Invalid({name: [gettext("is one of %(names)s", names=", ".join(enum))]}) from None


def read_date(name: str, text: str | None) -> date | None:
    """:raises Invalid: if the text is not a date between 1971 and 2199."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Invalid({name: [gettext("is a date such as 2030-01-31")]}) from None
    if not 1971 <= day.year < 2200:
        raise Invalid({name: [gettext("lies between the years 1971 and 2199")]})
    return day


def read_custom(args: Mapping[str, str]) -> Package | None:
    """A custom package from its four numbers, memory in MiB; None where none is given.

    :raises Invalid: if some are missing or not whole numbers.
    """
    if not any(args.get(name) for name in CUSTOM_FIELDS):
        return None
    errors: dict[str, list[str]] = {}
    values = []
    for name in CUSTOM_FIELDS:
        least = 1 if name.startswith("notebook") else 0
        most = _MOST_CORES if name.endswith("cores") else _MOST_MIB
        text = args.get(name, "").strip()
        if text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most:
            values.append(int(text))
        else:
            errors[name] = [gettext("is a whole number from %(least)s to %(most)s", least=least, most=most)]
    if errors:
        raise Invalid(errors)
    return Package(CUSTOM, 1, Size(values[0], values[1]), Size(values[2], values[3]))
