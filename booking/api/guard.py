"""What every request to the API passes before its route: an id, the right to call, an exact form."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, InternalServerError

from booking import logs, metrics
from booking.api import problems, reading
from booking.api.noun import AVAILABILITY, PUBLIC, SIGNED_IN, Noun, doc_of
from booking.identity import API, context, current_actor, require_actor
from booking.services.context import SCOPES

log = logging.getLogger("booking.access")
_FEED = "/feed/"
"""What comes after it is secret, and stays out of the log."""
_OURS = (API, "/healthz", "/readyz", "/metrics", _FEED)
_LONGEST_PATH = 300
"""Characters of an address in the log, where each may take twelve."""
_LONGEST_METHOD = 16
_LONGEST_QUERY = 500
"""Bytes of a query that is kept as one that is right."""
_SENTENCE = "%(method)s %(path)r %(status)d in %(ms)s ms, account %(account)s"


def init_app(app: Flask) -> None:
    """Put the guard before every route."""
    app.before_request(_name_it)
    app.before_request(_refuse_unknown_routes)
    app.after_request(_note)


def _name_it() -> None:
    ctx = context()
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if logs.is_id(given) else ctx.ids.new()
    g.began = ctx.clock.monotonic()
    logs.tell(request_id=g.request_id)


def _refuse_unknown_routes() -> Response | None:
    """Unknown addresses under the API are problems, whatever the pages make of theirs."""
    error = request.routing_exception
    if isinstance(error, HTTPException) and (error.code or 500) >= 400 and request.path.startswith(_OURS):
        return problems.of_http(error)
    return None


def watch(app: Flask) -> None:
    """Let routes be called only as they declare; comes after the check for forged forms."""
    app.before_request(_check)


class UndeclaredRoutes(Exception):
    """Some routes do not say who may call them."""


def refuse_undeclared(app: Flask) -> None:
    """The application is complete: every route must have said who may call it.

    :raises UndeclaredRoutes: naming those that have not.
    """
    known = {PUBLIC, AVAILABILITY, SIGNED_IN, *SCOPES}
    silent = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if _access_of(app.view_functions[rule.endpoint]) not in known
    }
    if silent:
        raise UndeclaredRoutes(f"These routes do not say who may call them: {', '.join(sorted(silent))}")


def _access_of(view: Callable[..., Any]) -> str | None:
    return (doc_of(view) or {}).get("access")


def _check() -> None:
    if request.endpoint is None or request.method == "OPTIONS":
        return
    view = current_app.view_functions[request.endpoint]
    access = _access_of(view)
    if access is None:
        raise InternalServerError  # a route that does not say who may call it is closed
    check_access(access)
    if isinstance(current_app.blueprints.get(request.blueprint or ""), Noun):
        _check_form(view)


def _check_form(view: Callable[..., Any]) -> None:
    reading.check_path(request.view_args or {})
    if len(request.query_string) > _LONGEST_QUERY:
        _check_query.__wrapped__(view, request.query_string)
    else:
        _check_query(view, request.query_string)
    reading.check_body(request, wanted=bool((doc_of(view) or {}).get("body")))


@lru_cache(maxsize=1024)
def _check_query(view: Callable[..., Any], _text: bytes) -> None:
    """Check the query of the present request; programs ask the same again, and what was right stays so."""
    reading.check_query(request.args, (doc_of(view) or {}).get("query", {}))


def check_access(access: str) -> None:
    """:raises Unauthenticated: if nobody asks where somebody must.

    :raises Forbidden: if a token lacks the scope.
    """
    if access == PUBLIC:
        return
    if access == AVAILABILITY and context().settings.public_availability:
        current_actor()
        return
    actor = require_actor()
    if access != SIGNED_IN:
        actor.require(access)


def _note(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    metrics.answered(_route(), request.method, response.status_code, _took())
    if log.isEnabledFor(logging.INFO):
        log.info(_SENTENCE, _line(response))
    logs.tell()
    return response


def _route() -> str | None:
    return request.url_rule.rule if request.url_rule else None


def _took() -> float:
    """Seconds since the request came."""
    now = context().clock.monotonic()
    began: float = g.get("began", now)
    return now - began


def _told_path() -> str:
    """The address that was asked for, as the log may keep it."""
    return f"{_FEED}..." if _FEED in request.path else request.path[:_LONGEST_PATH]


def _line(response: Response) -> dict[str, Any]:
    actor = g.get("actor")
    return {
        "method": request.method[:_LONGEST_METHOD],
        "path": _told_path(),
        "route": _route(),
        "status": response.status_code,
        "ms": round(_took() * 1000, 1),
        "account": actor.id if actor else None,
    }
