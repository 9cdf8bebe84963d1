"""Offers: what became free is held for those who wait for it, whoever asked first before the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, joinedload

from booking import together
from booking.allocator import availability as allocator
from booking.allocator.package import Package
from booking.allocator.waitlist import WantedState
from booking.errors import Closed, Invalid, NoCapacity, PolicyRefused
from booking.models import Account, Pool, Wanted
from booking.services import holds
from booking.services.accounts import usable
from booking.services.context import Actor, Context, actor_of
from booking.services.decision import decide, from_now, room_of, side_for
from booking.services.leadership import still_leading
from booking.services.promising import Act, write
from booking.services.states import state_of
from booking.services.timelines import PoolState
from booking.services.waitlist import close, locked, offer_of, request_of

TOO_LATE = "it was not free in time"
ACCOUNT_OVER = "the account is closed"


def offer_due(ctx: Context, epoch: int, seen: Mapping[str, int]) -> dict[str, int]:
    """Hold what became free for who waits, pool by pool; the generation at which each was looked at.

    A pool is passed by while it is at the generation in `seen`. Within one, spans that do not fit are passed
    by too: they may be larger than what others are glad of.

    :raises Deposed: if the epoch is no longer the present one.
    """
    looked = {}
    for pool_id, generation in _awaited(ctx):
        if seen.get(pool_id) != generation:
            for wanted_id, account_id in _candidates(ctx, pool_id):
                _offer(ctx, epoch, pool_id, account_id, wanted_id)
        looked[pool_id] = generation
    return looked


_AWAITED = (
    select(Pool.id, Pool.generation)
    .where(
        Pool.closed_reason.is_(None),
        exists().where(Wanted.pool_id == Pool.id, Wanted.state == WantedState.WAITING),
    )
    .order_by(Pool.id)
)


def _awaited(ctx: Context) -> list[tuple[str, int]]:
    """The pools that somebody waits for, with their generations; those that are closed wait too."""
    found = ctx.db.read("awaited pools", lambda session: together.rows(session, _AWAITED, {}))
    return [(row.id, row.generation) for row in found]


def _candidates(ctx: Context, pool_id: str) -> list[tuple[str, str]]:
    """Who may have an offer, in order, or must leave the line; each is decided on under the lock."""
    line = (
        select(Wanted)
        .where(Wanted.pool_id == pool_id, Wanted.state == WantedState.WAITING)
        .order_by(Wanted.joined_at, Wanted.id)
        .options(joinedload(Wanted.account))
    )

    def read(session: Session) -> list[tuple[str, str]]:
        state = state_of(ctx, session, pool_id)
        current = {package.name: package for package in ctx.catalogue.current(session)}
        waiting = session.scalars(line).all()
        return [(row.id, row.account_id) for row in waiting if _may_go(ctx, state, row, current)]

    return holds.reading(ctx, "waiting line", read)


def _may_go(ctx: Context, state: PoolState, wanted: Wanted, current: Mapping[str, Package]) -> bool:
    package = wanted.custom or current.get(wanted.package_name)
    if package is None or offer_of(ctx, wanted.start) is None or not usable(wanted.account, ctx.clock.now()):
        return True
    room = room_of(state, side_for(state, wanted.account, wanted.sharing))
    return allocator.fits(state.timeline, room, from_now(wanted.span, ctx.clock.now()), package.demand)


def _offer(ctx: Context, epoch: int, pool_id: str, account_id: str, wanted_id: str) -> None:
    """Decide on one who waits; the hold and its entry are written in one transaction."""

    def act(session: Session) -> None:
        still_leading(ctx, session, epoch)
        pool, account = locked(ctx, session, pool_id, account_id)
        wanted = session.get_one(Wanted, wanted_id, populate_existing=True)
        if wanted.state is not WantedState.WAITING:
            return
        reason = _why_gone(ctx, account, wanted)
        if reason is None:
            reason = _hold(ctx, session, pool, actor_of(session, account), wanted)
        if reason is not None:
            close(ctx, session, pool, wanted, reason, None)

    ctx.db.run("offer", act)


def _why_gone(ctx: Context, account: Account, wanted: Wanted) -> str | None:
    if not usable(account, ctx.clock.now()):
        return ACCOUNT_OVER
    return TOO_LATE if offer_of(ctx, wanted.start) is None else None


def _hold(ctx: Context, session: Session, pool: Pool, actor: Actor, wanted: Wanted) -> str | None:
    """Make the offer if policy and capacity grant it; why it can never be granted, if so."""
    request = replace(request_of(wanted), hold=offer_of(ctx, wanted.start))
    try:
        decision = decide(ctx, session, actor, pool, request)
        booking = write(ctx, session, actor, pool, request, decision, Act(None, "booking.offered"))
    except (NoCapacity, PolicyRefused, Closed):
        return None
    except Invalid as fault:
        return fault.detail
    (reservation,) = booking.reservations
    wanted.state, wanted.booking_id = WantedState.OFFERED, booking.id
    wanted.offered_until = reservation.expires_at
    told = {"booking": booking.id, "until": str(wanted.offered_until)}
    ctx.journal(session, None, "wanted.offered", f"wanted:{wanted.id}", **told)
    return None
