"""Platforms: how the clouds and machines where pools live are spoken to."""

from __future__ import annotations

import json
from typing import Any

from marshmallow import Schema, ValidationError, fields

from booking.api.schemas.accounts import MOST_LEVEL
from booking.api.schemas.common import PLAIN, PLAIN_SAID, line_field, listed
from booking.api.schemas.fields import JInt, Several, Strict, Text

_MOST_BYTES = 8000
_MINUTES, _SECONDS = 24 * 60, 24 * 3600
_ABOUT_SETTINGS = "What the provisioner of that name knows; secrets have no place here."


class SettingsField(fields.Dict):
    """An object of settings, by name; what they mean is known to the provisioner."""

    default_error_messages = {"invalid": "must be an object", "null": "may not be null"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(keys=Text(40, 1, PLAIN, said=PLAIN_SAID), metadata={"description": _ABOUT_SETTINGS})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        read = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        if len(json.dumps(read)) > _MOST_BYTES:
            raise ValidationError(f"has at most {_MOST_BYTES} bytes")
        return read


class PlatformChangeIn(Strict):
    traits = Several(line_field(40, 1), 50)
    provisioner = Text(40, 0, r"[a-z]*", said="is a lower-case word, or empty")
    settings = SettingsField()
    lead_minutes = JInt(_MINUTES)
    teardown_seconds = JInt(_SECONDS)
    stranger_level = JInt(MOST_LEVEL)


class PlatformIn(PlatformChangeIn):
    name = line_field(100, 1, required=True)


class PlatformOut(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    traits = fields.List(fields.String(), required=True)
    provisioner = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What makes clusters there; null is what makes them for the installation."},
    )
    settings = fields.Dict(required=True)
    pledges = fields.Boolean(
        required=True, metadata={"description": "Whether it sets aside by itself what is promised there."}
    )
    lead_minutes = fields.Integer(required=True, allow_none=True)
    teardown_seconds = fields.Integer(required=True, allow_none=True)
    stranger_level = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "The level that binds what others reserve there, each owner by itself."},
    )
    fault = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it does not answer as it should, as last seen; else null."},
    )
    fault_since = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})


PlatformList = listed(PlatformOut)


class PledgeOut(Schema):
    reservation = fields.String(required=True)
    booking = fields.String(required=True)
    start = fields.String(required=True, metadata={"format": "date-time"})
    end = fields.String(required=True, metadata={"format": "date-time"})
    phase = fields.String(required=True)
    reference = fields.String(required=True, metadata={"description": "Its id in the platform's own words."})
    detail = fields.String(required=True)


PledgeList = listed(PledgeOut)


class _Values(fields.Dict):
    """An object whose fields are the platform's own."""

    default_error_messages = {"invalid": "must be an object", "null": "may not be null"}  # noqa: RUF012


class InquiryIn(Strict):
    context = _Values(required=True, metadata={"description": "Who wants it, in the platform's own words."})
    lease = _Values(required=True, metadata={"description": "What is wanted."})


class InquiryChangeIn(InquiryIn):
    current_lease = _Values(required=True, metadata={"description": "What there is."})
