"""The kinds of value that requests are made of: bounded, strict, and exact about time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from booking.allocator.durations import format_duration, parse_duration
from booking.allocator.span import FOREVER

MOST = 10**9
"""The greatest amount of anything: sums of many stay within 64 bits."""
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
_YEARS = range(1971, 2200)
Said = dict[str, str | list[Any] | dict[Any, Any]]
_MESSAGES: Said = {"required": "is needed", "null": "may not be null", "validator_failed": "is not valid"}


class Strict(Schema):
    """The root of what requests are read with; unknown fields are refused."""

    class Meta:
        unknown = "raise"

    error_messages = {  # noqa: RUF012 (the library declares it so)
        "unknown": "is not known here",
        "type": "must be an object",
    }


class Text(fields.String):
    """Text of a bounded length."""

    default_error_messages: Said = _MESSAGES | {
        "invalid": "must be text",
        "invalid_utf8": "must be text",
    }

    def __init__(self, most: int, least: int = 0, pattern: str = "", said: str = "", **kwargs: Any) -> None:
        checks: list[Any] = [validate.Length(least, most, error=f"has {least} to {most} characters")]
        if pattern:
            checks.append(_matches(pattern, said))
            kwargs["metadata"] = {"pattern": f"^{pattern}$"} | kwargs.get("metadata", {})
        super().__init__(validate=checks, **kwargs)


def _matches(pattern: str, said: str) -> Callable[[str], None]:
    """The whole text matches; `$` in Python would let a last line break pass."""
    compiled = re.compile(pattern)

    def check(text: str) -> None:
        if compiled.fullmatch(text) is None:
            raise ValidationError(said)

    return check


class Choice(fields.String):
    """One of a few words; read as a member of an enum where one is given."""

    default_error_messages: Said = _MESSAGES | {"invalid": "must be text"}

    def __init__(self, values: Any, **kwargs: Any) -> None:
        self._values = list(values)
        words = [str(value) for value in self._values]
        super().__init__(validate=validate.OneOf(words, error=f"is one of {', '.join(words)}"), **kwargs)


class JInt(fields.Integer):
    """A whole number within bounds; 50.0 is one, true and "50" are not."""

    default_error_messages: Said = _MESSAGES | {"invalid": "must be a whole number"}

    def __init__(self, most: int = MOST, least: int = 0, **kwargs: Any) -> None:
        check = validate.Range(least, most, error=f"is between {least} and {most}")
        super().__init__(validate=check, **kwargs)

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid")
        if isinstance(value, float) and not value.is_integer():
            raise self.make_error("invalid")
        return int(value)


class QInt(JInt):
    """The same in a query, where everything is text."""

    def _validated(self, value: Any) -> int:
        if not isinstance(value, str) or not _WHOLE.fullmatch(value):
            raise self.make_error("invalid")
        return int(value)


class JBool(fields.Boolean):
    """true or false, and nothing that only looks like it."""

    default_error_messages: Said = _MESSAGES | {"invalid": "must be true or false"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class QBool(fields.Boolean):
    """The same in a query."""

    default_error_messages: Said = _MESSAGES | {"invalid": "must be true or false"}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if value not in ("true", "false"):
            raise self.make_error("invalid")
        return bool(value == "true")


def read_instant(value: object) -> datetime:
    """The aware instant, in UTC, that RFC 3339 text names.

    :raises ValidationError: if it is not such text, has no offset, or lies outside 1971 to 2199.
    """
    if not isinstance(value, str) or not _STAMP.fullmatch(value):
        if isinstance(value, str) and _STAMP.fullmatch(value.replace(" ", "+")):
            raise ValidationError("has a space where + was meant; in a URL write %2B")
        raise ValidationError("must be an instant with an offset, like 2026-11-21T14:00:00Z")
    try:
        instant = datetime.fromisoformat(value.upper())
    except ValueError:
        raise ValidationError("is not an instant of the calendar") from None
    if instant.year not in _YEARS:
        raise ValidationError("lies between the years 1971 and 2199")
    return instant.astimezone(UTC)


class Instant(fields.String):
    """RFC 3339 with an offset."""

    default_error_messages: Said = _MESSAGES

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"format": "date-time"} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return read_instant(value)


class Minute(Instant):
    """An instant on a whole minute, as spans need it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        instant = read_instant(value)
        if instant.second or instant.microsecond:
            raise ValidationError("must fall on a whole minute")
        return instant


class Day(fields.String):
    """A date, or an instant with an offset."""

    default_error_messages: Said = _MESSAGES

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            return read_instant(value)
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise ValidationError("is not a date of the calendar") from None
        if day.year not in _YEARS:
            raise ValidationError("lies between the years 1971 and 2199")
        return day


class Length(fields.String):
    """A positive ISO 8601 duration."""

    default_error_messages: Said = _MESSAGES

    def __init__(self, most: timedelta, least: timedelta = timedelta(minutes=1), **kwargs: Any) -> None:
        self._bounds = (least, most)
        metadata = {"format": "duration"} | kwargs.pop("metadata", {})
        super().__init__(metadata=metadata, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise ValidationError("a length is written like P14D or PT4H")
        try:
            length = parse_duration(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        least, most = self._bounds
        if not least <= length <= most:
            raise ValidationError(f"is between {format_duration(least)} and {format_duration(most)}")
        return length


class Several(fields.List[Any]):
    """A list of a bounded length."""

    default_error_messages: Said = _MESSAGES | {"invalid": "must be a list"}

    def __init__(self, inner: fields.Field[Any], most: int, least: int = 0, **kwargs: Any) -> None:
        check = validate.Length(least, most, error=f"has {least} to {most} entries")
        super().__init__(inner, validate=check, **kwargs)


class Part(fields.Nested):
    """An object within an object."""

    default_error_messages: Said = _MESSAGES | {"type": "must be an object"}


class Mapped(fields.Dict):
    """An object whose keys are looked at elsewhere."""

    default_error_messages: Said = _MESSAGES | {"invalid": "must be an object"}


def stamp(instant: datetime | None) -> str | None:
    """An instant as it is written: UTC with Z; until further notice is null."""
    if instant is None or instant >= FOREVER:
        return None
    return f"{instant.astimezone(UTC).isoformat()[:-6]}Z"


def flattened(messages: Any, path: str = "") -> dict[str, list[str]]:
    """The faults of a request by the path of the field: `spans.0.start`."""
    if isinstance(messages, Mapping):
        found: dict[str, list[str]] = {}
        for key, inner in messages.items():
            step = "" if key == "_schema" else str(key)
            for name, faults in flattened(inner, ".".join(part for part in (path, step) if part)).items():
                found.setdefault(name, []).extend(faults)
        return found
    return {path or "body": [str(fault) for fault in messages]}
