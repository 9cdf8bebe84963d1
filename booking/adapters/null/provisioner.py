"""The complete twin of a provisioner: it keeps every rule of the port and starts nothing.

In memory, or in a folder when several processes shall see the same outside. Tests and the simulator
use it as the outside world; an installation uses it to show the calendar without making clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from booking.adapters.base import (
    Capabilities,
    ClusterSpec,
    ClusterState,
    Endpoint,
    Observed,
    ProvisionerError,
    checked_id,
    is_ours,
)
from booking.adapters.null.outside import Clock, Event, Folder, Memory

Call = Literal["provision", "observe", "extend", "teardown", "credentials", "inventory"]
Moment = Literal["before", "after"]
Faults = Callable[[Call, str, Moment], None]
"""Called before and after each effect with the reservation id (empty for `inventory`).

What it raises reaches the caller: before, the call was refused; after, its answer was lost.
"""
_NONE = timedelta(0)


class NullProvisioner:
    """Clusters that exist as records only.

    `ready_after` passes between provisioning and `READY`, `gone_after` between teardown and `ABSENT`;
    a cluster past its deadline is `ABSENT` at once. Two objects with the same `folder` share the outside;
    those of another `installation` are in no inventory of this one.
    """

    name = "null"

    def __init__(
        self,
        clock: Clock,
        folder: Path | None = None,
        *,
        ready_after: timedelta = _NONE,
        gone_after: timedelta = _NONE,
        faults: Faults | None = None,
        installation: str = "",
    ) -> None:
        self._clock = clock
        self._installation = installation
        self._outside = Memory() if folder is None else Folder(folder)
        self._ready_after = ready_after
        self._gone_after = gone_after
        self._faults = faults or (lambda _call, _reservation_id, _moment: None)

    def capabilities(self) -> Capabilities:
        return Capabilities(
            survives_restart=isinstance(self._outside, Folder),
            contains_escapees=True,
            notes=("Nothing is started: clusters exist as records only.",),
        )

    def provision(self, spec: ClusterSpec) -> None:
        checked_id(spec.reservation_id)
        with self._effect("provision", spec.reservation_id):
            record = self._settle(spec.reservation_id)
            if record is not None and not record["half_made"] and "gone_at" not in record:
                return
            now = self._clock.now()
            if spec.ends_at <= now:
                raise ProvisionerError("The deadline of this cluster has passed.", transient=False)
            if record is not None and "gone_at" in record:
                raise ProvisionerError("This cluster is just ending.")
            fresh = {
                "spec": spec.as_json(),
                "ends_at": spec.ends_at.isoformat(),
                "made_at": now.isoformat(),
                "ready_at": (now + self._ready_after).isoformat(),
                "half_made": False,
                "installation": self._installation,
            }
            self._outside.write(spec.reservation_id, fresh)
            self._outside.append(Event("created", spec.reservation_id, now))

    def observe(self, reservation_id: str) -> Observed:
        checked_id(reservation_id)
        with self._effect("observe", reservation_id):
            return self._seen(self._settle(reservation_id))

    def extend(self, reservation_id: str, ends_at: datetime) -> None:
        checked_id(reservation_id)
        with self._effect("extend", reservation_id):
            record = self._settle(reservation_id)
            if record is None or "gone_at" in record or record["half_made"]:
                raise ProvisionerError("There is no such cluster to extend.", transient=False)
            self._outside.write(reservation_id, record | {"ends_at": ends_at.isoformat()})

    def teardown(self, reservation_id: str, *, grace: timedelta) -> None:
        """The same for every `grace`: nothing runs that could use it."""
        checked_id(reservation_id)
        with self._effect("teardown", reservation_id):
            record = self._settle(reservation_id)
            if record is None or "gone_at" in record:
                return
            gone_at = self._clock.now() + self._gone_after
            self._outside.write(reservation_id, record | {"gone_at": gone_at.isoformat()})
            self._settle(reservation_id)

    def credentials(self, reservation_id: str) -> Mapping[str, str]:
        checked_id(reservation_id)
        with self._effect("credentials", reservation_id):
            state = self._seen(self._settle(reservation_id)).state
            if state not in (ClusterState.STARTING, ClusterState.READY):
                return {}
            return {"notebook": f"token-of-{reservation_id}"}

    def inventory(self) -> frozenset[str]:
        with self._effect("inventory", ""):
            there = ((name, self._settle(name)) for name in self._outside.names())
            return frozenset(name for name, record in there if record is not None and self._is_ours(record))

    @property
    def events(self) -> tuple[Event, ...]:
        """All clusters really made and destroyed, in order; a test counts them to see what ran twice."""
        return tuple(self._outside.history())

    def created(self, reservation_id: str) -> int:
        """How often a cluster of this reservation was really made."""
        return sum(
            event.kind == "created" and event.reservation_id == reservation_id for event in self.events
        )

    def lose(self, reservation_id: str) -> None:
        """Break a cluster, or leave a half-made one: it is `LOST` until it is torn down or made again."""
        with self._outside.alone():
            record = self._outside.read(checked_id(reservation_id)) or {"ends_at": None}
            self._outside.write(reservation_id, record | {"half_made": True})

    @contextmanager
    def _effect(self, call: Call, reservation_id: str) -> Iterator[None]:
        self._faults(call, reservation_id, "before")
        with self._outside.alone():
            yield
        self._faults(call, reservation_id, "after")

    def _is_ours(self, record: dict[str, Any]) -> bool:
        return is_ours(record.get("installation"), self._installation)

    def _settle(self, reservation_id: str) -> dict[str, Any] | None:
        """The record as it is now: what is past its deadline or its end is destroyed by itself."""
        record = self._outside.read(reservation_id)
        if record is None:
            return None
        ends = [datetime.fromisoformat(record[key]) for key in ("gone_at", "ends_at") if record.get(key)]
        if not ends or min(ends) > self._clock.now():
            return record
        self._outside.remove(reservation_id)
        self._outside.append(Event("destroyed", reservation_id, min(ends)))
        return None

    def _seen(self, record: dict[str, Any] | None) -> Observed:
        if record is None:
            return Observed(ClusterState.ABSENT)
        ends_at = datetime.fromisoformat(record["ends_at"]) if record["ends_at"] else None
        if "gone_at" in record:
            return Observed(ClusterState.STOPPING, "The cluster is ending.", ends_at=ends_at)
        if record["half_made"]:
            return Observed(ClusterState.LOST, "The cluster is broken.", ends_at=ends_at)
        made_at, ready_at = (
            datetime.fromisoformat(record.get(key, record["ready_at"])) for key in ("made_at", "ready_at")
        )
        # A clock that went back to before it was made does not undo that it was ready.
        if made_at <= self._clock.now() < ready_at:
            return Observed(ClusterState.STARTING, "The cluster is being made.", ends_at=ends_at)
        name = record["spec"]["reservation_id"]
        endpoints = (
            Endpoint("notebook", f"http://127.0.0.1/booking/{name}/"),
            Endpoint("scheduler", f"tls://127.0.0.1/{name}"),
        )
        return Observed(ClusterState.READY, "The cluster exists as a record only.", endpoints, ends_at)
