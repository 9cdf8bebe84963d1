"""Templates: an administrator's cards, each of which books and opens a notebook in one act."""

from __future__ import annotations

from typing import Any

from flask import Response

from booking.allocator.durations import format_duration
from booking.allocator.package import Sharing
from booking.api import showing
from booking.api.conditions import etag, idempotency_of
from booking.api.noun import AVAILABILITY, Noun, nothing, written
from booking.api.schemas.bookings import BookingOut, KeyHeaders
from booking.api.schemas.fields import stamp
from booking.api.schemas.templates import (
    OfferedList,
    OfferedOut,
    TemplateChangeIn,
    TemplateIn,
    TemplateOut,
    TemplateQuery,
)
from booking.identity import context, current_actor, require_actor
from booking.models import Template
from booking.services import templates
from booking.services.templates import Card, Offered

blp = Noun("templates", "Cards, each of which books a package and opens a notebook in one act.")


def shown(row: Template) -> dict[str, Any]:
    """A card as it is told."""
    return {
        "id": row.id,
        "title": row.title,
        "text": row.text,
        "notebook_url": row.notebook_url,
        "package": row.package_name,
        "length": format_duration(row.length),
        "pool": row.pool_id,
        "sharing": row.sharing.value,
        "position": row.position,
        "shown": row.shown,
    }


def _offered(offered: Offered) -> dict[str, Any]:
    span = offered.span
    following = {"start": stamp(span.start), "end": stamp(span.end)} if span else None
    return shown(offered.template) | {"next": following}


def fields_of(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a card as a body names them."""
    return body | ({"sharing": Sharing(body["sharing"])} if "sharing" in body else {})


@blp.get("/templates")
@blp.needs(AVAILABILITY)
@blp.query(TemplateQuery)
@blp.response(200, OfferedList)
def list_templates(query: dict[str, Any]) -> Response:
    """Every card in its order, with what it would book just now; `hidden=true`: all of them (administrators)."""
    found = templates.listed(context(), current_actor(), hidden=query["hidden"])
    return written({"items": [_offered(offered) for offered in found], "next": None})


@blp.get("/templates/<template>")
@blp.needs(AVAILABILITY, 404)
@blp.response(200, OfferedOut)
def get_template(template: str) -> dict[str, Any]:
    """One card, with what it would book just now."""
    return _offered(templates.offered(context(), current_actor(), template))


@blp.post("/templates")
@blp.needs("admin")
@blp.body(TemplateIn)
@blp.response(201, TemplateOut)
def make_template(body: dict[str, Any]) -> Any:
    """Put up a card (administrators)."""
    row = templates.make(context(), require_actor(), Card(**fields_of(body)))
    return shown(row), 201, {"Location": f"/api/v1/templates/{row.id}"}


@blp.patch("/templates/<template>")
@blp.needs("admin", 404)
@blp.body(TemplateChangeIn)
@blp.response(200, TemplateOut)
def change_template(body: dict[str, Any], template: str) -> dict[str, Any]:
    """Change a card; what is booked from it stays (administrators)."""
    return shown(templates.change(context(), require_actor(), template, fields_of(body)))


@blp.delete("/templates/<template>")
@blp.needs("admin", 404)
@blp.response(204)
def remove_template(template: str) -> Any:
    """Take a card down; what is booked from it stays (administrators)."""
    templates.remove(context(), require_actor(), template)
    return nothing()


@blp.post("/templates/<template>/book")
@blp.needs("bookings:write", 404, 409)
@blp.headers(KeyHeaders)
@blp.response(201, BookingOut)
def book_template(headers: dict[str, Any], template: str) -> Any:
    """Book the earliest span from now that fits what a card offers, with its title and notebook."""
    idempotency = idempotency_of(headers.get("key"), {"template": template})
    promise = templates.book(context(), require_actor(), template, showing.fresh, idempotency)
    location = f"/api/v1/bookings/{promise.answer['id']}"
    return promise.answer, 201, {"Location": location, "ETag": etag(promise.answer["revision"])}
