"""The decision on a request: form, then policy, then capacity; pure over what it reads in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from booking.allocator import availability as allocator
from booking.allocator.cells import Granularity, cell_at, is_aligned
from booking.allocator.lifecycle import COUNTED, State
from booking.allocator.package import CUSTOM, Package, Sharing
from booking.allocator.policy import Ask, Claim, Quota, Rule, broken_rules, quota
from booking.allocator.span import Span, floor_minute
from booking.allocator.timeline import Amounts, Side
from booking.errors import BeyondHorizon, Closed, Invalid, NoCapacity, PolicyRefused
from booking.models import Booking, Pool, Reservation
from booking.services.availability import draws_on_reserve, locked_state
from booking.services.context import Actor, Context
from booking.services.timelines import PoolState

MOST_SPANS = 366
_QUOTA_REACH = timedelta(weeks=4)


@dataclass(frozen=True)
class BookingRequest:
    """What an account asks for."""

    package: str
    sharing: Sharing
    spans: tuple[Span, ...]
    pool: str | None = None
    """Id or name; None means the first pool."""
    custom: Package | None = None
    """The sizes of a custom package."""
    title: str = ""
    notebook_url: str | None = None
    group: str | None = None
    hold: timedelta | None = None
    """Only hold it, for so long."""


@dataclass(frozen=True)
class Decision:
    """A request that may be granted: with which package, on which side, at what cost."""

    package: Package
    side: Side
    quota: Quota


def decide(ctx: Context, session: Session, actor: Actor, pool: Pool, request: BookingRequest) -> Decision:
    """Decide on a request against the pool as it is in this transaction.

    :raises Closed: if an audit found a fault in the pool.
    :raises Invalid: if the request has a fault of form.
    :raises PolicyRefused: if a rule of the account's level is broken.
    :raises NoCapacity: if a span does not fit.
    """
    now = ctx.clock.now()
    refuse_closed(pool)
    check_spans(ctx, pool, request.spans, now)
    package = sized(ctx, session, request)
    ask = ask_of(session, actor, pool, package, request, now)
    refuse_broken(broken_rules(actor.limits, ask))
    state = locked_state(ctx, session, pool)
    side = side_for(state, actor, request.sharing)
    room = room_of(state, side)
    for span in request.spans:
        if not allocator.fits(state.timeline, room, from_now(span, now), package.demand):
            raise NoCapacity(
                f"{package.name} is not free from {_local(pool, span.start)} to {_local(pool, span.end)}."
            )
    return Decision(package, side, quota(actor.limits, ask))


def refuse_closed(pool: Pool) -> None:
    """:raises Closed: if nothing new is promised in the pool."""
    if pool.closed_reason is not None:
        raise Closed("Booking in this pool is closed while a fault is looked into; what is booked stays.")


def from_now(span: Span, now: datetime) -> tuple[int, int]:
    """What of a span still lies ahead, in minutes: moments gone by need no room."""
    return Span(max(span.start, floor_minute(now)), span.end).minutes


def side_for(state: PoolState, actor: Actor, sharing: Sharing) -> Side:
    """The side of the ledger that a booking of this actor is counted on."""
    if sharing is Sharing.SHARED:
        return Side.LEVEL0 if draws_on_reserve(actor, state) else Side.SHARED
    return Side.RESERVED


def room_of(state: PoolState, side: Side) -> Amounts:
    """What further demand on that side is measured against."""
    if side is Side.LEVEL0:
        return allocator.level0_room(state.timeline, state.reserve)
    return allocator.free(state.timeline, Sharing.SHARED if side is Side.SHARED else Sharing.RESERVED)


def sized(ctx: Context, session: Session, request: BookingRequest) -> Package:
    """The package of a request.

    :raises Invalid: if there is none of that name, or a custom one has no sizes.
    """
    if request.package == CUSTOM:
        if request.custom is None:
            raise Invalid({"custom": ["is needed for a custom package"]})
        return request.custom
    if request.custom is not None:
        raise Invalid({"custom": ["is only for the package custom"]})
    known = {package.name: package for package in ctx.catalogue.current(session)}
    if request.package not in known:
        raise Invalid({"package": [f"there is no package {request.package!r}"]})
    return known[request.package]


def check_spans(ctx: Context, pool: Pool, spans: Sequence[Span], now: datetime) -> None:
    """The grid rules.

    :raises Invalid: naming the span and the rule.
    :raises BeyondHorizon: if a span ends after the horizon.
    """
    if not 1 <= len(spans) <= MOST_SPANS:
        raise Invalid({"spans": [f"names 1 to {MOST_SPANS} spans"]})
    horizon = ctx.horizon(now)
    beyond = [index for index, span in enumerate(spans) if span.end > horizon]
    if beyond:
        said = f"lies beyond {horizon:%Y-%m-%d}, the end of the calendar"
        raise BeyondHorizon({f"spans.{index}.end": [said] for index in beyond})
    errors: dict[str, list[str]] = {}
    earliest = cell_at(pool.zone, now, pool.granularity).start
    for index, span in enumerate(spans):
        if span.start < earliest:
            errors[f"spans.{index}.start"] = [f"lies before the current {pool.granularity}"]
        for name, instant in (("start", span.start), ("end", span.end)):
            if fault := off_grid(pool, instant):
                errors.setdefault(f"spans.{index}.{name}", []).append(fault)
    if errors:
        raise Invalid(errors)
    if any(before.overlaps(after) for before, after in pairwise(sorted(spans))):
        raise Invalid({"spans": ["must not overlap one another"]})


def off_grid(pool: Pool, instant: datetime) -> str | None:
    """What is wrong with an instant that is not an edge of the pool's cells."""
    if is_aligned(pool.zone, instant, pool.granularity):
        return None
    edge = "midnight" if pool.granularity is Granularity.DAY else "hour"
    return f"is not on a local {edge} of {pool.timezone}"


