"""What becomes of a wanted span when its offer is confirmed, declined, withdrawn or lapses.

It is part of the change of the hold itself, so that the two never say different things.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.allocator.lifecycle import State
from booking.allocator.waitlist import WantedState, after_lapse
from booking.models import Booking, Wanted
from booking.services.context import Actor, Context

LAPSED = "its offers were not taken"
DECLINED = "the offer was declined"


def settle(ctx: Context, session: Session, booking: Booking, state: State, actor: Actor | None) -> None:
    """Bring the span whose offer this booking is to where it belongs, now that the hold is in that state.

    A confirmed offer is taken. One that expired sends its span to the end of the line, the second time out of
    it. One that its owner cancels is declined; if anybody else cancels it, the span waits on at its place.
    """
    query = select(Wanted).where(Wanted.booking_id == booking.id, Wanted.state == WantedState.OFFERED)
    wanted = session.scalar(query)
    if wanted is None:
        return
    wanted.offered_until = None
    if state is State.CONFIRMED:
        wanted.state = WantedState.TAKEN
        ctx.journal(session, actor, "wanted.taken", f"wanted:{wanted.id}", booking=booking.id)
        return
    if state is State.EXPIRED:
        wanted.lapses += 1
        wanted.joined_at = ctx.clock.now()
        wanted.state, wanted.end_reason = after_lapse(wanted.lapses), LAPSED
    elif actor is not None and actor.id == wanted.account_id:
        wanted.state, wanted.end_reason = WantedState.GONE, DECLINED
    else:
        wanted.state = WantedState.WAITING
    if wanted.state is WantedState.WAITING:
        wanted.booking_id, wanted.end_reason = None, ""
    what = _SAID[state] if wanted.state is WantedState.WAITING else "wanted.gone"
    ctx.journal(session, actor, what, f"wanted:{wanted.id}", booking=booking.id, reason=wanted.end_reason)


_SAID = {State.EXPIRED: "wanted.lapsed", State.CANCELLED: "wanted.waiting"}
