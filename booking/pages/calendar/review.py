"""The review before a booking: what fits, what it costs, and what else would do."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from booking.allocator.cells import Granularity
from booking.allocator.package import CUSTOM, Package, Sharing, Size
from booking.allocator.policy import Quota
from booking.allocator.span import Span, floor_minute, minute_of
from booking.errors import Invalid, NoCapacity, PolicyRefused, Refused
from booking.pages.calendar.form import Form, request_of
from booking.pages.calendar.query import custom_numbers
from booking.pages.language import gettext
from booking.services import availability, bookings, offers
from booking.services.context import Actor, Context
from booking.services.decision import BookingRequest

_LONGEST_SERIES = timedelta(days=370)


@dataclass(frozen=True)
class Offered:
    """One span of the review and whether it fits."""

    span: Span
    fits: bool
    instead: Span | None = None
    """The nearest span of its length that would do in place of a taken one."""

    @property
    def value(self) -> str:
        return written(self.span)

    @property
    def exchange(self) -> str:
        """The span and what to book in its place, as a ticked field carries them."""
        return f"{self.value} {written(self.instead)}" if self.instead else ""


@dataclass(frozen=True)
class Review:
    """What the panel shows before anything is booked."""

    request: BookingRequest
    key: str
    spans: list[Offered]
    quota: Quota | None = None
    core_hours: float = 0
    package: Package | None = None
    refusal: Refused | None = None
    errors: dict[str, list[str]] = field(default_factory=dict)
    just_taken: bool = False
    """It was free when it was reviewed."""

    @property
    def fitting(self) -> list[Offered]:
        return [offered for offered in self.spans if offered.fits]

    @property
    def taken(self) -> list[Offered]:
        """Those that may be waited for."""
        wanting = isinstance(self.refusal, NoCapacity)
        return [offered for offered in self.spans if wanting and not offered.fits]

    @property
    def bookable(self) -> bool:
        """Whether there is something to tick and confirm."""
        return any(offered.fits or offered.instead for offered in self.spans)

    @property
    def rule(self) -> dict[str, Any] | None:
        return self.refusal.rule if isinstance(self.refusal, PolicyRefused) else None


def written(span: Span) -> str:
    """A span as a hidden field carries it."""
    return f"{span.start:%Y-%m-%dT%H:%MZ}/{span.end:%Y-%m-%dT%H:%MZ}"


def read_span(text: str) -> Span:
    """:raises Invalid: if the text is not one that :func:`written` wrote."""
    try:
        start, end = (datetime.fromisoformat(part) for part in text.split("/"))
        return Span(start, end)
    except (ValueError, OverflowError):
        raise Invalid({"span": [gettext("is not a span")]}) from None


def read_exchange(text: str) -> tuple[Span, Span]:
    """:raises Invalid: if the text is not an exchange as :class:`Offered` writes it."""
    before, _, after = text.partition(" ")
    return read_span(before), read_span(after)


def review(ctx: Context, actor: Actor, form: Form, spans: Sequence[Span]) -> Review:
    """Decide on everything and write nothing; where only some spans fit, on those.

    :raises Invalid: if the request has a fault of form.
    """
    request = request_of(form, spans)
    key = ctx.ids.new()
    try:
        return _granted(ctx, actor, request, key, [Offered(span, fits=True) for span in spans])
    except NoCapacity as refusal:
        offered = _offered(ctx, actor, request)
        some = [entry.span for entry in offered if entry.fits]
        if not some:
            return Review(request, key, offered, refusal=refusal)
        try:
            partly = _granted(ctx, actor, request_of(form, some), key, offered)
        except Refused:
            return Review(request, key, offered, refusal=refusal)
        return Review(request, key, offered, partly.quota, partly.core_hours, partly.package, refusal=refusal)
    except Refused as refusal:
        return Review(request, key, [Offered(span, fits=False) for span in spans], refusal=refusal)


def _granted(ctx: Context, actor: Actor, request: BookingRequest, key: str, offered: list[Offered]) -> Review:
    decision = bookings.preview(ctx, actor, request)
    total = sum((span.length for span in request.spans), timedelta(0)) / timedelta(hours=1)
    return Review(
        request, key, offered, decision.quota, total * decision.package.demand.cores, decision.package
    )


def _offered(ctx: Context, actor: Actor, request: BookingRequest) -> list[Offered]:
    """Each span and whether it fits; where there are several, also what would do in place of those that do not."""
    found = [Offered(span, fits) for span, fits in _fits(ctx, actor, request)]
    if all(entry.fits for entry in found):
        found = [Offered(entry.span, fits=False) for entry in found]
    taken = [entry.span for entry in found if not entry.fits]
    if len(found) == 1:
        return found
    other = dict(zip(taken, offers.instead(ctx, actor, request, taken), strict=True))
    return [Offered(entry.span, entry.fits, other.get(entry.span)) for entry in found]


def _fits(ctx: Context, actor: Actor, request: BookingRequest) -> list[tuple[Span, bool]]:
    """Each span with whether it fits by itself, from one answer by the hour."""
    first, last = min(s.start for s in request.spans), max(s.end for s in request.spans)
    if last - first > _LONGEST_SERIES:
        return [(span, False) for span in request.spans]
    question = availability.Question(
        first,
        last,
        pool=request.pool,
        granularity=Granularity.HOUR,
        packages=(request.package,),
        custom=request.custom,
        sharing=request.sharing,
    )
    answer = availability.availability(ctx, question, actor)
    counts, now = answer.rows[0].count, ctx.clock.now()

    def fits(span: Span) -> bool:
        start, end = max(span.start, floor_minute(now)), span.end
        left = bisect_right(answer.edges, minute_of(start)) - 1
        return min(counts[max(left, 0) : bisect_left(answer.edges, minute_of(end))], default=0) > 0

    return [(span, fits(span)) for span in request.spans]


def custom_of(numbers: dict[str, Any] | None) -> Package | None:
    """The custom package that an alternative names."""
    if not numbers:
        return None
    return Package(
        CUSTOM,
        1,
        Size(numbers["notebook_cores"], numbers["notebook_memory_mib"]),
        Size(numbers["worker_cores"], numbers["worker_memory_mib"]),
        numbers.get("worker_count", 1),
    )


@dataclass(frozen=True)
class Alternative:
    """What else would do, ready to be booked."""

    kind: str
    package: str
    sharing: Sharing
    pool: str
    spans: list[Span]
    key: str
    custom: Package | None = None

    @property
    def values(self) -> list[str]:
        return [written(span) for span in self.spans]

    @property
    def numbers(self) -> dict[str, int]:
        return custom_numbers(self.custom) if self.custom else {}


def alternatives(ctx: Context, refusal: Refused) -> list[Alternative]:
    """The alternatives of a refusal, each with a key of its own."""
    found = []
    for offer in refusal.alternatives:
        body = offer["request"]
        spans = [
            Span(datetime.fromisoformat(span["start"]), datetime.fromisoformat(span["end"]))
            for span in body["spans"]
        ]
        found.append(
            Alternative(
                offer["kind"],
                body["package"],
                Sharing(body["sharing"]),
                body["pool"],
                spans,
                ctx.ids.new(),
                custom_of(body.get("custom")),
            )
        )
    return found
