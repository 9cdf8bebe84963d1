"""The doors: the landing page, signing in and out, and Give it a try."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Response, request

from booking import identity, ratelimits
from booking.allocator.package import CUSTOM, Package
from booking.api.noun import PUBLIC, needs
from booking.errors import NotFound, Unauthenticated
from booking.models import AccountKind
from booking.pages.calendar.query import Query
from booking.pages.calendar.scene import Site, site_of
from booking.pages.frame import context, current_actor, go, page, pages, within_site
from booking.pages.language import gettext
from booking.pages.templates import offered_to
from booking.pages.words import Wall
from booking.services import accounts, earliest, visitors
from booking.services.context import Actor

_TRIED = timedelta(hours=1)


@dataclass(frozen=True)
class Offer:
    """A package on the landing page: what it is, and when the next one is free for an hour."""

    package: Package
    next_free: datetime | None
    href: str


@pages.get("/")
@needs(PUBLIC)
def landing() -> Response:
    """What this is, what can be booked, and when."""
    actor, ctx = current_actor(), context()
    site, wall, offers, cards = None, None, [], []
    if actor or ctx.settings.public_availability:
        with suppress(NotFound):  # there is no pool yet
            site = site_of(ctx, actor, None)
    if site is not None:
        wall, offers, cards = Wall(site.zone), _offers(site, actor), offered_to(actor)
    return page(
        "landing/page.html",
        actor=actor,
        offers=offers,
        cards=cards,
        wall=wall,
        site=site,
        now=ctx.clock.now(),
    )


def _offers(site: Site, actor: Actor | None) -> list[Offer]:
    found = [package for package in site.packages if package.name != CUSTOM]
    free = earliest.starts(context(), actor, site.pool.id, found, site.sharings[0], _TRIED)
    offers = [
        Offer(package, start, Query(packages=(package.name,)).url())
        for package, start in zip(found, free, strict=True)
    ]
    return sorted(offers, key=lambda offer: offer.package.demand.vector())


@pages.get("/login")
@needs(PUBLIC)
def login() -> Response:
    """The form; somebody who is signed in has no need of it."""
    following = within_site(request.args.get("next"), "/calendar")
    if current_actor() is not None:
        return go(following)
    return page("entry/login.html", following=following, name="")


@pages.post("/login")
@needs(PUBLIC)
def sign_in() -> Response:
    """Begin a session."""
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    following = within_site(request.form.get("next"), "/calendar")
    try:
        if not name or not password:
            raise Unauthenticated(gettext("Type your name and your password."))
        ratelimits.spend_login(context(), request.remote_addr, name)
        account = accounts.by_password(context(), name, password)
    except Unauthenticated as error:
        return page("entry/login.html", 401, following=following, name=name, fault=error.detail)
    identity.login(account)
    return go(following)


@pages.get("/logout")
@needs(PUBLIC)
def leave() -> Response:
    """Ask before it: of an anonymous account everything goes."""
    actor = current_actor()
    if actor is None:
        return go("/")
    return page("entry/logout.html", actor=actor)


@pages.post("/logout")
@needs(PUBLIC)
def sign_out() -> Response:
    """End the session; an anonymous account ends with it."""
    actor = current_actor()
    identity.logout()
    return go("/", _goodbye(actor))


def _goodbye(actor: Actor | None) -> str:
    if actor is not None and actor.kind is AccountKind.ANONYMOUS:
        return gettext("You are signed out, and everything of the trial account is gone.")
    return gettext("You are signed out.")


@pages.post("/try")
@needs(PUBLIC)
def give_it_a_try() -> Response:
    """Make an anonymous account and begin its session."""
    following = within_site(request.form.get("next"), "/calendar")
    if current_actor() is not None:
        return go(following)
    ratelimits.spend_try(context(), request.remote_addr)
    identity.login(visitors.try_it(context()))
    choose = gettext("Welcome. This trial account needs no form: choose some hours and book.")
    go_on = gettext("Welcome. This trial account needs no form: go on.")
    return go(following, choose if following == "/calendar" else go_on)
