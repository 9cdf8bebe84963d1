"""How the pages say instants, spans and amounts: in the pool's zone, an end at midnight as 24:00.

All of it in the language of the page that is being made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from booking.allocator.lifecycle import State
from booking.allocator.package import Package, Size
from booking.allocator.span import FOREVER
from booking.pages.language import current, dated, gettext, length, marked, ngettext
from booking.pages.language import number as separated

_MIB_PER_GIB = 1024
_TENTHS_BELOW = 10


@dataclass(frozen=True)
class Wall:
    """The wall clock of one zone."""

    zone: ZoneInfo

    def at(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone)

    def day(self, instant: datetime) -> str:
        return dated(self.at(instant).date(), "EEE d MMM")

    def clock(self, instant: datetime) -> str:
        return f"{self.at(instant):%H:%M}"

    def moment(self, instant: datetime) -> str:
        if instant >= FOREVER:
            return gettext("until further notice")
        return f"{self.day(instant)} {self.clock(instant)}"

    def dated(self, instant: datetime) -> str:
        """A moment with its year."""
        return _dated(self, instant.astimezone(UTC), current())

    def end_day(self, instant: datetime) -> str:
        """The day an exclusive end belongs to: midnight ends the day before."""
        return self.day(instant - timedelta(minutes=1) if self._is_midnight(instant) else instant)

    def end_clock(self, instant: datetime) -> str:
        return "24:00" if self._is_midnight(instant) else self.clock(instant)

    def until(self, instant: datetime) -> str:
        """An exclusive end."""
        if instant >= FOREVER:
            return gettext("until further notice")
        return f"{self.end_day(instant)} {self.end_clock(instant)}"

    def span(self, start: datetime, end: datetime) -> str:
        """A span; the day is said once where it is one."""
        return _spanned(self, start.astimezone(UTC), end.astimezone(UTC), current())

    def offset(self, instant: datetime) -> str:
        text = f"{self.at(instant):%z}"
        return f"UTC{text[:3]}:{text[3:5]}"

    def _is_midnight(self, instant: datetime) -> bool:
        wall = self.at(instant)
        return wall.hour == 0 and wall.minute == 0


# A page says the same moments again and again, in its table and for who hears it; a board every half minute.
# They are in UTC here: of two that a zone tells alike, when its clocks go back, one would stand for the other.
@lru_cache(maxsize=4096)
def _dated(wall: Wall, instant: datetime, _language: str) -> str:
    if instant >= FOREVER:
        return gettext("until further notice")
    at = wall.at(instant)
    return dated(at.date(), "d MMM y") + f" {at:%H:%M}"


@lru_cache(maxsize=4096)
def _spanned(wall: Wall, start: datetime, end: datetime, _language: str) -> str:
    first, last = wall.day(start), wall.end_day(end)
    if end < FOREVER and first == last and end - start < timedelta(days=2):
        return f"{first}, {wall.clock(start)}–{wall.end_clock(end)}"
    return f"{wall.moment(start)} – {wall.until(end)}"


def memory(mib: int) -> str:
    """An amount of memory in the largest unit that keeps it short."""
    if mib % _MIB_PER_GIB and mib < _MIB_PER_GIB:
        return f"{mib} MiB"
    gib = mib / _MIB_PER_GIB
    tenths = gib < _TENTHS_BELOW and round(gib * 10) % 10
    return f"{separated(gib, 1 if tenths else 0)} GiB"


def cores(count: int) -> str:
    return ngettext("%(count)s core", "%(count)s cores", count)


def gpus(count: int) -> str:
    return ngettext("%(count)s GPU", "%(count)s GPUs", count)


def size(value: Size) -> str:
    return f"{cores(value.cores)}, {memory(value.memory_mib)}"


def demand(package: Package) -> str:
    """What one cluster of the package takes in all."""
    return f"{cores(package.demand.cores)}, {memory(package.demand.memory_mib)}"


def workers(package: Package) -> str:
    """The workers of a package, with how many there are where it is not one."""
    if not package.worker_count or not package.worker.cores:
        return gettext("no workers")
    times = f"{package.worker_count} × " if package.worker_count != 1 else ""
    return times + size(package.worker)


def number(value: float) -> str:
    """A number without needless decimals."""
    return separated(value, 0 if abs(value - round(value)) < 0.05 else 1)


def lasting(value: timedelta) -> str:
    """A length in days and hours."""
    minutes = round(value / timedelta(minutes=1))
    parts = [(minutes // 1440, "day"), (minutes % 1440 // 60, "hour"), (minutes % 60, "minute")]
    return " ".join([length(count, unit) for count, unit in parts if count][:2]) or length(0, "minute")


def spelt(value: timedelta) -> str:
    """A length with all that it has, down to seconds."""
    minutes, seconds = divmod(value.seconds, 60)
    parts = [(value.days, "day"), (minutes // 60, "hour"), (minutes % 60, "minute"), (seconds, "second")]
    return " ".join(length(count, unit) for count, unit in parts if count) or gettext("no time")


STATES = {
    State.HELD: marked("held for you"),
    State.CONFIRMED: marked("booked"),
    State.PREPARING: marked("being prepared"),
    State.ACTIVE: marked("running"),
    State.ENDING: marked("ending"),
    State.ENDED: marked("ended"),
    State.CANCELLED: marked("cancelled"),
    State.EXPIRED: marked("hold expired"),
    State.FAILED: marked("failed"),
    State.PREEMPTED: marked("displaced"),
}


def state(value: State) -> str:
    """A state as a person reads it."""
    return gettext(STATES[State(value)])


_ACTS = {
    "booking.made": marked("booked"),
    "booking.held": marked("held"),
    "booking.offered": marked("held for you from the waiting list"),
    "booking.changed": marked("changed"),
    "booking.shared": marked("shared"),
    "booking.unshared": marked("no longer shared"),
    "reservation.confirmed": marked("hold confirmed"),
    "reservation.preparing": marked("the cluster is being made"),
    "pledge.made": marked("the platform has set it aside"),
    "pledge.refused": marked("the platform refuses it"),
    "pledge.lost": marked("the platform no longer has it set aside"),
    "pledge.broken": marked("the platform cannot keep it"),
    "pledge.released": marked("given back to the platform"),
    "cluster.ready": marked("the cluster is ready"),
    "cluster.lost": marked("the cluster was lost"),
    "reservation.active": marked("running"),
    "reservation.extended": marked("extended"),
    "reservation.shortened": marked("shortened"),
    "reservation.ends_soon": marked("warned that it ends soon"),
    "reservation.ending": marked("the cluster is taken down"),
    "reservation.ended": marked("gone"),
    "reservation.cancelled": marked("cancelled"),
    "reservation.expired": marked("the hold expired"),
    "reservation.failed": marked("failed"),
}


def act(action: str) -> str:
    """An action of the journal as a person reads it."""
    known = _ACTS.get(action)
    return gettext(known) if known else action.replace(".", " ").replace("_", " ")


_WORDS = {
    "shared": marked("shared"),
    "reserved": marked("reserved"),
    "custom": marked("custom"),
    "inventory": marked("inventory"),
    "blackout": marked("blackout"),
    "reader": marked("reader"),
    "writer": marked("writer"),
    "admin": marked("admin"),
    "day": marked("day"),
    "week": marked("week"),
    "month": marked("month"),
    "person": marked("person"),
    "service": marked("service"),
    "anonymous": marked("anonymous"),
    "wanted": marked("asked for"),
    "refused": marked("refused"),
    "pending": marked("set aside"),
    "active": marked("in use"),
    "broken": marked("broken"),
}


def word(value: str) -> str:
    """A value of the API as a person reads it."""
    return gettext(_WORDS[value]) if value in _WORDS else value


_FIELDS = {
    "package": marked("Package"),
    "sharing": marked("Sharing"),
    "from_date": marked("From date"),
    "from_hour": marked("From hour"),
    "until_date": marked("Until date"),
    "until_hour": marked("Until hour"),
    "repeat": marked("Repeat"),
    "repeat_count": marked("Repeat count"),
    "repeat_until": marked("Repeat until"),
    "weekday": marked("Weekday"),
    "group": marked("Group"),
    "title": marked("Title"),
    "notebook_url": marked("Notebook url"),
    "notebook_cores": marked("Notebook cores"),
    "notebook_memory_mib": marked("Notebook memory mib"),
    "worker_cores": marked("Worker cores"),
    "worker_memory_mib": marked("Worker memory mib"),
    "span": marked("Span"),
    "spans": marked("Spans"),
    "start": marked("Start"),
}


def field(name: str) -> str:
    """What the form calls a field; of a dotted name the first part."""
    first = name.split(".", maxsplit=1)[0]
    return gettext(_FIELDS[first]) if first in _FIELDS else sentence(first.replace("_", " "))


def sentence(text: str) -> str:
    """The text with its first letter upper, whatever follows."""
    return text[:1].upper() + text[1:]
