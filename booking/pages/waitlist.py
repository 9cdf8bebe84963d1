"""The waiting list as pages: wait for what is taken, and no longer. What is waited for stands among the bookings."""

from __future__ import annotations

from flask import Response, request

from booking.api.noun import needs
from booking.errors import Conflict, Invalid, Refused
from booking.pages.bookings import faulty, named_spans, refused
from booking.pages.calendar import review as reviewing
from booking.pages.calendar.form import request_of
from booking.pages.calendar.routes import answer, back_of, form_of
from booking.pages.calendar.scene import scene
from booking.pages.frame import context, go, pages, somebody
from booking.pages.language import gettext
from booking.services import waitlist


@pages.post("/waitlist")
@needs("bookings:write")
def want() -> Response:
    """Wait for the taken spans of a review; if one has become free meanwhile, review them again."""
    actor, ctx = somebody(), context()
    form = form_of(request.form, actor)
    try:
        spans = named_spans(request.form, "taken")
        wanted = request_of(form, spans)
        waitlist.add(ctx, actor, wanted)
    except Invalid as error:
        return faulty(actor, form, error)
    except Refused as refusal:
        return refused(actor, form, wanted, refusal)
    except Conflict as conflict:
        if conflict.code != "waitlist.free":
            return go("/bookings", conflict.detail, "fault")
        review = reviewing.review(ctx, actor, form, spans)
        alternatives = reviewing.alternatives(ctx, review.refusal) if review.refusal else []
        found = scene(ctx, actor, back_of(request.form), form)
        return answer(found, actor, 409, review=review, alternatives=alternatives)
    return go("/bookings", gettext("On the waiting list. It is held for you when it becomes free."))


@pages.post("/waitlist/<wanted_id>/withdraw")
@needs("bookings:write")
def withdraw(wanted_id: str) -> Response:
    """Wait for it no longer, or decline what is offered."""
    waitlist.withdraw(context(), somebody(), wanted_id)
    return go("/bookings", gettext("You wait for it no longer."))
