"""Blazar's version 1, as it was seen to answer, its errors and oddities included; changes are in `changing.py`."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from werkzeug import Request, Response

from tests.openstack.fake.changing import Changer
from tests.openstack.fake.dates import Clock, read_span
from tests.openstack.fake.leases import FLAVORS, HOSTS, INSTANCES, Lease, Reservation, told
from tests.openstack.fake.machines import Machine
from tests.openstack.fake.nova import Flavor, Nova
from tests.openstack.fake.picking import Picker, refused
from tests.openstack.fake.web import Caller, Faults, Service, answer

LONGEST_NAME = 80
NEEDED = {
    HOSTS: ("min", "max", "resource_properties", "hypervisor_properties"),
    INSTANCES: ("vcpus", "memory_mb", "disk_gb", "amount", "affinity", "resource_properties"),
    FLAVORS: ("flavor_id", "amount", "affinity"),
}


class Blazar(Service):
    """It checks and then acts, with `pause` seconds in between and no lock: two at once may get the same hosts."""

    type = "reservation"
    path = "/reservation/v1"

    def __init__(self, clock: Clock, machines: list[Machine], nova: Nova, faults: Faults) -> None:
        super().__init__()
        self.leases: dict[str, Lease] = {}
        self.pause = 0.0
        self._clock, self._machines, self._nova, self._faults = clock, machines, nova, faults
        self._lock = threading.RLock()
        self._picker = Picker(machines, self.leases)
        self._changer = Changer(self._picker, clock)
        nova.of_leases = self._flavors
        self.route("GET", "/leases", self._list)
        self.route("POST", "/leases", self._create)
        self.route("GET", "/leases/(?P<lease_id>[^/]+)", self._get)
        self.route("PUT", "/leases/(?P<lease_id>[^/]+)", self._put)
        self.route("DELETE", "/leases/(?P<lease_id>[^/]+)", self._delete)
        self.route("GET", "/os-hosts", self._hosts)
        self.route("GET", "/os-hosts/allocations", self._allocations)

    def serve(self, request: Request, caller: Caller) -> Response:
        if self._faults.is_manager_down:
            self._faults.closing.wait(self._faults.manager_seconds)
            raise refused(500, "Internal Server Error")
        with self._lock:
            for lease in self.leases.values():
                lease.advance(self._clock.now())
        return super().serve(request, caller)

    def be_lax(self) -> None:
        """Count machines as the real one does: it grants more of them than there is."""
        self._picker.is_lax = True

    def named(self, prefix: str) -> list[Lease]:
        """The leases whose name begins so, the oldest first."""
        with self._lock:
            return [lease for lease in self.leases.values() if lease.name.startswith(prefix)]

    def fail(self, lease: Lease) -> None:
        """An event of it went wrong."""
        lease.status = "ERROR"

    def degrade(self, lease: Lease) -> None:
        """A host of it failed, and there is no other."""
        lease.is_degraded = True
        lease.reservations[0].is_missing = True
        lease.reservations[0].hosts.pop()

    def _list(self, _request: Request, caller: Caller) -> Response:
        with self._lock:
            shown = [
                le for le in self.leases.values() if caller.is_admin or le.project_id == caller.project_id
            ]
            return answer({"leases": [lease.told() for lease in shown]})

    def _get(self, _request: Request, _caller: Caller, lease_id: str) -> Response:
        with self._lock:
            return answer({"lease": self._found(lease_id).told()})

    def _create(self, request: Request, caller: Caller) -> Response:
        body = self._body(request)
        lease = self._begun(body, caller)
        wanted = [self._read(values) for values in body.get("reservations", [])]
        with self._lock:
            # The first of two checks: each reservation alone, as if the others were not.
            for reservation in wanted:
                self._picker.pick(reservation, (lease.start, lease.end))
            self.leases[lease.id] = lease
        try:
            for reservation in wanted:
                self._allocate(lease, reservation)
        except Exception:
            with self._lock:
                del self.leases[lease.id]
            raise
        with self._lock:
            lease.status = "PENDING"
            return answer({"lease": lease.told()}, 201)

    def _allocate(self, lease: Lease, reservation: Reservation) -> None:
        with self._lock:
            hosts = self._picker.pick(reservation, (lease.start, lease.end))
        if self.pause:
            self._faults.closing.wait(self.pause)
        with self._lock:
            reservation.hosts = hosts
            lease.reservations.append(reservation)

    def _put(self, request: Request, caller: Caller, lease_id: str) -> Response:
        with self._lock:
            lease = self._found(lease_id)
            self._changer.change(lease, self._body(request), caller)
            # Told before the status is written back, as the real one does.
            return answer({"lease": lease.told("UPDATING")})

    def _delete(self, _request: Request, _caller: Caller, lease_id: str) -> Response:
        with self._lock:
            if self._found(lease_id).status in ("STARTING", "TERMINATING", "DELETING"):
                raise refused(500, "Invalid lease status.")
            del self.leases[lease_id]
        return answer(None, 204)

    def _hosts(self, _request: Request, caller: Caller) -> Response:
        self._admins_only(caller, "blazar:oshosts:get")
        return answer({"hosts": [_host(machine) for machine in self._machines]})

    def _allocations(self, request: Request, caller: Caller) -> Response:
        self._admins_only(caller, "blazar:oshosts:get_allocations")
        lease_id, now = request.args.get("lease_id"), self._clock.now()
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        with self._lock:
            for lease in self.leases.values():
                if lease.end >= now and lease_id in (None, lease.id):
                    for reservation in lease.reservations:
                        for host in reservation.hosts:
                            found[host].append(_allocation(lease, reservation))
        listed = [{"resource_id": m.id, "reservations": found[m.id]} for m in self._machines]
        return answer({"allocations": listed})

    def _found(self, lease_id: str) -> Lease:
        if lease_id not in self.leases:
            raise refused(404, f"Object with {{'lease_id': '{lease_id}'}} not found")
        return self.leases[lease_id]

    def _body(self, request: Request) -> dict[str, Any]:
        try:
            body: dict[str, Any] = json.loads(request.get_data())
        except ValueError:
            raise refused(500, "Internal Server Error") from None
        return body

    def _begun(self, body: Mapping[str, Any], caller: Caller) -> Lease:
        for name in ("name", "start_date", "end_date"):
            if not body.get(name):
                raise refused(400, f"The parameter {name} is missing")
        if len(body["name"]) > LONGEST_NAME:
            raise refused(500, "Internal Server Error")
        start, end = read_span(body["start_date"], body["end_date"], self._clock.now())
        return Lease(body["name"], caller.user_id, caller.project_id, start, end, self._clock.now())

    def _read(self, values: Mapping[str, Any]) -> Reservation:
        kind = values.get("resource_type", "")
        if kind not in NEEDED:
            raise refused(500, f"The {kind} resource type is not supported")
        for name in NEEDED[kind]:
            if name not in values:
                raise refused(400, f"The parameter {name} is missing")
        own = {name: values[name] for name in NEEDED[kind]}
        if int(own.get("amount", own.get("min", 0))) < 1:
            raise refused(400, "The parameter is malformed")
        if kind == FLAVORS:
            flavor = self._nova.flavor(own["flavor_id"])
            if flavor is None:
                raise refused(500, "Internal Server Error")
            own |= {"vcpus": flavor.cores, "memory_mb": flavor.memory_mib, "disk_gb": flavor.disk_gib}
        return Reservation(kind, own)

    def _flavors(self) -> list[Flavor]:
        with self._lock:
            return [
                Flavor(r.id, f"reservation:{r.id}", r.values["vcpus"], r.values["memory_mb"], is_public=False)
                for lease in self.leases.values()
                for r in lease.reservations
                if r.resource_type != HOSTS and r.status != "deleted"
            ]

    def _admins_only(self, caller: Caller, what: str) -> None:
        if not caller.is_admin:
            raise refused(403, f"Policy doesn't allow {what} to be performed")


def _host(machine: Machine) -> dict[str, Any]:
    return {
        "id": machine.id,
        "hypervisor_hostname": machine.name,
        "service_name": machine.name,
        "vcpus": machine.cores,
        "memory_mb": machine.memory_mib,
        "local_gb": machine.disk_gib,
        "reservable": machine.is_reservable,
        "status": None,
        **machine.properties,
    }


def _allocation(lease: Lease, reservation: Reservation) -> dict[str, Any]:
    return {
        "id": reservation.id,
        "lease_id": lease.id,
        "start_date": told(lease.start),
        "end_date": told(lease.end),
    }
