"""What several nouns share: spans, sizes, amounts, pages of a list."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validates_schema

from booking.allocator.package import CUSTOM, Package, Size
from booking.allocator.resources import Resources
from booking.allocator.span import FOREVER, Span
from booking.api.schemas.fields import MOST, Instant, JInt, Minute, QBool, QInt, Strict, Text

MOST_CORES = 10**6
MOST_WORKERS = 10**5
NAME = r"[^\s/*\x00-\x1f\x7f][^\s/\x00-\x1f\x7f]*"
NAME_SAID = "has no spaces, slashes or control characters, and does not begin with *"
PLAIN = r"[^\x00-\x1f\x7f]*"
PLAIN_SAID = "is one line without control characters"


def name_field(most: int = 100, **kwargs: Any) -> Text:
    """A name that may stand in a URL."""
    return Text(most, 1, NAME, said=NAME_SAID, **kwargs)


def line_field(most: int, least: int = 0, **kwargs: Any) -> Text:
    """One line of text."""
    return Text(most, least, PLAIN, said=PLAIN_SAID, **kwargs)


class SpanIn(Strict):
    """Half-open; both ends on whole minutes."""

    start = Minute(required=True)
    end = Minute(required=True)

    @validates_schema
    def _order(self, data: dict[str, Any], **_: Any) -> None:
        if data["start"] >= data["end"]:
            raise ValidationError({"end": ["must be after start"]})

    @post_load
    def _made(self, data: dict[str, Any], **_: Any) -> Span:
        return Span(data["start"], data["end"])


class OpenSpanIn(Strict):
    """Half-open; an end of null means until further notice."""

    start = Minute(required=True)
    end = Minute(required=True, allow_none=True)

    @validates_schema
    def _order(self, data: dict[str, Any], **_: Any) -> None:
        if data["end"] is not None and data["start"] >= data["end"]:
            raise ValidationError({"end": ["must be after start"]})

    @post_load
    def _made(self, data: dict[str, Any], **_: Any) -> Span:
        return Span(data["start"], data["end"] or FOREVER)


class SpanOut(Schema):
    start = Instant(required=True)
    end = Instant(required=True)


class OpenSpanOut(Schema):
    start = Instant(required=True)
    end = Instant(required=True, allow_none=True)


class Amounts(Strict):
    """Whole amounts of each kind."""

    cores = JInt(load_default=0)
    memory_mib = JInt(load_default=0)
    gpus = JInt(load_default=0)
    disk_gib = JInt(load_default=0)

    @post_load
    def _made(self, data: dict[str, Any], **_: Any) -> Resources:
        return Resources.of(data)


class SomeAmounts(Amounts):
    """The same, with at least one that is not zero."""

    @validates_schema
    def _some(self, data: dict[str, Any], **_: Any) -> None:
        if not any(data.values()):
            raise ValidationError("names at least one amount above zero")


class CustomIn(Strict):
    """The sizes of a custom package."""

    notebook_cores = JInt(MOST_CORES, 1, required=True)
    notebook_memory_mib = JInt(MOST, 1, required=True)
    worker_cores = JInt(MOST_CORES, required=True)
    worker_memory_mib = JInt(MOST, required=True)
    worker_count = JInt(MOST_WORKERS, load_default=1)

    @post_load
    def _made(self, data: dict[str, Any], **_: Any) -> Package:
        return custom_of(data)


def custom_of(data: dict[str, Any]) -> Package:
    """The custom package of those sizes."""
    return Package(
        CUSTOM,
        1,
        Size(data["notebook_cores"], data["notebook_memory_mib"]),
        Size(data["worker_cores"], data["worker_memory_mib"]),
        data.get("worker_count", 1),
    )


CUSTOM_NUMBERS = ("notebook_cores", "notebook_memory_mib", "worker_cores", "worker_memory_mib")


class CustomQuery(Strict):
    """The same in a query, beside `package=custom`."""

    notebook_cores = QInt(MOST_CORES, 1)
    notebook_memory_mib = QInt(MOST, 1)
    worker_cores = QInt(MOST_CORES)
    worker_memory_mib = QInt(MOST)
    worker_count = QInt(MOST_WORKERS)

    @staticmethod
    def custom(data: dict[str, Any], packages: tuple[str, ...]) -> Package | None:
        """The custom package that a query asks for, if it does.

        :raises ValidationError: if its numbers are incomplete, or come without `package=custom`.
        """
        given = [name for name in (*CUSTOM_NUMBERS, "worker_count") if name in data]
        if CUSTOM not in packages:
            if given:
                raise ValidationError({name: ["is only for package=custom"] for name in given})
            return None
        if missing := [name for name in CUSTOM_NUMBERS if name not in data]:
            raise ValidationError({name: ["is needed for a custom package"] for name in missing})
        return custom_of(data)


class PageQuery(Strict):
    """Which part of a list."""

    cursor = Text(500, 1)
    limit = QInt(200, 1, load_default=50)


class DryRun(Strict):
    """Whether to decide only."""

    dry_run = QBool(load_default=False)


class Count(Schema):
    cores = fields.Integer()
    memory_mib = fields.Integer()
    gpus = fields.Integer()
    disk_gib = fields.Integer()


def listed(item: type[Schema]) -> type[Schema]:
    """The shape of a list of something."""
    members: dict[str, Any] = {
        "items": fields.List(fields.Nested(item), required=True),
        "next": fields.String(required=True, allow_none=True),
    }
    return type(f"{item.__name__}List", (Schema,), members)
