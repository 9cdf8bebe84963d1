"""Conditions that a request carries in its headers: If-Match and Idempotency-Key."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Any

from booking.errors import Invalid, PreconditionRequired
from booking.services.bookings import Idempotency

_ONE = re.compile(r'\s*"(\d{1,18})"\s*')
_NONE_THAT_IS = -1
"""No booking is ever at this revision."""
_LONGEST_KEY = 255


def revision_of(if_match: str | None, *, required: bool = False) -> int | None:
    """The revision that If-Match names; None is any.

    :raises PreconditionRequired: if there has to be one and is none.
    """
    if if_match is None:
        if required:
            raise PreconditionRequired("Send the ETag of the booking in If-Match, so that no change is lost.")
        return None
    if if_match.strip() == "*":
        return None
    # A weak tag, a list or another server's tag matches nothing that we gave out for one booking.
    match = _ONE.fullmatch(if_match)
    return int(match[1]) if match else _NONE_THAT_IS


def etag(revision: int) -> str:
    """The ETag of a booking at a revision."""
    return f'"{revision}"'


def idempotency_of(key: str | None, body: Any) -> Idempotency | None:
    """The key with the hash of the body, whatever the order of its fields.

    :raises Invalid: if the key is empty, too long, or not printable ASCII.
    """
    if key is None:
        return None
    if not 1 <= len(key) <= _LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise Invalid({"Idempotency-Key": [f"has 1 to {_LONGEST_KEY} printable characters"]})
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return Idempotency(key, sha256(text.encode()).hexdigest())
