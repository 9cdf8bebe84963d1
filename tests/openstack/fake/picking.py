"""Which hosts the fake Blazar gives: the rules of its three plugins, and what is odd about them.

It is stricter than the real one: cores count as they are, not by an allocation ratio; and unless a test says
otherwise (`is_lax`), a reservation of machines counts for each of them here, and once on each host there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tests.openstack.fake.leases import HOSTS, Lease, Reservation
from tests.openstack.fake.machines import Machine
from tests.openstack.fake.web import Refused, blazar_error

Span = tuple[datetime, datetime]


def refused(code: int, message: str) -> Refused:
    return Refused(code, blazar_error(code, message))


def not_enough() -> Refused:
    """With the code that it really has."""
    return refused(500, "Not enough hosts available")


class Picker:
    """Looks at what is allocated and chooses; it locks nothing and writes nothing down."""

    def __init__(self, machines: list[Machine], leases: Mapping[str, Lease]) -> None:
        self._machines, self._leases = machines, leases
        self.is_lax = False
        """Whether it counts as the real one: a reservation of machines once on a host, and none of the same lease."""

    def pick(self, reservation: Reservation, span: Span, besides: str = "") -> list[str]:
        """The hosts for a reservation; what the one with the id `besides` has counts as free.

        :raises Refused: if there are not enough.
        """
        if reservation.resource_type == HOSTS:
            values = reservation.values
            free = self.free(span, str(values.get("resource_properties") or ""), besides)
            if len(free) < int(values["min"]):
                raise not_enough()
            return free[: int(values["max"])]
        places = self.places(reservation, span, besides)
        if len(places) < reservation.amount:
            raise not_enough()
        return places[: reservation.amount]

    def free(self, span: Span, properties: str, besides: str = "") -> list[str]:
        """Whole hosts, those without any allocation first, as Blazar does."""
        fit = [m for m in self._fit(properties) if not self._on(m, span, besides)]
        never = [m.id for m in fit if not self._ever(m)]
        return never + [m.id for m in fit if m.id not in never]

    def places(self, reservation: Reservation, span: Span, besides: str = "") -> list[str]:
        """One entry for each machine of that size that a host can take; hosts that are in use come first."""
        need = _needs(reservation)
        found: list[tuple[bool, list[str]]] = []
        for machine in self._fit(str(reservation.values.get("resource_properties") or "")):
            there = self._on(machine, span, besides)
            if any(r.resource_type == HOSTS for _, r in there):
                continue
            if any(r.resource_type != reservation.resource_type for _, r in there):
                raise refused(500, "Conflicting reservation types found")
            room = [
                total - peak
                for total, peak in zip(
                    (machine.cores, machine.memory_mib, machine.disk_gib),
                    _peak(there, machine.id, span, is_lax=self.is_lax),
                    strict=True,
                )
            ]
            count = min(left // each for left, each in zip(room, need, strict=True) if each)
            found.append((not there, [machine.id] * max(count, 0)))
        return [host for _, hosts in sorted(found, key=lambda pair: pair[0]) for host in hosts]

    def kept(self, reservation: Reservation, span: Span) -> list[str]:
        """Those hosts of a reservation that nobody else has in that span."""
        by_id = {machine.id: machine for machine in self._machines}
        return [host for host in reservation.hosts if not self._on(by_id[host], span, besides=reservation.id)]

    def moved(self, reservation: Reservation, span: Span, *, is_active: bool) -> list[str]:
        """The hosts of a host reservation after a change: what can stay stays."""
        wanted = reservation.amount
        kept = self.kept(reservation, span)[:wanted]
        if is_active and len(kept) < len(reservation.hosts):
            raise not_enough()
        if len(kept) == wanted:
            return kept
        properties = str(reservation.values.get("resource_properties") or "")
        free = [host for host in self.free(span, properties, reservation.id) if host not in kept]
        if len(free) < wanted - len(kept):
            raise not_enough()
        return kept + free[: wanted - len(kept)]

    def replaced(self, reservation: Reservation, span: Span) -> list[str]:
        """The hosts of an instance reservation after a change, the present ones first."""
        places = Counter(self.places(reservation, span, reservation.id))
        stay = list((Counter(reservation.hosts) & places).elements())
        rest = list((places - Counter(stay)).elements())
        if len(stay) + len(rest) < reservation.amount:
            raise not_enough()
        return (stay + rest)[: reservation.amount]

    def _fit(self, properties: str) -> list[Machine]:
        usable = [machine for machine in self._machines if machine.is_reservable]
        if not properties:
            return usable
        wanted = json.loads(properties)
        for operator, name, value in wanted[1:] if wanted[0] == "and" else [wanted]:
            usable = [m for m in usable if (self._told(m, name) == value) is (operator != "!=")]
        return usable

    def _told(self, machine: Machine, name: str) -> str | None:
        """What it knows of a host; what none of them has, it does not find in its tables."""
        key = name.removeprefix("$")
        if key == "hypervisor_hostname":
            return machine.name
        if not any(key in machine.properties for machine in self._machines):
            raise refused(500, "BlazarDBNotFound: A database error occurred")
        return machine.properties.get(key)

    def _on(self, machine: Machine, span: Span, besides: str) -> list[tuple[Lease, Reservation]]:
        return [
            (lease, reservation)
            for lease in self._leases.values()
            if lease.meets(*span)
            for reservation in lease.reservations
            if machine.id in reservation.hosts and reservation.id != besides
        ]

    def _ever(self, machine: Machine) -> bool:
        return any(machine.id in r.hosts for lease in self._leases.values() for r in lease.reservations)


def _needs(reservation: Reservation) -> tuple[int, int, int]:
    values: dict[str, Any] = reservation.values
    return int(values["vcpus"]), int(values["memory_mb"]), int(values["disk_gb"])


def _peak(
    there: Iterable[tuple[Lease, Reservation]], host: str, span: Span, *, is_lax: bool
) -> tuple[int, int, int]:
    """The most that is in use on a host at any one time of the span."""
    there = list(there)
    moments = [span[0], *(lease.start for lease, _ in there if lease.start > span[0])]
    peak = (0, 0, 0)
    for moment in moments:
        used = [0, 0, 0]
        for lease, reservation in there:
            if lease.start <= moment < lease.end:
                times = reservation.hosts.count(host)
                if is_lax:
                    times = 0 if lease.status == "CREATING" else 1
                used = [u + times * each for u, each in zip(used, _needs(reservation), strict=True)]
        peak = (max(peak[0], used[0]), max(peak[1], used[1]), max(peak[2], used[2]))
    return peak
