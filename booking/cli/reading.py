"""What commands look up: pools, bookings, and whose they are."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.lifecycle import FINAL
from booking.models import Account, AccountKind, Booking, Pool
from booking.services import accounts
from booking.services.context import Actor, Context, actor_of
from booking.services.finding import find_pool


def pool_named(ctx: Context, name: str | None, traits: Collection[str] = ()) -> Pool:
    """The pool with that name or id; None is the first, of those that have the traits.

    :raises NotFound: if there is none.
    :raises PolicyRefused: if it lacks one of the traits.
    """
    return ctx.db.read("pool", lambda session: session.get_one(Pool, find_pool(session, name, traits)))


def administrators(ctx: Context) -> list[Actor]:
    """Every administrator who is a person and may still come in."""
    query = select(Account).where(
        Account.is_admin, Account.kind == AccountKind.PERSON, Account.disabled_at.is_(None)
    )
    return ctx.db.read(
        "administrators", lambda session: [actor_of(session, row) for row in session.scalars(query)]
    )


def bookings_of(ctx: Context, account: str | None, *, ended_too: bool) -> list[Booking]:
    """Bookings of an account, or of everybody, the earliest start first; ended ones only if asked.

    :raises NotFound: if there is no such account.
    """

    def read(session: Session) -> list[Booking]:
        query = select(Booking).order_by(Booking.created_at, Booking.id)
        if account is not None:
            query = query.where(Booking.account_id == accounts.find(session, account).id)
        rows = session.scalars(query).all()
        wanted = [row for row in rows if ended_too or any(r.state not in FINAL for r in row.reservations)]
        return sorted(wanted, key=lambda row: row.reservations[0].start)

    return ctx.db.read("bookings", read)
