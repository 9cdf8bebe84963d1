"""What is tidied up now and then: anonymous accounts that are over, old idempotency keys, refusals and rate limits."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from booking.models import Account, AccountKind, RateHit
from booking.services import bookings, refusals, snapshots
from booking.services.context import Context
from booking.services.visitors import end


def tidy(ctx: Context) -> None:
    """End anonymous accounts whose time is over, forget what nobody asks for any more, take snapshots."""
    now = ctx.clock.now()
    over = ctx.db.read(
        "anonymous accounts that are over",
        lambda session: session.scalars(
            select(Account.id).where(
                Account.kind == AccountKind.ANONYMOUS,
                Account.disabled_at.is_(None),
                Account.expires_at <= now,
            )
        ).all(),
    )
    for account_id in over:
        _end(ctx, account_id)

    def forget(session: Session) -> None:
        bookings.forget_keys(ctx, session, now)
        refusals.forget(session, now)
        session.execute(delete(RateHit).where(RateHit.expires_at <= now))

    ctx.db.run("forget", forget)
    snapshots.take(ctx)


def _end(ctx: Context, account_id: str) -> None:
    def write(session: Session) -> None:
        end(ctx, session, session.get_one(Account, account_id))

    ctx.db.run("end account", write)
