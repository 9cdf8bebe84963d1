"""Bookings in and out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from marshmallow import Schema, ValidationError, fields

from booking.allocator.lifecycle import State
from booking.allocator.package import Sharing
from booking.api.schemas.common import (
    Count,
    CustomIn,
    PageQuery,
    SpanIn,
    SpanOut,
    line_field,
    listed,
)
from booking.api.schemas.fields import (
    Choice,
    Day,
    Length,
    Minute,
    Part,
    QBool,
    Several,
    Strict,
    Text,
)
from booking.api.schemas.packages import SizeOut, WorkerOut

MOST_SPANS = 366
MOST_TRAITS = 50
LONGEST_HOLD = timedelta(hours=24)
ADDRESS = r"[hH][tT][tT][pP][sS]?://[^\s\x00-\x20\x7f]+"
ADDRESS_SAID = "is an address that begins with http:// or https://"


class Hold(fields.Field[Any]):
    """true, false, or for how long."""

    def __init__(self, **kwargs: Any) -> None:
        said = {"oneOf": [{"type": "boolean"}, {"type": "string", "format": "duration"}]}
        super().__init__(metadata=said, **kwargs)
        self._length = Length(LONGEST_HOLD)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool | timedelta:
        if isinstance(value, bool):
            return value
        if not isinstance(value, str):
            raise ValidationError("is true, false or a length like PT15M")
        length: Any = self._length.deserialize(value)
        return cast(timedelta, length)


class WishIn(Strict):
    package = Text(64, 1, required=True)
    sharing = Choice(Sharing, required=True)
    pool = Text(100, 1)
    spans = Several(Part(SpanIn), MOST_SPANS, 1, required=True)
    custom = Part(CustomIn)
    title = line_field(200)
    notebook_url = Text(2000, 1, ADDRESS, said=ADDRESS_SAID)
    group = Text(100, 1)
    traits = Several(line_field(40, 1), MOST_TRAITS)


class BookingIn(WishIn):
    hold = Hold()


class EndIn(Strict):
    id = Text(64, 1, required=True)
    end = Minute(required=True)


class OnlyEndIn(Strict):
    end = Minute(required=True)


class Ends(fields.Field[Any]):
    """New ends of reservations: a list of `{id, end}`, or an object of `{end}` by id."""

    def __init__(self, **kwargs: Any) -> None:
        end = {
            "type": "object",
            "required": ["end"],
            "properties": {"end": _STAMP},
            "additionalProperties": False,
        }
        entry = end | {"required": ["id", "end"], "properties": {"id": {"type": "string"}, "end": _STAMP}}
        said = {
            "oneOf": [
                {"type": "array", "items": entry, "maxItems": MOST_SPANS},
                {"type": "object", "additionalProperties": end, "maxProperties": MOST_SPANS},
            ]
        }
        super().__init__(metadata=said, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Mapping[str, datetime]:
        if isinstance(value, Mapping):
            rows = {str(key): OnlyEndIn().load(inner) for key, inner in self._each(value)}
            return {key: row["end"] for key, row in rows.items()}
        if not isinstance(value, list):
            raise ValidationError("is a list of id and end")
        if len(value) > MOST_SPANS:
            raise ValidationError(f"has at most {MOST_SPANS} entries")
        entries = EndIn(many=True).load(value)
        ends = {entry["id"]: entry["end"] for entry in entries}
        if len(ends) != len(entries):
            raise ValidationError("names a reservation twice")
        return ends

    @staticmethod
    def _each(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
        if len(value) > MOST_SPANS:
            raise ValidationError(f"has at most {MOST_SPANS} entries")
        faults = {key: OnlyEndIn().validate(inner) for key, inner in value.items()}
        if wrong := {key: fault for key, fault in faults.items() if fault}:
            raise ValidationError(wrong)
        return list(value.items())


_STAMP = {"type": "string", "format": "date-time"}


class BookingChangeIn(Strict):
    title = line_field(200)
    notebook_url = Text(2000, 0, f"({ADDRESS})?", said=ADDRESS_SAID, allow_none=True)
    group = Text(100, 1, allow_none=True)
    reservations = Ends()


class BookingQuery(PageQuery):
    state = Choice(State)
    start = Day(data_key="from")
    end = Day(data_key="to")
    account = Text(100, 1)
    shared = QBool(load_default=False)


class MatchHeaders(Schema):
    if_match = fields.String(
        data_key="If-Match", metadata={"description": "The ETag that the change was made from, or *."}
    )


class KeyHeaders(Schema):
    key = fields.String(
        data_key="Idempotency-Key",
        metadata={
            "description": "At most 255 printable characters; the same key and body answer the same booking for 24 h."
        },
    )


class EndpointOut(Schema):
    name = fields.String(required=True)
    url = fields.String(required=True)
    token = fields.String(
        metadata={"description": "Only for those who may use the booking, while it is ready."}
    )


class ClusterOut(Schema):
    state = fields.String(required=True)
    detail = fields.String(required=True)
    attempts = fields.Integer(required=True)
    ready_at = fields.String(required=True, allow_none=True)
    endpoints = fields.List(fields.Nested(EndpointOut), required=True)


class ReservationOut(Schema):
    id = fields.String(required=True)
    start = fields.String(required=True)
    end = fields.String(required=True)
    state = fields.String(required=True)
    expires_at = fields.String(required=True, allow_none=True)
    end_reason = fields.String(required=True)
    at_risk = fields.Boolean(required=True)
    ends_soon = fields.Boolean(required=True)
    warned_at = fields.String(required=True, allow_none=True)
    cluster = fields.Nested(ClusterOut, required=True, allow_none=True)


class PoolRef(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    timezone = fields.String(required=True)


class CustomOut(Schema):
    notebook_cores = fields.Integer(required=True)
    notebook_memory_mib = fields.Integer(required=True)
    worker_cores = fields.Integer(required=True)
    worker_memory_mib = fields.Integer(required=True)
    worker_count = fields.Integer(required=True)


class BookingOut(Schema):
    id = fields.String(required=True)
    title = fields.String(required=True)
    account = fields.String(required=True)
    group = fields.String(required=True, allow_none=True)
    pool = fields.Nested(PoolRef, required=True)
    package = fields.String(required=True)
    version = fields.Integer(required=True)
    sharing = fields.String(required=True)
    custom = fields.Nested(CustomOut)
    notebook = fields.Nested(SizeOut, required=True)
    worker = fields.Nested(WorkerOut, required=True)
    demand = fields.Nested(Count, required=True)
    state = fields.String(required=True)
    created_at = fields.String(required=True)
    revision = fields.Integer(required=True)
    notebook_url = fields.String(required=True, allow_none=True)
    guests = fields.List(fields.String(), required=True)
    reservations = fields.List(fields.Nested(ReservationOut), required=True)


BookingList = listed(BookingOut)


class QuotaOut(Schema):
    limit = fields.Integer(required=True, allow_none=True)
    used = fields.Float(required=True)
    cost = fields.Float(required=True)
    left = fields.Float(required=True, allow_none=True)
    window = fields.Nested(SpanOut, required=True)


class DecisionOut(Schema):
    """What would be promised."""

    package = fields.String(required=True)
    version = fields.Integer(required=True)
    sharing = fields.String(required=True)
    spans = fields.List(fields.Nested(SpanOut), required=True)
    demand = fields.Nested(Count, required=True)
    quota = fields.Nested(QuotaOut, required=True)


class EntryOut(Schema):
    """An entry of the journal."""

    id = fields.String(required=True)
    at = fields.String(required=True)
    account = fields.String(required=True, allow_none=True)
    action = fields.String(required=True)
    subject = fields.String(required=True)
    detail = fields.Dict(required=True)


EntryList = listed(EntryOut)
