"""The pages of the website: they parse, call the same services as the API, and render; they commit nothing."""

from __future__ import annotations

from flask import Flask

from booking.allocator.durations import format_duration
from booking.allocator.span import instant_of
from booking.pages import (
    account,
    booking,
    bookings,
    changing,
    entry,
    errors,
    language,
    templates,
    usage,
    waitlist,
    words,
)
from booking.pages.admin import accounts, capacity, cards, journal, packages, today
from booking.pages.calendar import markup, routes
from booking.pages.frame import asset, here, pages, vendored, viewer

__all__ = [
    "account",
    "accounts",
    "booking",
    "bookings",
    "capacity",
    "cards",
    "changing",
    "entry",
    "init_app",
    "journal",
    "packages",
    "routes",
    "templates",
    "today",
    "usage",
    "waitlist",
]

_WORDS = (
    "memory",
    "cores",
    "size",
    "demand",
    "workers",
    "number",
    "lasting",
    "act",
    "sentence",
    "state",
    "word",
    "field",
)


def init_app(app: Flask) -> None:
    """Register every page."""
    language.init_app(app)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update({name: getattr(words, name) for name in _WORDS})
    app.jinja_env.filters.update(drawn=markup.drawn, duration=format_duration)
    app.jinja_env.globals.update(
        viewer=viewer,
        here=here,
        vendored=vendored,
        asset=asset,
        instant_of=instant_of,
    )
    app.register_blueprint(pages)
    errors.init_app(app)