def ask_of(
    session: Session, actor: Actor, pool: Pool, package: Package, request: BookingRequest, now: datetime
) -> Ask:
    """The request as policy sees it, with what the account has been promised already."""
    existing = (
        claims_of(session, actor.id, request.spans, now) if actor.limits != type(actor.limits)() else ()
    )
    return Ask(package.name, request.sharing, package.demand, tuple(request.spans), now, pool.zone, existing)


_CLAIMS = (
    select(
        Reservation.start,
        Reservation.end,
        Reservation.state,
        Reservation.expires_at,
        Booking.notebook_cores,
        Booking.worker_cores,
        Booking.worker_count,
    )
    .join(Booking, Reservation.booking_id == Booking.id)
    .where(
        Booking.account_id == bindparam("account"),
        Reservation.state.in_([*COUNTED, State.ENDED]),
        Reservation.end > bindparam("first"),
        Reservation.id != bindparam("without"),
    )
)


def claims_of(
    session: Session, account_id: str, spans: Sequence[Span], now: datetime, without: str | None = None
) -> tuple[Claim, ...]:
    """The account's reservations from four weeks before the spans on; of ended ones, what was used.

    Later ones belong to it: a refusal tells in which week the same would pass.
    """
    first = min(span.start for span in spans)
    named = {"account": account_id, "first": first - _QUOTA_REACH, "without": without or ""}
    rows = session.connection().execute(_CLAIMS, named)
    claims = []
    for row in rows:
        end = min(row.end, floor_minute(now)) if row.state is State.ENDED else row.end
        if row.start < end and not (
            row.state is State.HELD and row.expires_at is not None and row.expires_at <= now
        ):
            cores = row.notebook_cores + row.worker_cores * row.worker_count
            claims.append(Claim(Span(row.start, end), cores))
    return tuple(claims)


def refuse_broken(rules: Sequence[Rule]) -> None:
    """:raises PolicyRefused: for the first broken rule."""
    for rule in rules:
        shown = {"name": rule.name, "limit": rule.limit, "have": rule.have, "passes": rule.passes}
        raise PolicyRefused(rule.detail, code=rule.name, rule=shown)


def _local(pool: Pool, instant: datetime) -> str:
    return f"{instant.astimezone(pool.zone):%a %d %b %H:%M}"
