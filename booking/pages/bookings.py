"""Bookings as pages: make one, list them, look at one, and change it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from flask import Response, request
from werkzeug.datastructures import MultiDict

from booking.allocator.lifecycle import FINAL, LIVE
from booking.allocator.package import Sharing
from booking.allocator.span import Span
from booking.api import showing
from booking.api.noun import needs
from booking.api.paging import cursor_of, moment_and_id
from booking.errors import BookingError, ConcurrentUpdate, Invalid, NoCapacity, Refused
from booking.pages.calendar import review as reviewing
from booking.pages.calendar.form import Form, request_of
from booking.pages.calendar.query import one_of
from booking.pages.calendar.routes import answer, back_of, form_of
from booking.pages.calendar.scene import scene
from booking.pages.frame import context, go, page, pages, somebody
from booking.pages.language import choices, gettext, marked, ngettext
from booking.pages.words import Wall
from booking.services import bookings, listing, waiting, waitlist
from booking.services.bookings import Idempotency
from booking.services.context import Actor
from booking.services.decision import BookingRequest
from booking.services.listing import Seen, Wanted
from booking.services.waiting import Entry

_LONGEST_KEY = 64
_MOST_COMING = {"mine": 200, "shared": 200, "all": 50}
"""So much at most of what runs and comes stands on the first page; of everybody's, the board of today tells more."""
_A_PAGE = 20


def exact_request(args: MultiDict[str, str], form: Form) -> BookingRequest:
    """The request of a review or an alternative: the ticked spans as they were shown, and what is to stand for others.

    :raises Invalid: if no span is ticked, or one cannot be read.
    """
    spans = named_spans(args, "span") + [after for _, after in exchanges(args)]
    if not spans:
        raise Invalid({"span": [gettext("tick at least one")]})
    hold = timedelta(minutes=context().settings.hold_minutes) if args.get("hold") else None
    return request_of(form, sorted(spans), hold)


def named_spans(args: MultiDict[str, str], name: str) -> list[Span]:
    """The spans that fields of that name carry.

    :raises Invalid: if one cannot be read.
    """
    return [reviewing.read_span(text) for text in dict.fromkeys(args.getlist(name))]


def exchanges(args: MultiDict[str, str]) -> list[tuple[Span, Span]]:
    """Taken spans, each with the one that is to be booked in its place."""
    return [reviewing.read_exchange(text) for text in dict.fromkeys(args.getlist("instead"))]


def idempotency_of(args: MultiDict[str, str]) -> Idempotency | None:
    """The key of the form, so that a second click is the same booking; another form is another body."""
    key = args.get("key", "")
    if not key or len(key) > _LONGEST_KEY or not key.isalnum():
        return None
    fields = sorted((name, value) for name, value in args.items(multi=True) if name != "csrf_token")
    return Idempotency(f"page-{key}", sha256(repr(fields).encode()).hexdigest())


@pages.post("/bookings")
@needs("bookings:write")
def book() -> Response:
    """Promise the ticked spans, or show why not and what would do, beside the calendar as it is now."""
    actor, ctx = somebody(), context()
    form = form_of(request.form, actor)
    try:
        one_of(Sharing, "sharing", request.form.get("sharing"))
        wanted = exact_request(request.form, form)
        left = left_over(request.form)
    except Invalid as error:
        return faulty(actor, form, error)
    try:
        promise = bookings.book(ctx, actor, wanted, showing.fresh, idempotency_of(request.form))
    except Refused as refusal:
        return refused(actor, form, wanted, refusal)
    except Invalid as error:
        return faulty(actor, form, error)
    held = gettext("Held for you. Confirm it before the hold expires.")
    said = held if wanted.hold else gettext("Booked.")
    if left:
        said = f"{said} {_wait_for(actor, form, left)}"
    return go(f"/bookings/{promise.booking.id}", "" if promise.replayed else said)


