"""What shall be set aside for a reservation, and what has to be changed of what is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from booking.adapters.base import ClusterSpec, ProvisionerError
from booking.adapters.openstack.leases import ACTIVE, PENDING, Lease
from booking.adapters.openstack.naming import MINUTE, Tag, ceiled, floored, spoken
from booking.adapters.openstack.shapes import HOSTS, INSTANCES, Kind, Shape


@dataclass(frozen=True)
class Wish:
    """A lease as it shall be, at one moment."""

    tag: Tag
    starts_at: datetime
    ends_at: datetime
    shape: Shape
    kind: Kind
    now: datetime

    @classmethod
    def of(cls, spec: ClusterSpec, kind: Kind, installation: str, now: datetime) -> Wish:
        """:raises ProvisionerError: if its time has passed, or no lease of that kind can hold it."""
        ends_at = ceiled(spec.ends_at)
        if ends_at <= floored(now):
            raise ProvisionerError("The time of this reservation has passed.", transient=False)
        shape = kind.shape(spec)
        tag = Tag(spec.reservation_id, spec.revision, installation, shape.larger)
        return cls(tag, floored(spec.starts_at), ends_at, shape, kind, now)

    @property
    def is_due(self) -> bool:
        return self.starts_at <= floored(self.now)

    def start(self) -> str:
        """As Blazar takes it: it refuses a minute that has begun, but not `now`."""
        return "now" if self.is_due else spoken(self.starts_at)

    def is_met_by(self, lease: Lease) -> bool:
        """Whether nothing has to be changed but the name."""
        return not (self.dates(lease) or self.shape.amounts() != amounts(lease, self.kind))

    def dates(self, lease: Lease) -> dict[str, str]:
        """Those that have to be changed."""
        changed = {} if self._starts_as(lease) else {"start_date": self.start()}
        if lease.ends_at != self.ends_at:
            changed["end_date"] = spoken(self.ends_at)
        return changed

    def change(self, lease: Lease) -> dict[str, Any] | None:
        """What Blazar is asked to change, empty if nothing; None if it takes another lease.

        Only what differs is named. An active reservation of instances that is told its size again is in
        error afterwards, although the size is the same.

        :raises ProvisionerError: for what Blazar does not do, or does by breaking the lease.
        """
        values: dict[str, Any] = dict(self.dates(lease))
        have, want = amounts(lease, self.kind), self.shape.amounts()
        if have != want or values:
            self._check(lease, values, shrinks=self.shrinks(lease))
        if have.keys() != want.keys() or len(have) != len(lease.reservations):
            if lease.status == ACTIVE:
                raise _refused("the sizes of machines cannot be changed while it is active")
            return None
        if resized := resizing(lease, self.kind, want):
            values["reservations"] = resized
        if lease.name != self.tag.name():
            values["name"] = self.tag.name()
        return values

    def shrinks(self, lease: Lease) -> bool:
        """Whether less of some size is wanted than there is."""
        want = self.shape.amounts()
        return any(want.get(size, 0) < amount for size, amount in amounts(lease, self.kind).items())

    def is_risky(self, lease: Lease, values: Mapping[str, Any]) -> bool:
        """Whether that change may break the lease: machines that wait may lose two places on one host by it.

        Blazar 18 then deletes one allocation twice, and the lease is in error.
        """
        waits = self.kind.resource_type == INSTANCES and lease.status == PENDING
        is_within = lease.starts_at <= self.starts_at and self.ends_at <= lease.ends_at
        return waits and ("reservations" in values or not is_within)

    def _check(self, lease: Lease, dates: Mapping[str, str], *, shrinks: bool) -> None:
        if not self.kind.may_change:
            raise _refused("a lease of flavors can only be given back")
        if lease.status != ACTIVE:
            return
        if "start_date" in dates:
            raise _refused("it has begun already")
        if shrinks:
            raise _refused("it cannot be made smaller while it is active")

    def _starts_as(self, lease: Lease) -> bool:
        # Made for `now`, it starts at the minute of Blazar's clock, which may be the next one by then.
        return lease.starts_at == self.starts_at or (self.is_due and lease.starts_at <= self.now + MINUTE)


def amounts(lease: Lease, kind: Kind) -> dict[Any, int]:
    """How much of each size a lease has; without those that are of another kind."""
    parts = [kind.part(r) for r in lease.reservations if r.get("resource_type") == kind.resource_type]
    return {part.size: part.amount for part in parts}


def resizing(lease: Lease, kind: Kind, want: Mapping[Any, int]) -> list[dict[str, Any]]:
    """What Blazar is told of each part whose amount differs."""
    changed = []
    for reservation in lease.reservations:
        part = kind.part(reservation)
        if (amount := want.get(part.size, part.amount)) != part.amount:
            fields = {"min": amount, "max": amount} if kind.resource_type == HOSTS else {"amount": amount}
            changed.append({"id": reservation["id"], **fields})
    return changed


def reverting(before: Lease, after: Lease, kind: Kind) -> dict[str, Any]:
    """What makes the lease again what it was; empty if it still is."""
    values: dict[str, Any] = {}
    if before.name != after.name:
        values["name"] = before.name
    if before.starts_at != after.starts_at:
        values["start_date"] = spoken(before.starts_at)
    if before.ends_at != after.ends_at:
        values["end_date"] = spoken(before.ends_at)
    if resized := resizing(after, kind, amounts(before, kind)):
        values["reservations"] = resized
    return values


def _refused(why: str) -> ProvisionerError:
    return ProvisionerError(f"Blazar cannot change this pledge: {why}.", transient=False)
