"""Rate limits of the ways in, counted in our database, so that every process shares one count.

Of what reads, feeds alone ask here: whoever knows the address needs no account. Where the database cannot count, nobody comes in.
"""

from __future__ import annotations

import math
from datetime import timedelta

from limits import RateLimitItem, parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy import and_, case, delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from booking.config import PREFIX, Settings, SettingsError
from booking.errors import ConcurrentUpdate, TooMany, Unavailable
from booking.models import RateHit
from booking.services.context import Context


class DatabaseStorage(Storage):
    """Counts in the table of rate hits, on our own clock."""

    STORAGE_SCHEME = None

    def __init__(self, ctx: Context) -> None:
        super().__init__()
        self._ctx = ctx

    @property
    def base_exceptions(self) -> type[Exception]:
        return Unavailable

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count a hit in the window that is open, or open one; one statement, whoever counts at the same time."""

        def count(session: Session) -> int:
            now, life = self._ctx.clock.now(), timedelta(seconds=expiry)
            of_dialect = (
                postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
            )
            upsert = of_dialect(RateHit).values(key=key, hits=amount, expires_at=now + life)
            # A window that closes later than any could was opened before the clock went back.
            is_open = and_(RateHit.expires_at > now, RateHit.expires_at <= now + life)
            counted = upsert.on_conflict_do_update(
                index_elements=[RateHit.key],
                set_={
                    "hits": case((is_open, RateHit.hits + amount), else_=amount),
                    "expires_at": case((is_open, RateHit.expires_at), else_=upsert.excluded.expires_at),
                },
            )
            hits: int = session.execute(counted.returning(RateHit.hits)).scalar_one()
            return hits

        return self._ctx.db.run("count a hit", count)

    def get(self, key: str) -> int:
        """How often the key was hit in its window."""
        row = self._row(key)
        return row.hits if row is not None and row.expires_at > self._ctx.clock.now() else 0

    def get_expiry(self, key: str) -> float:
        """When its window closes, in seconds since the epoch."""
        row = self._row(key)
        return (row.expires_at if row is not None else self._ctx.clock.now()).timestamp()

    def _row(self, key: str) -> RateHit | None:
        return self._ctx.db.read("rate hit", lambda session: session.get(RateHit, key))

    def check(self) -> bool:
        """Whether the database answers; an error says that it does not."""
        self._row("")
        return True

    def reset(self) -> int | None:
        """Forget every count."""
        self._ctx.db.run("forget hits", lambda session: session.execute(delete(RateHit)))
        return None

    def clear(self, key: str) -> None:
        """Forget one count."""
        self._ctx.db.run(
            "forget a hit", lambda session: session.execute(delete(RateHit).where(RateHit.key == key))
        )


def check(settings: Settings) -> None:
    """:raises SettingsError: naming each rate that cannot be read."""
    faults = []
    for name in ("login_limit", "try_limit", "feed_limit"):
        try:
            parse(getattr(settings, name))
        except ValueError:
            faults.append(f"{PREFIX}{name.upper()} is a rate like 10 per 5 minutes")
    if faults:
        raise SettingsError(faults)


def spend_login(ctx: Context, address: str | None, name: str) -> None:
    """Count an attempt to sign in, against its address and against the name.

    :raises TooMany: if one of them has had its share; it says when to come back.
    :raises Unavailable: if it cannot be counted.
    """
    item = parse(ctx.settings.login_limit)
    _spend(ctx, item, "login from", address or "nowhere")
    _spend(ctx, item, "login as", name)


def spend_try(ctx: Context, address: str | None) -> None:
    """Count an anonymous account against its address.

    :raises TooMany: if it has had its share.
    :raises Unavailable: if it cannot be counted.
    """
    _spend(ctx, parse(ctx.settings.try_limit), "try from", address or "nowhere")


def spend_feed(ctx: Context, address: str | None, account_id: str | None) -> None:
    """Count a read of a feed against the feed, or of one that is nobody's against the address.

    Calendars of many people come from one address, so that no feed suffers from another's readers.

    :raises TooMany: if it has had its share.
    :raises Unavailable: if it cannot be counted.
    """
    key = ("feed of", account_id) if account_id else ("feed from", address or "nowhere")
    _spend(ctx, parse(ctx.settings.feed_limit), *key)


def _spend(ctx: Context, item: RateLimitItem, *key: str) -> None:
    storage = DatabaseStorage(ctx)
    try:
        allowed = FixedWindowRateLimiter(storage).hit(item, *key)
    except ConcurrentUpdate as error:
        raise Unavailable(error.detail) from error
    if not allowed:
        left = storage.get_expiry(item.key_for(*key)) - ctx.clock.now().timestamp()
        raise TooMany(f"That was too often; {item} is allowed.", max(1, math.ceil(left)))
