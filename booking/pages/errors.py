"""What goes wrong, as pages; what the API answers stays with the API."""

from __future__ import annotations

import logging
from http import HTTPStatus
from urllib.parse import urlencode

from flask import Flask, Response, g, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from booking import errors
from booking.allocator.lifecycle import IllegalTransition
from booking.api.problems import RETRY_SECONDS, of_http, status_of
from booking.pages.frame import fragment, go, here, page, wants_fragment
from booking.pages.language import gettext, marked

log = logging.getLogger(__name__)
_STALE_FORM = marked(
    "The form is out of date, or did not come from this site. Load the page again and repeat it."
)
_TITLES = {
    400: marked("Bad Request"),
    401: marked("Unauthorized"),
    403: marked("Forbidden"),
    404: marked("Not Found"),
    405: marked("Method Not Allowed"),
    409: marked("Conflict"),
    413: marked("Request Entity Too Large"),
    429: marked("Too Many Requests"),
    500: marked("Internal Server Error"),
    503: marked("Service Unavailable"),
}


def init_app(app: Flask) -> None:
    """Answer errors outside the API with pages."""
    app.register_error_handler(errors.BookingError, _booking_error)
    app.register_error_handler(IllegalTransition, _moved_on)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unforeseen)


def shown(status: int, detail: str, **headers: str) -> Response:
    """The page of an error, or the alert alone where htmx asked."""
    values = {
        "status": status,
        "title": gettext(_TITLES[status]) if status in _TITLES else HTTPStatus(status).phrase,
        "detail": detail,
        "request_id": g.get("request_id", ""),
    }
    draw = fragment if wants_fragment() else page
    response = draw("errors/_alert.html" if wants_fragment() else "errors/page.html", status, **values)
    response.headers.update(headers)
    return response


def _booking_error(error: errors.BookingError) -> Response:
    # A program that came with a bad token is told so; a person is led to the door.
    by_person = request.method == "GET" and not wants_fragment() and "Authorization" not in request.headers
    if isinstance(error, errors.Unauthenticated) and by_person:
        return go(f"/login?{urlencode({'next': here()})}")
    status = status_of(error)
    if isinstance(error, errors.Forbidden):
        status = 403
    if isinstance(error, errors.TooMany):
        return shown(429, error.detail, **{"Retry-After": str(error.retry_after)})
    if isinstance(error, errors.Unavailable):
        return shown(503, error.detail, **{"Retry-After": str(RETRY_SECONDS)})
    return shown(400 if status == 422 else status, error.detail)


def _moved_on(error: IllegalTransition) -> Response:
    return shown(
        409, gettext("%(fault)s. Load the page again to see where it stands.", fault=str(error).capitalize())
    )


def _http(error: HTTPException) -> Response:
    if request.path.startswith("/api/"):
        return of_http(error)
    if isinstance(error, CSRFError):
        return shown(400, gettext(_STALE_FORM))
    status = error.code or 500
    if status < 400 and error.response is None:
        return Response(error.get_response().get_data(), status, dict(error.get_headers()))
    details = {
        404: gettext("There is no such page."),
        405: gettext("This address cannot be used in that way."),
    }
    response = shown(status, details.get(status, error.description or ""))
    if status == 405 and (allowed := dict(error.get_headers()).get("Allow")):
        response.headers["Allow"] = allowed
    return response


def _unforeseen(error: Exception) -> Response:
    log.error("request %s failed", g.get("request_id", ""), exc_info=error)
    return shown(500, gettext("Something went wrong here, and it has been noted. Nothing was half done."))
