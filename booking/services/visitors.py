"""Visitors: anonymous accounts of level 0 that end by themselves, and everything of theirs with them."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.models import Account, AccountKind, Booking, Pool, Wanted
from booking.services import bookings, waitlist
from booking.services.context import Actor, Context
from booking.services.ledger import lock_pool


def try_it(ctx: Context) -> Account:
    """Make an anonymous account of level 0 that ends by itself."""

    def write(session: Session) -> Account:
        now, id_ = ctx.clock.now(), ctx.ids.new()
        account = Account(
            id=id_,
            name=f"guest-{id_}",
            kind=AccountKind.ANONYMOUS,
            level=0,
            limits={},
            session_epoch=0,
            created_at=now,
            expires_at=now + timedelta(hours=ctx.settings.anonymous_hours),
        )
        session.add(account)
        session.flush()
        ctx.journal(session, None, "account.tried", f"account:{account.id}")
        return account

    return ctx.db.run("try it", write)


def leave(ctx: Context, actor: Actor) -> None:
    """End an anonymous account at its logout: everything of it goes."""
    if actor.kind is AccountKind.ANONYMOUS:
        ctx.db.run("leave", lambda session: end(ctx, session, session.get_one(Account, actor.id)))


def end(ctx: Context, session: Session, account: Account) -> None:
    """Cancel what an anonymous account has booked or waits for, and close it."""
    reason = "the anonymous account ended"
    booked = select(Booking.pool_id).where(Booking.account_id == account.id)
    wanted = select(Wanted.pool_id).where(Wanted.account_id == account.id)
    for pool_id in sorted(session.scalars(booked.union(wanted))):
        pool: Pool = lock_pool(session, pool_id)
        waitlist.close_all(ctx, session, pool, account.id, reason)
        for booking in session.scalars(
            select(Booking).where(Booking.account_id == account.id, Booking.pool_id == pool_id)
        ):
            bookings.cancel_reservations(ctx, session, pool, booking.reservations, reason=reason, actor=None)
    account.disabled_at = account.disabled_at or ctx.clock.now()
    account.session_epoch += 1
    ctx.journal(session, None, "account.ended", f"account:{account.id}")
