"""Rate limits of the ways in, counted in our database, so that every process shares one count.

Nothing that reads asks here. Where the database cannot count, nobody comes in.
"""

from __future__ import annotations

import math
from datetime import timedelta

from limits import RateLimitItem, parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
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
        """Count a hit in the window that is open, or open one."""

        def count(session: Session) -> int:
            now, life = self._ctx.clock.now(), timedelta(seconds=expiry)
            row = session.scalar(select(RateHit).where(RateHit.key == key).with_for_update())
            if row is None:
                row = RateHit(key=key, hits=0, expires_at=now + life)
                session.add(row)
            # A window that closes later than any could was opened before the clock went back.
            elif not now < row.expires_at <= now + life:
                row.hits, row.expires_at = 0, now + life
            row.hits += amount
            session.flush()
            return row.hits

        try:
            return self._ctx.db.run("count a hit", count)
        except IntegrityError:  # another process opened the same window at the same moment
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
    for name in ("login_limit", "try_limit"):
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


def _spend(ctx: Context, item: RateLimitItem, *key: str) -> None:
    storage = DatabaseStorage(ctx)
    try:
        allowed = FixedWindowRateLimiter(storage).hit(item, *key)
    except ConcurrentUpdate as error:
        raise Unavailable(error.detail) from error
    if not allowed:
        left = storage.get_expiry(item.key_for(*key)) - ctx.clock.now().timestamp()
        raise TooMany(f"That was too often; {item} is allowed.", max(1, math.ceil(left)))
