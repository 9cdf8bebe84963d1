"""Nova: its flavors, with those that Blazar makes for leases, and its hypervisors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from werkzeug import Request, Response

from tests.openstack.fake.machines import Machine
from tests.openstack.fake.web import Caller, Refused, Service, answer

PAGE = 50
VERSION_HEADER = "OpenStack-API-Version"


@dataclass(frozen=True)
class Flavor:
    id: str
    name: str
    cores: int
    memory_mib: int
    disk_gib: int = 20
    is_public: bool = True


FLAVORS = (
    Flavor("1", "m1.tiny", 1, 1024, 5),
    Flavor("2", "m1.small", 2, 4096),
    Flavor("3", "m1.large", 4, 16384),
    Flavor("4", "secret.large", 4, 8192, is_public=False),
    Flavor("5", "c1.wide", 8, 16384),
)


class Nova(Service):
    type = "compute"
    path = "/compute/v2.1"

    def __init__(self, machines: list[Machine]) -> None:
        super().__init__()
        self.flavors = list(FLAVORS)
        self.of_leases: Callable[[], Iterable[Flavor]] = lambda: ()
        """The flavors of leases; Blazar tells them."""
        self._machines = machines
        self.route("GET", "/flavors/detail", self._flavors)
        self.route("GET", "/os-hypervisors/detail", self._hypervisors)

    def flavor(self, flavor_id: str) -> Flavor | None:
        return next((flavor for flavor in self.flavors if flavor.id == flavor_id), None)

    def _flavors(self, _request: Request, caller: Caller) -> Response:
        # Those of leases are shown whatever is asked for: the client must not count on the filter alone.
        shown = [f for f in (*self.flavors, *self.of_leases()) if f.is_public or caller.is_admin]
        return answer({"flavors": [_flavor(flavor) for flavor in shown]})

    def _hypervisors(self, request: Request, caller: Caller) -> Response:
        if not caller.is_admin:
            message = "Policy doesn't allow os_compute_api:os-hypervisors:list-detail to be performed."
            raise Refused(403, {"forbidden": {"code": 403, "message": message}})
        version = request.headers.get(VERSION_HEADER, "compute 2.1").rpartition(" ")[2]
        minor = int(version.partition(".")[2])
        marker = request.args.get("marker")
        ids = [machine.uuid for machine in self._machines]
        first = ids.index(marker) + 1 if marker else 0
        page = self._machines[first : first + PAGE]
        body: dict[str, Any] = {"hypervisors": [_hypervisor(machine, minor) for machine in page]}
        if first + PAGE < len(ids):
            body["hypervisors_links"] = [
                {"rel": "next", "href": f"{request.base_url}?marker={page[-1].uuid}"}
            ]
        return answer(body)


def _flavor(flavor: Flavor) -> dict[str, Any]:
    return {
        "id": flavor.id,
        "name": flavor.name,
        "vcpus": flavor.cores,
        "ram": flavor.memory_mib,
        "disk": flavor.disk_gib,
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "os-flavor-access:is_public": flavor.is_public,
    }


def _hypervisor(machine: Machine, minor: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": machine.uuid if minor >= 53 else int(machine.id),
        "hypervisor_hostname": machine.name,
        "state": "up" if machine.is_up else "down",
        "status": "enabled" if machine.is_enabled else "disabled",
        "service": {"host": machine.name, "id": machine.id, "disabled_reason": machine.disabled_reason},
    }
    if minor < 88:
        values |= {
            "vcpus": machine.cores,
            "memory_mb": machine.memory_mib,
            "local_gb": machine.disk_gib,
        }
    return values
