"""The leases of the fake Blazar, and how they come to life and end by the clock."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

HOSTS, INSTANCES, FLAVORS = "physical:host", "virtual:instance", "flavor:instance"
STABLE = ("PENDING", "ACTIVE", "TERMINATED", "ERROR")
EVENTS_LATE = timedelta(seconds=5)
"""How long after the minute an event is acted on; up to 10 s on a real one."""
STARTING = {HOSTS: timedelta(seconds=5), INSTANCES: timedelta(seconds=1), FLAVORS: timedelta(seconds=1)}
TERMINATING = timedelta(seconds=16)
BEFORE_END = timedelta(minutes=1)


@dataclass
class Reservation:
    """One part of a lease; `hosts` has a host as often as machines are reserved there."""

    resource_type: str
    values: dict[str, Any]
    hosts: list[str] = field(default_factory=list)
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "pending"
    is_missing: bool = False

    @property
    def amount(self) -> int:
        return int(self.values["min"] if self.resource_type == HOSTS else self.values["amount"])

    def told(self, lease_id: str) -> dict[str, Any]:
        own = self.values | ({} if self.resource_type == HOSTS else {"flavor_id": self.id, "aggregate_id": 1})
        return {
            "id": self.id,
            "lease_id": lease_id,
            "resource_id": str(uuid4()),
            "resource_type": self.resource_type,
            "status": self.status,
            "missing_resources": self.is_missing,
            "resources_changed": False,
            **own,
        }


@dataclass
class Lease:
    name: str
    user_id: str
    project_id: str
    start: datetime
    end: datetime
    created_at: datetime
    reservations: list[Reservation] = field(default_factory=list)
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "CREATING"
    is_degraded: bool = False

    def meets(self, start: datetime, end: datetime) -> bool:
        return self.start < end and start < self.end

    def advance(self, now: datetime) -> None:
        """What the events have done by now; one in error stays in it."""
        begins = max(self.start, self.created_at) + EVENTS_LATE
        lasts = max((STARTING[r.resource_type] for r in self.reservations), default=timedelta(seconds=1))
        if self.status == "PENDING" and now >= begins:
            self.status = "STARTING"
        if self.status == "STARTING" and now >= begins + lasts:
            self._becomes("ACTIVE", "active")
        if self.status == "ACTIVE" and now >= self.end + EVENTS_LATE:
            self.status = "TERMINATING"
        if self.status == "TERMINATING" and now >= self.end + EVENTS_LATE + TERMINATING:
            self._becomes("TERMINATED", "deleted")
            for reservation in self.reservations:
                reservation.hosts.clear()

    def _becomes(self, status: str, of_reservations: str) -> None:
        self.status = status
        for reservation in self.reservations:
            reservation.status = of_reservations

    def told(self, status: str = "") -> dict[str, Any]:
        """As the API tells it: naive UTC, and events in any order."""
        parts = [reservation.told(self.id) for reservation in self.reservations]
        random.shuffle(parts)
        return {
            "id": self.id,
            "name": self.name,
            "user_id": self.user_id,
            "project_id": self.project_id,
            "start_date": told(self.start),
            "end_date": told(self.end),
            "trust_id": "trust",
            "status": status or self.status,
            "degraded": self.is_degraded,
            "created_at": self.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            "updated_at": None,
            "reservations": parts,
            "events": self._events(),
        }

    def _events(self) -> list[dict[str, Any]]:
        has_begun = self.status not in ("CREATING", "PENDING")
        times = {
            "start_lease": (self.start, has_begun),
            "before_end_lease": (max(self.start, self.end - BEFORE_END), self.status == "TERMINATED"),
            "end_lease": (self.end, self.status == "TERMINATED"),
        }
        events = [
            {
                "id": str(uuid4()),
                "lease_id": self.id,
                "event_type": kind,
                "time": told(at),
                "status": "DONE" if is_done else "UNDONE",
            }
            for kind, (at, is_done) in times.items()
        ]
        random.shuffle(events)
        return events


def told(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
