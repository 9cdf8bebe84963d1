"""The feed: one's own bookings for a calendar that cannot sign in, at an address that nobody can guess."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from flask import Response, current_app, request
from marshmallow import Schema, fields

from booking import ratelimits
from booking.api import ics
from booking.api.noun import PUBLIC, SIGNED_IN, Noun, nothing
from booking.api.schemas.fields import stamp
from booking.errors import NotFound
from booking.identity import context, require_actor, shelf
from booking.models import Feed
from booking.services import calendars, feeds

blp = Noun("feed", "One's own bookings for a calendar, at a secret address.")
site = Noun("calendars", "What calendars read.", url_prefix=None)


class FeedOut(Schema):
    created_at = fields.String(required=True)
    expires_at = fields.String(required=True, allow_none=True)


class NewFeedOut(FeedOut):
    """A feed as it is shown once."""

    url = fields.String(required=True)


def shown(feed: Feed) -> dict[str, Any]:
    """A feed without its address."""
    return {"created_at": stamp(feed.created_at), "expires_at": stamp(feed.expires_at)}


def address_of(made: feeds.FreshFeed) -> str:
    """Where a calendar reads it."""
    return f"{request.host_url}feed/{made.secret}.ics"


@blp.get("/feed")
@blp.needs(SIGNED_IN, 404)
@blp.response(200, FeedOut)
def get_feed() -> dict[str, Any]:
    """Since when there is one's own feed; its address was shown when it was made."""
    feed = feeds.mine(context(), require_actor())
    if feed is None:
        raise NotFound("feed", None)
    return shown(feed)


@blp.post("/feed")
@blp.needs("bookings:read")
@blp.response(201, NewFeedOut)
def make_feed() -> dict[str, Any]:
    """Make one's own feed, or give it another address; the old one holds no longer."""
    made = feeds.make(context(), require_actor())
    return shown(made.row) | {"url": address_of(made)}


@blp.delete("/feed")
@blp.needs(SIGNED_IN, 404)
@blp.response(204)
def remove_feed() -> Response:
    """Let nothing be at its address any more."""
    feeds.remove(context(), require_actor())
    return nothing()


@site.get("/feed/<secret>.ics")
@site.needs(PUBLIC, 404, 429)
@site.response(200, {"type": "string"}, content_type=ics.CONTENT_TYPE)
@site.alt_response(304, description="Nothing has changed since the ETag that was sent.", success=True)
def read_feed(secret: str) -> Response:
    """The times, titles, packages and states of what an account has booked, from one month back on."""
    ctx = context()
    account_id = feeds.owner(ctx, secret)
    ratelimits.spend_feed(ctx, request.remote_addr, account_id)
    if account_id is None:
        raise feeds.unknown()
    entries = calendars.of_account(ctx, account_id)
    key = "feed", sha256(repr(entries).encode()).digest()  # hundreds of entries weigh more than their file
    file = shelf().get(key, lambda: ics.calendar(entries))
    response = current_app.response_class(file, mimetype=ics.CONTENT_TYPE)
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
