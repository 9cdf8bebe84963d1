"""The hosts of a cloud, as Blazar, Nova or Placement knows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keystoneauth1.adapter import Adapter

from booking.adapters.base import Host, Stock
from booking.adapters.openstack.errors import speaking
from booking.adapters.openstack.leases import Leases
from booking.adapters.openstack.session import Cloud

NOVA_VERSION = "2.53"
"""The newer ones page and tell the state of the service; from 2.88 on, none tells cores or memory any more."""
PLACEMENT_VERSION = "1.20"
"""From 1.14 on it tells which providers are parts of others, from 1.18 on it can be asked by trait."""
_DISABLED = "COMPUTE_STATUS_DISABLED"
"""The trait that Nova gives to the provider of a host whose service is disabled."""
_CORES = ("VCPU", "PCPU")
STOCKS = ("blazar", "nova", "placement")


def stock_of(cloud: Cloud, who: str) -> Stock:
    """What tells the hosts: `blazar`, `nova` or `placement`."""
    if who == "blazar":
        return BlazarStock(cloud)
    return NovaStock(cloud) if who == "nova" else PlacementStock(cloud)


class BlazarStock:
    """The hosts that Blazar was given to lease; for its administrators only."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud, self._leases = cloud, Leases(cloud)

    def hosts(self) -> tuple[Host, ...]:
        """A property `gpus` of a host, if its operator gave it one, is the number of them."""
        told = self._leases.hosts()
        with speaking(self._cloud.name, "its hosts were read"):
            return tuple(_of_blazar(values) for values in told)


class NovaStock:
    """The hypervisors of Nova; for its administrators only."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def hosts(self) -> tuple[Host, ...]:
        with speaking(self._cloud.name, "its hypervisors were listed"):
            return tuple(_of_nova(values) for values in self._pages())

    def _pages(self) -> Iterator[Mapping[str, Any]]:
        nova, params = self._cloud.service("compute"), dict[str, str]()
        while True:
            answer = nova.get("/os-hypervisors/detail", params=params, microversion=NOVA_VERSION).json()
            page = answer["hypervisors"]
            yield from page
            if not page or not answer.get("hypervisors_links"):
                return
            params = {"marker": str(page[-1]["id"])}


class PlacementStock:
    """The resource providers of Placement that have cores: what is left after what each reserves for itself."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def hosts(self) -> tuple[Host, ...]:
        """One question for each provider, and two for all."""
        with speaking(self._cloud.name, "its resource providers were listed"):
            placement = self._cloud.service("placement")
            roots = [p for p in _providers(placement) if p.get("parent_provider_uuid") is None]
            disabled = {p["uuid"] for p in _providers(placement, required=_DISABLED)}
            stocks = ((p, _inventories(placement, p["uuid"])) for p in roots)
            return tuple(
                _of_placement(provider, inventories, is_up=provider["uuid"] not in disabled)
                for provider, inventories in stocks
                if any(kind in inventories for kind in _CORES)
            )


def _of_blazar(values: Mapping[str, Any]) -> Host:
    is_up = bool(values.get("reservable", True)) and not values.get("disabled")
    gpus = str(values.get("gpus", ""))
    return Host(
        name=values["hypervisor_hostname"],
        cores=int(values["vcpus"]),
        memory_mib=int(values["memory_mb"]),
        disk_gib=int(values["local_gb"]),
        gpus=int(gpus) if gpus.isdecimal() else 0,
        is_up=is_up,
        detail="" if is_up else "Blazar leases this host to nobody at present.",
    )


def _of_nova(values: Mapping[str, Any]) -> Host:
    if values["state"] != "up":
        detail = "Nova has lost this host."
    elif values["status"] != "enabled":
        reason = (values.get("service") or {}).get("disabled_reason")
        detail = (
            f"An operator has disabled this host: {reason}"
            if reason
            else "An operator has disabled this host."
        )
    else:
        detail = ""
    return Host(
        name=values["hypervisor_hostname"],
        cores=int(values["vcpus"]),
        memory_mib=int(values["memory_mb"]),
        disk_gib=int(values["local_gb"]),
        is_up=not detail,
        detail=detail,
    )


def _of_placement(provider: Mapping[str, Any], inventories: Mapping[str, Any], *, is_up: bool) -> Host:
    def left(*kinds: str) -> int:
        there = [inventories[kind] for kind in kinds if kind in inventories]
        return sum(int(i["total"]) - int(i.get("reserved", 0)) for i in there)

    return Host(
        name=provider["name"],
        cores=left(*_CORES),
        memory_mib=left("MEMORY_MB"),
        disk_gib=left("DISK_GB"),
        gpus=left("VGPU", *(kind for kind in inventories if kind.startswith("CUSTOM_") and "GPU" in kind)),
        is_up=is_up,
        detail="" if is_up else "An operator has disabled this host.",
    )


def _providers(placement: Adapter, **params: str) -> list[Mapping[str, Any]]:
    answer = placement.get("/resource_providers", params=params, microversion=PLACEMENT_VERSION)
    return list(answer.json()["resource_providers"])


def _inventories(placement: Adapter, uuid: str) -> Mapping[str, Any]:
    answer = placement.get(f"/resource_providers/{uuid}/inventories", microversion=PLACEMENT_VERSION)
    found: Mapping[str, Any] = answer.json()["inventories"]
    return found
