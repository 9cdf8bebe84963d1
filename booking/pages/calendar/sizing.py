"""What a custom size would get, told while its four numbers are typed."""

from __future__ import annotations

from dataclasses import dataclass

from booking.allocator.cells import Granularity
from booking.allocator.package import CUSTOM
from booking.allocator.span import Span
from booking.pages.calendar.form import Form
from booking.services import availability
from booking.services.context import Actor, Context
from booking.services.slots import SlotQuestion, slots


@dataclass(frozen=True)
class Sized:
    """How many of the size fit at once in the hours of the form, and the first span of that length that fits."""

    count: int
    first: Span | None


def sized(ctx: Context, actor: Actor | None, form: Form, span: Span) -> Sized:
    """The answer for the custom size of a form over its first span.

    :raises NotFound: if there is no such pool.
    :raises Invalid: if the span is too long for one answer.
    """
    question = availability.Question(
        span.start,
        span.end,
        pool=form.pool,
        granularity=Granularity.HOUR,
        packages=(CUSTOM,),
        custom=form.custom,
        sharing=form.sharing,
    )
    row = availability.availability(ctx, question, actor).rows[0]
    wanted = SlotQuestion(
        CUSTOM, span.length, limit=1, pool=form.pool, sharing=form.sharing, custom=form.custom
    )
    _, found = slots(ctx, wanted)
    return Sized(min(row.count), found[0] if found else None)
