"""The board of one day."""

from __future__ import annotations

from marshmallow import Schema, fields

from booking.api.schemas.fields import Day, Strict, Text


class TodayQuery(Strict):
    pool = Text(100, 1)
    day = Day(metadata={"description": "A date, or an instant of the day; today where it is left out."})


class StandingOut(Schema):
    """How the cluster of a reservation stands."""

    state = fields.String(required=True)
    detail = fields.String(required=True)
    attempts = fields.Integer(required=True)


class LineOut(Schema):
    booking = fields.String(required=True)
    reservation = fields.String(required=True)
    account = fields.String(required=True)
    package = fields.String(required=True)
    title = fields.String(required=True)
    pool = fields.String(required=True, metadata={"description": "Its name."})
    timezone = fields.String(required=True)
    start = fields.String(required=True)
    end = fields.String(required=True)
    state = fields.String(required=True)
    end_reason = fields.String(required=True)
    at_risk = fields.Boolean(required=True)
    cluster = fields.Nested(StandingOut, required=True, allow_none=True)


class TodayOut(Schema):
    """One reservation may stand in several lists."""

    day = fields.String(required=True, metadata={"format": "date"})
    timezone = fields.String(required=True)
    pool = fields.String(
        required=True, allow_none=True, metadata={"description": "Its id; null is every pool."}
    )
    starts = fields.List(fields.Nested(LineOut), required=True)
    runs = fields.List(fields.Nested(LineOut), required=True)
    ends = fields.List(fields.Nested(LineOut), required=True)
    failed = fields.List(fields.Nested(LineOut), required=True)
    is_cut = fields.Boolean(
        required=True,
        metadata={"description": "Whether more touch the day than one answer holds; ask for one pool."},
    )
