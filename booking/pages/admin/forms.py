"""Forms of administrators, checked by the same schemas as bodies of the API."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import Schema, ValidationError
from werkzeug.datastructures import MultiDict

from booking.allocator.resources import KINDS
from booking.api.schemas.fields import flattened
from booking.errors import Invalid
from booking.pages import hours
from booking.pages.calendar.query import read_date

Form = MultiDict[str, str]


def loaded(schema: type[Schema], body: dict[str, Any]) -> dict[str, Any]:
    """What the schema makes of a body.

    :raises Invalid: naming each field that is wrong.
    """
    try:
        found: dict[str, Any] = schema().load(body)
    except ValidationError as error:
        raise Invalid(flattened(error.messages)) from None
    return found


def number(form: Form, name: str) -> int | str | None:
    """A whole number, the text itself where it is none, or None where nothing was typed."""
    text = form.get(name, "").strip()
    if not text:
        return None
    return int(text) if text.lstrip("-").isascii() and text.lstrip("-").isdigit() and len(text) < 18 else text


def given(**values: Any) -> dict[str, Any]:
    """The values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def amounts(form: Form, prefix: str = "") -> dict[str, Any]:
    """An amount of each kind that was typed."""
    return given(**{kind: number(form, prefix + kind) for kind in KINDS})


def instant(form: Form, which: str, zone: ZoneInfo) -> str:
    """The instant that a date and an hour name, as a body carries it.

    :raises Invalid: if they name none.
    """
    day = read_date(f"{which}_date", form.get(f"{which}_date"))
    if day is None:
        raise Invalid({f"{which}_date": ["is needed"]})
    at = hours.instant(zone, day, form.get(f"{which}_hour") or "00:00")
    if at is None:
        raise Invalid({f"{which}_hour": ["that date has no such hour: the clocks change"]})
    return at.isoformat()
