"""Magnum: clusters that are made and deleted a moment after they were asked for, under names that are not unique."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from werkzeug import Request, Response

from tests.openstack.fake.dates import Clock
from tests.openstack.fake.web import Caller, Refused, Service, answer

TEMPLATE = "template-of-a-cluster"
MAKING, GOING = timedelta(seconds=4), timedelta(seconds=3)
WRITTEN_AFTER = 0.05
"""Seconds of the machine's clock until it begins what it was asked for: its rows are as before until then."""

LISTED = ("uuid", "name", "status", "labels", "node_count")


@dataclass
class Cluster:
    uuid: str
    body: dict[str, Any]
    made_at: datetime
    written_at: float
    gone_at: datetime | None = None
    failed: str = ""
    """A status that it is stuck in."""
    going_from: float = 0.0
    """Of the machine's clock; before, nothing is seen of its deletion."""
    resized: list[tuple[float, datetime, int]] = field(default_factory=list)
    """From when by the machine's clock, asked for when by the test's, and the number of nodes."""

    @property
    def _begun(self) -> list[tuple[float, datetime, int]]:
        return [change for change in self.resized if change[0] <= time.monotonic()]

    @property
    def node_count(self) -> int:
        return self._begun[-1][2] if self._begun else int(self.body["node_count"])

    def status(self, now: datetime) -> str:
        if self.gone_at is not None and time.monotonic() >= self.going_from:
            return "DELETE_IN_PROGRESS"
        if self.failed:
            return self.failed
        if self._begun:
            return "UPDATE_IN_PROGRESS" if now < self._begun[-1][1] + MAKING else "UPDATE_COMPLETE"
        return "CREATE_IN_PROGRESS" if now < self.made_at + MAKING else "CREATE_COMPLETE"


class Magnum(Service):
    type = "container-infra"
    path = "/container-infra/v1"

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock, self._lock = clock, threading.Lock()
        self._clusters: list[Cluster] = []
        self.page = 1000
        """How many clusters one list has at most."""
        self.is_confused = 0
        """So many lists are answered as Magnum does while it deletes something."""
        self.route("GET", "/clustertemplates/(?P<name>[^/]+)", self._template)
        self.route("POST", "/clusters", self._create)
        self.route("GET", "/clusters", self._list)
        self.route("GET", "/clusters/(?P<uuid>[^/]+)", self._get)
        self.route("PATCH", "/clusters/(?P<uuid>[^/]+)", self._patch)
        self.route("DELETE", "/clusters/(?P<uuid>[^/]+)", self._delete)

    def all(self) -> list[Cluster]:
        """Those whose rows are there."""
        now = self._clock.now()
        with self._lock:
            self._clusters = [c for c in self._clusters if c.gone_at is None or c.gone_at > now]
            return [c for c in self._clusters if time.monotonic() >= c.written_at]

    def _create(self, request: Request, _caller: Caller) -> Response:
        body = request.get_json()
        if body["cluster_template_id"] != TEMPLATE:
            raise Refused(
                400, _fault(400, f"Cluster Template {body['cluster_template_id']} could not be found.")
            )
        if body["node_count"] == 0 and "1.10" not in request.headers.get("OpenStack-API-Version", ""):
            raise Refused(400, _fault(400, "Invalid input for field/attribute node_count."))
        cluster = Cluster(str(uuid4()), body, self._clock.now(), time.monotonic() + WRITTEN_AFTER)
        with self._lock:
            self._clusters.append(cluster)
        return answer({"uuid": cluster.uuid}, 202)

    def _template(self, _request: Request, _caller: Caller, name: str) -> Response:
        if name != TEMPLATE:
            raise Refused(404, _fault(404, f"Cluster Template {name} could not be found."))
        return answer({"uuid": name, "name": "k8s", "coe": "kubernetes"})

    def _list(self, request: Request, _caller: Caller) -> Response:
        if self.is_confused:
            self.is_confused -= 1
            raise Refused(400, _fault(400, "Cluster could not be found."))
        every = [self._told(cluster) for cluster in self.all()]
        first = (
            [c["uuid"] for c in every].index(request.args["marker"]) + 1 if "marker" in request.args else 0
        )
        shown = every[first : first + self.page]
        body: dict[str, Any] = {"clusters": [{key: c[key] for key in LISTED} for c in shown]}
        # As the real one: a page that is full may be the last.
        return answer(body | ({"next": request.base_url} if len(shown) == self.page else {}))

    def _get(self, _request: Request, _caller: Caller, uuid: str) -> Response:
        return answer(self._told(self._found(uuid)))

    def _patch(self, request: Request, _caller: Caller, uuid: str) -> Response:
        """The number of nodes; of what is not complete Magnum's conductor refuses it, and its API has said yes."""
        cluster, changes = self._found(uuid), request.get_json()
        if any(change["op"] != "replace" or change["path"] != "/node_count" for change in changes):
            raise Refused(400, _fault(400, "Couldn't apply patch."))
        if cluster.status(self._clock.now()).endswith("_COMPLETE"):
            begins = time.monotonic() + WRITTEN_AFTER
            cluster.resized.append((begins, self._clock.now(), int(changes[-1]["value"])))
        return answer({"uuid": uuid}, 202)

    def _delete(self, _request: Request, _caller: Caller, uuid: str) -> Response:
        cluster = self._found(uuid)
        if cluster.gone_at is None:
            cluster.gone_at = self._clock.now() + GOING
            cluster.going_from = time.monotonic() + WRITTEN_AFTER
        return answer(None, 204)

    def _found(self, uuid: str) -> Cluster:
        for cluster in self.all():
            if cluster.uuid == uuid:
                return cluster
        raise Refused(404, _fault(404, f"Cluster {uuid} could not be found."))

    def _told(self, cluster: Cluster) -> dict[str, Any]:
        return {
            "uuid": cluster.uuid,
            "name": cluster.body["name"],
            "status": cluster.status(self._clock.now()),
            "labels": cluster.body["labels"],
            "node_count": cluster.node_count,
            "api_address": "https://10.0.0.5:6443",
            "master_addresses": ["10.0.0.5"],
        }


def _fault(status: int, detail: str) -> dict[str, Any]:
    return {"errors": [{"status": status, "title": "", "detail": detail}]}
