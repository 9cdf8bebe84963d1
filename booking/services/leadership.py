"""Who runs the scheduler: one row, renewed while its holder lives; its epoch fences everybody before."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from booking import together
from booking.allocator.span import EPOCH
from booking.models import Leadership
from booking.models.store import columns_of, loaded, table_of
from booking.services.context import Context

SCHEDULER = "scheduler"
# Asked for in every transaction of the scheduler, and so by the driver alone.
_LOCK = select(*columns_of(Leadership)).where(Leadership.name == SCHEDULER).with_for_update()
_RENEW = (
    update(table_of(Leadership))
    .where(Leadership.name == SCHEDULER)
    .values(until=bindparam("ends"), seen_at=bindparam("now"))
)


class Deposed(Exception):
    """Somebody else leads by now; what was begun under the old epoch must stop."""


def lead(ctx: Context, holder: str) -> int | None:
    """Take or renew the leadership; its epoch, or None while somebody else holds it.

    An epoch is the moment at which it began, and later than every other: it never comes twice, not even
    where a standby took over from a database whose last changes are lost.
    """

    def act(session: Session) -> int | None:
        now, life = ctx.clock.now(), timedelta(seconds=ctx.settings.leadership_seconds)
        begins = (now - EPOCH) // timedelta(microseconds=1)
        found = together.rows(session, _LOCK, {})
        if not found:
            session.add(
                Leadership(name=SCHEDULER, holder=holder, epoch=begins, until=now + life, seen_at=now)
            )
            session.flush()
            return begins
        row = loaded(session, Leadership, found[0])
        # A term that ends later than any could was written before the clock went back.
        lapsed = row.until <= now or row.until > now + 2 * life
        if row.holder != holder and not lapsed:
            return None
        if row.holder != holder:
            row.holder, row.epoch = holder, max(row.epoch + 1, begins)
        row.until, row.seen_at = now + life, now
        return row.epoch

    try:
        return ctx.db.run("lead", act)
    except IntegrityError:
        return None  # another process wrote the first row at the same moment


def still_leading(ctx: Context, session: Session, epoch: int) -> None:
    """Called first in every transaction of the scheduler; who works on also leads on.

    :raises Deposed: if the epoch is no longer the present one.
    """
    found = together.rows(session, _LOCK, {})
    present = found[0].leadership_epoch if found else None
    if present != epoch:
        raise Deposed(f"epoch {epoch} is over; the present one is {present or 'none'}")
    now, life = ctx.clock.now(), timedelta(seconds=ctx.settings.leadership_seconds)
    if found[0].leadership_until - now < life / 2:
        together.tell(session, _RENEW, {"ends": now + life, "now": now})


def resign(ctx: Context, holder: str) -> None:
    """Let the next process lead at once."""

    def act(session: Session) -> None:
        row = session.get(Leadership, SCHEDULER)
        if row is not None and row.holder == holder:
            row.until = ctx.clock.now()

    ctx.db.run("resign", act)


def leader(ctx: Context) -> str | None:
    """Who led last; None where nobody ever has."""
    query = select(Leadership.holder).where(Leadership.name == SCHEDULER)
    return ctx.db.read("leader", lambda session: session.scalar(query)) or None


def is_led(ctx: Context) -> bool:
    """Whether a scheduler has renewed its term within three terms."""

    def read(session: Session) -> bool:
        row = session.get(Leadership, SCHEDULER)
        patience = timedelta(seconds=3 * ctx.settings.leadership_seconds)
        # One that was last seen far ahead was seen before the clock went back, and perhaps never since.
        return row is not None and abs(row.seen_at - ctx.clock.now()) < patience

    return ctx.db.read("is led", read)
