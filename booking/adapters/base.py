"""The ports to a platform: how a cluster is made, observed, extended and ended, and what the platform sets aside.

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
from collections.abc import Callable, Iterable, Mapping
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
    revision: int = 1
    """Of the reservation's span; it advances with every change."""
    binding: Mapping[str, str] = field(default_factory=dict)
    """What the platform has set aside for it, as :attr:`Pledged.binding` told; empty where platforms pledge nothing."""

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


def refuse_passed(spec: ClusterSpec, now: datetime) -> None:
    """:raises ProvisionerError: if the deadline of a cluster has passed; no later try will pass."""
    if spec.ends_at <= now:
        raise ProvisionerError("The deadline of this cluster has passed.", transient=False)


def outside_name(reservation_id: str) -> str:
    """The name of a reservation's cluster in every outside system."""
    return f"bk-{reservation_id}"


def is_ours(tag: object, installation: str) -> bool:
    """Whether what carries this tag belongs to the installation; what carries none is taken for ours."""
    return not tag or not installation or tag == installation


class PledgeState(StrEnum):
    """What is seen of a pledge outside."""

    ABSENT = "absent"
    """Nothing is set aside."""
    PENDING = "pending"
    """It is set aside; its time has not come."""
    ACTIVE = "active"
    """Clusters may be placed in it."""
    CHANGING = "changing"
    """The platform is at work on it; look again."""
    OVER = "over"
    """Its time has passed, or it was given back; remains may be listed."""
    BROKEN = "broken"
    """The platform says that it cannot keep it, or less is set aside than was asked for."""


@dataclass(frozen=True)
class Pledged:
    """One look at what a platform has set aside for a reservation."""

    state: PledgeState
    revision: int = 0
    """Of the reservation that it was made or changed for."""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    reference: str = ""
    """Its id in the platform's own words."""
    binding: Mapping[str, str] = field(default_factory=dict)
    """How a provisioner places machines in it, by what the platform calls it; filled once that is known."""
    detail: str = ""
    """One plain sentence for administrators."""


@dataclass(frozen=True)
class Stranger:
    """What somebody else has reserved on the platform, outside of this service; amounts whole, memory in MiB."""

    reference: str
    starts_at: datetime
    ends_at: datetime
    cores: int
    memory_mib: int
    owner: str = ""
    """Whose it is, in the platform's own words."""
    name: str = ""
    """As its owner called it."""


@dataclass(frozen=True)
class Inquiry:
    """What a platform asks before it reserves, as its filter hands it on."""

    wanted: Stranger
    """As it would be; without a reference, it is not there yet."""
    reservation_id: str = ""
    """Of ours that it is for; empty for a stranger's."""


@dataclass(frozen=True)
class Host:
    """A machine that a platform really has."""

    name: str
    cores: int
    memory_mib: int
    disk_gib: int = 0
    gpus: int = 0
    is_up: bool = True
    detail: str = ""
    """Why it is not up, in one plain sentence."""


class PlatformFault(ProvisionerError):
    """It says nothing about the thing that was asked for: the next one would fare the same."""


class Unreachable(PlatformFault):
    """The platform does not answer."""


class NotEnough(ProvisionerError):
    """The platform has less than is asked of it; a later try may pass."""


class Misconfigured(PlatformFault):
    """The platform knows us not, or lets us not; only its or our operator can change that."""

    def __init__(self, message: str) -> None:
        super().__init__(message, transient=False)


class Pledges(Protocol):
    """The port to a platform that reserves by itself (OpenStack Blazar); raises :class:`ProvisionerError`.

    Every platform keeps the contract in `tests/adapters/pledging.py`. Its rules are those of a provisioner:
    the outside name derives from the reservation, what is asked for twice is there once, and the truth
    is outside. One more: what the platform answers is never the arbiter of a promise, for it may grant
    the same machine twice; our ledger is.
    """

    name: str
    may_change: bool
    """Whether what is set aside can be lengthened, shortened or resized; otherwise it can only be given back."""

    def pledge(self, spec: ClusterSpec) -> Pledged:
        """Have exactly that set aside: made if it is absent, changed if span or size differ; idempotent.

        :raises NotEnough: if the platform refuses for want of resources; what was set aside before stays.
        """

    def look(self) -> Mapping[str, Pledged]:
        """All pledges of this installation by reservation id, of which the past may be listed too; one question."""

    def release(self, reservation_id: str) -> None:
        """Give it back, and remove what is listed of it; safe on unknown and half-made ones."""

    def strangers(self) -> tuple[Stranger, ...]:
        """What others have reserved now or later on the same resources."""

    def inquiry(self, asked: Mapping[str, Any]) -> Inquiry:
        """What the platform asks by these values; it is read here, and nobody is asked.

        :raises ValueError: if they make no sense.
        """


class Stock(Protocol):
    """The port to what a platform physically has; raises :class:`ProvisionerError`."""

    def hosts(self) -> tuple[Host, ...]:
        """Every machine that pools on it may count on, also those that are down."""


@dataclass(frozen=True)
class Checked:
    """One thing that a platform must have or let us do, and whether it is so."""

    what: str
    ok: bool
    detail: str = ""


def _nothing() -> Iterable[Checked]:
    return ()


def _no_tokens(_reservation_id: str) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Ports:
    """All that is spoken to one platform."""

    provisioner: Provisioner
    pledges: Pledges | None = None
    """None where the platform sets nothing aside by itself."""
    stock: Stock | None = None
    """None where it is not asked what it has."""
    tokens: Callable[[str], Mapping[str, str]] = _no_tokens
    """The tokens of a reservation's cluster by endpoint, without asking the platform: pages call this."""
    checks: Callable[[], Iterable[Checked]] = _nothing
    """Asks the platform, one after another, for all that is needed; changes nothing there, raises nothing."""


class SettingsFault(ValueError):
    """What is wrong with the settings of a platform, by setting."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name} {fault}" for name, fault in faults.items()))
        self.faults = dict(faults)
