"""The decision on a request: form, then policy, then capacity; pure over what it reads in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from booking import together
from booking.allocator import availability as allocator
from booking.allocator.cells import Granularity, cell_at, is_aligned
from booking.allocator.lifecycle import COUNTED, State
from booking.allocator.package import CUSTOM, Package, Sharing
from booking.allocator.policy import Ask, Claim, Limits, Quota, Rule, broken_rules, quota
from booking.allocator.span import Span, floor_minute
from booking.allocator.timeline import Amounts, Side
from booking.errors import BeyondHorizon, Closed, Invalid, NoCapacity, PolicyRefused
from booking.models import Account, Booking, Pool, Reservation
from booking.services import traits
from booking.services.catalogue import STAMPED
from booking.services.context import Actor, Context
from booking.services.states import draws_on_reserve, locked_state
from booking.services.timelines import PoolState
from booking.together import Question

MOST_SPANS = 366
_UNLIMITED = Limits()
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
    length: timedelta | None = None
    """In place of spans: the earliest of that length, which is found under the pool's lock."""
    traits: tuple[str, ...] = ()
    """What the pool must have; only for custom sharing."""

    def __post_init__(self) -> None:
        traits.check(self.traits, self.sharing)


@dataclass(frozen=True)
class Decision:
    """A request that may be granted: with which package, on which side, at what cost."""

    package: Package
    side: Side
    limits: Limits
    ask: Ask

    @cached_property
    def quota(self) -> Quota:
        return quota(self.limits, self.ask)


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
    for span in request.spans:
        minutes = from_now(span, now)
        part = state.part(*minutes)
        if not allocator.fits(part.timeline, room_of(part, side), minutes, package.demand):
            raise NoCapacity(
                f"{package.name} is not free from {_local(pool, span.start)} to {_local(pool, span.end)}."
            )
    return Decision(package, side, actor.limits, ask)


def needs(actor: Actor, request: BookingRequest, now: datetime) -> list[Question]:
    """What :func:`decide` asks of the database besides the timeline, for who asks more at the same time."""
    asked = [] if request.package == CUSTOM else [Question(STAMPED, {})]
    if _is_limited(actor) and request.spans:
        asked.append(_claims(actor.id, request.spans))
    return asked


def _is_limited(actor: Actor) -> bool:
    return actor.limits != _UNLIMITED


def refuse_closed(pool: Pool) -> None:
    """:raises Closed: if nothing new is promised in the pool."""
    if pool.closed_reason is not None:
        raise Closed("Booking in this pool is closed while a fault is looked into; what is booked stays.")


def from_now(span: Span, now: datetime) -> tuple[int, int]:
    """What of a span still lies ahead, in minutes: moments gone by need no room."""
    return Span(max(span.start, floor_minute(now)), span.end).minutes


def side_for(state: PoolState, actor: Actor | Account, sharing: Sharing) -> Side:
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
    existing = claims_of(session, actor.id, request.spans, now) if _is_limited(actor) else ()
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


def _claims(account_id: str, spans: Sequence[Span], without: str | None = None) -> Question:
    first = min(span.start for span in spans) - _QUOTA_REACH
    return Question(_CLAIMS, {"account": account_id, "first": first, "without": without or ""})


def claims_of(
    session: Session, account_id: str, spans: Sequence[Span], now: datetime, without: str | None = None
) -> tuple[Claim, ...]:
    """The account's reservations from four weeks before the spans on; of ended ones, what was used.

    Later ones belong to it: a refusal tells in which week the same would pass.
    """
    rows = together.rows(session, *_claims(account_id, spans, without))
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
