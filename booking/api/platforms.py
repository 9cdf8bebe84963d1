"""Platforms: the clouds and machines where pools live, how they are spoken to, and what they have set aside."""

from __future__ import annotations

from typing import Any

from flask import Response

from booking.adapters.base import Inquiry, SettingsFault
from booking.api import problems
from booking.api.noun import Noun, nothing
from booking.api.schemas.fields import stamp
from booking.api.schemas.platforms import (
    InquiryChangeIn,
    InquiryIn,
    PlatformChangeIn,
    PlatformIn,
    PlatformList,
    PlatformOut,
    PledgeList,
)
from booking.errors import BeyondHorizon, Closed, Conflict, Invalid, Refused
from booking.identity import context, require_actor
from booking.models import Platform, Pledge
from booking.provisioning import ports_of
from booking.services import platforms, setup, strangers
from booking.services.context import STRANGERS
from booking.services.platforms import Examine, NewPlatform, PlatformChange

blp = Noun("platforms", "The clouds and machines where pools live.")


def shown(row: Platform) -> dict[str, Any]:
    """A platform as it is told."""
    return {
        "id": row.id,
        "name": row.name,
        "traits": row.traits,
        "provisioner": row.provisioner,
        "settings": row.settings or {},
        "pledges": bool(row.pledges),
        "lead_minutes": row.lead_minutes,
        "teardown_seconds": row.teardown_seconds,
        "stranger_level": row.stranger_level,
        "fault": row.fault,
        "fault_since": row.fault_since and stamp(row.fault_since),
    }


def _shown_pledge(pledge: Pledge) -> dict[str, Any]:
    reservation = pledge.reservation
    return {
        "reservation": reservation.id,
        "booking": reservation.booking_id,
        "start": stamp(reservation.start),
        "end": stamp(reservation.end),
        "phase": pledge.phase.value,
        "reference": pledge.reference,
        "detail": pledge.detail,
    }


def _examine() -> Examine:
    return ports_of(context())


@blp.get("/platforms")
@blp.needs("admin")
@blp.response(200, PlatformList)
def list_platforms() -> dict[str, Any]:
    """Every platform by name (administrators)."""
    rows = platforms.platforms(context(), require_actor())
    return {"items": [shown(row) for row in rows], "next": None}


@blp.get("/platforms/<platform>")
@blp.needs("admin", 404)
@blp.response(200, PlatformOut)
def get_platform(platform: str) -> dict[str, Any]:
    """One platform, by id or name (administrators)."""
    return shown(platforms.platform(context(), require_actor(), platform))


@blp.get("/platforms/<platform>/pledges")
@blp.needs("admin", 404)
@blp.response(200, PledgeList)
def list_pledges(platform: str) -> dict[str, Any]:
    """What it has set aside, or shall set aside, for reservations that are not over (administrators)."""
    found = platforms.pledges(context(), require_actor(), platform)
    return {"items": [_shown_pledge(pledge) for pledge in found], "next": None}


@blp.post("/platforms")
@blp.needs("admin", 409)
@blp.body(PlatformIn)
@blp.response(201, PlatformOut)
def make_platform(body: dict[str, Any]) -> Any:
    """Make a platform; it is not asked anything yet (administrators)."""
    name = body.pop("name")
    new = NewPlatform(name, PlatformChange(**body))
    row = platforms.make(context(), require_actor(), new, _examine())
    return shown(row), 201, {"Location": f"/api/v1/platforms/{row.id}"}


@blp.patch("/platforms/<platform>")
@blp.needs("admin", 404, 409)
@blp.body(PlatformChangeIn)
@blp.response(200, PlatformOut)
def change_platform(body: dict[str, Any], platform: str) -> dict[str, Any]:
    """Change what makes clusters there, and how it is spoken to (administrators)."""
    wanted = PlatformChange(**body)
    return shown(platforms.change(context(), require_actor(), platform, wanted, _examine()))


@blp.post("/platforms/<platform>/inquiries/check-create")
@blp.needs(STRANGERS, 404, 409)
@blp.body(InquiryIn)
@blp.response(204)
def inquire_create(body: dict[str, Any], platform: str) -> Response:
    """Whether a stranger may reserve: 204, and it counts from now on; 403 with a `message` that says why not.

    In the form of the ExternalServiceFilter of OpenStack Blazar, which may send its token as `X-Auth-Token`.
    """
    return _decided(body, platform)


@blp.post("/platforms/<platform>/inquiries/check-update")
@blp.needs(STRANGERS, 404, 409)
@blp.body(InquiryChangeIn)
@blp.response(204)
def inquire_update(body: dict[str, Any], platform: str) -> Response:
    """The same, of a change; what it had counts for it, and what only shrinks is allowed."""
    return _decided(body, platform)


@blp.post("/platforms/<platform>/inquiries/on-end")
@blp.needs(STRANGERS, 404, 409)
@blp.body(InquiryIn)
@blp.response(204)
def inquire_end(body: dict[str, Any], platform: str) -> Response:
    """It ends now: it counts no more. What is known of none is well, too."""
    ctx, actor = context(), require_actor()
    strangers.ended(ctx, actor, platform, _inquiry(body, platform))
    return nothing()


_NO = (Refused, Closed, BeyondHorizon, Conflict)
"""What the people who wait there are told in our words; all else they hear as a fault."""


def _decided(body: dict[str, Any], platform: str) -> Response:
    try:
        strangers.admit(context(), require_actor(), platform, _inquiry(body, platform))
    except _NO as error:
        return problems.problem(403, error.code, error.detail, message=error.detail)
    return nothing()


def _inquiry(body: dict[str, Any], platform: str) -> Inquiry:
    """
    :raises Conflict: if the platform sets nothing aside by itself, so that it has nothing to ask.
    :raises Invalid: if it cannot be read.
    """
    ctx = context()
    row = platforms.for_inquiries(ctx, require_actor(), platform)
    try:
        pledges = ports_of(ctx, setup.installation(ctx))(row).pledges
    except SettingsFault:
        pledges = None
    if pledges is None:
        raise Conflict(f"{row.name} sets nothing aside by itself.", code="platform.conflict")
    try:
        return pledges.inquiry(body)
    except ValueError as error:
        raise Invalid({"lease": [str(error)]}) from None
