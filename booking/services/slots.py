"""Slots: the earliest spans in which a package fits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from booking.allocator import availability as allocator
from booking.allocator.package import Package, Sharing
from booking.allocator.search import find_slots
from booking.allocator.span import Span
from booking.services import marks, traits
from booking.services.availability import offer_at, wanted_of
from booking.services.catalogue import Offer
from booking.services.context import Context
from booking.services.finding import pool_with
from booking.services.states import coming_window, place_of, state_at
from booking.services.timelines import PoolState
from booking.services.windows import window_of


@dataclass(frozen=True)
class SlotQuestion:
    """When can I have this?"""

    package: str
    length: timedelta
    start: date | datetime | None = None
    end: date | datetime | None = None
    limit: int = 10
    pool: str | None = None
    sharing: Sharing = Sharing.RESERVED
    custom: Package | None = None
    traits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        traits.check(self.traits, self.sharing)


def slots(ctx: Context, question: SlotQuestion) -> tuple[PoolState, list[Span]]:
    """The earliest spans that fit, in order; from now to the horizon where no window is given.

    :raises NotFound: if the pool or the package is not there.
    :raises Invalid: if the window is empty or the length is not positive.
    """
    ctx = ctx.reader
    mark = marks.current(ctx, pool_with(ctx, question.pool, question.traits))
    state = state_at(ctx, mark)
    return state, _slots(ctx, state, offer_at(ctx, mark), question)


def _slots(ctx: Context, state: PoolState, current: Offer, question: SlotQuestion) -> list[Span]:
    (package,) = wanted_of(current, (question.package,), question.custom)
    place = place_of(ctx, state, allocator.free(state.timeline, question.sharing))
    window = coming_window(ctx, ctx.clock.now())
    if question.start is not None or question.end is not None:
        window = window_of(question.start or window.start, question.end or window.end, state.zone)
        window = Span(
            max(window.start, place.start_from), max(window.end, place.start_from + timedelta(minutes=1))
        )
    return find_slots(place, package.demand, question.length, window, question.limit)
