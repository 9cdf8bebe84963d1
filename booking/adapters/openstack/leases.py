"""The calls to Blazar, and what it answers, read.

Changes go by the client's own request manager: `lease.update` of it asks for the lease first, which is not
needed, and does not know the start `now`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from booking.adapters.openstack.errors import NotThere, speaking
from booking.adapters.openstack.naming import Tag, heard, spoken
from booking.adapters.openstack.session import Cloud

PENDING, ACTIVE, TERMINATED, ERROR = "PENDING", "ACTIVE", "TERMINATED", "ERROR"
CREATING = "CREATING"
STABLE = frozenset({PENDING, ACTIVE, TERMINATED, ERROR})
ENDING = frozenset({"TERMINATING", "DELETING"})


@dataclass(frozen=True)
class Lease:
    """One lease as Blazar told it."""

    id: str
    name: str
    status: str
    starts_at: datetime
    ends_at: datetime
    created_at: str
    lacks: bool
    """Hosts of it have failed, and Blazar found no others."""
    reservations: tuple[Mapping[str, Any], ...]
    tag: Tag | None
    owner: str = ""
    """The project."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Lease:
        parts = tuple(values.get("reservations") or ())
        lacks = bool(values.get("degraded")) or any(part.get("missing_resources") for part in parts)
        return cls(
            id=values["id"],
            name=values["name"],
            status=values["status"],
            starts_at=heard(values["start_date"]),
            ends_at=heard(values["end_date"]),
            created_at=values.get("created_at") or "",
            lacks=lacks,
            reservations=parts,
            tag=Tag.read(values["name"]),
            owner=values.get("project_id") or "",
        )


@dataclass(frozen=True)
class Taken:
    """That a lease has a host for a while."""

    host_id: str
    lease_id: str
    reservation_id: str
    """The part of the lease."""
    starts_at: datetime
    ends_at: datetime

    def meets(self, other: Taken) -> bool:
        """Whether both have the same host at the same time."""
        same = self.host_id == other.host_id and self.lease_id != other.lease_id
        return same and self.starts_at < other.ends_at and other.starts_at < self.ends_at


class Leases:
    """Each call is one request; :class:`NotThere` and the other errors of `errors.py` say how it went."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def all(self) -> list[Lease]:
        """Those of our project, or of all projects for an administrator; those that are over too."""
        with speaking(self._cloud.name, "its leases were listed"):
            return [Lease.read(values) for values in self._cloud.blazar().lease.list()]

    def one(self, lease_id: str) -> Lease:
        with speaking(self._cloud.name, "a lease was read"):
            return Lease.read(self._cloud.blazar().lease.get(lease_id))

    def create(
        self, name: str, start: str, ends_at: datetime, reservations: Sequence[Mapping[str, Any]]
    ) -> Lease:
        asked = [dict(values) for values in reservations]
        with speaking(self._cloud.name, "a lease was made"):
            values = self._cloud.blazar().lease.create(name, start, spoken(ends_at), asked, [])
            return Lease.read(values)

    def change(self, lease_id: str, values: Mapping[str, Any]) -> None:
        """What is answered is stale (always UPDATING), and is not told."""
        with speaking(self._cloud.name, "a lease was changed"):
            self._cloud.blazar().lease.request_manager.put(f"/leases/{lease_id}", body=dict(values))

    def delete(self, lease_id: str) -> None:
        """What is not there needs no deleting."""
        try:
            with speaking(self._cloud.name, "a lease was given back"):
                self._cloud.blazar().lease.delete(lease_id)
        except NotThere:
            return

    def taken(self) -> list[Taken]:
        """Which hosts leases have, now and later; one entry for a machine that is reserved there."""
        with speaking(self._cloud.name, "its allocations were listed"):
            return [
                Taken(
                    str(host["resource_id"]),
                    r["lease_id"],
                    r["id"],
                    heard(r["start_date"]),
                    heard(r["end_date"]),
                )
                for host in self._cloud.blazar().allocation.list("os-hosts")
                for r in host["reservations"]
            ]

    def hosts(self) -> list[Mapping[str, Any]]:
        """The hosts that Blazar was given, as it tells them."""
        with speaking(self._cloud.name, "its hosts were listed"):
            return list(self._cloud.blazar().host.list())
