"""Leases of Nova's flavors: which one a node gets."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from booking.adapters.base import ClusterSpec, Misconfigured
from booking.adapters.openstack.errors import speaking
from booking.adapters.openstack.session import Clock, Cloud
from booking.adapters.openstack.shapes import (
    FLAVORS,
    Part,
    Shape,
    Size,
    head_of,
    machine_part,
    machines,
    worker_of,
)

KEPT = timedelta(minutes=5)
"""How long a list of flavors is believed."""
_OF_BLAZAR = "reservation:"
_PUBLIC = "os-flavor-access:is_public"


@dataclass(frozen=True)
class Flavor:
    id: str
    name: str
    size: Size
    disk_gib: int = 0


class Flavors:
    """The public flavors of a cloud: the smallest that holds a node, or the one that the settings name for its size."""

    def __init__(self, cloud: Cloud, clock: Clock, names: Mapping[Size, str] | None = None) -> None:
        """`names` tells the flavor, by name or id, for nodes of just that size."""
        self._cloud, self._clock, self._names = cloud, clock, dict(names or {})
        self._lock = threading.Lock()
        self._listed: tuple[Flavor, ...] = ()
        self._listed_at: datetime | None = None

    def chosen(self, node: Size) -> Flavor:
        """:raises Misconfigured: if there is none for that node."""
        listed = self._kept()
        if name := self._names.get(node):
            named = [flavor for flavor in listed if name in (flavor.id, flavor.name)]
            if not named:
                raise Misconfigured(f"The cloud {self._cloud.name!r} has no public flavor {name!r}.")
            return named[0]
        fit = [f for f in listed if f.size.cores >= node.cores and f.size.memory_mib >= node.memory_mib]
        if not fit:
            raise Misconfigured(f"The cloud {self._cloud.name!r} has no public flavor of {node} or more.")
        return min(fit, key=lambda f: (f.size.memory_mib, f.size.cores, f.disk_gib, f.id))

    def _kept(self) -> tuple[Flavor, ...]:
        with self._lock:
            now = self._clock.now()
            if self._listed_at is None or not self._listed_at <= now < self._listed_at + KEPT:
                self._listed = self._asked_for()
                self._listed_at = now
            return self._listed

    def _asked_for(self) -> tuple[Flavor, ...]:
        with speaking(self._cloud.name, "its flavors were listed"):
            answer = self._cloud.service("compute").get("/flavors/detail", params={"is_public": "true"})
            return tuple(
                Flavor(f["id"], f["name"], Size(int(f["ram"]), int(f["vcpus"])), int(f["disk"]))
                for f in answer.json()["flavors"]
                # Those of leases are private, but an administrator is shown them too.
                if f.get(_PUBLIC, True) and not f["name"].startswith(_OF_BLAZAR)
            )


class FlavorLeases:
    """Machines of flavors, as :class:`Flavors` chooses them.

    Blazar refuses every change of such a lease's size, and what it refuses so leaves the lease broken;
    a change of its span does the same where the caller may not see the flavor. So nothing is tried.
    Cores are counted with Placement's allocation ratio, so more of them are granted than hosts have.
    """

    resource_type: ClassVar[str] = FLAVORS
    may_change: ClassVar[bool] = False

    def __init__(self, cloud: Cloud, clock: Clock, names: Mapping[Size, str] | None = None) -> None:
        self._flavors = Flavors(cloud, clock, names)

    def shape(self, spec: ClusterSpec) -> Shape:
        """:raises Misconfigured: if there is no flavor for a node."""
        head = self._flavors.chosen(head_of(spec))
        worker = self._flavors.chosen(worker_of(spec)) if spec.worker_count else head
        by_size = {head.size: head, worker.size: worker}

        def asked(size: Size) -> Mapping[str, Any]:
            return {"resource_type": FLAVORS, "flavor_id": by_size[size].id, "affinity": None}

        return machines(spec, head.size, worker.size, asked)

    def part(self, reservation: Mapping[str, Any]) -> Part:
        return machine_part(reservation)
