"""Usage and refused demand, in and out; amounts are core-hours."""

from __future__ import annotations

from marshmallow import Schema, fields

from booking.allocator.usage import Grain
from booking.api.schemas.fields import Choice, Day, Strict, Text
from booking.services.usage import By

FORMATS = ("json", "csv")


class RefusedQuery(Strict):
    start = Day(data_key="from", required=True)
    end = Day(data_key="to", required=True)
    pool = Text(100, 1)
    format = Choice(FORMATS)


class UsageQuery(RefusedQuery):
    by = Choice(By, load_default=By.PACKAGE.value)
    granularity = Choice(Grain, load_default=Grain.DAY.value)


class AmountOut(Schema):
    booked = fields.Float(required=True)
    used = fields.Float(required=True, metadata={"description": "Booked while a cluster was there."})
    idle = fields.Float(required=True, metadata={"description": "Booked and gone by without a cluster."})


class KeyOut(AmountOut):
    key = fields.String(
        required=True, allow_none=True, metadata={"description": "Null is what belongs to no group."}
    )


class UsageCellOut(AmountOut):
    start = fields.String(required=True)
    end = fields.String(required=True)
    physical = fields.Float(required=True, metadata={"description": "Of the whole pool."})
    keys = fields.List(fields.Nested(KeyOut), required=True)


class UsageOut(Schema):
    pool = fields.String(required=True)
    timezone = fields.String(required=True)
    granularity = fields.String(required=True)
    by = fields.String(required=True)
    cells = fields.List(fields.Nested(UsageCellOut), required=True)


class DemandOut(Schema):
    start = fields.String(required=True)
    end = fields.String(required=True)
    package = fields.String(required=True)
    refused = fields.Float(required=True)
    count = fields.Integer(required=True, metadata={"description": "How often it was refused."})


class RefusedOut(Schema):
    pool = fields.String(required=True)
    timezone = fields.String(required=True)
    weeks = fields.List(fields.Nested(DemandOut), required=True)
