"""Pages of a list: opaque cursors that stay true while rows are added."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from booking.api.reading import is_text
from booking.errors import Invalid

T = TypeVar("T")
_NOT_ONE = {"cursor": ["is not one that this list gave out"]}


def cursor_of(*parts: str) -> str:
    """The cursor after the row with those values."""
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parts_of(cursor: str | None, count: int) -> tuple[str, ...] | None:
    """What a cursor was made of; None for none.

    :raises Invalid: if it was not made here.
    """
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        raise Invalid(_NOT_ONE) from None
    if not isinstance(parts, list) or len(parts) != count:
        raise Invalid(_NOT_ONE)
    if not all(isinstance(part, str) and is_text(part) for part in parts):
        raise Invalid(_NOT_ONE)
    return tuple(parts)


def moment_and_id(cursor: str | None) -> tuple[datetime, str] | None:
    """What the cursor of a list by time was made of.

    :raises Invalid: if it was not made here.
    """
    parts = parts_of(cursor, 2)
    if parts is None:
        return None
    try:
        moment = datetime.fromisoformat(parts[0])
    except ValueError:
        raise Invalid(_NOT_ONE) from None
    if moment.tzinfo is None:
        raise Invalid(_NOT_ONE)
    return moment, parts[1]


def page(
    rows: Sequence[T], limit: int, show: Callable[[T], Any], key: Callable[[T], tuple[str, ...]]
) -> dict[str, Any]:
    """A page of a list, from one row more than fits."""
    shown = rows[:limit]
    following = cursor_of(*key(shown[-1])) if len(rows) > limit else None
    return {"items": [show(row) for row in shown], "next": following}
