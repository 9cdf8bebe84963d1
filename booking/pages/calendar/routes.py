"""`/calendar`, its review, and its text drawing."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

from flask import Response, current_app, make_response, render_template, request
from markupsafe import Markup

from booking.allocator.span import Span
from booking.api.noun import AVAILABILITY, needs
from booking.errors import Invalid, NotFound, Unauthenticated
from booking.identity import context, current_actor, shelf
from booking.pages import hours
from booking.pages.calendar import review as reviewing
from booking.pages.calendar.basis import Basis, basis
from booking.pages.calendar.form import REPEATS, WEEKDAYS, Form
from booking.pages.calendar.form import parse as parse_form
from booking.pages.calendar.query import Query, View, one_of, parse, read_date
from booking.pages.calendar.scene import Scene, scene, scene_of, site_of, usual_form
from booking.pages.calendar.sizing import sized
from booking.pages.frame import fragment, kept_by_nobody, page, pages, somebody, wants_fragment
from booking.pages.language import choices, dated, gettext
from booking.pages.words import Wall
from booking.services import availability, drawing, mine
from booking.services.context import Actor

_A_MONDAY = date(2024, 1, 1)


def visitor() -> Actor | None:
    """Who looks; whoever comes with an account is shown their own bookings too.

    :raises Forbidden: if a token may not read those.
    """
    actor = current_actor()
    if actor is not None:
        actor.require("bookings:read")
    return actor


def shown(found: Scene, actor: Actor | None, **more: Any) -> dict[str, Any]:
    """What the templates of the calendar read."""
    form = found.form
    return {
        "scene": found,
        "form": form,
        "actor": actor,
        "wall": found.wall,
        "repeats": choices(REPEATS),
        "weekdays": [(name, dated(_A_MONDAY + timedelta(days=n), "EEE")) for n, name in enumerate(WEEKDAYS)],
        "from_hours": hours.starts(found.site.zone, form.from_date),
        "until_hours": hours.ends(found.site.zone, form.until_date),
        "groups": found.basis.viewer.groups if found.basis.viewer else (),
        "review": None,
        "alternatives": [],
        "errors": {},
        **more,
    }


def answer(found: Scene, actor: Actor | None, status: int = 200, **more: Any) -> Response:
    """The page with what came of a form, or the calendar alone where htmx asks for it."""
    values = shown(found, actor, **more)
    if not wants_fragment():
        return page("calendar/page.html", status, title=found.title, **values)
    return fragment("calendar/_moved.html", status, **values)


@pages.get("/calendar")
@needs(AVAILABILITY)
def calendar() -> Response:
    """What is free; some of it may be selected."""
    actor, ctx = visitor(), context()
    try:
        base = basis(ctx, actor, parse(request.args))
    except NotFound as error:
        if error.code == "pool.not_found" and "pool" not in request.args:
            return page("calendar/empty.html", actor=actor)
        raise
    if not wants_fragment():
        return page("calendar/page.html", title=base.title, main=_drawn("calendar/_main.html", base, actor))
    if request.args.get("seen") == base.tag:
        return kept_by_nobody(Response(status=204))
    return kept_by_nobody(make_response(_drawn("calendar/_moved.html", base, actor)))


def _drawn(template: str, base: Basis, actor: Actor | None) -> Markup:
    """What a template makes of a basis; nothing in it may depend on anything else, for others may get it too."""

    def draw() -> str:
        return render_template(template, **shown(scene_of(context(), actor, base), actor))

    return Markup(shelf().get((template, base), draw))  # noqa: S704  # nosec B704  # a template has escaped it


@pages.get("/calendar/hours")
@needs(AVAILABILITY)
def calendar_hours() -> Response:
    """The hours that a date has, as the choices of one select."""
    site = site_of(context(), visitor(), request.args.get("pool") or None)
    which = "until" if request.args.get("which") == "until" else "from"
    day = read_date(which, request.args.get(f"{which}_date")) or context().clock.now().date()
    choices = hours.ends(site.zone, day) if which == "until" else hours.starts(site.zone, day)
    return fragment("calendar/_hours.html", choices=choices, chosen=request.args.get(f"{which}_hour"))


@pages.get("/calendar/custom")
@needs(AVAILABILITY)
def calendar_custom() -> Response:
    """How a custom size would fit, for the form that is being filled in."""
    actor, ctx = visitor(), context()
    try:
        form = form_of(request.args, actor)
        site = site_of(ctx, actor, form.pool)
        found = sized(ctx, actor, form, form.spans(site.zone)[0])
    except Invalid as error:
        return fragment("calendar/_sized.html", 422, errors=error.errors)
    return fragment("calendar/_sized.html", sized=found, wall=Wall(site.zone), errors={})


def back_of(args: Any) -> Query:
    """The calendar that a form was sent from: its own view and start, the form's pool and sharing."""
    return Query(
        view=one_of(View, "view", args.get("view")) or View.WEEK,
        start=read_date("start", args.get("start")),
        pool=args.get("pool") or None,
    )


def form_of(args: Any, actor: Actor | None) -> Form:
    """The form as it was sent.

    :raises Invalid: naming every field that is wrong.
    """
    ctx = context()
    site = site_of(ctx, actor, args.get("pool") or None)
    usual = usual_form(Query(), site, site.sharings[0], ctx.clock.now())
    return parse_form(args, usual, site.zone)


@pages.get("/calendar/review")
@needs("bookings:write")
def review() -> Response:
    """Every span with whether it fits, what it costs, and what else would do; nothing is booked."""
    actor, ctx = somebody(), context()
    form: Form | None = None
    found, errors, status = None, {}, 200
    try:
        form = form_of(request.args, actor)
        site = site_of(ctx, actor, form.pool)
        found = reviewing.review(ctx, actor, form, form.spans(site.zone))
    except Invalid as error:
        errors, status = error.errors, 422
    more = {
        "review": found,
        "errors": errors,
        "alternatives": reviewing.alternatives(ctx, found.refusal) if found and found.refusal else [],
    }
    back = back_of(request.args)
    if back.start is None and form is not None:
        back = back.with_(start=form.from_date)
    drawn = scene(ctx, actor, back, form)
    values = shown(drawn, actor, **more)
    if wants_fragment():
        return fragment("calendar/_review.html", status, **values)
    return page("calendar/page.html", status, **values)


@pages.get("/calendar.txt")
@needs(AVAILABILITY)
def calendar_txt() -> Response:
    """The same as text: `===` free, `---` not free, `[###]` yours."""
    actor, ctx = visitor(), context()
    if actor is None and "Authorization" in request.headers:
        # A program must not take the drawing without what is its own for the whole of it.
        raise Unauthenticated("The token is not valid.")
    args = request.args
    if unknown := sorted(set(args) - {"view", "start", "pool"}):
        raise Invalid({name: [gettext("is not known here")] for name in unknown})
    site = site_of(ctx, None, args.get("pool") or None)
    day = read_date("start", args.get("start")) or ctx.clock.now().astimezone(site.zone).date()
    question = drawing.question(args.get("view") or "week", day, site.pool.id)
    found = availability.availability(ctx, question, actor)
    own: defaultdict[str, list[Span]] = defaultdict(list)
    if actor is not None:
        whole = Span(found.cells[0][0], found.cells[-1][1])
        for reservation in mine.reservations(ctx, actor, site.pool.id, whole):
            own[reservation.package].append(Span(reservation.start, reservation.end))
    response = current_app.response_class(drawing.draw(found, own), mimetype="text/plain")
    response.headers["Cache-Control"] = "no-store"
    response.vary.update(("Authorization", "Cookie"))
    return response
