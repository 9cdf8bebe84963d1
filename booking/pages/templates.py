"""Cards: on the landing page and alone, each with the button that books and opens its notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from booking.api import showing
from booking.api.noun import AVAILABILITY, needs
from booking.errors import Invalid, NoCapacity, Refused
from booking.pages.booking import NOTEBOOK
from booking.pages.bookings import idempotency_of
from booking.pages.calendar import review as reviewing
from booking.pages.frame import context, current_actor, go, page, pages, somebody
from booking.pages.language import gettext
from booking.pages.words import Wall
from booking.services import templates
from booking.services.context import Actor
from booking.services.templates import Offered


@dataclass(frozen=True)
class Card:
    """A card as it is drawn: what it offers, the clock of its pool, and a key for one click."""

    offered: Offered
    wall: Wall
    key: str

    @property
    def id(self) -> str:
        return self.offered.template.id

    @property
    def door(self) -> str:
        """Where somebody who is not signed in goes to click."""
        return f"/login?{urlencode({'next': f'/templates/{self.id}'})}"


def offered_to(actor: Actor | None) -> list[Card]:
    """The cards that somebody may book from; those of every level where nobody is signed in."""
    return [
        _card(offered)
        for offered in templates.listed(context(), actor)
        if actor is None or _may(actor, offered)
    ]


def _card(offered: Offered) -> Card:
    return Card(offered, Wall(offered.zone), context().ids.new())


def _may(actor: Actor, offered: Offered) -> bool:
    """Whether the actor's level has the package and the way of sharing; the decision looks at all else."""
    names, sharings = actor.limits.packages, actor.limits.sharing
    row = offered.template
    return (names is None or row.package_name in names) and (sharings is None or row.sharing in sharings)


def _alone(template_id: str, status: int = 200, /, **more: Any) -> Response:
    """The page of one card, with what came of a click on it."""
    actor, ctx = current_actor(), context()
    card = _card(templates.offered(ctx, actor, template_id))
    row = card.offered.template
    values: dict[str, Any] = {
        "actor": actor,
        "card": card,
        "now": ctx.clock.now(),
        "wall": card.wall,
        "form": {"title": row.title, "notebook_url": row.notebook_url, "group": ""},
        "refusal": None,
        "alternatives": [],
    }
    return page("templates/page.html", status, **(values | more))


@pages.get("/templates/<template>")
@needs(AVAILABILITY)
def one_template(template: str) -> Response:
    """What the card offers, and its button."""
    return _alone(template)


@pages.post("/templates/<template>/book")
@needs("bookings:write")
def book_template(template: str) -> Response:
    """Book the next free time, and lead to the page that opens the notebook; or show what would do instead."""
    actor, ctx = somebody(), context()
    try:
        promise = templates.book(ctx, actor, template, showing.fresh, idempotency_of(request.form))
    except Refused as refusal:
        status = 409 if isinstance(refusal, NoCapacity) else 403
        found = reviewing.alternatives(ctx, refusal)
        return _alone(template, status, refusal=refusal, alternatives=found)
    except Invalid as error:
        return _alone(template, 422, refusal=error)
    return go(
        f"/bookings/{promise.booking.id}?open={NOTEBOOK}", "" if promise.replayed else gettext("Booked.")
    )
