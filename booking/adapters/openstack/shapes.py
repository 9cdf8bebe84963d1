"""What a cluster asks of Blazar: whole hosts, or machines of one or two sizes.

An account's cluster is a head (notebook and scheduler) and equal workers, each a machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from booking.adapters.base import ClusterSpec, ProvisionerError

HOSTS = "physical:host"
FLAVORS = "flavor:instance"
INSTANCES = "virtual:instance"
HEAD, WORKERS = "h", "w"
ROLES = {HEAD: "head_flavor", WORKERS: "worker_flavor"}


@dataclass(frozen=True, order=True)
class Size:
    """Of one machine; sizes compare by memory first."""

    memory_mib: int
    cores: int

    def __str__(self) -> str:
        return f"{self.cores} cores and {self.memory_mib} MiB"


@dataclass(frozen=True)
class Part:
    """One reservation in a lease: so many hosts, or machines of one size."""

    size: Size
    amount: int
    asked: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The fields that Blazar wants when it is made."""


@dataclass(frozen=True)
class Shape:
    """All parts of a lease; `larger` tells whose machines are the larger ones, if there are two sizes."""

    parts: tuple[Part, ...]
    larger: str = ""

    def amounts(self) -> dict[Size, int]:
        return {part.size: part.amount for part in self.parts}

    def away_from(self, hosts: Mapping[Size, Iterable[str]]) -> Shape:
        """The same, with no machine of that size on these hosts."""

        def moved(part: Part) -> Part:
            if part.size not in hosts:
                return part
            properties = away_from(part.asked["resource_properties"], hosts[part.size])
            return replace(part, asked={**part.asked, "resource_properties": properties})

        return replace(self, parts=tuple(moved(part) for part in self.parts))


class Kind(Protocol):
    """One kind of lease with the settings that it needs."""

    @property
    def resource_type(self) -> str: ...

    @property
    def may_change(self) -> bool: ...

    def shape(self, spec: ClusterSpec) -> Shape:
        """:raises ProvisionerError: if no such lease can hold that cluster."""

    def part(self, reservation: Mapping[str, Any]) -> Part:
        """A part of a lease as Blazar tells it."""


@dataclass(frozen=True)
class HostLeases:
    """As many whole hosts as the nodes need; what Blazar knows of hosts can narrow which."""

    cores: int
    memory_mib: int
    resource_properties: str = ""
    hypervisor_properties: str = ""
    resource_type: ClassVar[str] = HOSTS
    may_change: ClassVar[bool] = True

    def shape(self, spec: ClusterSpec) -> Shape:
        count = packed(nodes(spec), Size(self.memory_mib, self.cores))
        # Fewer than asked for are granted without a word where min is less than max.
        asked = {
            "resource_type": HOSTS,
            "min": count,
            "max": count,
            "resource_properties": self.resource_properties,
            "hypervisor_properties": self.hypervisor_properties,
            "before_end": "default",
        }
        return Shape((Part(Size(self.memory_mib, self.cores), count, asked),))

    def part(self, reservation: Mapping[str, Any]) -> Part:
        least, most = int(reservation.get("min") or 0), int(reservation.get("max") or 0)
        return Part(Size(self.memory_mib, self.cores), least if least == most else 0)


@dataclass(frozen=True)
class InstanceLeases:
    """Machines of any size, each with a disk of `disk_gib`.

    Blazar 18 counts each such reservation on a host once, however many machines it has there, and does not
    count those of the same lease: it grants several times what its hosts have. So what it granted is counted
    afterwards (`counting.py`).
    """

    disk_gib: int
    resource_properties: str = ""
    resource_type: ClassVar[str] = INSTANCES
    may_change: ClassVar[bool] = True

    def shape(self, spec: ClusterSpec) -> Shape:
        return machines(spec, head_of(spec), worker_of(spec), self._asked)

    def part(self, reservation: Mapping[str, Any]) -> Part:
        return machine_part(reservation)

    def _asked(self, size: Size) -> Mapping[str, Any]:
        return {
            "resource_type": INSTANCES,
            "vcpus": size.cores,
            "memory_mb": size.memory_mib,
            "disk_gb": self.disk_gib,
            "affinity": None,
            "resource_properties": self.resource_properties,
        }


class Asked(Protocol):
    """The fields that Blazar wants for a machine of that size, except how many."""

    def __call__(self, size: Size, /) -> Mapping[str, Any]: ...


def machines(spec: ClusterSpec, head: Size, worker: Size, asked: Asked) -> Shape:
    """A head and its workers as the parts of a lease: one where the sizes are equal, else two.

    The larger part comes first. Blazar makes one after the other, and what it made in Nova for the first
    stays there when the second is refused; so what is likelier to be refused is asked for first.
    """
    amounts = {head: 1}
    if spec.worker_count:
        amounts[worker] = amounts.get(worker, 0) + spec.worker_count
    parts = [Part(size, n, {**asked(size), "amount": n}) for size, n in amounts.items()]
    parts.sort(key=lambda part: (part.size.memory_mib * part.amount, part.size.cores), reverse=True)
    larger = (HEAD if worker < head else WORKERS) if len(parts) > 1 else ""
    return Shape(tuple(parts), larger)


def is_machine(reservation: Mapping[str, Any]) -> bool:
    """Whether a part of a lease is machines, and tells their size."""
    return "vcpus" in reservation and "amount" in reservation


def machine_part(reservation: Mapping[str, Any]) -> Part:
    """Leases of instances and of flavors both tell the size of their machines, once they are made."""
    size = Size(int(reservation.get("memory_mb") or 0), int(reservation.get("vcpus") or 0))
    return Part(size, int(reservation.get("amount") or 0))


def away_from(properties: str, hosts: Iterable[str]) -> str:
    """The same wish for hosts, and none of these; Blazar knows no `or`, and takes one list of conditions."""
    wanted = json.loads(properties or "[]")
    conditions = wanted[1:] if wanted[:1] == ["and"] else [wanted] if wanted else []
    return json.dumps(["and", *conditions, *(["!=", "$hypervisor_hostname", name] for name in sorted(hosts))])


def head_of(spec: ClusterSpec) -> Size:
    return Size(spec.notebook_memory_mib, spec.notebook_cores)


def worker_of(spec: ClusterSpec) -> Size:
    return Size(spec.worker_memory_mib, spec.worker_cores)


def nodes(spec: ClusterSpec) -> list[Size]:
    """Every machine of a cluster."""
    return [head_of(spec)] + [worker_of(spec)] * spec.worker_count


def packed(wanted: list[Size], host: Size) -> int:
    """How many hosts hold these nodes, the largest placed first, each on the first host where it fits.

    :raises ProvisionerError: if one of them is larger than a host; no later try will pass.
    """
    left: list[Size] = []
    for node in sorted(wanted, key=lambda node: _share(node, host), reverse=True):
        if not _fits(node, host):
            raise ProvisionerError(
                f"A node of {node} is larger than a host, which has {host}.", transient=False
            )
        place = next((i for i, room in enumerate(left) if _fits(node, room)), len(left))
        if place == len(left):
            left.append(host)
        left[place] = Size(left[place].memory_mib - node.memory_mib, left[place].cores - node.cores)
    return len(left)


def _fits(node: Size, room: Size) -> bool:
    return node.cores <= room.cores and node.memory_mib <= room.memory_mib


def _share(node: Size, host: Size) -> float:
    """Of a host, by what it has least of for this node."""
    return max(node.cores / max(host.cores, 1), node.memory_mib / max(host.memory_mib, 1))
