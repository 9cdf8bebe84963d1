"""What every service of the fake cloud stands on: routes, the caller, refusals, and faults on demand."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from werkzeug import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Loss = Literal["500", "silence"]
SILENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Caller:
    """Whom a token belongs to."""

    user_id: str
    project_id: str
    roles: frozenset[str]

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles


NOBODY = Caller("", "", frozenset())
Handler = Callable[..., Response]


class Refused(Exception):
    """An answer that is an error; the body is as the service writes it."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def answer(body: object = None, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    text = "" if body is None else json.dumps(body)
    return Response(text, status, dict(headers or {}), mimetype="application/json")


class Service:
    """One service under one path; subclasses add routes, of which the first that matches answers."""

    type = ""
    path = ""
    is_open = False
    """Whether it answers those without a token."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def route(self, method: str, pattern: str, handler: Handler) -> None:
        self._routes.append((method, re.compile(pattern), handler))

    def serve(self, request: Request, caller: Caller) -> Response:
        """A handler gets the request, the caller, and what its pattern caught."""
        path = request.path.removeprefix(self.path).rstrip("/") or "/"
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(path)
            if found and method == request.method:
                return handler(request, caller, **found.groupdict())
        raise Refused(404, {"error": {"code": 404, "message": "The resource could not be found."}})


@dataclass
class Faults:
    """What goes wrong, and how often; a test sets it and the application obeys."""

    is_manager_down: bool = False
    """Blazar's front gets no answer of its manager."""
    manager_seconds: float = 0.2
    """How long the front waits for it; a minute on a real one."""
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the cloud stops: nobody waits any longer."""
    _lost: list[tuple[str, str, Loss]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lose(self, service: str, method: str, how: Loss = "silence") -> None:
        """The next such call has its effect, and its answer is lost."""
        with self._lock:
            self._lost.append((service, method, how))

    def taken(self, service: str, method: str) -> Loss | None:
        with self._lock:
            for entry in self._lost:
                if entry[:2] == (service, method):
                    self._lost.remove(entry)
                    return entry[2]
        return None


class Application:
    """All services behind one address; it remembers every request as (service, method, path)."""

    def __init__(
        self, services: Iterable[Service], callers: Callable[[str], Caller | None], faults: Faults
    ) -> None:
        # The longest path first: one may lie under another.
        self._services = sorted(services, key=lambda service: -len(service.path))
        self._callers, self._faults = callers, faults
        self.requests: list[tuple[str, str, str]] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        response = self._answered(request)
        return response(environ, start_response)

    def _answered(self, request: Request) -> Response:
        service = next((s for s in self._services if request.path.startswith(s.path)), None)
        if service is None:
            return answer({"error": {"code": 404}}, 404)
        self.requests.append((service.type, request.method, request.path.removeprefix(service.path)))
        caller = NOBODY if service.is_open else self._callers(request.headers.get("X-Auth-Token", ""))
        if caller is None:
            message = "The request you have made requires authentication."
            return answer({"error": {"code": 401, "title": "Unauthorized", "message": message}}, 401)
        try:
            response = service.serve(request, caller)
        except Refused as refused:
            response = answer(refused.body, refused.status)
        return self._lost(service, request) or response

    def _lost(self, service: Service, request: Request) -> Response | None:
        how = self._faults.taken(service.type, request.method)
        if how == "silence":
            self._faults.closing.wait(SILENCE_SECONDS)
        if how is None:
            return None
        return answer(blazar_error(500, "Internal Server Error"), 500)


def blazar_error(code: int, message: str) -> dict[str, Any]:
    """The body of Blazar's errors."""
    return {"error_code": code, "error_message": message, "error_name": code}
