"""What whoever asks has already seen of the database, carried by the asker: a browser in its session, a program
in the header `Booking-Seen`, which answers to writes give it to send along.

Only where there is a replica to read from; else there is nothing that could be older.
"""

from __future__ import annotations

from contextlib import ExitStack

from flask import Flask, Response, g, request, session

from booking.errors import Unavailable
from booking.replica import Place, ReadingDb, shown_after
from booking.services.context import Context

HEADER = "Booking-Seen"
_SESSION = "seen"
_SAFE = ("GET", "HEAD", "OPTIONS")


def init_app(app: Flask, ctx: Context) -> None:
    """Let each request read what its asker has seen, and tell after a write what there is to be seen."""
    reading = ctx.reader.db
    if not isinstance(reading, ReadingDb):
        return

    @app.before_request
    def remember() -> None:
        if request.endpoint == "static":
            return
        told = Place.of(request.headers.get(HEADER, "")), Place.of(session.get(_SESSION, ""))
        g.seen = ExitStack()
        g.seen.enter_context(shown_after(max((place for place in told if place), default=None)))

    @app.after_request
    def tell(response: Response) -> Response:
        if request.method in _SAFE or response.status_code >= 400:
            return response
        try:
            place = reading.place()
        except Unavailable:
            return response  # what was done is done; a later answer may be older than it
        response.headers[HEADER] = str(place)
        if session:
            session[_SESSION] = str(place)
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        if "seen" in g:
            g.pop("seen").close()
