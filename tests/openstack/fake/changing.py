"""How the fake Blazar changes a lease: as the real one, one reservation after the other and nothing undone.

Some refusals leave the lease in error, others leave it as it was; which ones is as the source of the real one has it.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from tests.openstack.fake.dates import Clock, floored, read
from tests.openstack.fake.leases import FLAVORS, HOSTS, INSTANCES, STABLE, Lease, Reservation, told
from tests.openstack.fake.picking import Picker, Span, refused
from tests.openstack.fake.web import Caller

_OF_INSTANCES = ("vcpus", "memory_mb", "disk_gb", "affinity", "resource_properties")


class Changer:
    def __init__(self, picker: Picker, clock: Clock) -> None:
        self._picker, self._clock = picker, clock

    def change(self, lease: Lease, body: dict[str, Any], caller: Caller) -> None:
        """:raises Refused: and then what was done to the first of two reservations stays."""
        if set(body) == {"name"}:
            lease.name = body["name"]
            return
        if lease.status not in STABLE:
            raise refused(500, "Invalid lease status.")
        span = self._span(lease, body)
        asked = {values.get("id"): values for values in body.get("reservations", [])}
        if unknown := set(asked) - {reservation.id for reservation in lease.reservations}:
            raise refused(400, f"Please enter valid reservation IDs. Invalid reservation IDs are: {unknown}")
        if asked:
            self._check(lease, asked, span)
        for reservation in lease.reservations:
            self._update(lease, reservation, asked.get(reservation.id, {}), span, caller)
        lease.start, lease.end = span
        lease.name = body.get("name", lease.name)

    def _span(self, lease: Lease, body: dict[str, Any]) -> Span:
        now = self._clock.now()
        start = read(body["start_date"], now) if "start_date" in body else lease.start
        end = read(body["end_date"], now) if "end_date" in body else lease.end
        _check_dates(lease, start, end, floored(now))
        return start, end

    def _check(self, lease: Lease, asked: dict[str, Any], span: Span) -> None:
        if any(r.resource_type == FLAVORS for r in lease.reservations if r.id in asked):
            lease.status = "ERROR"
            raise refused(
                409, "Updating parameters for 'flavor:instance' type reservations is not yet supported."
            )
        # Its present size is looked for once more beside itself: instances need double the room to be resized.
        for reservation in lease.reservations:
            if reservation.resource_type == INSTANCES:
                self._picker.pick(reservation, span)

    def _update(
        self, lease: Lease, reservation: Reservation, asked: dict[str, Any], span: Span, caller: Caller
    ) -> None:
        values = {name: value for name, value in asked.items() if name not in ("id", "resource_type")}
        is_within = lease.start <= span[0] and span[1] <= lease.end
        if reservation.resource_type == FLAVORS:
            self._flavors(lease, reservation, span, caller)
        elif not (is_within and not values):
            self._others(lease, reservation, values, span)

    def _others(self, lease: Lease, reservation: Reservation, values: dict[str, Any], span: Span) -> None:
        is_active = reservation.status == "active"
        if (
            is_active
            and reservation.resource_type == INSTANCES
            and any(name in values for name in _OF_INSTANCES)
        ):
            lease.status = "ERROR"
            raise refused(409, "An active reservation only accepts to update amount.")
        fresh = Reservation(
            reservation.resource_type, reservation.values | values, reservation.hosts, reservation.id
        )
        if reservation.resource_type == HOSTS:
            hosts = self._picker.moved(fresh, span, is_active=is_active)
        else:
            hosts = self._picker.replaced(fresh, span)
            gone = Counter(reservation.hosts) - Counter(hosts)
            if not is_active and any(places > 1 for places in gone.values()):
                # It deletes the allocation of the first place twice.
                lease.status = "ERROR"
                raise refused(500, "BlazarDBNotFound: A database error occurred")
            if is_active and any(hosts.count(host) < reservation.hosts.count(host) for host in hosts):
                raise refused(409, _KEPT)
            if is_active and len(hosts) < len(reservation.hosts):
                raise refused(409, _KEPT)
        reservation.values, reservation.hosts = fresh.values, hosts

    def _flavors(self, lease: Lease, reservation: Reservation, span: Span, caller: Caller) -> None:
        if not caller.is_admin and lease.status != "ACTIVE":
            # The flavor of the lease is private until it begins, and Nova says that there is none.
            lease.status = "ERROR"
            raise refused(500, "Internal Server Error")
        places = self._picker.places(reservation, span, reservation.id)
        if any(reservation.hosts.count(host) > places.count(host) for host in reservation.hosts):
            raise refused(500, "Not enough hosts available")


_KEPT = (
    "Instance reservation doesn't allow to reduce/replace reserved instance slots when the reservation is in "
    "active status. cannot be updated"
)


def _check_dates(lease: Lease, start: datetime, end: datetime, now: datetime) -> None:
    if lease.start < now and start != lease.start:
        raise refused(400, "Cannot modify the start date of already started leases")
    if lease.start > now > start:
        raise refused(400, "Start date must be later than current date")
    if lease.end < now:
        raise refused(400, f"Terminated leases can only be renamed; it ended {told(lease.end)}")
    if end < now or end < start:
        raise refused(400, "End date must be later than current and start date")
