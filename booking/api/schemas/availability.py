"""Questions about what is free, and the answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validates_schema

from booking.allocator.cells import Granularity
from booking.allocator.package import Sharing
from booking.api.schemas.common import CustomQuery, SpanOut, listed
from booking.api.schemas.fields import Choice, Day, Length, QInt, Several, Text


class AvailabilityQuery(CustomQuery):
    start = Day(data_key="from", required=True)
    end = Day(data_key="to", required=True)
    granularity = Choice(Granularity, load_default=Granularity.DAY.value)
    package = Several(Text(64, 1), 50)
    pool = Text(100, 1)
    sharing = Choice(Sharing, load_default=Sharing.RESERVED.value)
    timezone = Text(64, 1)
    trait = Several(Text(40, 1), 50)

    @validates_schema
    def _together(self, data: dict[str, Any], **_: Any) -> None:
        names = data.get("package", [])
        if len(set(names)) != len(names):
            raise ValidationError({"package": ["names a package twice"]})

    @post_load
    def _custom(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data | {"custom": self.custom(data, tuple(data.get("package", ())))}


class SlotsQuery(CustomQuery):
    package = Text(64, 1, required=True)
    duration = Length(timedelta(days=366), required=True)
    start = Day(data_key="from")
    end = Day(data_key="to")
    limit = QInt(200, 1, load_default=10)
    pool = Text(100, 1)
    sharing = Choice(Sharing, load_default=Sharing.RESERVED.value)
    trait = Several(Text(40, 1), 50)

    @post_load
    def _custom(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data | {"custom": self.custom(data, (data["package"],))}


class CellOut(Schema):
    start = fields.String(required=True)
    end = fields.String(required=True)
    count = fields.Integer(required=True, metadata={"description": "How many fit for the whole cell."})
    best = fields.Integer(required=True, metadata={"description": "How many fit at its best moment."})


class RowOut(Schema):
    package = fields.String(required=True)
    version = fields.Integer(required=True)
    cells = fields.List(fields.Nested(CellOut), required=True)


class AvailabilityOut(Schema):
    pool = fields.String(required=True)
    generation = fields.Integer(required=True)
    timezone = fields.String(required=True)
    granularity = fields.String(required=True)
    sharing = fields.String(required=True)
    packages = fields.List(fields.Nested(RowOut), required=True)


class SlotsOut(listed(SpanOut)):  # type: ignore[misc]
    pool = fields.String(required=True)
    generation = fields.Integer(required=True)
    timezone = fields.String(required=True)
