"""The waiting list in and out."""

from __future__ import annotations

from marshmallow import Schema, fields

from booking.allocator.waitlist import WantedState
from booking.api.schemas.bookings import CustomOut, PoolRef
from booking.api.schemas.common import PageQuery, listed
from booking.api.schemas.fields import Choice, Text


class WaitlistQuery(PageQuery):
    state = Choice(WantedState)
    account = Text(100, 1)


class WantedOut(Schema):
    id = fields.String(required=True)
    account = fields.String(required=True)
    group = fields.String(required=True, allow_none=True)
    pool = fields.Nested(PoolRef, required=True)
    package = fields.String(required=True)
    sharing = fields.String(required=True)
    custom = fields.Nested(CustomOut)
    start = fields.String(required=True)
    end = fields.String(required=True)
    title = fields.String(required=True)
    notebook_url = fields.String(required=True, allow_none=True)
    state = fields.String(required=True)
    created_at = fields.String(required=True)
    before = fields.Integer(
        required=True,
        metadata={"description": "How many who wait for some of the same hours come first."},
    )
    booking = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The hold that is its offer, or the booking that it became."},
    )
    until = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "When its offer ends unless it is confirmed."},
    )
    lapses = fields.Integer(required=True, metadata={"description": "How many of its offers have lapsed."})
    end_reason = fields.String(required=True)


WantedList = listed(WantedOut)
