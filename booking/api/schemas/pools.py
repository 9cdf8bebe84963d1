"""Pools, and what they physically have."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields

from booking.allocator.cells import Granularity
from booking.api.schemas.common import (
    Amounts,
    Count,
    DryRun,
    OpenSpanIn,
    OpenSpanOut,
    SomeAmounts,
    line_field,
    listed,
)
from booking.api.schemas.fields import Choice, Day, Part, Several, Strict, Text

_GREATEST_RATIO = 1000


class ShareRatio(fields.Float):
    """How many shared bookings a resource serves at once: at least 1, to the thousandth."""

    default_error_messages = {"invalid": "must be a number", "null": "may not be null"}  # noqa: RUF012

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"minimum": 1, "maximum": _GREATEST_RATIO, "multipleOf": 0.001}
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid")
        if not 1 <= value <= _GREATEST_RATIO:
            raise ValidationError(f"is between 1 and {_GREATEST_RATIO}")
        milli = round(value * 1000)
        if abs(value * 1000 - milli) > 1e-6:
            raise ValidationError("has at most three decimals")
        return milli


class PoolIn(Strict):
    name = line_field(100, 1, required=True)
    platform = line_field(100, 1)
    traits = Several(line_field(40, 1), 50)
    timezone = Text(64, 1, required=True)
    granularity = Choice(Granularity, required=True)
    share_ratio = ShareRatio()
    level0_reserve = Part(Amounts)


class PoolChangeIn(Strict):
    name = line_field(100, 1)
    traits = Several(line_field(40, 1), 50)
    share_ratio = ShareRatio()
    level0_reserve = Part(Amounts)


class PoolOut(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    platform = fields.String(required=True)
    traits = fields.List(fields.String(), required=True)
    timezone = fields.String(required=True)
    granularity = fields.String(required=True)
    share_ratio = fields.Float(required=True)
    level0_reserve = fields.Nested(Count, required=True)
    generation = fields.Integer(required=True)
    closed = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why nothing new is promised here; else null."},
    )


PoolList = listed(PoolOut)


class WindowQuery(Strict):
    start = Day(data_key="from", required=True)
    end = Day(data_key="to", required=True)


class HoldingIn(Strict):
    span = Part(OpenSpanIn, required=True)
    resources = Part(SomeAmounts, required=True)
    reason = line_field(500, 1, required=True)


class HoldingChangeIn(Strict):
    span = Part(OpenSpanIn)
    resources = Part(SomeAmounts)
    reason = line_field(500, 1)


class HoldingQuery(DryRun):
    on_conflict = Choice(("keep", "cancel"))


class ConflictOut(Schema):
    """A reservation that would no longer fit."""

    booking = fields.String(required=True)
    reservation = fields.String(required=True)
    account = fields.String(required=True)
    package = fields.String(required=True)
    sharing = fields.String(required=True)
    start = fields.String(required=True)
    end = fields.String(required=True)
    state = fields.String(required=True)


class HoldingOut(Schema):
    id = fields.String(required=True)
    span = fields.Nested(OpenSpanOut, required=True)
    resources = fields.Nested(Count, required=True)
    reason = fields.String(required=True)


class ImpactOut(Schema):
    """What a change does to bookings."""

    conflicts = fields.List(fields.Nested(ConflictOut), required=True)


class ChangedHoldingOut(ImpactOut):
    """The same beside the row as it is now; a dry run has no row."""

    id = fields.String()
    span = fields.Nested(OpenSpanOut)
    resources = fields.Nested(Count)
    reason = fields.String()


HoldingList = listed(HoldingOut)


class SegmentOut(Schema):
    start = fields.String(required=True)
    end = fields.String(required=True)
    physical = fields.Nested(Count, required=True)
    reserved = fields.Nested(Count, required=True)
    available = fields.Nested(Count, required=True)


class TimelineOut(Schema):
    pool = fields.String(required=True)
    generation = fields.Integer(required=True)
    timezone = fields.String(required=True)
    span = fields.Nested(OpenSpanOut, required=True)
    segments = fields.List(fields.Nested(SegmentOut), required=True)
    inventory = fields.List(fields.Nested(HoldingOut), required=True)
    blackouts = fields.List(fields.Nested(HoldingOut), required=True)
