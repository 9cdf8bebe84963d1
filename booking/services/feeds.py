"""Feeds: what an account has booked, for the calendar of whoever knows its secret address; one for each account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from booking.errors import NotFound
from booking.models import Account, Feed
from booking.services.accounts import usable
from booking.services.context import Actor, Context
from booking.services.tokens import token_hash


@dataclass(frozen=True)
class FreshFeed:
    """A feed as it is shown once."""

    row: Feed
    secret: str


def make(ctx: Context, actor: Actor) -> FreshFeed:
    """Make the actor's feed, or give it another secret; at the old address is nothing then.

    :raises Forbidden: if the actor may not read bookings, which the feed tells of.
    """
    actor.require("bookings:read")

    def write(session: Session) -> FreshFeed:
        # Two who make it at once take turns.
        session.get_one(Account, actor.id, with_for_update=True)
        secret, feed = ctx.ids.secret(), session.get(Feed, actor.id)
        act = "feed.made" if feed is None else "feed.renewed"
        feed = feed or Feed(account_id=actor.id)
        feed.hash, feed.created_at, feed.expires_at = token_hash(secret), ctx.clock.now(), actor.until
        session.add(feed)
        ctx.journal(session, actor, act, f"account:{actor.id}")
        return FreshFeed(feed, secret)

    return ctx.db.run("make feed", write)


def mine(ctx: Context, actor: Actor) -> Feed | None:
    """The actor's feed, if there is one that still holds."""
    feed = ctx.db.read("feed", lambda session: session.get(Feed, actor.id))
    over = feed is not None and feed.expires_at is not None and feed.expires_at <= ctx.clock.now()
    return None if over else feed


def remove(ctx: Context, actor: Actor) -> None:
    """Let nothing be at the address any more.

    :raises NotFound: if there is no feed.
    """

    def write(session: Session) -> None:
        feed = session.get(Feed, actor.id)
        if feed is None:
            raise NotFound("feed", None)
        session.delete(feed)
        ctx.journal(session, actor, "feed.removed", f"account:{actor.id}")

    ctx.db.run("remove feed", write)


_OWNER: tuple[Any, ...] = (
    Account.id,
    Account.expires_at,
    Account.disabled_at,
    Feed.expires_at.label("feed_expires_at"),
)
_OF_SECRET = select(*_OWNER).join(Feed, Feed.account_id == Account.id).where(Feed.hash == bindparam("hash"))


def owner(ctx: Context, secret: str) -> str | None:
    """The id of the account whose feed it is, or None where that is nobody's; one statement."""
    now, rows = ctx.clock.now(), ctx.db.ask(_OF_SECRET, {"hash": token_hash(secret)})
    if not rows or not usable(rows[0], now):
        return None
    ends = rows[0].feed_expires_at
    account_id: str = rows[0].id
    return account_id if ends is None or ends > now else None


def unknown() -> NotFound:
    """What everybody hears who comes with a secret that is nobody's; it does not repeat it."""
    return NotFound("feed", "of that address")
