"""Placement: a provider for each host, one that Blazar puts under it, and one of storage that has no cores."""

from __future__ import annotations

from typing import Any

from werkzeug import Request, Response

from tests.openstack.fake.machines import Machine
from tests.openstack.fake.web import Caller, Refused, Service, answer

STORAGE = "5707a9e0-0000-4000-8000-000000000000"
RESERVED_MIB = 512


class Placement(Service):
    type = "placement"
    path = "/placement"

    def __init__(self, machines: list[Machine]) -> None:
        super().__init__()
        self._machines = machines
        self.route("GET", "/resource_providers", self._providers)
        self.route("GET", "/resource_providers/(?P<uuid>[0-9a-z-]+)/inventories", self._inventories)

    def _providers(self, request: Request, caller: Caller) -> Response:
        _admins_only(caller)
        required = request.args.get("required")
        if required is not None:
            return answer({"resource_providers": [_provider(m) for m in self._machines if not m.is_enabled]})
        children = [
            {"uuid": f"child-{m.id}", "name": f"blazar_{m.name}", "parent_provider_uuid": m.uuid}
            for m in self._machines
        ]
        storage = {"uuid": STORAGE, "name": "shared-storage", "parent_provider_uuid": None}
        return answer({"resource_providers": [*(_provider(m) for m in self._machines), *children, storage]})

    def _inventories(self, _request: Request, caller: Caller, uuid: str) -> Response:
        _admins_only(caller)
        if uuid == STORAGE:
            return answer({"inventories": {"DISK_GB": _amount(100_000)}})
        machine = next((m for m in self._machines if m.uuid == uuid), None)
        if machine is None:
            raise Refused(404, {"errors": [{"status": 404, "title": "Not Found"}]})
        inventories = {
            "VCPU": _amount(machine.cores),
            "MEMORY_MB": _amount(machine.memory_mib, RESERVED_MIB),
            "DISK_GB": _amount(machine.disk_gib),
        }
        if "gpus" in machine.properties:
            inventories["CUSTOM_GPU_A100"] = _amount(int(machine.properties["gpus"]))
        return answer({"inventories": inventories, "resource_provider_generation": 1})


def _admins_only(caller: Caller) -> None:
    if not caller.is_admin:
        raise Refused(403, {"errors": [{"status": 403, "title": "Forbidden"}]})


def _provider(machine: Machine) -> dict[str, Any]:
    return {"uuid": machine.uuid, "name": machine.name, "parent_provider_uuid": None, "generation": 1}


def _amount(total: int, reserved: int = 0) -> dict[str, Any]:
    return {"total": total, "reserved": reserved, "allocation_ratio": 4.0, "max_unit": total}
