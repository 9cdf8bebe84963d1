"""Entries as an iCalendar file (RFC 5545), the same bytes for the same entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from icalendar import Alarm, Calendar, Event
from icalendar.enums import STATUS

from booking.allocator.lifecycle import FINAL, State
from booking.services.calendars import Entry

CONTENT_TYPE = "text/calendar"
_EVERY = timedelta(hours=1)
"""How often a calendar shall look at a feed."""
_NEVER = timedelta(0)
_OFF = FINAL - {State.ENDED}
"""The states in which nothing takes place: calendars take the entry away."""


def calendar(entries: Sequence[Entry], *, site: str = "", warning: timedelta = _NEVER) -> bytes:
    """A file with an event for each entry.

    `site` is the address that links to the page of a booking begin with; without one there are none. An alarm
    rings `warning` before the end, of what is not over.
    """
    found = Calendar()
    found.add("version", "2.0")
    found.add("prodid", "-//booking//calendar//EN")
    found.calendar_name = "Bookings"
    found.refresh_interval = _EVERY
    for entry in entries:
        found.add_component(_event(entry, site, warning))
    file: bytes = found.to_ical()
    return file


def _event(entry: Entry, site: str, warning: timedelta) -> Event:
    off = entry.state in _OFF
    status = STATUS.TENTATIVE if entry.state is State.HELD else STATUS.CANCELLED if off else STATUS.CONFIRMED
    return Event.new(
        uid=f"{entry.id}@booking",
        # That it is off is the last thing to be told of it, and needs a number above all before.
        sequence=entry.revision if off else entry.revision - 1,
        stamp=entry.changed_at,
        last_modified=entry.changed_at,
        start=entry.start,
        end=entry.end,
        summary=entry.title or entry.package,
        description=f"{entry.package}, {entry.state}",
        status=status,
        url=f"{site}bookings/{entry.booking_id}" if site else None,
        subcomponents=[_alarm(warning)] if warning and entry.state not in FINAL else [],
    )


def _alarm(warning: timedelta) -> Alarm:
    alarm = Alarm.new(description="The booking ends soon. Save what you want to keep.")
    alarm.add("action", "DISPLAY")
    alarm.add("trigger", -warning, parameters={"RELATED": "END"})
    return alarm
