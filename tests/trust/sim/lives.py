"""What a reservation may do in its life, and what it must have been through by then."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from booking.config import Settings
from tests.trust.sim.outside import SimOutside
from tests.trust.sim.promises import Promises
from tests.trust.sim.rows import COUNTED, LIVE, Row, awaits_warning

_FOLLOWS = {
    "held": {"confirmed", "expired", "cancelled"},
    "confirmed": {"preparing", "cancelled", "failed"},
    "preparing": {"active", "ending"},
    "active": {"preparing", "ending"},
    "ending": {"ended", "cancelled", "failed", "preempted"},
}
_BEGINS = {"book": ("held", "confirmed"), "offer": ("held",)}
"""How a row begins, by the transaction that makes it."""
_SPAN_MOVERS = frozenset({"change", "cancel", "capacity", "leave", "end account"})
_MINUTE = 60_000_000
_LONGEST = 4 * 60
"""So many minutes level 0 may have something at once."""


class Lives:
    """Judges each change of a row; `now` is by the clock of who made it, in microseconds since the epoch."""

    def __init__(self, connection: sqlite3.Connection, settings: Settings, promises: Promises) -> None:
        self.connection, self.settings, self.promises = connection, settings, promises
        self.outside: SimOutside | None = None
        self.doubted: set[str] = set()
        """Clusters that may be there, or look as if they were not, without anybody's fault."""
        self._since: dict[str, int] = {}
        """Since when a reservation has been live."""
        self._ended_as: dict[str, str] = {}
        """What a reservation was when it began to end."""

    def faults(self, name: str, before: Row | None, row: Row, now: int) -> Iterator[tuple[str, str]]:
        """What is wrong with a change made by the transaction of that name."""
        yield from self._span(name, before, row, now)
        if before is None:
            if row.state not in _BEGINS.get(name, ()):
                yield "only legal states", f"{row.id} begins as {row.state}"
            return
        if row.state == before.state:
            return
        if row.state not in _FOLLOWS.get(before.state, set()):
            yield "only legal states", f"{row.id} goes from {before.state} to {row.state}"
        fault = self._untimely(name, before, row, now)
        if fault:
            yield "nothing happens before or after its time", f"{row.id} is {row.state}: {fault}"
        yield from self._ends(name, before, row, now)

    def _span(self, name: str, before: Row | None, row: Row, now: int) -> Iterator[tuple[str, str]]:
        if row.side == "level0" and row.end - row.start > _LONGEST and row.state in COUNTED:
            yield "no level has more than it may", f"{row.id} from {row.start} to {row.end}"
        if before is None:
            return
        if row.start != before.start or (row.end != before.end and name not in _SPAN_MOVERS):
            yield "only people move spans", row.id
        if row.end < before.end and row.state in LIVE and row.end * _MINUTE <= now:
            yield "nothing is given back while it runs", f"{row.id} ends at {row.end} and is {row.state}"

    def _ends(self, name: str, before: Row, row: Row, now: int) -> Iterator[tuple[str, str]]:
        if row.state == "preparing":
            self._since.setdefault(row.id, now)
        if row.state == "ending":
            self._ended_as[row.id] = before.state
        if row.state == "ended" and self._ended_as.get(row.id) != "active":
            yield "what never ran has not ended well", f"{row.id} was {self._ended_as.get(row.id)}"
        ended = (before.state, row.state, name) == ("active", "ending", "work")
        told = (before.end - self.settings.warning_minutes) * _MINUTE
        late = ended and not before.warned_at and self._since[row.id] < told
        if late and not awaits_warning(self.connection, row.id):  # it may have failed and been put off
            yield "owners are warned of the end", row.id
        if before.state == "ending":
            yield from self._gone(before, row)

    def _untimely(self, name: str, before: Row, row: Row, now: int) -> str | None:
        """What is wrong with the moment or the cause of a change of state."""
        start, end = row.start * 60_000_000, before.end * 60_000_000
        lead = max(self.settings.lead_minutes, row.lead) * 60_000_000
        over = end - int(self.settings.teardown_seconds * 1_000_000)
        asked = self._may_cancel(name, row)
        rules = {
            "confirmed": before.expires_at is None or now < before.expires_at,
            "expired": before.expires_at is not None and now >= before.expires_at,
            "preparing": now >= start - lead and now < end,
            "active": now >= start,
            "cancelled": before.state == "ending" or asked,
            "ending": now >= over or asked or name in ("note look", "note fault"),
            "failed": before.state == "ending" or now >= over,
        }
        if rules.get(row.state, True):
            return None
        return (
            f"it was {before.state}, from {before.start} to {before.end}, now {now / 60e6:.2f} ({row.reason})"
        )

    def _may_cancel(self, name: str, row: Row) -> bool:
        promise = self.promises.by_key.get(row.key)
        asked = promise is not None and promise.cancel_asked
        return name in ("capacity", "end account", "leave") or asked or row.key in self.promises.given_back

    def _gone(self, before: Row, row: Row) -> Iterator[tuple[str, str]]:
        assert self.outside is not None
        if before.absent_at is None:
            yield "gone is said after two looks", row.id
        if row.id in self.outside.truth() and row.id not in self.doubted:
            yield "gone is said of what is gone", row.id
