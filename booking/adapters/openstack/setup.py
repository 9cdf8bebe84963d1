"""A cloud as the ports of a platform: what its settings mean, and what is wrong with them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from booking.adapters.base import Ports, SettingsFault
from booking.adapters.openstack.blazar import BlazarPledges
from booking.adapters.openstack.checks import of_magnum, of_nova
from booking.adapters.openstack.cloudinit import ENGINES
from booking.adapters.openstack.flavors import FlavorLeases, Flavors
from booking.adapters.openstack.hosts import STOCKS, stock_of
from booking.adapters.openstack.magnum import MagnumProvisioner, Templates
from booking.adapters.openstack.nova import Machines, NovaProvisioner
from booking.adapters.openstack.servers import NO_NETWORK
from booking.adapters.openstack.session import Clock, Cloud
from booking.adapters.openstack.shapes import (
    FLAVORS,
    HOSTS,
    INSTANCES,
    HostLeases,
    InstanceLeases,
    Kind,
    Size,
)

POLICIES = ("", "anti-affinity", "soft-anti-affinity", "affinity", "soft-affinity")
_SIZE = re.compile(r"(?P<cores>[0-9]{1,6})x(?P<memory>[0-9]{1,9})")
_MOST = 10**9


@dataclass
class _Reader:
    """Takes settings one by one; what is left is unknown."""

    settings: Mapping[str, Any]
    faults: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    def text(self, name: str, default: str = "", *, needed: bool = False) -> str:
        value: object = self._of(name, default)
        if not isinstance(value, str):
            self.faults[name] = "must be text"
            return default
        if needed and not value:
            self.faults[name] = "is needed"
        return value

    def one_of(self, name: str, known: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in known:
            self.faults[name] = f"is one of {', '.join(word or 'empty' for word in known)}"
        return value

    def whole(self, name: str, default: int, least: int = 0) -> int:
        value = self._of(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
            self.faults[name] = f"must be a whole number, {least} or more"
            return default
        return value

    def truth(self, name: str, *, default: bool) -> bool:
        value = self._of(name, default)
        if not isinstance(value, bool):
            self.faults[name] = "must be true or false"
            return default
        return value

    def flavors(self, name: str) -> dict[Size, str]:
        """Names of flavors by the size that they are for, written `4x8192` for cores and MiB."""
        value, found = self._of(name, {}), dict[Size, str]()
        for size, flavor in value.items() if isinstance(value, dict) else ((value, value),):
            match = _SIZE.fullmatch(str(size))
            if match is None or not isinstance(flavor, str):
                self.faults[name] = 'must be an object like {"4x8192": "name of a flavor"}'
                continue
            found[Size(int(match["memory"]), int(match["cores"]))] = flavor
        return found

    def names(self, name: str) -> dict[str, str]:
        """An object of texts."""
        value = self._of(name, {})
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            self.faults[name] = "must be an object of texts"
            return {}
        return dict(value)

    def finish(self) -> None:
        """:raises SettingsFault: if anything was wrong or is not known."""
        unknown = self.settings.keys() - self.taken
        self.faults |= dict.fromkeys(unknown, "is not a setting of this provisioner")
        if self.faults:
            raise SettingsFault(self.faults)

    def _of(self, name: str, default: Any) -> Any:
        self.taken.add(name)
        return self.settings.get(name, default)


def nova_ports(settings: Mapping[str, Any], clock: Clock, installation: str, key: bytes) -> Ports:
    """Servers of Nova, in leases of Blazar where the setting `pledges` names a kind of them; nothing is asked yet.

    :raises SettingsFault: naming each setting that is wrong.
    """
    read = _Reader(settings)
    cloud = Cloud(read.text("cloud", needed=True))
    names = read.flavors("flavors")
    machines = Machines(
        image=read.text("image", needed=True),
        network=read.text("network", NO_NETWORK),
        zone=read.text("zone"),
        key_name=read.text("key_name"),
        engine=read.one_of("engine", ENGINES, "dask"),
        spread=read.one_of("spread", POLICIES, "soft-anti-affinity"),
        address=_address(read),
        probe=read.truth("probe", default=False),
    )
    kind = _kind(read, cloud, clock, names)
    stock = read.one_of("stock", ("", *STOCKS), "")
    read.finish()
    key = hashlib.sha256(key + b"nova").digest()
    provisioner = NovaProvisioner(
        cloud, machines, Flavors(cloud, clock, names), installation=installation, clock=clock, key=key
    )
    return Ports(
        provisioner,
        None if kind is None else BlazarPledges(cloud, kind, installation=installation, clock=clock),
        stock_of(cloud, stock) if stock else None,
        tokens=provisioner.tokens,
        checks=lambda: of_nova(cloud, machines, kind, stock),
    )


def magnum_ports(
    settings: Mapping[str, Any], home: Path, clock: Clock, installation: str, key: bytes
) -> Ports:
    """Clusters of Magnum, in leases of Blazar where the setting `pledges` names a kind of them; nothing is asked yet.

    :raises SettingsFault: naming each setting that is wrong.
    """
    read = _Reader(settings)
    cloud = Cloud(read.text("cloud", needed=True))
    names = read.flavors("flavors")
    templates = Templates(
        usual=read.text("template", needed=True),
        by_package=read.names("templates"),
        key_name=read.text("key_name"),
        address=_address(read),
    )
    kind = _kind(read, cloud, clock, names)
    stock = read.one_of("stock", ("", *STOCKS), "")
    read.finish()
    key = hashlib.sha256(key + b"magnum").digest()
    provisioner = MagnumProvisioner(
        cloud, templates, home / "deadlines", installation=installation, clock=clock, key=key
    )
    return Ports(
        provisioner,
        None if kind is None else BlazarPledges(cloud, kind, installation=installation, clock=clock),
        stock_of(cloud, stock) if stock else None,
        tokens=provisioner.tokens,
        checks=lambda: of_magnum(cloud, templates, kind, stock),
    )


def _address(read: _Reader) -> str:
    address = read.text("address")
    try:
        address.format(name="bk-name-head")
    except (AttributeError, IndexError, KeyError, ValueError):
        read.faults["address"] = "may name {name} and nothing else"
    return address


def _kind(read: _Reader, cloud: Cloud, clock: Clock, names: Mapping[Size, str]) -> Kind | None:
    made: dict[str, Callable[[], Kind]] = {
        HOSTS: lambda: HostLeases(
            read.whole("host_cores", 0, 1),
            read.whole("host_memory_mib", 0, 1),
            read.text("resource_properties"),
            read.text("hypervisor_properties"),
        ),
        FLAVORS: lambda: FlavorLeases(cloud, clock, names),
        INSTANCES: lambda: InstanceLeases(read.whole("disk_gib", 20), read.text("resource_properties")),
    }
    wanted = read.one_of("pledges", ("", *made), "")
    return made[wanted]() if wanted in made else None
