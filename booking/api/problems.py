"""The only table of error to HTTP status; every refusal is an RFC 9457 problem."""

from __future__ import annotations

import json
import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Response, current_app, g, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from booking import errors
from booking.allocator.lifecycle import IllegalTransition

if TYPE_CHECKING:
    from flask_smorest import Blueprint

log = logging.getLogger("booking.api")

STATUS: dict[type[errors.BookingError], int] = {
    errors.Invalid: 422,
    errors.NotFound: 404,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.PolicyRefused: 403,
    errors.NoCapacity: 409,
    errors.ConcurrentUpdate: 409,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.PreconditionRequired: 428,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
"""A class that is not named has the status of the nearest class above it."""

CODES = {
    400: "request.malformed",
    404: "route.not_found",
    405: "request.method_not_allowed",
    413: "request.too_large",
    415: "request.unsupported_media_type",
    500: "service.error",
}
"""The codes of what the server refuses by itself."""
CLIENT_FAULTS = (
    400,
    401,
    403,
    404,
    405,
    406,
    408,
    409,
    410,
    411,
    412,
    413,
    414,
    415,
    417,
    422,
    428,
    429,
    431,
)
"""What the server may find wrong with a request before a route sees it."""
RETRY_SECONDS = 5
"""When to come back where nobody knows better."""
_OWN = ("alternatives", "rule", "conflicts")


def status_of(error: errors.BookingError) -> int:
    """The status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def component(status: int) -> str:
    """The name under which the specification describes a problem of that status."""
    return f"Problem{status}"


def title(status: int) -> str:
    """What HTTP calls that status."""
    return HTTPStatus(status).phrase


def problem(status: int, code: str, detail: str, **more: Any) -> Response:
    """A problem document."""
    body = {
        "type": f"/docs/api#{code}",
        "title": title(status),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": g.get("request_id", ""),
        **more,
    }
    return current_app.response_class(
        json.dumps(body),
        status=status,
        mimetype="application/problem+json",
        headers={"Vary": "Authorization, Cookie"},
    )


def of_booking_error(error: errors.BookingError) -> Response:
    """What one of our own errors answers."""
    status = status_of(error)
    more = {name: getattr(error, name) for name in _OWN if hasattr(error, name)}
    if isinstance(error, errors.Invalid):
        more["errors"] = error.errors
    response = problem(status, error.code, error.detail, **more)
    if isinstance(error, errors.TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, errors.Unavailable):
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    elif isinstance(error, errors.Unauthenticated):
        given = ', error="invalid_token"' if "Authorization" in request.headers else ""
        response.headers["WWW-Authenticate"] = f'Bearer realm="booking"{given}'
    return response


def of_transition(error: IllegalTransition) -> Response:
    """Somebody else was quicker: the reservation is no longer where the act needs it."""
    return problem(409, "booking.conflict", f"{str(error).capitalize()}.")


def of_http(error: HTTPException) -> Response:
    """What the server refuses by itself, in the same form."""
    if isinstance(error, CSRFError):
        return problem(403, "auth.csrf", "The form is out of date; load the page again and repeat it.")
    status = error.code or 500
    detail = _plain(error.description) if status < 500 else "Something went wrong here; it has been noted."
    response = problem(status, CODES.get(status, "request.refused"), detail)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _plain(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "The request was refused.").strip()


def of_anything(error: Exception) -> Response:
    """What nobody foresaw: noted with the request's id, told without its cause."""
    log.error("request %s failed", g.get("request_id", ""), exc_info=error)
    return of_http(InternalServerError())


def install(blueprint: Blueprint) -> None:
    """Let the routes of a blueprint answer with problems; pages have handlers of their own."""
    blueprint.register_error_handler(errors.BookingError, of_booking_error)
    blueprint.register_error_handler(IllegalTransition, of_transition)
    # Handlers of a status go before those of a class, so each status is named.
    for status in (*CLIENT_FAULTS, 500):
        blueprint.register_error_handler(status, of_http)
    blueprint.register_error_handler(Exception, of_anything)


def schema() -> dict[str, Any]:
    """What a problem looks like, for the specification."""
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": text | {"format": "uri-reference"},
            "title": text,
            "status": {"type": "integer"},
            "detail": text | {"description": "A plain sentence for the person who asked."},
            "code": text | {"description": "A frozen string that programs may branch on."},
            "request_id": text,
            "errors": {
                "type": "object",
                "description": "Of a 422: the faults by the path of the field.",
                "additionalProperties": {"type": "array", "items": text},
            },
            "alternatives": {
                "type": "array",
                "maxItems": 4,
                "description": "Of a refused booking: requests that would succeed now.",
                "items": {
                    "type": "object",
                    "required": ["kind", "request"],
                    "properties": {
                        "kind": text,
                        "request": {"type": "object", "description": "A complete body for POST /bookings."},
                    },
                },
            },
            "rule": {"type": "object", "description": "Of a policy refusal: name, limit, have, passes."},
            "conflicts": {"type": "array", "items": {"type": "object"}},
        },
    }
