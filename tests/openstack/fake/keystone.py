"""Keystone v3: tokens for passwords, with the catalogue."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from werkzeug import Request, Response

from tests.openstack.fake.web import Caller, Refused, Service, answer

REGION = "RegionOne"
DOMAIN = {"id": "default", "name": "Default"}


@dataclass(frozen=True)
class User:
    name: str
    password: str
    project: str
    roles: tuple[str, ...]


USERS = (
    User("service", "service-secret-0815", "service", ("admin", "service")),
    User("admin", "admin-secret-4711", "admin", ("admin",)),
    User("tenant", "tenant-secret-1234", "tenant", ("member",)),
)


class Keystone(Service):
    """Tokens expire by the machine's clock, as the client library judges them by it."""

    type = "identity"
    path = "/identity"
    is_open = True

    def __init__(self) -> None:
        super().__init__()
        self.address = ""
        """Where the cloud listens; it is known once it does."""
        self.catalogue: dict[str, str] = {}
        """The path of each service by its type."""
        self.token_seconds = 3600.0
        self.issued: list[str] = []
        """Every token ever given, so that a test can look for them where they must not be."""
        self._tokens: dict[str, tuple[Caller, datetime]] = {}
        self._lock = threading.Lock()
        self.route("GET", "/|/v3", self._versions)
        self.route("POST", "/v3/auth/tokens", self._issue)

    def caller(self, token: str) -> Caller | None:
        with self._lock:
            found = self._tokens.get(token)
        return found[0] if found and datetime.now(UTC) < found[1] else None

    def revoke(self) -> None:
        """No token that was given is good any more."""
        with self._lock:
            self._tokens.clear()

    def _versions(self, _request: Request, _caller: Caller) -> Response:
        links = [{"rel": "self", "href": f"{self.address}{self.path}/v3/"}]
        version = {"id": "v3.14", "status": "stable", "links": links, "media-types": []}
        return answer({"version": version})

    def _issue(self, request: Request, _caller: Caller) -> Response:
        user = self._known(request.get_json())
        if user is None:
            message = "The request you have made requires authentication."
            raise Refused(401, {"error": {"code": 401, "title": "Unauthorized", "message": message}})
        # As long as a Fernet token.
        token = "gAAAAA" + "".join(uuid4().hex for _ in range(6))[:177]
        now = datetime.now(UTC)
        expires_at = now + timedelta(seconds=self.token_seconds)
        caller = Caller(f"u-{user.name}", f"p-{user.project}", frozenset(user.roles))
        with self._lock:
            self.issued.append(token)
            self._tokens[token] = (caller, expires_at)
        body = self._body(user, caller, now, expires_at)
        return answer({"token": body}, 201, {"X-Subject-Token": token})

    def _known(self, body: dict[str, Any]) -> User | None:
        asked = body["auth"]["identity"]["password"]["user"]
        return next((u for u in USERS if (u.name, u.password) == (asked["name"], asked["password"])), None)

    def _body(self, user: User, caller: Caller, now: datetime, expires_at: datetime) -> dict[str, Any]:
        return {
            "methods": ["password"],
            "user": {"id": caller.user_id, "name": user.name, "domain": DOMAIN, "password_expires_at": None},
            "project": {"id": caller.project_id, "name": user.project, "domain": DOMAIN},
            "roles": [{"id": role, "name": role} for role in user.roles],
            "catalog": [self._entry(kind, path) for kind, path in self.catalogue.items()],
            "issued_at": _spoken(now),
            "expires_at": _spoken(expires_at),
            "audit_ids": ["fake"],
            "is_domain": False,
        }

    def _entry(self, kind: str, path: str) -> dict[str, Any]:
        url = f"{self.address}{path}"
        endpoints = [
            {"id": f"{kind}-{side}", "interface": side, "region": REGION, "region_id": REGION, "url": url}
            for side in ("public", "internal", "admin")
        ]
        return {"id": kind, "type": kind, "name": kind, "endpoints": endpoints}


def _spoken(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
