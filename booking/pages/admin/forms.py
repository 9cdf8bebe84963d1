"""Forms of administrators, checked by the same schemas as bodies of the API."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape
from marshmallow import Schema, ValidationError
from werkzeug.datastructures import MultiDict

from booking.allocator.resources import KINDS
from booking.api.schemas.fields import flattened
from booking.errors import Invalid
from booking.pages import hours
from booking.pages.calendar.query import read_date
from booking.pages.language import gettext

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
        raise Invalid({f"{which}_date": [gettext("is needed")]})
    at = hours.instant(zone, day, form.get(f"{which}_hour") or "00:00")
    if at is None:
        raise Invalid({f"{which}_hour": [gettext("that date has no such hour: the clocks change")]})
    return at.isoformat()


class Options:
    """The options of a choice that stands in many forms of one page: they are written once."""

    def __init__(self, choices: Iterable[tuple[str, str]]) -> None:
        """`choices` are values with what they are called."""
        self._each = {
            value: f'<option value="{escape(value)}">{escape(called)}</option>' for value, called in choices
        }
        self._all = "".join(self._each.values())

    def __len__(self) -> int:
        return len(self._each)

    def chosen(self, value: str | None) -> Markup:
        """All of them, with that one chosen if it is among them."""
        written = self._each.get(value or "")
        if written is None:
            return Markup(self._all)  # noqa: S704  # nosec B704  # each value and each text was escaped
        chosen = written.replace(">", " selected>", 1)
        return Markup(self._all.replace(written, chosen, 1))  # noqa: S704  # nosec B704


@lru_cache(maxsize=16)
def options_of(choices: tuple[tuple[str, str], ...]) -> Options:
    """The options of a choice that is the same from page to page, such as that of a pool."""
    return Options(choices)
