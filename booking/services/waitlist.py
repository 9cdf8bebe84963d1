"""The waiting list: spans that did not fit stay wanted, until they are taken, withdrawn or too late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from booking.allocator.lifecycle import State
from booking.allocator.package import Package
from booking.allocator.waitlist import OPEN, WantedState, offer_length
from booking.errors import Conflict, Invalid, NoCapacity, NotFound
from booking.models import Account, Booking, Pool, Wanted
from booking.models.package import as_sizes
from booking.services import bookings, holds, waiting
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest, check_spans, decide, sized
from booking.services.finding import find_pool
from booking.services.ledger import lock_pool
from booking.services.promising import group_for
from booking.services.waiting import Entry

MOST_OPEN = 100
"""How many spans one account may wait for."""
WITHDRAWN = "withdrawn"

_LOCK_ACCOUNT = select(Account).where(Account.id == bindparam("account")).with_for_update()


def locked(ctx: Context, session: Session, pool_id: str, account_id: str) -> tuple[Pool, Account]:
    """Pool, then account, locked in this order as for every promise; due holds have expired.

    :raises NotFound: if one of them is not there.
    """
    pool = lock_pool(session, pool_id)
    account = session.execute(_LOCK_ACCOUNT, {"account": account_id}).scalar_one_or_none()
    if account is None:
        raise NotFound("account", account_id)
    holds.expire_due(ctx, session, pool, ctx.clock.now())
    session.flush()
    return pool, account


def request_of(wanted: Wanted) -> BookingRequest:
    """The request that a wanted span stands for."""
    return BookingRequest(
        package=wanted.package_name,
        sharing=wanted.sharing,
        spans=(wanted.span,),
        pool=wanted.pool_id,
        custom=wanted.custom,
        title=wanted.title,
        notebook_url=wanted.notebook_url,
        group=wanted.group_id,
    )


def offer_of(ctx: Context, start: datetime) -> timedelta | None:
    """For how long a span with that start would be offered now; None if it is too late."""
    return offer_length(ctx.clock.now(), start, timedelta(minutes=ctx.settings.offer_minutes))


def add(ctx: Context, actor: Actor, request: BookingRequest) -> list[Entry]:
    """Put each span of a request on the waiting list, or none; what is on it already stays as it is.

    :raises Invalid: if the request has a fault of form, or a span begins too soon to be offered.
    :raises PolicyRefused: if a span breaks a rule of the account's level, free or not.
    :raises Conflict: if a span fits now, or the account waits for too many.
    """
    actor.require("bookings:write")

    def write(session: Session) -> list[Entry]:
        try:
            pool_id = find_pool(session, request.pool, request.traits)
        except NotFound as error:
            raise Invalid({"pool": [error.detail]}) from None
        pool, _ = locked(ctx, session, pool_id, actor.id)
        package = _checked(ctx, session, actor, pool, request)
        known = {_same(row): row for row in _open_of(session, actor.id)}
        group = group_for(session, actor.id, request.group)
        found = []
        for span in sorted(request.spans):
            row = _row(ctx, actor, pool, package, replace(request, spans=(span,)))
            row.group_id = group.id if group else None
            kept = known.setdefault(_same(row), row)
            if kept is row:
                session.add(row)
                told = {"package": package.name, "start": span.start.isoformat()}
                ctx.journal(session, actor, "wanted.added", f"wanted:{row.id}", **told)
            found.append(kept)
        if len(known) > MOST_OPEN:
            raise Conflict(f"At most {MOST_OPEN} spans may be waited for.", code="waitlist.full")
        session.flush()
        return waiting.told(session, [row.id for row in found])

    return ctx.db.run("want", write)


def _checked(ctx: Context, session: Session, actor: Actor, pool: Pool, request: BookingRequest) -> Package:
    """The package, if every span would be granted but for the lack of capacity."""
    now = ctx.clock.now()
    check_spans(ctx, pool, request.spans, now)
    late = [n for n, span in enumerate(request.spans) if offer_of(ctx, span.start) is None]
    if late:
        raise Invalid({f"spans.{n}.start": ["begins too soon to be waited for"] for n in late})
    for span in request.spans:
        try:
            decide(ctx, session, actor, pool, replace(request, spans=(span,)))
        except NoCapacity:
            continue
        at = span.start.astimezone(pool.zone)
        raise Conflict(f"{request.package} is free from {at:%a %d %b %H:%M}: book it.", code="waitlist.free")
    return sized(ctx, session, request)


def _row(ctx: Context, actor: Actor, pool: Pool, package: Package, request: BookingRequest) -> Wanted:
    now, (span,) = ctx.clock.now(), request.spans
    return Wanted(
        id=ctx.ids.new(),
        account_id=actor.id,
        pool_id=pool.id,
        package_name=package.name,
        package_version=package.version,
        **as_sizes(package),
        sharing=request.sharing,
        start=span.start,
        end=span.end,
        title=request.title,
        notebook_url=request.notebook_url,
        state=WantedState.WAITING,
        end_reason="",
        created_at=now,
        joined_at=now,
        lapses=0,
    )


def _same(row: Wanted) -> tuple[object, ...]:
    """What two entries for the same thing have in common."""
    size = replace(row.size, version=0) if row.custom else row.package_name
    return row.pool_id, size, row.sharing, row.start, row.end


def _open_of(session: Session, account_id: str) -> Sequence[Wanted]:
    query = select(Wanted).where(Wanted.account_id == account_id, Wanted.state.in_(OPEN))
    return session.scalars(query.order_by(Wanted.created_at, Wanted.id)).all()


def withdraw(ctx: Context, actor: Actor, wanted_id: str) -> None:
    """Want a span no longer; its offer, if there is one, is given back. Repeating it changes nothing.

    :raises NotFound: if it is not the actor's.
    """
    actor.require("bookings:write")

    def write(session: Session) -> None:
        wanted = session.get(Wanted, wanted_id)
        if wanted is None or not (wanted.account_id == actor.id or actor.acts_as_admin):
            raise NotFound("wanted", wanted_id)
        pool, _ = locked(ctx, session, wanted.pool_id, wanted.account_id)
        session.refresh(wanted)
        if wanted.state in OPEN:
            close(ctx, session, pool, wanted, WITHDRAWN, actor)

    ctx.db.run("withdraw", write)


def close(
    ctx: Context, session: Session, pool: Pool, wanted: Wanted, reason: str, actor: Actor | None
) -> None:
    """Take an open entry off the list, under the lock of its pool; its offer is given back."""
    wanted.state, wanted.end_reason, wanted.offered_until = WantedState.GONE, reason, None
    ctx.journal(session, actor, "wanted.gone", f"wanted:{wanted.id}", reason=reason)
    if wanted.booking_id is not None:
        session.flush()
        offer = session.get_one(Booking, wanted.booking_id)
        held = [reservation for reservation in offer.reservations if reservation.state is State.HELD]
        bookings.cancel_reservations(ctx, session, pool, held, reason=reason, actor=actor)


def close_all(ctx: Context, session: Session, pool: Pool, account_id: str, reason: str) -> None:
    """Take everything that an account waits for in a locked pool off the list."""
    for wanted in _open_of(session, account_id):
        if wanted.pool_id == pool.id:
            close(ctx, session, pool, wanted, reason, None)
