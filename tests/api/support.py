"""Short names for calls to the API, so that a test reads as a transcript."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from booking.app import context_of
from booking.models import AccountKind
from booking.services import accounts, tokens
from booking.services.context import FOR_ADMINS, SCOPES, Context

USER_SCOPES = tuple(scope for scope in SCOPES if scope not in FOR_ADMINS)
DAY = "2030-01-08"
"""The day after the one on which the clock of a test stands."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    response: TestResponse

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def json(self) -> Any:
        return self.response.get_json()

    @property
    def headers(self) -> Mapping[str, str]:
        return self.response.headers  # type: ignore[return-value]

    @property
    def etag(self) -> str:
        return self.headers["ETag"]

    def must(self, status: int, code: str | None = None) -> Any:
        """The body, which came with that status (and for a problem that code)."""
        assert self.status == status, (self.status, self.response.get_data(as_text=True))
        if status >= 400:
            assert self.response.mimetype == "application/problem+json"
            body = self.json
            assert (body["status"], body["request_id"]) == (status, self.headers["X-Request-Id"])
            assert {"type", "title", "detail"} <= set(body)
            assert code is None or body["code"] == code
            return body
        return self.json if self.response.data else None


@dataclass
class Caller:
    """Somebody with a token, or nobody."""

    app: Flask
    token: str | None = None
    name: str = ""

    def call(self, method: str, path: str, **more: Any) -> Answer:
        headers = dict(more.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        prefix = (
            ""
            if path.startswith(("/api", "/healthz", "/readyz", "/metrics", "/docs", "/feed/"))
            else "/api/v1"
        )
        client = self.app.test_client(use_cookies=False)
        return Answer(client.open(prefix + path, method=method, headers=headers, **more))

    def get(self, path: str, **more: Any) -> Answer:
        return self.call("GET", path, **more)

    def post(self, path: str, **more: Any) -> Answer:
        return self.call("POST", path, **more)

    def put(self, path: str, **more: Any) -> Answer:
        return self.call("PUT", path, **more)

    def patch(self, path: str, **more: Any) -> Answer:
        return self.call("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> Answer:
        return self.call("DELETE", path, **more)

    def book(self, package: str = "small", *hours: tuple[int, int], **more: Any) -> Answer:
        """Book hours of :data:`DAY`."""
        return self.post("/bookings", json=wish(package, *hours, **more))


def wish(package: str = "small", *hours: tuple[int, int], **more: Any) -> dict[str, Any]:
    """A body for a booking of hours of :data:`DAY`."""
    spans = [span(first, last) for first, last in hours or [(9, 12)]]
    return {"package": package, "sharing": "reserved", "spans": spans, **more}


def span(first: int, last: int) -> dict[str, str]:
    return {"start": at(first), "end": at(last)}


def at(hour: int) -> str:
    return f"{DAY}T{hour:02}:00:00Z"


@dataclass
class Site:
    """The application and those who call it."""

    app: Flask
    callers: dict[str, Caller] = field(default_factory=dict)

    @property
    def ctx(self) -> Context:
        return context_of(self.app)

    @property
    def root(self) -> Caller:
        return self.callers["root"]

    @property
    def nobody(self) -> Caller:
        return Caller(self.app)

    def admin(self, name: str) -> Caller:
        return self.person(name, admin=True)

    def person(
        self,
        name: str,
        *scopes: str,
        level: int = 2,
        admin: bool = False,
        password: str | None = None,
    ) -> Caller:
        """An account with a token of those scopes, or of all it may have."""
        if name not in self.callers:
            new = accounts.NewAccount(name, password, level, admin, AccountKind.PERSON)
            accounts.create(self.ctx, None, new)
        wanted = scopes or (SCOPES if admin else USER_SCOPES)
        token = tokens.make(self.ctx, None, name, wanted).secret
        caller = Caller(self.app, token, name)
        self.callers.setdefault(name, caller)
        return caller
