"""The provisioner port: how a cluster is made, observed, extended and ended.

Every provisioner keeps the contract in `tests/adapters/contract.py`. The rules that make it safe
to be killed between any two steps:

* the outside name of a cluster derives from its reservation id (:func:`outside_name`), so that
  repeating a call finds the same thing;
* `provision` records and launches, and returns before the cluster is ready; `observe` tells when;
* the truth is outside: `observe` and `inventory` look there and never answer from memory;
* a cluster carries its own deadline and ends by itself when nobody comes to end it;
* secrets live outside our database and are fetched, for those who may use them, while it is ready.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

_RESERVATION_ID = re.compile(r"[a-z0-9]{8,40}")


class ClusterState(StrEnum):
    """What is seen outside."""

    ABSENT = "absent"
    """Nothing of this cluster exists outside."""
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    LOST = "lost"
    """Remains exist (files, some processes), but it does not work and will not by itself."""


@dataclass(frozen=True)
class ClusterSpec:
    """What to make for one reservation; memory in MiB, cores whole, instants aware UTC."""

    reservation_id: str
    booking_id: str
    owner: str
    package: str
    notebook_cores: int
    notebook_memory_mib: int
    worker_cores: int
    worker_memory_mib: int
    worker_count: int
    starts_at: datetime
    ends_at: datetime
    """The deadline that the cluster itself keeps."""
    notebook_url: str | None = None
    """A notebook or repository to open on start."""

    def as_json(self) -> dict[str, Any]:
        """The same in plain values, for adapters that keep it outside."""
        return asdict(self) | {
            "starts_at": self.starts_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ClusterSpec:
        """What :meth:`as_json` wrote.

        :raises KeyError, TypeError, ValueError: if it was not written by it.
        """
        instants = {name: datetime.fromisoformat(values[name]) for name in ("starts_at", "ends_at")}
        return cls(**(dict(values) | instants))


@dataclass(frozen=True)
class Endpoint:
    """An address of a running cluster; `name` is `notebook`, `scheduler` or `dashboard`."""

    name: str
    url: str


@dataclass(frozen=True)
class Observed:
    """One look at the outside."""

    state: ClusterState
    detail: str = ""
    """One plain sentence for the owner of the booking."""
    endpoints: tuple[Endpoint, ...] = ()
    ends_at: datetime | None = None
    """The deadline that the cluster holds itself, where it can be read."""


@dataclass(frozen=True)
class Capabilities:
    """What this provisioner really enforces; shown to administrators, never assumed."""

    hard_memory: bool = False
    hard_cores: bool = False
    survives_restart: bool = False
    contains_escapees: bool = False
    """Nothing a user starts can outlive the cluster."""
    notes: tuple[str, ...] = field(default=())


class ProvisionerError(Exception):
    """The outside refused or could not be reached; `transient` says whether a later try may pass."""

    def __init__(self, message: str, *, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient


class Provisioner(Protocol):
    """The port; each call keeps a deadline of its own and raises :class:`ProvisionerError`."""

    name: str

    def capabilities(self) -> Capabilities: ...

    def provision(self, spec: ClusterSpec) -> None:
        """Make the cluster unless it is there; idempotent, returns before it is ready."""

    def observe(self, reservation_id: str) -> Observed:
        """Look outside; an unknown id is `ABSENT`."""

    def extend(self, reservation_id: str, ends_at: datetime) -> None:
        """Move the deadline that the cluster keeps, later or earlier; idempotent."""

    def teardown(self, reservation_id: str, *, grace: timedelta) -> None:
        """Destroy everything; safe on unknown, half-made and half-gone clusters.

        May return while it is `STOPPING`; the caller observes until `ABSENT`.
        """

    def credentials(self, reservation_id: str) -> Mapping[str, str]:
        """The token of each endpoint by its name; empty when the cluster is not there."""

    def inventory(self) -> frozenset[str]:
        """The reservation ids of everything found outside that this installation made."""


def checked_id(reservation_id: str) -> str:
    """The id itself, once it is known to be safe in names and paths: 8 to 40 of `[a-z0-9]`.

    :raises ProvisionerError: for anything else; no later try will pass.
    """
    if not _RESERVATION_ID.fullmatch(reservation_id):
        raise ProvisionerError(f"{reservation_id[:60]!r} is not the id of a reservation.", transient=False)
    return reservation_id


def outside_name(reservation_id: str) -> str:
    """The name of a reservation's cluster in every outside system."""
    return f"bk-{reservation_id}"


def is_ours(tag: object, installation: str) -> bool:
    """Whether what carries this tag belongs to the installation; what carries none is taken for ours."""
    return not tag or not installation or tag == installation
