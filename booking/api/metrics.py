"""The metrics, for a Prometheus that comes with the token of the settings, or from this machine itself."""

from __future__ import annotations

from flask import Response, current_app, request

from booking import __version__, exposition
from booking.api.noun import PUBLIC, Noun
from booking.errors import Forbidden, Unauthenticated
from booking.identity import context
from booking.services import readings

blp = Noun("metrics", "What is measured, in the manner of Prometheus.", url_prefix=None)


@blp.get("/metrics")
@blp.needs(PUBLIC, 401, 403)
@blp.response(200, {"type": "string"}, content_type="text/plain")
def get_metrics() -> Response:
    """Metrics of all processes of this service: whoever asks sends `BOOKING_METRICS_TOKEN`, or is this machine."""
    ctx = context()
    if not exposition.may_read(ctx.settings, request.environ):
        if ctx.settings.metrics_token:
            raise Unauthenticated("The metrics are read with the token of the setting BOOKING_METRICS_TOKEN.")
        raise Forbidden("The metrics are read on this machine, or after BOOKING_METRICS_TOKEN has been set.")
    build = ("booking_build_info", (__version__, ctx.db.engine.dialect.name), 1.0)
    text = exposition.exposition([build, *readings.take(ctx)])
    return current_app.response_class(
        text, content_type=exposition.CONTENT_TYPE, headers={"Cache-Control": "no-store"}
    )