def left_over(args: MultiDict[str, str]) -> list[Span]:
    """The taken spans that are to be waited for: those that nothing else was ticked for.

    :raises Invalid: if one cannot be read.
    """
    if not args.get("keep"):
        return []
    settled = {before for before, _ in exchanges(args)}
    return [span for span in named_spans(args, "taken") if span not in settled]


def _wait_for(actor: Actor, form: Form, spans: list[Span]) -> str:
    """Put spans on the waiting list beside a booking that was made; what came of it."""
    try:
        waitlist.add(context(), actor, request_of(form, spans))
    except BookingError as error:
        return gettext("The others are not on the waiting list: %(why)s", why=error.detail)
    return ngettext(
        "%(count)s other on the waiting list.", "%(count)s others on the waiting list.", len(spans)
    )


def faulty(actor: Actor, form: Form, error: Invalid) -> Response:
    """The calendar with what is wrong with a form that was sent from it."""
    return answer(scene(context(), actor, back_of(request.form), form), actor, 422, errors=error.errors)


def refused(actor: Actor, form: Form, wanted: BookingRequest, refusal: Refused) -> Response:
    """The calendar as it is now, with why not and what would do."""
    ctx = context()
    taken = isinstance(refusal, NoCapacity | ConcurrentUpdate)
    review = reviewing.Review(
        wanted,
        ctx.ids.new(),
        [reviewing.Offered(span, fits=False) for span in wanted.spans],
        refusal=refusal,
        just_taken=taken,
    )
    found = scene(ctx, actor, back_of(request.form), form)
    more = {"review": review, "alternatives": reviewing.alternatives(ctx, refusal)}
    return answer(found, actor, 409 if taken else 403, **more)


WHOSE = {"mine": marked("Mine"), "shared": marked("Shared with me"), "all": marked("Everybody's")}


@pages.get("/bookings")
@needs("bookings:read")
def my_bookings() -> Response:
    """What runs now, what comes next, and what is past, page by page."""
    actor, ctx = somebody(), context()
    whose = request.args.get("whose", "mine")
    if whose not in WHOSE or (whose == "all" and not actor.acts_as_admin):
        whose = "mine"
    account = listing.EVERYBODY if whose == "all" else None
    now = ctx.clock.now()
    after, most = moment_and_id(request.args.get("cursor")), _MOST_COMING[whose]
    coming: Sequence[Seen] = []
    if after is None:
        ahead = Wanted(account=account, shared=whose == "shared", start=now, limit=most)
        coming = listing.bookings(ctx, actor, ahead)
    open_ = sorted((seen for seen in coming[:most] if seen.booking.state not in FINAL), key=_next_start)
    rows = listing.bookings(
        ctx, actor, Wanted(account=account, shared=whose == "shared", after=after, limit=_A_PAGE)
    )
    shown = rows[:_A_PAGE]
    last = shown[-1].booking if len(rows) > _A_PAGE else None
    return page(
        "bookings/page.html",
        actor=actor,
        whose=whose,
        tabs=choices({name: text for name, text in WHOSE.items() if name != "all" or actor.acts_as_admin}),
        running=[seen for seen in open_ if seen.booking.state in LIVE],
        coming=[seen for seen in open_ if seen.booking.state not in LIVE],
        past=[seen for seen in shown if seen.booking.state in FINAL],
        cursor=cursor_of(last.created_at.isoformat(), last.id) if last else None,
        is_first=after is None,
        is_cut=len(coming) > most,
        wanted=_wanted(actor) if whose == "mine" and after is None else [],
        usage=listing.usage(ctx, actor) if whose == "mine" else None,
        wall_of=lambda booking: Wall(booking.pool.zone),
        now=now,
    )


def _wanted(actor: Actor) -> list[Entry]:
    """What one waits for: first what is offered, then by its start."""
    found = waiting.entries(context(), actor, waiting.Query(limit=waitlist.MOST_OPEN))
    return sorted(found, key=lambda entry: (entry.wanted.offered_until is None, entry.wanted.start))


def _next_start(seen: Seen) -> datetime:
    return min(r.start for r in seen.booking.reservations if r.state not in FINAL)
