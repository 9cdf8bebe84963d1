"""Clusters as servers of Nova: a head with the notebook and the scheduler, and equal workers.

A node is found by its name, `bk-<reservation>-head` or `bk-<reservation>-w<number>`, and belongs to the
installation that its metadata names. Its end stands in its metadata too: the node powers itself off then, and
whoever looks at it later deletes it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import requests

from booking.adapters.base import (
    Capabilities,
    ClusterSpec,
    ClusterState,
    Endpoint,
    NotEnough,
    Observed,
    ProvisionerError,
    checked_id,
    outside_name,
    refuse_passed,
)
from booking.adapters.openstack.cloudinit import user_data
from booking.adapters.openstack.errors import Busy
from booking.adapters.openstack.flavors import Flavors
from booking.adapters.openstack.naming import fingerprint, token_of
from booking.adapters.openstack.servers import NO_NETWORK, Server, Servers, Wanted
from booking.adapters.openstack.session import Clock, Cloud
from booking.adapters.openstack.shapes import Size, head_of, worker_of

NOTEBOOK_PORT, SCHEDULER_PORTS = 8888, {"dask": 8786, "spark": 7077}
_SCHEMES = {"dask": "tcp", "spark": "spark"}
_INSTALLATION, _NODES, _ENDS_AT = "booking_installation", "booking_nodes", "booking_ends_at"
_NAME = re.compile(r"bk-(?P<reservation>[a-z0-9]{8,40})-(?:head|w[0-9]+)")
_COMING = frozenset({"BUILD", "REBUILD", "REBOOT", "HARD_REBOOT", "UNKNOWN"})
_PROBE_SECONDS = 3.0
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Machines:
    """How the nodes of a platform are made."""

    image: str
    network: str = NO_NETWORK
    zone: str = ""
    key_name: str = ""
    engine: str = "dask"
    spread: str = "soft-anti-affinity"
    """The policy of the server group of a cluster; empty for none."""
    address: str = ""
    """How users reach a node, as `https://{name}.example.org`; empty is its own address and port."""
    probe: bool = False
    """Whether a cluster is ready only when its notebook answers this service."""


class NovaProvisioner:
    """Servers in the project of one cloud, in the pledge of their reservation where there is one."""

    name = "nova"

    def __init__(
        self,
        cloud: Cloud,
        machines: Machines,
        flavors: Flavors,
        *,
        installation: str,
        clock: Clock,
        key: bytes,
    ) -> None:
        """`key` is what tokens derive from; every process of the installation has the same."""
        self._cloud, self._machines, self._flavors = cloud, machines, flavors
        self._servers = Servers(cloud)
        self._ours, self._clock, self._key = fingerprint(installation), clock, key

    def capabilities(self) -> Capabilities:
        return Capabilities(
            hard_memory=True,
            hard_cores=True,
            survives_restart=True,
            contains_escapees=True,
            notes=("Every node is a server of its own, and is deleted as a whole.",),
        )

    def provision(self, spec: ClusterSpec) -> None:
        """As the port says; all nodes or none: what cannot be made whole is deleted again."""
        checked_id(spec.reservation_id)
        refuse_passed(spec, self._clock.now())
        with self._cloud.writing:
            there = self._of(spec.reservation_id)
            if there and not _staying(there):
                raise ProvisionerError("This cluster is just ending.")
            kept = self._fitting(_staying(there), spec)
            missing = [node for node in self._nodes(spec) if node not in kept]
            try:
                for name in missing:
                    self._servers.create(self._wanted(spec, name))
            except ProvisionerError as error:
                if isinstance(error, NotEnough) or not error.transient:
                    self._delete_all(self._of(spec.reservation_id), spec.reservation_id)
                raise
            if missing:
                # Another process may have made the same at the same time.
                self._undoubled(_staying(self._of(spec.reservation_id)))

    def observe(self, reservation_id: str) -> Observed:
        """As the port says; what is past its own end is deleted by the look."""
        checked_id(reservation_id)
        there = self._of(reservation_id)
        if not there:
            return Observed(ClusterState.ABSENT)
        ends_at = min((end for end in map(_end_of, there) if end is not None), default=None)
        staying = _staying(there)
        if not staying or (len(staying) < len(there) and not _is_whole(staying)):
            return Observed(ClusterState.STOPPING, "Its servers are being deleted.", ends_at=ends_at)
        if ends_at is not None and ends_at <= self._clock.now():
            self._delete_all(there, reservation_id)
            return Observed(ClusterState.STOPPING, "Its end has passed.", ends_at=ends_at)
        return self._judged(reservation_id, staying, ends_at)

    def extend(self, reservation_id: str, ends_at: datetime) -> None:
        checked_id(reservation_id)
        staying = _staying(self._of(reservation_id))
        if not staying:
            raise ProvisionerError("There is no such cluster to extend.", transient=False)
        for server in staying:
            self._told(server, {_ENDS_AT: ends_at.isoformat()})

    def _told(self, server: Server, metadata: Mapping[str, str]) -> None:
        """Set metadata; while a server is being built Nova refuses that, so it is waited for a little."""
        for pause in (*_PAUSES, None):
            try:
                self._servers.tell(server.id, metadata)
            except Busy:
                if pause is None:
                    raise
                time.sleep(pause)
            else:
                return

    def teardown(self, reservation_id: str, *, grace: timedelta) -> None:
        """The same for every `grace`: Nova asks a guest to shut down before it is destroyed."""
        checked_id(reservation_id)
        self._delete_all(self._of(reservation_id), reservation_id)

    def credentials(self, reservation_id: str) -> Mapping[str, str]:
        if self.observe(reservation_id).state not in (ClusterState.STARTING, ClusterState.READY):
            return {}
        return self.tokens(reservation_id)

    def tokens(self, reservation_id: str) -> Mapping[str, str]:
        """The tokens that a cluster of this reservation has or would have; the cloud is not asked."""
        return {"notebook": token_of(self._key, reservation_id)}

    def inventory(self) -> frozenset[str]:
        found = (_NAME.fullmatch(server.name) for server in self._ours_of("^bk-"))
        return frozenset(match["reservation"] for match in found if match)

    def _of(self, reservation_id: str) -> list[Server]:
        return self._ours_of(f"^{outside_name(reservation_id)}-")

    def _ours_of(self, pattern: str) -> list[Server]:
        return [s for s in self._servers.named(pattern) if s.metadata.get(_INSTALLATION) == self._ours]

    @staticmethod
    def _nodes(spec: ClusterSpec) -> list[str]:
        base = outside_name(spec.reservation_id)
        return [f"{base}-head", *(f"{base}-w{number}" for number in range(1, spec.worker_count + 1))]

    def _fitting(self, there: list[Server], spec: ClusterSpec) -> set[str]:
        """Delete what is broken, of another shape or doubled; the names of what stays."""
        names, fitting = self._nodes(spec), list[Server]()
        for server in there:
            fits = server.name in names and server.metadata.get(_NODES) == str(len(names))
            if fits and server.status in {"ACTIVE"} | _COMING:
                fitting.append(server)
            else:
                self._servers.delete(server.id)
        return self._undoubled(fitting)

    def _undoubled(self, there: list[Server]) -> set[str]:
        """Of servers with one name the oldest stays: Nova keeps names apart no more than Blazar does."""
        kept = set[str]()
        for server in there:
            if server.name in kept:
                self._servers.delete(server.id)
            kept.add(server.name)
        return kept

    def _wanted(self, spec: ClusterSpec, name: str) -> Wanted:
        made, base = self._machines, outside_name(spec.reservation_id)
        role = "head" if name.endswith("-head") else "worker"
        size = head_of(spec) if role == "head" else worker_of(spec)
        hints = {}
        if made.spread and spec.worker_count:
            hints["group"] = self._servers.group(base, made.spread)
        if "reservation" in spec.binding:
            hints["reservation"] = spec.binding["reservation"]
        token = self.tokens(spec.reservation_id)["notebook"]
        return Wanted(
            name=name,
            flavor=self._flavor(spec.binding, role, size),
            image=made.image,
            user_data=user_data(spec, engine=made.engine, role=role, head=f"{base}-head", token=token),
            metadata={
                "booking_reservation": spec.reservation_id,
                "booking_role": role,
                _INSTALLATION: self._ours,
                _NODES: str(1 + spec.worker_count),
                _ENDS_AT: spec.ends_at.isoformat(),
            },
            network=made.network,
            zone=made.zone,
            key_name=made.key_name,
            hints=hints,
        )

    def _flavor(self, binding: Mapping[str, str], role: str, size: Size) -> str:
        """The flavor of the pledge, which only servers in it may have; without one, the smallest that fits."""
        return binding.get(f"{role}_flavor") or self._flavors.chosen(size).id

    def _judged(self, reservation_id: str, there: list[Server], ends_at: datetime | None) -> Observed:
        for server in there:
            if server.status not in {"ACTIVE"} | _COMING:
                why = server.fault or f"its state is {server.status}"
                return Observed(
                    ClusterState.LOST, f"The server {server.name} is broken: {why}", ends_at=ends_at
                )
        head = next((s for s in there if s.name == f"{outside_name(reservation_id)}-head"), None)
        if head is None or not _is_whole(there):
            return Observed(ClusterState.LOST, "Some of its servers are missing.", ends_at=ends_at)
        endpoints = self._endpoints(head)
        if any(server.status in _COMING for server in there):
            return Observed(ClusterState.STARTING, "Its servers are being built.", endpoints, ends_at)
        if self._machines.probe and not _answers(endpoints[0].url):
            return Observed(ClusterState.STARTING, "Its notebook is starting.", endpoints, ends_at)
        return Observed(ClusterState.READY, "Its servers run.", endpoints, ends_at)

    def _endpoints(self, head: Server) -> tuple[Endpoint, ...]:
        engine, host = self._machines.engine, head.address or head.name
        host = f"[{host}]" if ":" in host else host
        notebook = self._machines.address.format(name=head.name) or f"http://{host}:{NOTEBOOK_PORT}"
        scheduler = f"{_SCHEMES[engine]}://{host}:{SCHEDULER_PORTS[engine]}"
        return Endpoint("notebook", f"{notebook.rstrip('/')}/"), Endpoint("scheduler", scheduler)

    def _delete_all(self, there: list[Server], reservation_id: str) -> None:
        for server in there:
            if not server.is_going:
                self._servers.delete(server.id)
        self._servers.delete_groups(outside_name(reservation_id))


def _staying(there: list[Server]) -> list[Server]:
    return [server for server in there if not server.is_going]


def _is_whole(there: list[Server]) -> bool:
    """Whether all nodes of one shape are there, the head among them."""
    wanted = {server.metadata.get(_NODES) for server in there}
    return wanted == {str(len({server.name for server in there}))}


def _end_of(server: Server) -> datetime | None:
    try:
        return datetime.fromisoformat(server.metadata.get(_ENDS_AT, ""))
    except ValueError:
        return None


def _answers(url: str) -> bool:
    """Whether the notebook behind the address is up; who asks has no token, and needs none for that."""
    try:
        return requests.get(f"{url}api", timeout=_PROBE_SECONDS).ok
    except requests.RequestException:
        return False
