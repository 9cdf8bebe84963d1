"""How a lease is named and how its instants are spoken: Blazar counts whole minutes, in UTC, without saying so."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from booking.adapters.base import checked_id, outside_name

MINUTE = timedelta(minutes=1)
_FORMAT = "%Y-%m-%d %H:%M"
_NAME = re.compile(
    r"bk-(?P<reservation>[a-z0-9]{8,40})-(?P<revision>[0-9]{1,9})-(?P<installation>[0-9a-f]{8})(?:-(?P<larger>[hw]))?"
)


@dataclass(frozen=True)
class Tag:
    """What the name of a lease says; at most 64 of the 80 characters that Blazar takes."""

    reservation_id: str
    revision: int
    installation: str
    """Of which installation it is, as :func:`fingerprint` writes it: several may share a Blazar."""
    larger: str = ""
    """Which nodes are the larger ones where a lease has two sizes: `h` the head, `w` the workers.

    Blazar lists the parts of a lease in any order and keeps no word of ours with them."""

    def name(self) -> str:
        """:raises ProvisionerError: if the id could lead elsewhere."""
        mark = f"-{self.larger}" if self.larger else ""
        name = outside_name(checked_id(self.reservation_id))
        return f"{name}-{self.revision}-{self.installation}{mark}"

    @classmethod
    def read(cls, name: str) -> Tag | None:
        """What :meth:`name` wrote; None if somebody else named it."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        return cls(found["reservation"], int(found["revision"]), found["installation"], found["larger"] or "")


def fingerprint(installation: str) -> str:
    """Eight hexadecimal digits that tell installations apart, whatever characters their names have."""
    return hashlib.sha256(installation.encode()).hexdigest()[:8]


def token_of(key: bytes, reservation_id: str) -> str:
    """The token of a reservation's cluster: whoever has the key of the installation derives it, and nobody keeps it.

    :raises ProvisionerError: if the id is none.
    """
    return hmac.new(key, checked_id(reservation_id).encode(), hashlib.sha256).hexdigest()


def floored(at: datetime) -> datetime:
    """The start of its minute, in UTC."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def ceiled(at: datetime) -> datetime:
    """The first whole minute that is not before it, in UTC."""
    down = floored(at)
    return down if down == at else down + MINUTE


def spoken(at: datetime) -> str:
    """As Blazar wants it: whole minutes of UTC, without a zone."""
    return at.astimezone(UTC).strftime(_FORMAT)


def heard(text: str) -> datetime:
    """What Blazar says: naive, and UTC.

    :raises ValueError: if it is no instant.
    """
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
