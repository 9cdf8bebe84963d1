"""As much of Neutron as Nova asks for about servers without networks; the only service that is not the real one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

GROUP = {
    "id": "00000000-0000-0000-0000-000000000001",
    "name": "default",
    "description": "",
    "tenant_id": "",
    "project_id": "",
    "security_group_rules": [],
}
EMPTY = ("extensions", "networks", "ports", "subnets", "floatingips", "routers", "agents", "subnetpools")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body: dict[str, Any]
    name = environ["PATH_INFO"].rstrip("/").rpartition("/")[2]
    if not name:
        status, body = (
            "200 OK",
            {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [_link(environ)]}]},
        )
    elif name == "security-groups":
        status, body = "200 OK", {"security_groups": [GROUP]}
    elif name in EMPTY and environ["REQUEST_METHOD"] == "GET":
        status, body = "200 OK", {name: []}
    else:
        nothing = {"type": "NotFound", "message": "there are no networks here", "detail": ""}
        status, body = "404 Not Found", {"NeutronError": nothing}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


def _link(environ: dict[str, Any]) -> dict[str, str]:
    return {"rel": "self", "href": f"http://{environ['HTTP_HOST']}/v2.0/"}
