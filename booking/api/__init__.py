"""The REST API under `/api/v1`: one noun a file; `problems` says which error is which status."""

from __future__ import annotations

from functools import cache

from flask import Flask
from flask_smorest import Api

from booking import __version__, headers, identity, ratelimits
from booking.adapters.base import Provisioner
from booking.api import (
    accounts,
    availability,
    bookings,
    capacity,
    converters,
    feeds,
    groups,
    guard,
    health,
    journal,
    levels,
    metrics,
    packages,
    platforms,
    pools,
    problems,
    reference,
    templates,
    today,
    tokens,
    usage,
    waitlist,
)
from booking.provisioning import provisioner_of
from booking.services.context import Context

NOUNS = (
    availability.blp,
    bookings.blp,
    templates.blp,
    waitlist.blp,
    packages.blp,
    pools.blp,
    platforms.blp,
    capacity.blp,
    accounts.blp,
    tokens.blp,
    feeds.blp,
    feeds.site,
    groups.blp,
    levels.blp,
    journal.blp,
    usage.blp,
    today.blp,
    health.blp,
    metrics.blp,
    reference.blp,
)


class BookingApi(Api):
    """The specification; errors are our own business."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Nothing: every noun has brought the handlers of `problems`."""


def init_app(app: Flask) -> None:
    """Register every route of the API, and what each request to the application passes first.

    :raises SettingsError: if a rate limit cannot be read.
    """
    ratelimits.check(app.extensions["booking"].settings)
    guard.init_app(app)
    identity.init_app(app)
    guard.watch(app)
    headers.init_app(app)
    app.extensions["booking.provisioner"] = _provisioner_of(app)
    app.config.update(
        API_TITLE="booking", API_VERSION=__version__, OPENAPI_VERSION="3.1.0", OPENAPI_URL_PREFIX=None
    )
    converters.init_app(app)
    api = BookingApi(app, spec_kwargs=_about(app.config["SESSION_COOKIE_NAME"]))
    converters.describe(api)
    for status in sorted({*problems.STATUS.values(), *problems.CODES}):
        api.spec.components.response(problems.component(status), _documented(status))
    api.spec.components.schema("Problem", problems.schema())
    for noun in NOUNS:
        api.register_blueprint(noun)
    app.register_blueprint(reference.pages)
    app.extensions["booking.api"] = api


def _provisioner_of(app: Flask) -> object:
    """Made at first need: its adapter may import heavy libraries."""

    @cache
    def made() -> Provisioner:
        ctx: Context = app.extensions["booking"]
        return provisioner_of(ctx.settings, ctx.clock)

    return made


def _documented(status: int) -> dict[str, object]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": problems.title(status),
        "content": {"application/problem+json": {"schema": schema}},
    }


def _about(cookie: str) -> dict[str, object]:
    return {
        "info": {
            "description": "Book compute packages in a calendar. Instants are RFC 3339 with an offset, spans half-open, "
            "memory MiB, cores whole. Unknown fields and unknown or repeated query parameters are refused.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": cookie,
                    "description": "The website's session; a change also needs X-CSRFToken.",
                },
            }
        },
    }
