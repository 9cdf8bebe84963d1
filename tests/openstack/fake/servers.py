"""Nova's servers and server groups: they are built and deleted a moment after they were asked for."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from werkzeug import Request, Response

from tests.openstack.fake.dates import Clock
from tests.openstack.fake.glance import IMAGE
from tests.openstack.fake.nova import Nova
from tests.openstack.fake.web import Caller, Refused, answer

BUILDING, GOING = timedelta(seconds=2), timedelta(seconds=1)


@dataclass
class Server:
    """One server; a test breaks it by giving it a fault."""

    id: str
    name: str
    project_id: str
    flavor: str
    made_at: datetime
    body: dict[str, Any]
    metadata: dict[str, str]
    hints: dict[str, str]
    gone_at: datetime | None = None
    fault: str = ""
    status: str = ""
    """What it is said to be in, whatever the clock says."""


@dataclass
class Group:
    id: str
    name: str
    project_id: str
    policies: list[str]
    members: list[str] = field(default_factory=list)


class Servers:
    """What Nova has made; it answers by the routes of the service that it is put into."""

    def __init__(self, nova: Nova, clock: Clock) -> None:
        self._nova, self._clock, self._lock = nova, clock, threading.Lock()
        self._servers: list[Server] = []
        self._groups: list[Group] = []
        self.made: list[str] = []
        """The name of every server that was ever made."""
        self.is_strict = False
        """Whether a server that is being built refuses what a real one does."""
        self.refused = 0
        """How often one did."""
        self.most = 100
        """The quota of each project."""
        self.active: Callable[[], Iterable[str]] = tuple
        """The Blazar reservations that are active; a server may be placed in these."""
        nova.route("POST", "/servers", self._create)
        nova.route("GET", "/servers(?:/detail)?", self._list)
        nova.route("DELETE", "/servers/(?P<server_id>[^/]+)", self._delete)
        nova.route("POST", "/servers/(?P<server_id>[^/]+)/metadata", self._tell)
        nova.route("POST", "/os-server-groups", self._group)
        nova.route("GET", "/os-server-groups", self._list_groups)
        nova.route("DELETE", "/os-server-groups/(?P<group_id>[^/]+)", self._delete_group)

    def all(self) -> list[Server]:
        """Those that are not gone."""
        now = self._clock.now()
        with self._lock:
            self._servers = [s for s in self._servers if s.gone_at is None or s.gone_at > now]
            return list(self._servers)

    def groups(self) -> list[Group]:
        return list(self._groups)

    def _create(self, request: Request, caller: Caller) -> Response:
        asked = request.get_json()
        body, hints = asked["server"], asked.get("os:scheduler_hints", {})
        self._check(body, caller)
        fault = "" if self._has_room(body, hints) else "No valid host was found."
        server = Server(
            str(uuid4()),
            body["name"],
            caller.project_id,
            body["flavorRef"],
            self._clock.now(),
            body,
            dict(body.get("metadata", {})),
            hints,
            fault=fault,
        )
        with self._lock:
            self._servers.append(server)
            self.made.append(server.name)
        return answer({"server": {"id": server.id, "links": []}}, 202)

    def _check(self, body: dict[str, Any], caller: Caller) -> None:
        flavors = {flavor.id: flavor for flavor in (*self._nova.flavors, *self._nova.of_leases())}
        if body["flavorRef"] not in flavors:
            raise Refused(400, _fault("badRequest", 400, f"Flavor {body['flavorRef']} could not be found."))
        if body["imageRef"] != IMAGE:
            raise Refused(400, _fault("badRequest", 400, f"Image {body['imageRef']} could not be found."))
        if body.get("networks") != "none" and not isinstance(body.get("networks"), list):
            raise Refused(400, _fault("badRequest", 400, "Invalid input for field/attribute networks."))
        if len([s for s in self.all() if s.project_id == caller.project_id]) >= self.most:
            said = f"Quota exceeded for instances: Requested 1, but already used {self.most} of {self.most}"
            raise Refused(403, _fault("forbidden", 403, said))

    def _has_room(self, body: dict[str, Any], hints: dict[str, str]) -> bool:
        """A flavor of a lease, or the hint of one, must be of a lease that is active."""
        lease = hints.get("reservation")
        return lease is None or lease in self.active()

    def _list(self, request: Request, caller: Caller) -> Response:
        name = re.compile(request.args.get("name", ""))
        shown = [s for s in self.all() if s.project_id == caller.project_id and name.search(s.name)]
        limit, marker = int(request.args.get("limit", 1000)), request.args.get("marker")
        ids = [server.id for server in shown]
        first = ids.index(marker) + 1 if marker else 0
        page = shown[first : first + limit]
        body: dict[str, Any] = {"servers": [self._shown(server) for server in page]}
        if first + limit < len(shown):
            body["servers_links"] = [{"rel": "next", "href": request.base_url}]
        return answer(body)

    def _shown(self, server: Server) -> dict[str, Any]:
        is_building = self._clock.now() < server.made_at + BUILDING
        status = server.status or ("ERROR" if server.fault else "BUILD" if is_building else "ACTIVE")
        values: dict[str, Any] = {
            "id": server.id,
            "name": server.name,
            "status": status,
            "created": server.made_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "metadata": server.metadata,
            "addresses": {},
            "OS-EXT-STS:task_state": "deleting" if server.gone_at else None,
        }
        return values | ({"fault": {"code": 500, "message": server.fault}} if server.fault else {})

    def _found(self, server_id: str, caller: Caller) -> Server:
        for server in self.all():
            if server.id == server_id and server.project_id == caller.project_id:
                return server
        raise Refused(404, _fault("itemNotFound", 404, f"Instance {server_id} could not be found."))

    def _delete(self, _request: Request, caller: Caller, server_id: str) -> Response:
        server = self._found(server_id, caller)
        server.gone_at = server.gone_at or self._clock.now() + GOING
        return answer(None, 204)

    def _tell(self, request: Request, caller: Caller, server_id: str) -> Response:
        server = self._found(server_id, caller)
        if self.is_strict and self._clock.now() < server.made_at + BUILDING:
            said = f"Cannot 'update metadata' instance {server_id} while it is in vm_state building"
            self.refused += 1
            raise Refused(409, _fault("conflictingRequest", 409, said))
        server.metadata |= request.get_json()["metadata"]
        return answer({"metadata": server.metadata})

    def _group(self, request: Request, caller: Caller) -> Response:
        asked = request.get_json()["server_group"]
        group = Group(str(uuid4()), asked["name"], caller.project_id, asked["policies"])
        self._groups.append(group)
        return answer({"server_group": {"id": group.id, "name": group.name}})

    def _list_groups(self, _request: Request, caller: Caller) -> Response:
        shown = [g for g in self._groups if g.project_id == caller.project_id]
        return answer({"server_groups": [{"id": g.id, "name": g.name} for g in shown]})

    def _delete_group(self, _request: Request, _caller: Caller, group_id: str) -> Response:
        if group_id not in {group.id for group in self._groups}:
            raise Refused(404, _fault("itemNotFound", 404, "Instance group could not be found."))
        self._groups = [group for group in self._groups if group.id != group_id]
        return answer(None, 204)


def _fault(name: str, code: int, message: str) -> dict[str, Any]:
    return {name: {"code": code, "message": message}}
