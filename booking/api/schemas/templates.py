"""Templates in and out."""

from __future__ import annotations

from datetime import timedelta

from marshmallow import Schema, fields

from booking.allocator.package import Sharing
from booking.api.schemas.bookings import ADDRESS, ADDRESS_SAID
from booking.api.schemas.common import SpanOut, line_field, listed
from booking.api.schemas.fields import Choice, JBool, JInt, Length, QBool, Strict, Text

MOST_TEXT = 500
LONGEST = timedelta(days=366)


class TemplateQuery(Strict):
    hidden = QBool(load_default=False)


class TemplateIn(Strict):
    title = line_field(200, 1, required=True)
    text = line_field(MOST_TEXT)
    notebook_url = Text(2000, 1, ADDRESS, said=ADDRESS_SAID, allow_none=True)
    package = Text(64, 1, required=True)
    length = Length(LONGEST, required=True)
    pool = Text(100, 1, allow_none=True)
    sharing = Choice(Sharing)
    position = JInt(10**6)
    shown = JBool()


class TemplateChangeIn(TemplateIn):
    """The same, and nothing of it is needed."""

    title = line_field(200, 1)
    package = Text(64, 1)
    length = Length(LONGEST)


class TemplateOut(Schema):
    id = fields.String(required=True)
    title = fields.String(required=True)
    text = fields.String(required=True)
    notebook_url = fields.String(required=True, allow_none=True)
    package = fields.String(required=True)
    length = fields.String(required=True, metadata={"format": "duration"})
    pool = fields.String(
        required=True, allow_none=True, metadata={"description": "Its id; null is the first pool."}
    )
    sharing = fields.String(required=True)
    position = fields.Integer(required=True)
    shown = fields.Boolean(required=True)


class OfferedOut(TemplateOut):
    """A card with what would be booked just now."""

    next = fields.Nested(
        SpanOut,
        required=True,
        allow_none=True,
        metadata={"description": "The earliest span that fits; null where nothing is free."},
    )


OfferedList = listed(OfferedOut)
