"""Servers of Nova by their names: what is listed, made, told and deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from booking.adapters.openstack.errors import NotThere, speaking
from booking.adapters.openstack.session import Cloud

VERSION = "2.37"
"""From here on a server may be made without a network."""
NO_NETWORK, ANY_NETWORK = "none", "auto"
_LARGEST_PAGE = 1000


@dataclass(frozen=True)
class Server:
    """A server as Nova lists it."""

    id: str
    name: str
    status: str
    created: str
    """As Nova writes it, which sorts by time."""
    metadata: Mapping[str, str]
    is_going: bool = False
    address: str = ""
    """The first that it has on any network; empty while it has none."""
    fault: str = ""


@dataclass(frozen=True)
class Wanted:
    """A server to be made."""

    name: str
    flavor: str
    image: str
    user_data: str
    metadata: Mapping[str, str]
    network: str = NO_NETWORK
    """`none`, `auto` or the id of a network."""
    zone: str = ""
    key_name: str = ""
    hints: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """As Nova wants it."""
        named = (NO_NETWORK, ANY_NETWORK)
        server: dict[str, Any] = {
            "name": self.name,
            "flavorRef": self.flavor,
            "imageRef": self.image,
            "metadata": dict(self.metadata),
            "user_data": self.user_data,
            "networks": self.network if self.network in named else [{"uuid": self.network}],
        }
        if self.zone:
            server["availability_zone"] = self.zone
        if self.key_name:
            server["key_name"] = self.key_name
        return {"server": server} | ({"os:scheduler_hints": dict(self.hints)} if self.hints else {})


class Servers:
    """The servers and server groups of our project in one cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def named(self, pattern: str) -> list[Server]:
        """Those whose name matches the regular expression, the oldest first."""
        with speaking(self._cloud.name, "its servers were listed"):
            found = [_server(values) for values in self._pages(pattern)]
        return sorted(found, key=lambda server: (server.created, server.id))

    def _pages(self, pattern: str) -> Iterator[Mapping[str, Any]]:
        nova = self._cloud.service("compute")
        params = {"name": pattern, "limit": str(_LARGEST_PAGE)}
        while True:
            answer = nova.get("/servers/detail", params=params, microversion=VERSION).json()
            page = answer["servers"]
            yield from page
            if not page or not answer.get("servers_links"):
                return
            params["marker"] = page[-1]["id"]

    def create(self, wanted: Wanted) -> None:
        """Ask for a server; whether it comes up is seen later.

        :raises NotEnough: if a quota of the project is used up.
        """
        with speaking(self._cloud.name, f"the server {wanted.name} was made"):
            self._cloud.service("compute").post("/servers", json=wanted.body(), microversion=VERSION)

    def delete(self, server_id: str) -> None:
        """Begin to delete it; one that is gone is well."""
        with suppress(NotThere), speaking(self._cloud.name, "a server was deleted"):
            self._cloud.service("compute").delete(f"/servers/{server_id}")

    def tell(self, server_id: str, metadata: Mapping[str, str]) -> None:
        """Set these values of its metadata; the others stay."""
        with speaking(self._cloud.name, "a server was told its end"):
            body = {"metadata": dict(metadata)}
            self._cloud.service("compute").post(f"/servers/{server_id}/metadata", json=body)

    def group(self, name: str, policy: str) -> str:
        """The id of the server group of that name, made if it is not there."""
        known = self.groups(name)
        if known:
            return known[0]
        with speaking(self._cloud.name, "a server group was made"):
            body = {"server_group": {"name": name, "policies": [policy]}}
            answer = self._cloud.service("compute").post("/os-server-groups", json=body, microversion=VERSION)
            return str(answer.json()["server_group"]["id"])

    def groups(self, name: str) -> list[str]:
        """The ids of the groups of that name."""
        with speaking(self._cloud.name, "its server groups were listed"):
            answer = self._cloud.service("compute").get("/os-server-groups", microversion=VERSION)
            return [group["id"] for group in answer.json()["server_groups"] if group["name"] == name]

    def delete_groups(self, name: str) -> None:
        for group_id in self.groups(name):
            with suppress(NotThere), speaking(self._cloud.name, "a server group was deleted"):
                self._cloud.service("compute").delete(f"/os-server-groups/{group_id}", microversion=VERSION)


def _server(values: Mapping[str, Any]) -> Server:
    addresses = [entry["addr"] for entries in values.get("addresses", {}).values() for entry in entries]
    return Server(
        id=values["id"],
        name=values["name"],
        status=values["status"],
        created=values["created"],
        metadata=values.get("metadata", {}),
        is_going=values.get("OS-EXT-STS:task_state") == "deleting" or values["status"] == "DELETED",
        address=addresses[0] if addresses else "",
        fault=(values.get("fault") or {}).get("message", ""),
    )
