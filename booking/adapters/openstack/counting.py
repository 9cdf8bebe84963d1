"""Whether hosts really have what leases of machines were granted on them.

Blazar 18 counts such a reservation on a host once, however many machines it has there, and none of the same lease:
it grants more than there is. Its allocations tell the truth, one entry for each machine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from booking.adapters.base import NotEnough
from booking.adapters.openstack.leases import Lease, Leases, Taken
from booking.adapters.openstack.shapes import Size, is_machine, machine_part

Room = tuple[int, int, int]
"""Cores, MiB of memory, GiB of disk."""


Names = Mapping[Size, frozenset[str]]
"""Of hosts, for the machines of each size."""


class Overgranted(NotEnough):
    """Blazar gave more machines than their hosts hold."""

    def __init__(self, full: Names, scarce: Names) -> None:
        super().__init__("Blazar gave more machines than their hosts hold at that time.")
        self.full = full
        """Where there is no room for the machines that were put there, or for any."""
        self.scarce = scarce
        """Where there is less room than for all of them, so that Blazar might put too many there: these and more."""


class Count:
    """What is reserved on every host, machine by machine, at one moment of asking.

    What may not be read, and whole hosts, count as all that the host has.
    """

    def __init__(self, leases: Leases, besides: str = "") -> None:
        """What the lease with the id `besides` has counts as free."""
        parts = (part for lease in leases.all() for part in lease.reservations)
        self._machines = {part["id"]: _room(part) for part in parts if is_machine(part)}
        self._hosts = {str(host["id"]): host for host in leases.hosts()}
        self._taken: defaultdict[str, list[Taken]] = defaultdict(list)
        for entry in leases.taken():
            if entry.lease_id != besides:
                self._taken[entry.host_id].append(entry)

    def check(self, lease: Lease) -> None:
        """:raises Overgranted: if a host of the lease lacks something at some time of it."""
        full: defaultdict[Size, set[str]] = defaultdict(set)
        scarce: defaultdict[Size, set[str]] = defaultdict(set)
        parts = sorted(filter(is_machine, lease.reservations), key=_weight, reverse=True)
        is_over = False
        for host in self._hosts:
            left = others = self._left(host, lease)
            for part in parts:
                size, machine = machine_part(part).size, _room(part)
                count = sum(entry.reservation_id == part["id"] for entry in self._taken[host])
                rest = _less(left, machine, max(count, 1))
                if min(rest) < 0:
                    is_over |= count > 0
                    full[size].add(self._name(host))
                elif count:
                    left = rest
                most = min(int(part["amount"]), _times(_whole(self._hosts[host]), machine))
                if self._name(host) in full[size] or _times(others, machine) < most:
                    scarce[size].add(self._name(host))
        if is_over:
            raise Overgranted(
                *({size: frozenset(names) for size, names in by.items()} for by in (full, scarce))
            )

    def _left(self, host: str, lease: Lease) -> Room:
        """The least that others leave at any time of the lease; negative where they have more than there is."""
        others = [entry for entry in self._taken[host] if entry.lease_id != lease.id]
        there = [e for e in others if e.starts_at < lease.ends_at and lease.starts_at < e.ends_at]
        moments = {lease.starts_at} | {max(lease.starts_at, entry.starts_at) for entry in there}
        least = [self._left_at(host, [e for e in there if e.starts_at <= at < e.ends_at]) for at in moments]
        cores, memory, disk = (min(kind) for kind in zip(*least, strict=True))
        return cores, memory, disk

    def _left_at(self, host: str, there: list[Taken]) -> Room:
        whole = left = _whole(self._hosts[host])
        for entry in there:
            left = _less(left, self._machines.get(entry.reservation_id, whole))
        return left

    def _name(self, host: str) -> str:
        return str(self._hosts[host]["hypervisor_hostname"])


def _less(room: Room, machine: Room, count: int = 1) -> Room:
    cores, memory, disk = (have - count * need for have, need in zip(room, machine, strict=True))
    return cores, memory, disk


def _times(room: Room, machine: Room) -> int:
    """How many machines fit."""
    return min(max(have, 0) // need for have, need in zip(room, machine, strict=True) if need)


def _weight(part: Mapping[str, Any]) -> tuple[int, int]:
    """As parts are asked for: what takes most comes first."""
    return int(part["memory_mb"]) * int(part["amount"]), int(part["vcpus"])


def _room(part: Mapping[str, Any]) -> Room:
    return int(part["vcpus"]), int(part["memory_mb"]), int(part.get("disk_gb") or 0)


def _whole(host: Mapping[str, Any]) -> Room:
    return int(host["vcpus"]), int(host["memory_mb"]), int(host["local_gb"])
