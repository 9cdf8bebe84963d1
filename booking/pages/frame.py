"""What every page shares: who looks at it, page or fragment, where to go next."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request

from booking.api.reading import is_text
from booking.errors import BookingError, Invalid, NotFound, Unauthenticated
from booking.identity import context, current_actor
from booking.pages.language import gettext
from booking.resources import static_path
from booking.services.context import Actor

__all__ = ["context", "current_actor"]

pages = Blueprint("pages", __name__)
"""Every route of the website; the modules of this package add theirs to it."""


@pages.before_request
def refuse_what_is_no_text() -> None:
    """:raises Invalid: if a field has a character that no database can hold."""
    for name, text in (*request.args.items(multi=True), *request.form.items(multi=True)):
        if not (is_text(name) and is_text(text)):
            raise Invalid({name.replace("\0", ""): [gettext("has a character that no text may have")]})
    for text in (request.view_args or {}).values():
        if not is_text(str(text)):
            raise NotFound("page", "of that name")


def wants_fragment() -> bool:
    """Whether htmx asks, and so gets the fragment alone."""
    return request.headers.get("HX-Request") == "true"


def page(template: str, status: int = 200, /, **values: Any) -> Response:
    """A whole page."""
    response = make_response(render_template(template, **values), status)
    return kept_by_nobody(response)


def fragment(template: str, status: int = 200, /, **values: Any) -> Response:
    """One swap target."""
    response = make_response(render_template(template, **values), status)
    return kept_by_nobody(response)


def kept_by_nobody(response: Response) -> Response:
    """The answer, which no browser and no proxy may keep."""
    # Back after a logout must not show what the account had booked.
    response.headers["Cache-Control"] = "no-store"
    response.vary.update(("HX-Request", "Cookie"))
    return response


def go(url: str, said: str = "", kind: str = "done") -> Response:
    """See other: after everything that changed something; `said` is shown on the page that follows."""
    if said:
        flash(said, kind)
    response = make_response(redirect(url, 303))
    response.headers["Cache-Control"] = "no-store"
    return response


def here() -> str:
    """The address asked for, within the site."""
    query = request.query_string.decode("ascii", "replace")
    return quote(request.path) + (f"?{query}" if query else "")


def within_site(url: str | None, default: str) -> str:
    """An address to return to, if it is one of ours."""
    if not url or not url.startswith("/") or url.startswith(("//", "/\\")) or "\\" in url:
        return default
    parts = urlsplit(url)
    # Control characters would be dropped by browsers, so that `/\t/host` became another site.
    return url if not parts.netloc and url.isprintable() else default


def viewer() -> Actor | None:
    """Who looks at a page, for its head; nobody where that cannot be told, as on the page of an error."""
    try:
        return current_actor()
    except BookingError:
        return None


def somebody() -> Actor:
    """Who asks.

    :raises Unauthenticated: if nobody is signed in; the page then leads to the door and back.
    """
    actor = current_actor()
    if actor is None:
        raise Unauthenticated(gettext("Sign in to see this page."))
    return actor


def administrator() -> Actor:
    """Who asks, if it is an administrator.

    :raises Unauthenticated: if nobody is signed in.
    :raises Forbidden: if it is somebody else.
    """
    actor = somebody()
    actor.require("admin")
    return actor


@lru_cache(maxsize=1)
def vendored() -> dict[str, str]:
    """The hash of every vendored file by its path below `vendor/`, as `integrity` wants it."""
    lock = json.loads((static_path() / "vendor" / "vendor.lock").read_text(encoding="utf-8"))
    return {
        f"{package['folder']}/{name}": entry["sha384"]
        for package in lock["packages"]
        for name, entry in package["files"].items()
    }


@lru_cache(maxsize=32)
def asset_version(name: str) -> str:
    """The first digits of the hash of a static file, so that a new one is fetched anew."""
    return sha256((static_path() / name).read_bytes()).hexdigest()[:12]


@lru_cache(maxsize=64)
def asset(name: str) -> str:
    """The address of a static file; a vendored one has its version in its path, another in its query."""
    version = "" if name.startswith("vendor/") else f"?v={asset_version(name)}"
    return f"/static/{name}{version}"
