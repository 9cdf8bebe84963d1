"""How the pages say instants, spans and amounts: in the pool's zone, an end at midnight as 24:00."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from booking.allocator.lifecycle import State
from booking.allocator.package import Package, Size
from booking.allocator.span import FOREVER

_MIB_PER_GIB = 1024


@dataclass(frozen=True)
class Wall:
    """The wall clock of one zone."""

    zone: ZoneInfo

    def at(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone)

    def day(self, instant: datetime) -> str:
        wall = self.at(instant)
        return f"{wall:%a} {wall.day} {wall:%b}"

    def clock(self, instant: datetime) -> str:
        return f"{self.at(instant):%H:%M}"

    def moment(self, instant: datetime) -> str:
        if instant >= FOREVER:
            return "until further notice"
        return f"{self.day(instant)} {self.clock(instant)}"

    def dated(self, instant: datetime) -> str:
        """A moment with its year."""
        if instant >= FOREVER:
            return "until further notice"
        wall = self.at(instant)
        return f"{wall.day} {wall:%b %Y %H:%M}"

    def end_day(self, instant: datetime) -> str:
        """The day an exclusive end belongs to: midnight ends the day before."""
        return self.day(instant - timedelta(minutes=1) if self._is_midnight(instant) else instant)

    def end_clock(self, instant: datetime) -> str:
        return "24:00" if self._is_midnight(instant) else self.clock(instant)

    def until(self, instant: datetime) -> str:
        """An exclusive end."""
        if instant >= FOREVER:
            return "until further notice"
        return f"{self.end_day(instant)} {self.end_clock(instant)}"

    def span(self, start: datetime, end: datetime) -> str:
        """A span; the day is said once where it is one."""
        first, last = self.day(start), self.end_day(end)
        if end < FOREVER and first == last and end - start < timedelta(days=2):
            return f"{first}, {self.clock(start)}–{self.end_clock(end)}"
        return f"{self.moment(start)} – {self.until(end)}"

    def offset(self, instant: datetime) -> str:
        text = f"{self.at(instant):%z}"
        return f"UTC{text[:3]}:{text[3:5]}"

    def _is_midnight(self, instant: datetime) -> bool:
        wall = self.at(instant)
        return wall.hour == 0 and wall.minute == 0


def memory(mib: int) -> str:
    """An amount of memory in the largest unit that keeps it short."""
    if mib % _MIB_PER_GIB and mib < 10 * _MIB_PER_GIB:
        return f"{mib} MiB" if mib < _MIB_PER_GIB else f"{mib / _MIB_PER_GIB:.1f} GiB".replace(".0 ", " ")
    return f"{round(mib / _MIB_PER_GIB):,} GiB"


def cores(count: int) -> str:
    return "1 core" if count == 1 else f"{count:,} cores"


def size(value: Size) -> str:
    return f"{cores(value.cores)}, {memory(value.memory_mib)}"


def demand(package: Package) -> str:
    """What one cluster of the package takes in all."""
    return f"{cores(package.demand.cores)}, {memory(package.demand.memory_mib)}"


def workers(package: Package) -> str:
    """The workers of a package, with how many there are where it is not one."""
    if not package.worker_count or not package.worker.cores:
        return "no workers"
    times = f"{package.worker_count} × " if package.worker_count != 1 else ""
    return times + size(package.worker)


def number(value: float) -> str:
    """A number without needless decimals."""
    return f"{value:,.0f}" if abs(value - round(value)) < 0.05 else f"{value:,.1f}"


def lasting(value: timedelta) -> str:
    """A length in days and hours."""
    minutes = round(value / timedelta(minutes=1))
    parts = [(minutes // 1440, "day"), (minutes % 1440 // 60, "hour"), (minutes % 60, "minute")]
    said = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in parts if count]
    return " ".join(said[:2]) or "0 minutes"


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


STATES = {
    State.HELD: "held for you",
    State.CONFIRMED: "booked",
    State.PREPARING: "being prepared",
    State.ACTIVE: "running",
    State.ENDING: "ending",
    State.ENDED: "ended",
    State.CANCELLED: "cancelled",
    State.EXPIRED: "hold expired",
    State.FAILED: "failed",
    State.PREEMPTED: "displaced",
}


def state(value: State) -> str:
    """A state as a person reads it."""
    return STATES[State(value)]


_ACTS = {
    "booking.made": "booked",
    "booking.held": "held",
    "booking.changed": "changed",
    "booking.shared": "shared",
    "booking.unshared": "no longer shared",
    "reservation.confirmed": "hold confirmed",
    "reservation.preparing": "the cluster is being made",
    "cluster.ready": "the cluster is ready",
    "cluster.lost": "the cluster was lost",
    "reservation.active": "running",
    "reservation.extended": "extended",
    "reservation.shortened": "shortened",
    "reservation.ends_soon": "warned that it ends soon",
    "reservation.ending": "the cluster is taken down",
    "reservation.ended": "gone",
    "reservation.cancelled": "cancelled",
    "reservation.expired": "the hold expired",
    "reservation.failed": "failed",
}


def act(action: str) -> str:
    """An action of the journal as a person reads it."""
    return _ACTS.get(action, action.replace(".", " ").replace("_", " "))


def sentence(text: str) -> str:
    """The text with its first letter upper, whatever follows."""
    return text[:1].upper() + text[1:]
