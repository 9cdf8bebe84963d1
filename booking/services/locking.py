"""A booking that is about to be changed: read whole, under the lock of its pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, String, bindparam, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from booking import together
from booking.errors import NotFound, Stale
from booking.models import Account, Booking, Cluster, Guest, Pool, Reservation
from booking.models.store import columns_of, loaded
from booking.services import holds
from booking.services.context import Actor, Context
from booking.services.ledger import lock_pool
from booking.together import Question

_ID: BindParameter[str] = bindparam("booking", type_=String)
_WHERE = select(Booking.pool_id, Booking.account_id).where(Booking.id == _ID)
_BOOKING = (
    select(*columns_of(Booking), *columns_of(Account))
    .join_from(Booking, Account, Account.id == Booking.account_id)
    .where(Booking.id == _ID)
)
_RESERVATIONS = (
    select(*columns_of(Reservation), *columns_of(Cluster))
    .join_from(Reservation, Cluster, Cluster.reservation_id == Reservation.id, isouter=True)
    .where(Reservation.booking_id == _ID)
    .order_by(Reservation.start)
)
_GUESTS = (
    select(*columns_of(Account))
    .join_from(Account, Guest, Guest.account_id == Account.id)
    .where(Guest.booking_id == _ID)
)


def owns(actor: Actor, account_id: str) -> bool:
    """Whether the actor may change what belongs to that account."""
    return account_id == actor.id or actor.acts_as_admin


def locked_booking(
    ctx: Context,
    session: Session,
    actor: Actor,
    booking_id: str,
    if_match: int | None,
    *,
    has_ends: bool = False,
) -> tuple[Booking, Pool]:
    """A booking to be changed, under the lock of its pool, with its holds expired.

    All that belongs to it is asked in the same breath as the lock, which is held for no further wait; so is
    what is new in the timeline, where ends are to be moved.

    :raises NotFound: if it is not there.
    :raises Stale: if it is no longer at the revision the caller has seen.
    """
    found = together.rows(session, _WHERE, {"booking": booking_id})
    if not found or not owns(actor, found[0].account_id):
        raise NotFound("booking", booking_id)
    # Only what never changes is read before the lock: all else may change while this waits for it.
    asked = [Question(one, {"booking": booking_id}) for one in (_BOOKING, _RESERVATIONS, _GUESTS)]
    news = ctx.timelines.news(found[0].pool_id) if has_ends else ()
    pool = lock_pool(session, found[0].pool_id, *asked, *news)
    holds.expire_due(ctx, session, pool, ctx.clock.now())
    session.flush()
    booking = _whole(session, pool, *(together.rows(session, *question) for question in asked))
    if if_match is not None and booking.revision != if_match:
        raise Stale("The booking has changed since you looked at it; read it again.")
    return booking, pool


def _whole(
    session: Session, pool: Pool, own: Sequence[Any], reservations: Sequence[Any], guests: Sequence[Any]
) -> Booking:
    """The booking of those rows, as if the session had just loaded it with all that belongs to it."""
    booking = loaded(session, Booking, own[0])
    set_committed_value(booking, "account", loaded(session, Account, own[0]))
    set_committed_value(booking, "pool", pool)
    set_committed_value(booking, "guests", [loaded(session, Account, row) for row in guests])
    set_committed_value(
        booking, "reservations", [_reservation(session, booking, row) for row in reservations]
    )
    return booking


def _reservation(session: Session, booking: Booking, row: Any) -> Reservation:
    reservation = loaded(session, Reservation, row)
    has_cluster = row.cluster_reservation_id is not None
    set_committed_value(reservation, "booking", booking)
    set_committed_value(reservation, "cluster", loaded(session, Cluster, row) if has_cluster else None)
    return reservation
